//! The form of a batch, which both stores check before they apply it.

use std::collections::BTreeMap;

use shared_events::{DecodedEvent, RoomId};

use super::StoreError;

/// The events of one room in a batch: after `base` up to `last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// The checkpoint that the batch continues.
    pub(super) base: u64,
    /// The checkpoint that it leads to.
    pub(super) last: u64,
}

/// The spans of a batch's rooms.
///
/// # Errors
/// When a room's events are not consecutive.
pub(super) fn spans(batch: &[DecodedEvent]) -> Result<BTreeMap<RoomId, Span>, StoreError> {
    let mut spans: BTreeMap<RoomId, Span> = BTreeMap::new();
    for decoded in batch {
        let refuse = |reason: String| StoreError::Batch { room: decoded.room, reason };
        let before = decoded.version.checked_sub(1).ok_or_else(|| refuse("version 0".to_owned()))?;
        let span = spans.entry(decoded.room).or_insert(Span { base: before, last: before });
        if span.last != before {
            return Err(refuse(format!("version {} follows {}", decoded.version, span.last)));
        }
        span.last = decoded.version;
    }
    Ok(spans)
}

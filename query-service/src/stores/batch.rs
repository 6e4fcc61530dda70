//! A batch: its form, which each store checks before it applies it, and its outcome.

use std::collections::BTreeMap;

use shared_events::{DecodedEvent, RoomId, Version};

use super::StoreError;

/// The events of one room in a batch: after `base` up to `last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// The checkpoint that the batch continues.
    pub(super) base: Version,
    /// The checkpoint that it leads to.
    pub(super) last: Version,
}

/// The spans of a batch's rooms.
///
/// # Errors
/// When a room's events are not consecutive.
pub(super) fn spans(batch: &[DecodedEvent]) -> Result<BTreeMap<RoomId, Span>, StoreError> {
    let mut spans: BTreeMap<RoomId, Span> = BTreeMap::new();
    for decoded in batch {
        let refuse = |reason: String| StoreError::Batch { room: decoded.room, reason };
        let before = decoded.version.previous().ok_or_else(|| refuse("version 0".to_owned()))?;
        let span = spans.entry(decoded.room).or_insert(Span { base: before, last: before });
        if span.last != before {
            return Err(refuse(format!("version {} follows {}", decoded.version, span.last)));
        }
        span.last = decoded.version;
    }
    Ok(spans)
}

/// The outcome of a batch, for each of its rooms.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Rooms whose checkpoint is at this version or beyond: the room's last one in the batch.
    pub advanced: Vec<(RoomId, Version)>,
    /// Rooms whose checkpoint was not where the batch begins and is not beyond its end: another owner wrote it, or an
    /// older copy was restored. Their documents are right; read their checkpoints again and go on from there.
    pub conflicts: Vec<RoomId>,
}

impl Applied {
    /// All rooms of a batch are at its end.
    #[cfg(feature = "mongodb")]
    pub(super) fn all(spans: &BTreeMap<RoomId, Span>) -> Self {
        Self {
            advanced: spans.iter().map(|(room, span)| (*room, span.last)).collect(),
            conflicts: Vec::new(),
        }
    }

    /// Counts a room whose checkpoint is at `version` now.
    pub(super) fn count(&mut self, room: RoomId, span: Span, version: Version) {
        if version >= span.last {
            self.advanced.push((room, span.last));
        } else {
            self.conflicts.push(room);
        }
    }
}

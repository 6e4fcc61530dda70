//! Places at which an append fails on demand. Tests and campaigns show that it leaves no traces.

use std::sync::{Mutex, PoisonError};

use super::{AppendError, StoreError};

/// A place in the append transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailPoint {
    /// After BEGIN.
    Begin,
    /// After the events.
    Events,
    /// After the outbox rows, unless they go out with COMMIT.
    Outbox,
    /// After the idempotency records, unless they go out with COMMIT.
    Keys,
    /// After the directory.
    Rooms,
    /// Before COMMIT.
    BeforeCommit,
    /// After the answer to COMMIT: the caller sees an unknown outcome.
    AfterCommit,
}

impl FailPoint {
    /// All places in the order of an append.
    pub const ALL: [Self; 7] = [
        Self::Begin,
        Self::Events,
        Self::Outbox,
        Self::Keys,
        Self::Rooms,
        Self::BeforeCommit,
        Self::AfterCommit,
    ];
}

/// The armed fail points of a store, each with the number of appends that fail there.
#[derive(Debug, Default)]
pub struct FailPoints(Mutex<Vec<(FailPoint, u32)>>);

impl FailPoints {
    /// Makes the next `times` appends that reach `point` fail there.
    pub fn arm(&self, point: FailPoint, times: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((point, times));
    }

    pub(super) fn pass(&self, point: FailPoint) -> Result<(), AppendError> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = armed.iter().position(|(at, _)| *at == point) else { return Ok(()) };
        if let Some((_, times)) = armed.get_mut(place) {
            *times = times.saturating_sub(1);
            if *times == 0 {
                armed.remove(place);
            }
        }
        let source = format!("failed on purpose at {point:?}").into();
        let error = StoreError::Unavailable { operation: "append_events", source };
        Err(match point {
            FailPoint::AfterCommit => AppendError::Unknown(error),
            _ => AppendError::Transient(error),
        })
    }
}

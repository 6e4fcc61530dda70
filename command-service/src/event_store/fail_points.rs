//! Places at which tests make an append fail, to show that it leaves no traces.

use std::{
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use super::StoreError;

/// A place in the append transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailPoint {
    /// After the transaction was opened.
    Begin,
    /// After the events were inserted.
    Events,
    /// After the outbox rows were inserted, where they don't go out with COMMIT.
    Outbox,
    /// After the idempotency records were inserted, likewise.
    Keys,
    /// After the directory was changed, where it is.
    Rooms,
    /// Before COMMIT was sent: what is left of the statements above.
    BeforeCommit,
    /// After COMMIT was answered: the caller sees an unknown outcome.
    AfterCommit,
}

impl FailPoint {
    /// All places, in the order in which an append passes them.
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

impl FromStr for FailPoint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "begin" => Ok(Self::Begin),
            "events" => Ok(Self::Events),
            "outbox" => Ok(Self::Outbox),
            "keys" => Ok(Self::Keys),
            "rooms" => Ok(Self::Rooms),
            "before-commit" => Ok(Self::BeforeCommit),
            "after-commit" => Ok(Self::AfterCommit),
            _ => Err(format!("no fail point is called {text:.40}")),
        }
    }
}

/// The armed fail points of one adapter: each append that passes one fails there, so many times.
#[derive(Debug, Default)]
pub struct FailPoints(Mutex<Vec<(FailPoint, u32)>>);

impl FailPoints {
    /// Makes the next `times` appends that reach `point` fail there.
    pub fn arm(&self, point: FailPoint, times: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((point, times));
    }

    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(super) fn pass(&self, point: FailPoint) -> Result<(), StoreError> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = armed.iter().position(|(at, _)| *at == point) else { return Ok(()) };
        if let Some((_, times)) = armed.get_mut(place) {
            *times = times.saturating_sub(1);
            if *times == 0 {
                armed.remove(place);
            }
        }
        Err(StoreError::Unavailable {
            operation: "append_events",
            source: format!("failed on purpose at {point:?}").into(),
        })
    }
}

//! The place of an event among all events.

use std::fmt;

use serde::Serialize;

/// The place of an event in the order of insertion over all streams.
///
/// The store assigns it at insert, and it becomes visible at commit. So a lower position may appear after a higher one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first event. Stands for 0.
    pub const START: Self = Self(0);

    /// The position as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Position {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

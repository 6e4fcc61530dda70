//! Stays, in minutes.

use serde::Serialize;
use serde_json::Value;

/// The first minute of 2031, in which all stays lie, in minutes since 1970.
pub(crate) const YEAR_BEGINS: i64 = 32_083_200;

/// A stay: `[from, to)` in minutes since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Stay {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Stay {
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    pub(crate) const fn minutes(self) -> i64 {
        self.to - self.from
    }

    pub(crate) const fn later(self, minutes: i64) -> Self {
        Self { from: self.from + minutes, to: self.to + minutes }
    }

    /// The parts of it outside another one.
    pub(crate) fn beyond(self, held: Self) -> Vec<Self> {
        let earlier = Self { from: self.from, to: self.to.min(held.from) };
        let later = Self { from: self.from.max(held.to), to: self.to };
        [earlier, later].into_iter().filter(|part| part.from < part.to).collect()
    }

    fn text(minute: i64) -> String {
        chrono::DateTime::from_timestamp(minute * 60, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    pub(crate) fn begins(self) -> String {
        Self::text(self.from)
    }

    pub(crate) fn ends(self) -> String {
        Self::text(self.to)
    }

    /// Parses two times of a service.
    pub(crate) fn read(from: &Value, to: &Value) -> Option<Self> {
        let minute = |value: &Value| {
            let time = chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
            Some(time.timestamp().div_euclid(60))
        };
        Some(Self { from: minute(from)?, to: minute(to)? })
    }
}

//! Reserved minutes of a room, summed up so that statistics over a year need not read its reservations.

use shared_events::{RoomId, TimeZone};

/// Days in the longest year.
pub const DAYS: usize = 366;
/// Hours that a local clock shows.
pub const HOURS: usize = 24;

/// Names a usage document: a room, a zone in which its reservations were counted, a year on that zone's calendar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UsageKey {
    /// Whose usage.
    pub room: RoomId,
    /// The zone that the reservations carry (not the room's, which may have changed since).
    pub zone: TimeZone,
    /// Local year.
    pub year: i32,
}

impl UsageKey {
    /// Its place among the documents of its room: local year, then zone.
    #[must_use]
    pub fn place(self) -> (i32, String) {
        (self.year, self.zone.to_string())
    }
}

/// Live reservations of one room, zone and local year, by local day (0 is January 1) and hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageDoc {
    /// What it counts.
    pub key: UsageKey,
    /// The last version of the room's stream that is counted: events up to it are skipped.
    pub version: u64,
    /// Reserved minutes of each hour of each day, day by day: [`DAYS`] times [`HOURS`] values, up to 120 in an hour
    /// that the clocks show twice.
    pub hours: Vec<u8>,
    /// Reserved minutes of each day: [`DAYS`] values.
    pub minutes: Vec<u16>,
    /// How many reservations begin on each day: [`DAYS`] values.
    pub starts: Vec<u16>,
}

impl UsageDoc {
    /// A document that counts nothing yet.
    #[must_use]
    pub fn empty(key: UsageKey) -> Self {
        Self { key, version: 0, hours: vec![0; DAYS * HOURS], minutes: vec![0; DAYS], starts: vec![0; DAYS] }
    }
}

/// The part of a usage document that ranks rooms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageDays {
    /// What it counts.
    pub key: UsageKey,
    /// As in [`UsageDoc`].
    pub minutes: Vec<u16>,
    /// As in [`UsageDoc`].
    pub starts: Vec<u16>,
}

/// The part of a usage document that ranks hours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageHours {
    /// What it counts.
    pub key: UsageKey,
    /// As in [`UsageDoc`].
    pub hours: Vec<u8>,
}

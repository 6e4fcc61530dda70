//! Changes of clocks, for tests of all crates: the others take this file by its path.

/// Minutes of a day without a change.
pub(crate) const DAY: i64 = 24 * 60;

/// Zones, and a time at which their clocks change.
pub(crate) const CHANGES: [(&str, &str); 20] = [
    ("Atlantic/Azores", "2027-03-28T01:00:00Z"),
    ("Atlantic/Azores", "2026-10-25T01:00:00Z"),
    ("Africa/Cairo", "2026-04-23T22:00:00Z"),
    ("Africa/Cairo", "2026-10-29T21:00:00Z"),
    ("Asia/Beirut", "2026-03-28T22:00:00Z"),
    ("America/Santiago", "2026-09-06T04:00:00Z"),
    ("America/Santiago", "2026-04-05T03:00:00Z"),
    ("America/Havana", "2026-03-08T05:00:00Z"),
    ("America/Havana", "2025-11-02T05:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
    ("Africa/Casablanca", "2025-04-06T02:00:00Z"),
    ("Africa/Casablanca", "2025-02-23T02:00:00Z"),
    ("America/Vancouver", "2026-03-08T10:00:00Z"),
    ("America/St_Johns", "2026-03-08T05:30:00Z"),
    ("America/St_Johns", "2009-11-01T02:31:00Z"),
    ("Europe/Lisbon", "2026-03-29T01:00:00Z"),
    ("Europe/Lisbon", "2026-10-25T01:00:00Z"),
];

//! Small steps from which histories are made.

use proptest::prelude::Strategy;

/// Offsets by hours, half hours and quarters, changes by half an hour, and both ends of the date line.
pub(crate) const ZONES: [&str; 8] = [
    "Europe/Lisbon",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Kiritimati",
    "Asia/Kolkata",
    "America/New_York",
    "UTC",
];
/// Starts of days around which clocks or calendars change.
pub(crate) const ANCHORS: [&str; 7] = [
    "2026-03-28T00:00:00Z",
    "2026-04-04T00:00:00Z",
    "2026-10-03T00:00:00Z",
    "2026-10-24T00:00:00Z",
    "2026-12-30T00:00:00Z",
    "2026-06-10T00:00:00Z",
    // In St John's, clocks went back from one minute after midnight to the month before.
    "2009-10-31T20:00:00Z",
];
pub(crate) const USERS: [&str; 3] = ["ann", "$bob.x", "Zoë"];
pub(crate) const ROOMS: u8 = 5;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) action: u8,
    pub(crate) room: u8,
    pub(crate) other: u8,
    pub(crate) anchor: u8,
    pub(crate) start: u16,
    pub(crate) length: u16,
    pub(crate) user: u8,
}

pub(crate) fn steps(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<Step>> {
    let fields = (0..23_u8, 0..ROOMS, 0..ROOMS, 0..7_u8, 0..4 * 1440_u16, 1..2000_u16, 0..3_u8);
    let step = fields.prop_map(|(action, room, other, anchor, start, length, user)| Step {
        action,
        room,
        other,
        anchor,
        start,
        length,
        user,
    });
    proptest::collection::vec(step, count)
}

/// Random steps, the same for the same seed.
pub(crate) fn fixed_steps(count: usize, seed: u64) -> Vec<Step> {
    let mut state = seed;
    let mut below = |n: u16| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u16::try_from((state >> 33) % u64::from(n)).unwrap()
    };
    let mut small = |n: u16| u8::try_from(below(n)).unwrap();
    (0..count)
        .map(|_| {
            let (action, room, other, anchor, user) =
                (small(23), small(u16::from(ROOMS)), small(u16::from(ROOMS)), small(6), small(3));
            let (high, low, hours) = (small(96), small(60), small(33));
            Step {
                action,
                room,
                other,
                anchor,
                start: u16::from(high) * 60 + u16::from(low),
                length: u16::from(hours) * 60 + u16::from(low) + 1,
                user,
            }
        })
        .collect()
}

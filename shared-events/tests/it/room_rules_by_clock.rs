//! Rules of rooms on odd days, held against what a clock shows in every minute.

use chrono::{Datelike, Timelike};
use proptest::{prelude::*, sample::select};
use shared_events::{Interval, Minute, OpenDay, OpeningHours, OpeningSpan, RoomSettings};

use crate::{
    clock_changes::{CHANGES, DAY},
    room_rules::{room_in, zone_of},
};

/// Zones with their changes in the days after a date, in "UTC". No change is within an hour at which a span below begins.
const ODD_DAYS: [(&str, &str); 12] = [
    ("Europe/Lisbon", "2026-03-27T12:00:00Z"),
    ("Europe/Lisbon", "2026-10-23T12:00:00Z"),
    ("America/New_York", "2026-03-06T12:00:00Z"),
    ("America/New_York", "2026-10-30T12:00:00Z"),
    ("America/Havana", "2026-03-06T12:00:00Z"),
    ("America/Havana", "2025-10-31T12:00:00Z"),
    ("America/Sao_Paulo", "2018-02-16T12:00:00Z"),
    ("Africa/Cairo", "2026-04-22T12:00:00Z"),
    ("Africa/Cairo", "2026-10-28T12:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-02T12:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-03T12:00:00Z"),
    ("Pacific/Apia", "2011-12-28T12:00:00Z"),
];

/// Up to two spans of whole hours, the last of which may end on the next day.
fn whole_hours() -> impl Strategy<Value = OpenDay> {
    let hour = || select(vec![0, 0, 1, 2, 4, 8, 12, 20, 23, 24, 26, 30_u16]);
    proptest::collection::vec((hour(), hour()), 0..3).prop_map(|hours| {
        let spans = hours.iter().filter_map(|(a, b)| OpeningSpan::new(a.min(b) * 60, a.max(b) * 60).ok());
        let mut spans: Vec<_> = spans.collect();
        spans.sort_by_key(|span| span.opens());
        OpenDay::new(spans.clone()).unwrap_or_else(|_| spans[0].into())
    })
}

/// Whether a room is open in a minute, by the clock.
fn shows_open(hours: &OpeningHours, zone: &str, minute: Minute) -> bool {
    let local = minute.to_utc().with_timezone(&zone_of(zone));
    let shown = local.hour() * 60 + local.minute();
    let within = |weekday, shown: u32| {
        let mut spans = hours.on(weekday).iter();
        spans.any(|span| u32::from(span.opens()) <= shown && shown < u32::from(span.closes()))
    };
    within(local.weekday(), shown) || within(local.weekday().pred(), shown + 1440)
}

proptest! {
    #[test]
    fn a_stay_is_in_open_time_when_the_clock_shows_open_time_in_every_minute(
        (zone, day) in select(ODD_DAYS.as_slice()),
        days in proptest::array::uniform7(whole_hours()),
        (after, half_hours) in (0..120_i64, 1..60_i64),
    ) {
        let [monday, tuesday, wednesday, thursday, friday, saturday, sunday] = days;
        let hours = OpeningHours { monday, tuesday, wednesday, thursday, friday, saturday, sunday };
        let from = day.parse::<Minute>().unwrap().plus(after * 30).unwrap();
        let to = from.plus(half_hours * 30).unwrap();
        let room = RoomSettings { opening_hours: Some(hours.clone()), ..room_in(zone) };
        let expected = (from.epoch_minutes()..to.epoch_minutes())
            .all(|minute| shows_open(&hours, zone, Minute::from_epoch_minutes(minute).unwrap()));
        prop_assert_eq!(room.check_stay(Interval { from, to }).is_ok(), expected, "{} to {}", from, to);
    }

    #[test]
    fn slots_follow_one_another_without_a_gap_and_each_holds_a_stay(
        (zone, change) in select(CHANGES.as_slice()),
        minutes in select(vec![5, 15, 30, 60, 90, 120, 240, 480, 720, 1440_u32]),
        after in -2 * DAY..DAY,
    ) {
        let room = RoomSettings { slot_minutes: Some(minutes), ..room_in(zone) };
        let at = change.parse::<Minute>().unwrap().plus(after).unwrap();
        let from = room.earliest_start(at.start());
        prop_assert!(from <= at);
        let begins = |at: Minute| {
            let far = at.plus(10 * DAY).unwrap();
            room.bookable_part(Interval { from: at, to: far }, at.start()).unwrap().from
        };
        prop_assert_eq!(begins(from), from);
        let to = begins(at.plus(1).unwrap());
        prop_assert!(at < to);
        prop_assert_eq!(room.check_stay(Interval { from, to }), Ok(()));
        // No other slot begins in it, and clocks show it or repeat what was before.
        let shown = |at: i64| {
            let local = Minute::from_epoch_minutes(at).unwrap().to_utc().with_timezone(&zone_of(zone));
            (local.date_naive(), (local.hour() * 60 + local.minute()) / minutes)
        };
        for minute in from.epoch_minutes() + 1..to.epoch_minutes() {
            let inner = Interval { from, to: Minute::from_epoch_minutes(minute).unwrap() };
            prop_assert!(room.check_stay(inner).is_err(), "{}", inner.to);
            prop_assert!(shown(minute) <= shown(from.epoch_minutes()));
        }
    }
}

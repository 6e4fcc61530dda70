//! Limits in whole local days around changes of clocks, held against the minutes that a clock shows one after the other.

use std::ops::Range;

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use proptest::{prelude::*, sample::select};
use shared_events::{Interval, Minute, RoomSettings, time_zone::Tz};

use crate::room_rules::{room_in, zone_of};

const DAY: i64 = 24 * 60;

/// Zones, and a time at which their clocks change.
const CHANGES: [(&str, &str); 20] = [
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

/// What a clock shows in each minute of some time.
struct Clock {
    first: i64,
    shows: Vec<NaiveDateTime>,
}

impl Clock {
    fn of(zone: Tz, minutes: Range<i64>) -> Self {
        let shown =
            |minute| DateTime::from_timestamp(minute * 60, 0).unwrap().with_timezone(&zone).naive_local();
        Self { first: minutes.start, shows: minutes.map(shown).collect() }
    }

    fn at(&self, minute: i64) -> NaiveDateTime {
        self.shows[usize::try_from(minute - self.first).unwrap()]
    }

    fn minutes(&self) -> impl Iterator<Item = (i64, NaiveDateTime)> {
        let minutes = self.first..self.first + i64::try_from(self.shows.len()).unwrap();
        minutes.zip(self.shows.iter().copied())
    }

    /// The first minute of the local date that a minute has.
    fn begin_of_date(&self, minute: i64) -> i64 {
        let date = self.at(minute).date();
        self.minutes().find(|(_, shown)| shown.date() == date).unwrap().0
    }

    /// The first and the last end of a stay of so many local days.
    fn ends_after(&self, from: i64, days: i64) -> (i64, i64) {
        let wanted = self.at(from) + TimeDelta::days(days);
        if from == self.begin_of_date(from) {
            // Whole dates end as a date begins.
            let next = self.minutes().find(|(_, shown)| shown.date() >= wanted.date()).unwrap().0;
            return (next, next);
        }
        let mut same = self.minutes().filter(|(_, shown)| *shown == wanted).map(|(minute, _)| minute);
        if let Some(first) = same.next() {
            return (first, same.last().unwrap_or(first));
        }
        let skips = |minute: i64| self.at(minute - 1) < wanted && wanted < self.at(minute);
        let after = (self.first + 1..).find(|minute| skips(*minute)).unwrap();
        (after, after)
    }
}

/// How far from the same time of the clock a stay ends, in minutes.
fn aside() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -3..4_i64, -95..95_i64, select(vec![-DAY, -60, -30, -15, 15, 30, 60])]
}

proptest! {
    #[test]
    fn limits_of_whole_days_follow_the_dates_and_times_that_clocks_show(
        (zone, change) in select(CHANGES.as_slice()),
        days in 1..4_i64,
        before in -60..5 * DAY,
        from_begin_of_date in any::<bool>(),
        aside in aside(),
    ) {
        let change = change.parse::<Minute>().unwrap().epoch_minutes();
        let clock = Clock::of(zone_of(zone), change - 9 * DAY..change + 9 * DAY);
        let from = change - before;
        let from = if from_begin_of_date { clock.begin_of_date(from) } else { from };
        let to = (from + days * DAY + aside).max(from + 1);
        let minute = |minute| Minute::from_epoch_minutes(minute).unwrap();
        let stay = Interval { from: minute(from), to: minute(to) };

        let limit = u32::try_from(days * DAY).unwrap();
        let (first, last) = clock.ends_after(from, days);
        let shortest = RoomSettings { min_minutes: Some(limit), ..room_in(zone) };
        prop_assert_eq!(shortest.check_stay(stay).is_ok(), first <= to, "{} at least to {}", stay.from, minute(first));
        prop_assert_eq!(shortest.end_of_stay(stay.from, limit), Some(minute(first)));
        let longest = RoomSettings { max_minutes: Some(limit), ..room_in(zone) };
        prop_assert_eq!(longest.check_stay(stay).is_ok(), to <= last, "{} at most to {}", stay.from, minute(last));

        let dates = RoomSettings { slot_minutes: Some(1440), ..room_in(zone) };
        let begins_a_date = |at: i64| clock.begin_of_date(at) == at;
        prop_assert_eq!(dates.check_stay(stay).is_ok(), begins_a_date(from) && begins_a_date(to));
        let date = Interval { from: minute(clock.begin_of_date(from)), to: minute(clock.ends_after(clock.begin_of_date(from), 1).0) };
        prop_assert_eq!(dates.check_stay(date), Ok(()));
    }
}

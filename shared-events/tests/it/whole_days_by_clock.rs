//! Limits in whole local days around changes of clocks, held against the minutes that a clock shows one after the other.

use std::ops::Range;

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use proptest::{prelude::*, sample::select};
use shared_events::{Interval, Minute, RoomSettings, time_zone::Tz};

use crate::{
    clock_changes::{CHANGES, DAY},
    room_rules::{room_in, zone_of},
};

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

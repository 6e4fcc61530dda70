//! Reserved minutes of a room by month, so that statistics over a year need not read its reservations.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Range, RangeInclusive},
};

use chrono::{Datelike, Days, NaiveDate};
use shared_events::{Interval, Minute, RoomId, TimeZone, Version};

use super::{local_time::local_hour, rules::Rules};

/// Days in the longest month.
pub const DAYS: usize = 31;
/// Hours that a local clock shows.
pub const HOURS: usize = 24;
/// The value that a stay adds to the stays of the hour in which it begins.
pub const START: u8 = 2;
/// The bit of an hour's stays that is set if an earlier stay goes on in it.
pub const ENTERED: u8 = 1;
const MONTHS: i32 = 12;
/// No zone's clock differs from UTC by more.
const FURTHEST: Days = Days::new(2);

/// A month of a local calendar. Written as `2026-06`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Month(
    /// Months since January of year 0.
    i32,
);

impl Month {
    /// The month of a date.
    #[must_use]
    pub fn of(date: NaiveDate) -> Self {
        Self(date.year() * MONTHS + i32::try_from(date.month0()).unwrap_or_default())
    }

    /// The months of an interval in any zone: those of UTC, with a day before and after.
    #[must_use]
    pub fn around(during: Interval) -> RangeInclusive<Self> {
        let month = |date: Option<NaiveDate>| Self::of(date.unwrap_or_default());
        month(during.from.to_utc().date_naive().pred_opt())
            ..=month(during.to.to_utc().date_naive().succ_opt())
    }

    /// An interval with all minutes that any zone shows as this month, and some more.
    #[must_use]
    pub fn about(self) -> Interval {
        let minute = |date: Option<NaiveDate>| {
            let start = date.unwrap_or_default().and_hms_opt(0, 0, 0).unwrap_or_default().and_utc();
            Minute::from_utc(start).unwrap_or(Minute::EARLIEST)
        };
        let before = self.first().and_then(|first| first.checked_sub_days(FURTHEST));
        let after = self.next().first().and_then(|first| first.checked_add_days(FURTHEST));
        Interval { from: minute(before), to: minute(after) }
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Its first day. `None` outside of the calendar.
    #[must_use]
    pub fn first(self) -> Option<NaiveDate> {
        NaiveDate::from_ymd_opt(self.year(), self.number(), 1)
    }

    /// A number that an operator can read and that grows with time: 202606.
    #[must_use]
    pub fn code(self) -> i32 {
        self.year() * 100 + self.0.rem_euclid(MONTHS) + 1
    }

    /// The month of such a number.
    #[must_use]
    pub fn of_code(code: i32) -> Option<Self> {
        let (year, month) = (code.div_euclid(100), code.rem_euclid(100));
        (1..=MONTHS).contains(&month).then_some(Self(year * MONTHS + month - 1))
    }

    fn year(self) -> i32 {
        self.0.div_euclid(MONTHS)
    }

    fn number(self) -> u32 {
        self.0.rem_euclid(MONTHS).unsigned_abs() + 1
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.number())
    }
}

/// The key of a usage document: a room, a zone of its reservations, and a month of that zone's calendar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UsageKey {
    /// The room.
    pub room: RoomId,
    /// The zone of the reservations. The room's zone may have changed since.
    pub zone: TimeZone,
    /// Local month.
    pub month: Month,
}

impl UsageKey {
    /// The rules of its zone in this process.
    #[must_use]
    pub fn rules(self) -> Rules {
        Rules::of(self.zone, self.month.about())
    }

    /// Its place among the documents of its room: local month, then zone.
    #[must_use]
    pub fn place(self) -> (Month, String) {
        (self.month, self.zone.to_string())
    }
}

/// The place of an hour in the tables of a month, which are in order of time. `None` for a date of another month.
#[must_use]
pub fn place_of(month: Month, date: NaiveDate, hour: u8) -> Option<usize> {
    let day = usize::try_from(date.day0()).ok()?;
    (Month::of(date) == month).then_some(day * HOURS + usize::from(hour))
}

/// The people of a reservation that has minutes in a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct People {
    /// How many come.
    pub number: u32,
    /// Whether the reservation begins in the month.
    pub begins: bool,
}

/// Live reservations of one room, zone and local month, by local day and hour ([`place_of`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageDoc {
    /// Its key.
    pub key: UsageKey,
    /// The rules of its zone by which it is counted. Events are added only by the same ones.
    pub rules: Rules,
    /// The last version of the room's stream that is counted: events up to it are skipped.
    pub version: Version,
    /// Reserved minutes of each hour: [`DAYS`] times [`HOURS`] values, up to 120 in an hour that the clocks show twice.
    pub minutes: Vec<u8>,
    /// The reservations of each hour: [`START`] for each that begins in it, and [`ENTERED`] if an earlier one goes on in
    /// it. A room's reservations never overlap, so at most one goes on.
    pub stays: Vec<u8>,
    /// The people of each reservation by its first minute. Reservations of a room never overlap, so each has its own. A change
    /// names the old place and not the old number: an entry is found by its place alone.
    pub people: BTreeMap<Minute, People>,
}

impl UsageDoc {
    /// A document that counts nothing yet.
    #[must_use]
    pub fn empty(key: UsageKey) -> Self {
        let table = || vec![0; DAYS * HOURS];
        Self {
            key,
            rules: key.rules(),
            version: Version::NONE,
            minutes: table(),
            stays: table(),
            people: BTreeMap::new(),
        }
    }

    /// Reserved minutes of all its hours.
    #[must_use]
    pub fn all_minutes(&self) -> u64 {
        self.minutes_of(0..self.minutes.len())
    }

    /// Reserved minutes of these hours.
    #[must_use]
    pub fn minutes_of(&self, hours: Range<usize>) -> u64 {
        self.minutes.get(hours).into_iter().flatten().map(|minutes| u64::from(*minutes)).sum()
    }

    /// The number of reservations that begin in these hours.
    #[must_use]
    pub fn starts(&self, hours: Range<usize>) -> u64 {
        self.stays.get(hours).into_iter().flatten().map(|stays| u64::from(stays / START)).sum()
    }

    /// The number of earlier reservations that go on in this hour: 0 or 1. It is unknown if the clocks show the hour in two
    /// pieces with another hour between them.
    #[must_use]
    pub fn entered(&self, hour: usize) -> u64 {
        self.stays.get(hour).map_or(0, |stays| u64::from(stays & ENTERED))
    }

    /// The people of the reservations that begin at these minutes.
    pub fn people_from(&self, is_counted: impl Fn(Minute) -> bool) -> u64 {
        let begin = self.people.iter().filter(|(from, people)| people.begins && is_counted(**from));
        begin.map(|(_, people)| u64::from(people.number)).sum()
    }

    /// The number of reservations that begin within an interval, and in this month.
    #[must_use]
    pub fn begun(&self, during: Interval) -> u64 {
        let within = self.people.range(during.from..during.to.max(during.from));
        within.filter(|(_, people)| people.begins).map(|_| 1).sum()
    }

    /// The people of the latest reservation that began before a minute.
    #[must_use]
    pub fn people_before(&self, minute: Minute) -> u64 {
        self.people.range(..minute).next_back().map_or(0, |(_, people)| people.number.into())
    }

    /// The people of the reservations of each hour. Unknown, as [`entered`](Self::entered), for an hour in two pieces.
    #[must_use]
    pub fn people_by_hour(&self) -> Vec<u64> {
        let mut table = vec![0; DAYS * HOURS];
        if self.people.is_empty() {
            return table;
        }
        let in_order = self.people.iter().map(|(from, people)| {
            let (date, hour) = local_hour(self.key.zone.0, *from);
            let place = place_of(self.key.month, date, hour).filter(|_| people.begins);
            (place, u64::from(people.number))
        });
        let in_order: Vec<_> = in_order.collect();
        for (place, people) in &in_order {
            if let Some(sum) = place.and_then(|place| table.get_mut(place)) {
                *sum += people;
            }
        }
        let (mut began, mut latest) = (in_order.iter().peekable(), 0);
        for (place, (sum, stays)) in table.iter_mut().zip(&self.stays).enumerate() {
            while let Some((_, people)) = began.next_if(|(at, _)| at.is_none_or(|at| at < place)) {
                latest = *people;
            }
            if stays & ENTERED > 0 {
                *sum += latest;
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn months_follow_on_one_another_over_the_end_of_a_year() {
        let december = Month::of(date("2026-12-31"));
        assert_eq!((december.to_string().as_str(), december.code()), ("2026-12", 202_612));
        assert_eq!(december.next(), Month::of(date("2027-01-01")));
        assert_eq!(december.next().code(), 202_701);
        assert_eq!(Month::of_code(202_612), Some(december));
        assert_eq!(Month::of_code(202_613), None);
        assert_eq!(Month::of_code(202_600), None);
    }

    #[test]
    fn hours_have_places_in_their_month_only() {
        let february = Month::of(date("2028-02-01"));
        assert_eq!(place_of(february, date("2028-02-29"), 23), Some(28 * 24 + 23));
        assert_eq!(place_of(february, date("2028-03-01"), 0), None);
        assert_eq!(place_of(february, date("2027-02-01"), 0), None);
    }

    #[test]
    fn what_is_about_a_month_has_all_of_it_in_every_zone() {
        for month in [Month::of(date("2026-02-10")), Month::of(date("2026-12-10"))] {
            let about = month.about();
            for zone in shared_events::time_zone::Database::get().zones() {
                let local = |minute: Minute| Month::of(minute.to_utc().with_timezone(&zone).date_naive());
                assert!(local(about.from) < month && local(about.to) > month, "{zone}");
            }
        }
    }
}

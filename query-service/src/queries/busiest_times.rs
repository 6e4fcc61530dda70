//! The hours at which rooms are reserved most.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate};
use shared_events::{Interval, Reservation};

use super::{QueryError, hours::Hours, statistics::Batches};
use crate::{
    read_models::{
        UsageDoc,
        usage::{DAYS, HOURS},
    },
    stores::Queries,
};

/// What is reserved within an interval, by day and hour of each room's own zone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BusiestTimes {
    /// The interval.
    pub during: Interval,
    /// Only rooms of this kind.
    pub kind: Option<String>,
    /// The days that make the rows.
    pub by: By,
    /// What is counted.
    pub measure: Measure,
}

/// The days that make the rows of [`BusiestTimes`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum By {
    /// Days of the week.
    Weekday,
    /// Dates.
    Date,
}

/// What [`BusiestTimes`] counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Measure {
    /// Minutes of live reservations.
    Minutes,
    /// Live reservations, once for each date and hour that they touch.
    Reservations,
    /// The people of these reservations.
    People,
}

/// A day of the rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Day {
    /// 1 (Monday) to 7.
    Weekday(u8),
    /// A date.
    Date(NaiveDate),
}

/// An hour of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusyHour {
    /// The day.
    pub day: Day,
    /// The hour that the local clock shows, 0 to 23.
    pub hour: u8,
    /// The count of all rooms: by weekday, of all weeks.
    pub count: u64,
}

const DAYS_OF_WEEK: usize = 7;

impl BusiestTimes {
    /// By weekday all 168 hours, in order from Monday's first. By date the hours with something reserved, in order of time.
    pub async fn run(&self, models: &dyn Queries) -> Result<Vec<BusyHour>, QueryError> {
        let mut rows = Rows::of(self);
        let mut batches = Batches::new(self.during, self.kind.as_deref());
        while let Some(batch) = batches.next(models).await? {
            for usage in &batch.usage {
                rows.add_usage(batches.clock(usage.key.zone), usage);
            }
            for doc in &batch.reservations {
                rows.add_reservation(batches.clock(doc.reservation.time_zone), &doc.reservation);
            }
        }
        Ok(rows.shown())
    }
}

/// Counts by day and hour.
struct Rows {
    by: By,
    measure: Measure,
    /// No zone's clock shows an earlier date in the interval.
    first: NaiveDate,
    counts: Vec<[u64; HOURS]>,
}

impl Rows {
    fn of(query: &BusiestTimes) -> Self {
        let first = query.during.from.to_utc().date_naive();
        let first = first.checked_sub_days(Days::new(2)).unwrap_or(first);
        Self { by: query.by, measure: query.measure, first, counts: vec![[0; HOURS]; DAYS_OF_WEEK] }
    }

    fn add_usage(&mut self, clock: &Hours, usage: &UsageDoc) {
        let month = usage.key.month;
        let Some(first) = month.first() else { return };
        let days: Vec<_> = first.iter_days().take(DAYS).map(|date| self.day_of(date)).collect();
        let people = if self.measure == Measure::People { usage.people_by_hour() } else { Vec::new() };
        for place in clock.in_tables_of(month).flatten() {
            let count = match self.measure {
                Measure::Minutes => usage.minutes_of(place..place + 1),
                Measure::Reservations => usage.starts(place..place + 1) + usage.entered(place),
                Measure::People => people.get(place).copied().unwrap_or_default(),
            };
            self.add(days.get(place / HOURS).copied().flatten(), place % HOURS, count);
        }
    }

    /// Adds a reservation in the hours that usage does not tell.
    fn add_reservation(&mut self, clock: &Hours, reservation: &Reservation) {
        let mut counted = BTreeSet::new();
        for cell in clock.refine(reservation.interval()) {
            let count = match self.measure {
                Measure::Minutes => u64::from(cell.minutes),
                _ if !counted.insert((cell.date, cell.hour)) => continue,
                Measure::Reservations => 1,
                Measure::People => u64::from(reservation.people),
            };
            self.add(self.day_of(cell.date), usize::from(cell.hour), count);
        }
    }

    fn day_of(&self, date: NaiveDate) -> Option<usize> {
        match self.by {
            By::Weekday => usize::try_from(date.weekday().num_days_from_monday()).ok(),
            By::Date => usize::try_from(date.signed_duration_since(self.first).num_days()).ok(),
        }
    }

    fn add(&mut self, day: Option<usize>, hour: usize, count: u64) {
        let Some(day) = day.filter(|_| count > 0) else { return };
        if self.counts.len() <= day {
            self.counts.resize(day + 1, [0; HOURS]);
        }
        if let Some(sum) = self.counts.get_mut(day).and_then(|hours| hours.get_mut(hour)) {
            *sum += count;
        }
    }

    fn shown(self) -> Vec<BusyHour> {
        let Self { by, first, .. } = self;
        let days: Box<dyn Iterator<Item = Day>> = match by {
            By::Weekday => Box::new((1..).map(Day::Weekday)),
            By::Date => Box::new(first.iter_days().map(Day::Date)),
        };
        let rows = days.zip(self.counts).flat_map(|(day, hours)| {
            (0..).zip(hours).map(move |(hour, count)| BusyHour { day, hour, count })
        });
        rows.filter(|row| by == By::Weekday || row.count > 0).collect()
    }
}

//! The hours of the week at which rooms are reserved most.

use chrono::{Datelike, NaiveDate};
use shared_events::Interval;

use super::{QueryError, hours::Hours, statistics::Batches};
use crate::{
    read_models::{ReservationDoc, UsageDoc, usage::HOURS},
    stores::Queries,
};

/// Reserved minutes within an interval, by weekday and hour of each room's own zone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BusiestTimes {
    /// The interval.
    pub during: Interval,
    /// Only rooms of this kind.
    pub kind: Option<String>,
}

/// An hour of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusyHour {
    /// 1 (Monday) to 7.
    pub weekday: u8,
    /// The hour that the local clock shows, 0 to 23.
    pub hour: u8,
    /// Minutes of live reservations in this hour, over all rooms and weeks.
    pub minutes: u64,
}

const DAYS_OF_WEEK: usize = 7;

/// Minutes by weekday (Monday is 0) and hour.
type Week = [[u64; HOURS]; DAYS_OF_WEEK];

impl BusiestTimes {
    /// All 168 hours, in order from Monday's first.
    pub async fn run(&self, models: &dyn Queries) -> Result<Vec<BusyHour>, QueryError> {
        let mut week: Week = [[0; HOURS]; DAYS_OF_WEEK];
        let mut batches = Batches::new(self.during, self.kind.as_deref());
        while let Some(batch) = batches.next(models).await? {
            for usage in &batch.usage {
                add_usage(batches.clock(usage.key.zone), usage, &mut week);
            }
            for ReservationDoc { reservation, .. } in batch.reservations {
                for cell in batches.clock(reservation.time_zone).refine(reservation.interval()) {
                    add_hour(&mut week, weekday(cell.date), usize::from(cell.hour), cell.minutes);
                }
            }
        }
        let rows = (1..).zip(week).flat_map(|(weekday, hours)| {
            (0..).zip(hours).map(move |(hour, minutes)| BusyHour { weekday, hour, minutes })
        });
        Ok(rows.collect())
    }
}

fn add_usage(clock: &Hours, usage: &UsageDoc, week: &mut Week) {
    let first = usage.key.month.first().map(weekday).unwrap_or_default();
    for place in clock.in_tables_of(usage.key.month).flatten() {
        let minutes = usage.minutes.get(place).copied().unwrap_or_default();
        add_hour(week, (first + place / HOURS) % DAYS_OF_WEEK, place % HOURS, minutes);
    }
}

fn add_hour(week: &mut Week, weekday: usize, hour: usize, minutes: u8) {
    if let Some(sum) = week.get_mut(weekday).and_then(|hours| hours.get_mut(hour)) {
        *sum += u64::from(minutes);
    }
}

/// The day of the week; Monday is 0.
fn weekday(date: NaiveDate) -> usize {
    usize::try_from(date.weekday().num_days_from_monday()).unwrap_or_default()
}

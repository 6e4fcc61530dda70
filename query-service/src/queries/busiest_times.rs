//! At which hours of the week rooms are reserved most.

use chrono::{Datelike, NaiveDate};
use shared_events::{Interval, RoomId};

use super::{
    QueryError,
    hours::Hours,
    statistics::{Clocks, RoomBatches},
};
use crate::{
    read_models::{UsageDoc, usage::HOURS},
    stores::Queries,
};

/// Reserved minutes within an interval, by weekday and hour of each room's own zone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BusiestTimes {
    /// When.
    pub during: Interval,
    /// Rooms of this kind only.
    pub kind: Option<String>,
}

/// An hour of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusyHour {
    /// 1 (Monday) to 7.
    pub weekday: u8,
    /// Hour that the local clock shows, 0 to 23.
    pub hour: u8,
    /// Minutes of live reservations in it, of all rooms and weeks.
    pub minutes: u64,
}

const DAYS_OF_WEEK: usize = 7;

/// Minutes by weekday (Monday is 0) and hour.
type Week = [[u64; HOURS]; DAYS_OF_WEEK];

impl BusiestTimes {
    /// All 168 hours, Monday's first one first.
    ///
    /// # Errors
    /// When the read models can't be read.
    pub async fn run(&self, models: &dyn Queries) -> Result<Vec<BusyHour>, QueryError> {
        let mut week: Week = [[0; HOURS]; DAYS_OF_WEEK];
        let mut clocks = Clocks::new(self.during);
        let mut batches = RoomBatches::new(self.kind.as_deref());
        while let Some(rooms) = batches.next(models).await? {
            let ids: Vec<RoomId> = rooms.iter().map(|room| room.room).collect();
            Self::add(models, &ids, &mut clocks, &mut week).await?;
        }
        let rows = (1..).zip(week).flat_map(|(weekday, hours)| {
            (0..).zip(hours).map(move |(hour, minutes)| BusyHour { weekday, hour, minutes })
        });
        Ok(rows.collect())
    }

    async fn add(
        models: &dyn Queries,
        rooms: &[RoomId],
        clocks: &mut Clocks,
        week: &mut Week,
    ) -> Result<(), QueryError> {
        for usage in clocks.usage(models, rooms).await? {
            add_usage(clocks.of(usage.key.zone), &usage, week);
        }
        for doc in clocks.reservations(models, rooms).await? {
            for cell in clocks.of(doc.reservation.time_zone).refine(doc.reservation.interval()) {
                add_hour(week, weekday(cell.date), usize::from(cell.hour), cell.minutes);
            }
        }
        Ok(())
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

/// Monday is 0.
fn weekday(date: NaiveDate) -> usize {
    usize::try_from(date.weekday().num_days_from_monday()).unwrap_or_default()
}

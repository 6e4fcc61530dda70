//! At which hours of the week rooms are reserved most.

use chrono::Datelike;
use shared_events::{Interval, RoomId};

use super::{
    QueryError,
    hours::Hours,
    statistics::{ByZone, RoomBatches, weekday, years},
};
use crate::{
    read_models::{UsageHours, usage::HOURS},
    stores::ReadModels,
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
    pub async fn run(&self, models: &dyn ReadModels) -> Result<Vec<BusyHour>, QueryError> {
        let mut week: Week = [[0; HOURS]; DAYS_OF_WEEK];
        let mut clocks = ByZone::new(self.during, Hours::new);
        let mut batches = RoomBatches::new(self.kind.as_deref());
        while let Some(rooms) = batches.next(models).await? {
            let ids: Vec<RoomId> = rooms.iter().map(|room| room.room).collect();
            self.add(models, &ids, &mut clocks, &mut week).await?;
        }
        let rows = (1..).zip(week).flat_map(|(weekday, hours)| {
            (0..).zip(hours).map(move |(hour, minutes)| BusyHour { weekday, hour, minutes })
        });
        Ok(rows.collect())
    }

    async fn add(
        &self,
        models: &dyn ReadModels,
        rooms: &[RoomId],
        clocks: &mut ByZone<Hours>,
        week: &mut Week,
    ) -> Result<(), QueryError> {
        for usage in models.usage_hours(rooms, years(self.during)).await? {
            add_usage(clocks.of(usage.key.zone), &usage, week);
        }
        for doc in clocks.reservations(models, rooms, |hours| hours.broken.clone()).await? {
            for cell in clocks.of(doc.reservation.time_zone).refine(doc.reservation.interval()) {
                add_hour(week, weekday(cell.date), usize::from(cell.hour), cell.minutes);
            }
        }
        Ok(())
    }
}

fn add_usage(clock: &Hours, usage: &UsageHours, week: &mut Week) {
    if let Some((days, first_weekday)) = clock.frame.days_of(usage.key) {
        let table = usage.hours.chunks_exact(HOURS);
        for (offset, day) in table.skip(*days.start()).take(days.count()).enumerate() {
            let Some(sums) = week.get_mut((first_weekday + offset) % DAYS_OF_WEEK) else { continue };
            for (sum, minutes) in sums.iter_mut().zip(day) {
                *sum += u64::from(*minutes);
            }
        }
    }
    for (date, hour) in clock.whole.iter().filter(|(date, _)| date.year() == usage.key.year) {
        let (day, hour) = (usize::try_from(date.ordinal0()).unwrap_or(usize::MAX), usize::from(*hour));
        let minutes = usage.hours.chunks_exact(HOURS).nth(day).and_then(|day| day.get(hour));
        add_hour(week, weekday(*date), hour, minutes.copied().unwrap_or_default());
    }
}

fn add_hour(week: &mut Week, weekday: usize, hour: usize, minutes: u8) {
    if let Some(sum) = week.get_mut(weekday).and_then(|hours| hours.get_mut(hour)) {
        *sum += u64::from(minutes);
    }
}

//! At which hours of the week rooms are reserved most.

use chrono::Datelike;
use shared_events::{Interval, RoomId};

use super::{
    QueryError,
    statistics::{Frames, RoomBatches},
};
use crate::{read_models::usage::HOURS, stores::ReadModels};

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

impl BusiestTimes {
    /// All 168 hours, Monday's first one first.
    ///
    /// # Errors
    /// When the read models can't be read.
    pub async fn run(&self, models: &dyn ReadModels) -> Result<Vec<BusyHour>, QueryError> {
        let mut week = [[0_u64; HOURS]; DAYS_OF_WEEK];
        let mut batches = RoomBatches::new(self.kind.as_deref());
        while let Some(rooms) = batches.next(models).await? {
            let ids: Vec<RoomId> = rooms.iter().map(|room| room.room).collect();
            self.add(models, &ids, &mut week).await?;
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
        week: &mut [[u64; HOURS]; DAYS_OF_WEEK],
    ) -> Result<(), QueryError> {
        let mut frames = Frames::new(self.during);
        for usage in models.usage_hours(rooms, frames.years()).await? {
            let Some((days, first_weekday)) = frames.of(usage.key.zone).days_of(usage.key) else { continue };
            let table = usage.hours.chunks_exact(HOURS);
            for (offset, day) in table.skip(*days.start()).take(days.count()).enumerate() {
                let Some(sums) = week.get_mut((first_weekday + offset) % DAYS_OF_WEEK) else { continue };
                for (sum, minutes) in sums.iter_mut().zip(day) {
                    *sum += u64::from(*minutes);
                }
            }
        }
        for doc in frames.at_the_ends(models, rooms).await? {
            let frame = frames.of(doc.reservation.time_zone);
            for cell in frame.refine(doc.reservation.interval()) {
                let weekday = usize::try_from(cell.date.weekday().num_days_from_monday()).unwrap_or_default();
                if let Some(sum) =
                    week.get_mut(weekday).and_then(|hours| hours.get_mut(usize::from(cell.hour)))
                {
                    *sum += u64::from(cell.minutes);
                }
            }
        }
        Ok(())
    }
}

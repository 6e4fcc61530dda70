//! Which rooms are reserved most.

use std::{cmp::Reverse, collections::HashMap};

use shared_events::{Interval, RoomId};

use super::{
    Page, PageRequest, QueryError,
    statistics::{Clocks, RoomBatches},
};
use crate::stores::Queries;

/// Rooms by reserved minutes within an interval, most first.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PopularRooms {
    /// When.
    pub during: Interval,
    /// Of this kind only.
    pub kind: Option<String>,
}

/// How much a room was reserved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PopularRoom {
    /// Which room, retired or not.
    pub room: RoomId,
    /// Its name, or its last one.
    pub name: String,
    /// Minutes of live reservations within the interval.
    pub minutes: u64,
    /// Live reservations that overlap the interval, at least 1.
    pub reservations: u64,
}

impl PopularRooms {
    /// One page of them. Rooms without a reservation are left out; of rooms with as many minutes the lower id comes
    /// first.
    ///
    /// # Errors
    /// When the cursor is not this query's, or the read models can't be read.
    pub async fn run(
        &self,
        models: &dyn Queries,
        page: &PageRequest,
    ) -> Result<Page<PopularRoom>, QueryError> {
        let after: Option<(u64, RoomId)> = page.after(self)?;
        let after = after.map(|(minutes, room)| (Reverse(minutes), room));
        let mut popular = Vec::new();
        let mut batches = RoomBatches::new(self.kind.as_deref());
        while let Some(rooms) = batches.next(models).await? {
            let ids: Vec<RoomId> = rooms.iter().map(|room| room.room).collect();
            let tallies = self.tally(models, &ids).await?;
            popular.extend(rooms.into_iter().filter_map(|room| {
                let &(minutes, reservations) =
                    tallies.get(&room.room).filter(|(_, reservations)| *reservations > 0)?;
                Some(PopularRoom { room: room.room, name: room.settings.name, minutes, reservations })
            }));
        }
        let place = |room: &PopularRoom| (Reverse(room.minutes), room.room);
        popular.retain(|room| after.is_none_or(|after| place(room) > after));
        popular.sort_unstable_by_key(place);
        Ok(page.page(self, popular, |room| (room.minutes, room.room)))
    }

    /// Minutes and reservations of each room.
    async fn tally(
        &self,
        models: &dyn Queries,
        rooms: &[RoomId],
    ) -> Result<HashMap<RoomId, (u64, u64)>, QueryError> {
        let mut clocks = Clocks::new(self.during);
        let mut tallies: HashMap<RoomId, (u64, u64)> = HashMap::new();
        for usage in clocks.usage(models, rooms).await? {
            let (clock, month) = (clocks.of(usage.key.zone), usage.key.month);
            let tally = tallies.entry(usage.key.room).or_default();
            for hours in clock.in_tables_of(month) {
                tally.0 += usage.minutes_of(hours.clone());
                tally.1 += usage.starts(hours);
            }
            tally.1 += clock.entered_in(month).map_or(0, |hour| usage.entered(hour));
        }
        for doc in clocks.reservations(models, rooms).await? {
            let clock = clocks.of(doc.reservation.time_zone);
            let reserved = doc.reservation.interval();
            let tally = tallies.entry(doc.reservation.room).or_default();
            tally.0 += clock.refine(reserved).map(|cell| u64::from(cell.minutes)).sum::<u64>();
            tally.1 += u64::from(clock.counts_apart(reserved));
        }
        Ok(tallies)
    }
}

//! The rooms that are reserved most.

use std::{cmp::Reverse, collections::HashMap};

use shared_events::{Interval, RoomId};

use super::{Page, PageRequest, QueryError, statistics::Batches};
use crate::{read_models::ReservationDoc, stores::Queries};

/// Rooms by reserved minutes within an interval, most first.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PopularRooms {
    /// The interval.
    pub during: Interval,
    /// Only rooms of this kind.
    pub kind: Option<String>,
}

/// A room, and how much it is reserved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PopularRoom {
    /// The room, retired or not.
    pub room: RoomId,
    /// Its name.
    pub name: String,
    /// Minutes of live reservations within the interval.
    pub minutes: u64,
    /// Live reservations that overlap the interval, at least 1.
    pub reservations: u64,
}

impl PopularRooms {
    /// One page of the rooms that have a reservation. Rooms with equal minutes are in order of their ids.
    pub async fn run(
        &self,
        models: &dyn Queries,
        page: &PageRequest,
    ) -> Result<Page<PopularRoom>, QueryError> {
        let after: Option<(u64, RoomId)> = page.after(self)?;
        let after = after.map(|(minutes, room)| (Reverse(minutes), room));
        let mut popular = Vec::new();
        let mut batches = Batches::new(self.during, self.kind.as_deref());
        while let Some(batch) = batches.next(models).await? {
            let mut tallies: HashMap<RoomId, (u64, u64)> = HashMap::new();
            for usage in &batch.usage {
                let (clock, month) = (batches.clock(usage.key.zone), usage.key.month);
                let (minutes, reservations) = tallies.entry(usage.key.room).or_default();
                for hours in clock.in_tables_of(month) {
                    *minutes += usage.minutes_of(hours.clone());
                    *reservations += usage.starts(hours);
                }
                *reservations += clock.entered_in(month).map_or(0, |hour| usage.entered(hour));
            }
            for ReservationDoc { reservation, .. } in batch.reservations {
                let (clock, reserved) = (batches.clock(reservation.time_zone), reservation.interval());
                let (minutes, reservations) = tallies.entry(reservation.room).or_default();
                *minutes += clock.refine(reserved).map(|cell| u64::from(cell.minutes)).sum::<u64>();
                *reservations += u64::from(clock.counts_apart(reserved));
            }
            popular.extend(batch.rooms.into_iter().filter_map(|room| {
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
}

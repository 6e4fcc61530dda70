//! The rooms that are reserved most.

use std::{cmp::Reverse, collections::HashMap};

use shared_events::{Interval, OpeningHours, RoomId, TimeZone};

use super::{
    Page, PageRequest, QueryError,
    free::open_minutes,
    statistics::{Batches, joined},
};
use crate::{
    read_models::{ReservationDoc, RoomDoc},
    stores::Queries,
};

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
    /// What is reserved in it.
    pub reserved: Reserved,
    /// Minutes within the interval in which the room is open by its present opening hours, and no closure closes it. A
    /// reservation may lie in a closure that was added after it.
    pub open_minutes: u64,
}

/// What is reserved in a room within an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reserved {
    /// Minutes of live reservations within the interval.
    pub minutes: u64,
    /// Live reservations that overlap the interval, at least 1.
    pub reservations: u64,
    /// The people of these reservations.
    pub people: u64,
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
        let place = |minutes, room: &RoomDoc| (Reverse(minutes), room.room);
        let mut popular = Vec::new();
        let mut batches = Batches::new(self.during, self.kind.as_deref());
        while let Some(batch) = batches.next(models).await? {
            let mut tallies: HashMap<RoomId, Reserved> = HashMap::new();
            for usage in &batch.usage {
                let (clock, month) = (batches.clock(usage.key.zone), usage.key.month);
                let tally = tallies.entry(usage.key.room).or_default();
                for hours in clock.in_tables_of(month) {
                    tally.minutes += usage.minutes_of(hours.clone());
                    tally.reservations += usage.starts(hours);
                }
                tally.people += usage.people_from(|from| clock.counts_from(from));
                if clock.entered_in(month).is_some_and(|hour| usage.entered(hour) > 0) {
                    tally.reservations += 1;
                    tally.people += usage.people_before(clock.first());
                }
            }
            for ReservationDoc { reservation, .. } in batch.reservations {
                let (clock, reserved) = (batches.clock(reservation.time_zone), reservation.interval());
                let tally = tallies.entry(reservation.room).or_default();
                tally.minutes += clock.refine(reserved).map(|cell| u64::from(cell.minutes)).sum::<u64>();
                if clock.counts_apart(reserved) {
                    tally.reservations += 1;
                    tally.people += u64::from(reservation.people);
                }
            }
            popular.extend(batch.rooms.into_iter().filter_map(|room| {
                let tally = tallies.get(&room.room).filter(|tally| tally.reservations > 0)?;
                after.is_none_or(|after| place(tally.minutes, &room) > after).then_some((room, *tally))
            }));
        }
        popular.sort_unstable_by_key(|(room, tally)| place(tally.minutes, room));
        let Page { items, next } = page.page(self, popular, |(room, tally)| (tally.minutes, room.room));
        let mut closed = self.closed(models, items.iter().map(|(room, _)| room.room).collect()).await?;
        let mut open = HashMap::new();
        let shown = items.into_iter().map(|(room, reserved)| {
            let closed = closed.remove(&room.room).unwrap_or_default();
            let open_minutes = self.open_minutes(&room, closed, &mut open);
            PopularRoom { room: room.room, name: room.settings.name, reserved, open_minutes }
        });
        Ok(Page { items: shown.collect(), next })
    }

    /// The parts of the interval in which these rooms are closed, in no order. Some may overlap.
    async fn closed(
        &self,
        models: &dyn Queries,
        rooms: Vec<RoomId>,
    ) -> Result<HashMap<RoomId, Vec<Interval>>, QueryError> {
        let mut closed: HashMap<RoomId, Vec<Interval>> = HashMap::new();
        for doc in models.closures_ever(&rooms, self.during).await? {
            let part = doc.closed().and_then(|closed| closed.intersection(self.during));
            closed.entry(doc.closure.room).or_default().extend(part);
        }
        Ok(closed)
    }

    /// The open minutes of a room that is closed in these parts. Most rooms share their opening hours, so `known` are kept.
    fn open_minutes(&self, room: &RoomDoc, closed: Vec<Interval>, known: &mut HashMap<OpenTime, u64>) -> u64 {
        let key = (room.settings.time_zone, room.settings.opening_hours.clone());
        let all = *known.entry(key).or_insert_with(|| open_minutes(&room.settings, self.during));
        let closed = joined(closed, 1).into_iter().map(|part| open_minutes(&room.settings, part));
        all.saturating_sub(closed.sum())
    }
}

/// All on which the open time of a room depends.
type OpenTime = (TimeZone, Option<OpeningHours>);

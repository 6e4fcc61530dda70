//! Rooms with times at which they can be reserved, within a range.

use std::collections::{HashMap, VecDeque};

use shared_events::{Interval, RoomId, RoomSettings, Timestamp, Version};

use super::{
    Booker, Page, PageRequest, QueryError, free::free_between, rooms_by_name::RoomsByName, schedules::read,
    seen_of,
};
use crate::{
    progress::Progress,
    read_models::{ClosureDoc, ReservationDoc, RoomDoc, reservation::with_buffers},
    stores::{Queries, RoomFilter},
};

/// Most times of a room.
const MOST_TIMES: usize = 20;
/// Rooms whose reservations are read at a time.
const ROOMS_OF_A_READ: usize = 100;
/// Most slots at which a stay is tried in one free interval: clocks may change the first ones.
const TRIES: usize = 48;

/// Rooms that would accept a stay of some length within a range now, by name, each with such stays.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FreeStays {
    /// The range.
    pub during: Interval,
    /// The length: a multiple of 1440 is so many local days, another number elapsed minutes.
    pub minutes: u32,
    /// Only these rooms. It has the number of people.
    pub filter: RoomFilter,
    /// Who would book.
    pub booker: Booker,
}

/// A room, and stays that it would accept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomWithTimes {
    /// The room.
    pub room: RoomDoc,
    /// The version of its stream that the answer shows at least.
    pub version: Version,
    /// The earliest stay in each free interval, in order of time, at least one.
    pub times: Vec<Interval>,
}

impl FreeStays {
    /// One page of them as of `now`.
    pub async fn run(
        &self,
        models: &dyn Queries,
        progress: &Progress,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<RoomWithTimes>, QueryError> {
        let mut all = RoomsByName::new(&self.filter, page.after(self)?);
        let mut found = Vec::new();
        let is_over = self.during.to.start() <= now;
        while !is_over
            && found.len() < page.to_read()
            && let Some(rooms) = all.next(models).await?
        {
            let rooms: Vec<RoomDoc> = rooms.into_iter().filter(|room| self.may_fit(&room.settings)).collect();
            let ahead = self.booker.ahead(models, now, &rooms).await?;
            let mut rooms = VecDeque::from(rooms);
            while !rooms.is_empty() && found.len() < page.to_read() {
                let ids: Vec<RoomId> = rooms.iter().take(ROOMS_OF_A_READ).map(|room| room.room).collect();
                let seen = seen_of(models, progress, &ids).await?;
                // Buffers of stays on either side may reach into the range.
                let around = with_buffers(with_buffers(self.during));
                let (count, reserved) = read(models, &ids, around).await?;
                let closures = models.closures_in_rooms(&ids, around).await?;
                let mut by_room: HashMap<RoomId, Vec<Interval>> = HashMap::new();
                for ReservationDoc { reservation, .. } in reserved {
                    by_room.entry(reservation.room).or_default().push(reservation.busy_interval());
                }
                for ClosureDoc { closure, .. } in closures {
                    by_room.entry(closure.room).or_default().push(closure.interval());
                }
                found.extend(rooms.drain(..count.min(rooms.len())).filter_map(|room| {
                    let busy = by_room.remove(&room.room).unwrap_or_default();
                    let barred = busy.into_iter().map(|busy| room.settings.barred_by(busy)).collect();
                    let mut times = self.times(&room.settings, barred, now);
                    times.retain(|stay| self.booker.keeps_quota(&ahead, &room, *stay));
                    let version = seen.get(&room.room).copied().unwrap_or_default().version;
                    (!times.is_empty()).then_some(RoomWithTimes { room, version, times })
                }));
            }
        }
        Ok(page.page(self, found, |found| (found.room.room, found.room.settings.name.clone())))
    }

    fn may_fit(&self, settings: &RoomSettings) -> bool {
        let slot = settings.slot_minutes.unwrap_or(1);
        self.booker.may_book(settings)
            && settings.check_people(self.filter.people.unwrap_or(1)).is_ok()
            && self.minutes.is_multiple_of(slot)
    }

    /// The earliest stay in each free interval of a room.
    fn times(&self, settings: &RoomSettings, mut barred: Vec<Interval>, now: Timestamp) -> Vec<Interval> {
        barred.sort_unstable_by_key(|one| one.from);
        let from = self.during.from.max(settings.earliest_start(now));
        let free = free_between(settings, Interval { from, to: self.during.to }, barred, now);
        free.into_iter().filter_map(|free| self.earliest(settings, free, now)).take(MOST_TIMES).collect()
    }

    fn earliest(&self, settings: &RoomSettings, free: Interval, now: Timestamp) -> Option<Interval> {
        let mut from = free.from;
        for _ in 0..TRIES {
            let stay = Interval { from, to: settings.end_of_stay(from, self.minutes)? };
            if stay.to > free.to {
                return None;
            }
            let is_accepted =
                settings.check_stay(stay).is_ok() && settings.check_days_ahead(from, now).is_ok();
            if is_accepted {
                return Some(stay);
            }
            let next = settings.start_from(from.plus(1).ok()?);
            from = if settings.slot_minutes.is_some() { next } else { return None };
        }
        None
    }
}

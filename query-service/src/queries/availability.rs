//! Rooms that can be reserved now.

use std::collections::HashMap;

use shared_events::{Interval, RoomId, Timestamp, Version};

use super::{Booker, Page, PageRequest, QueryError, rooms_by_name::RoomsByName, seen_of};
use crate::{
    progress::Progress,
    read_models::{ClosureDoc, RoomDoc, reservation::with_buffers},
    stores::{Queries, RoomFilter},
};

/// Rooms that would accept a stay now, by name: their rules allow it to who would book, no reservation keeps them busy, and
/// they are not closed, in it and its buffers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Availability {
    /// The stay.
    pub stay: Interval,
    /// Only these rooms. It has the number of people.
    pub filter: RoomFilter,
    /// Who would book.
    pub booker: Booker,
}

/// A room that would accept the stay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AvailableRoom {
    /// The room.
    pub room: RoomDoc,
    /// The version of its stream that the answer shows at least.
    pub version: Version,
}

impl Availability {
    /// One page of them as of `now`.
    pub async fn run(
        &self,
        models: &dyn Queries,
        progress: &Progress,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<AvailableRoom>, QueryError> {
        let mut all = RoomsByName::new(&self.filter, page.after(self)?);
        let mut available = Vec::new();
        let is_over = self.stay.to.start() <= now;
        while !is_over
            && available.len() < page.to_read()
            && let Some(rooms) = all.next(models).await?
        {
            let mut fitting: Vec<RoomDoc> = rooms.into_iter().filter(|room| self.fits(room, now)).collect();
            let ahead = self.booker.ahead(models, now, &fitting).await?;
            fitting.retain(|room| self.booker.keeps_quota(&ahead, room, self.stay));
            let ids: Vec<RoomId> = fitting.iter().map(|room| room.room).collect();
            let seen = seen_of(models, progress, &ids).await?;
            let busy: Vec<_> =
                fitting.iter().map(|room| (room.room, room.settings.busy(self.stay))).collect();
            let (mut taken, closures) = tokio::try_join!(
                models.occupied(&busy),
                models.closures_in_rooms(&ids, with_buffers(self.stay))
            )?;
            let busy: HashMap<_, _> = busy.into_iter().collect();
            taken.extend(closures.into_iter().filter_map(|ClosureDoc { closure, .. }| {
                let is_hit = busy.get(&closure.room).is_some_and(|busy| closure.interval().overlaps(*busy));
                is_hit.then_some(closure.room)
            }));
            available.extend(fitting.into_iter().filter(|room| !taken.contains(&room.room)).map(|room| {
                let version = seen.get(&room.room).copied().unwrap_or_default().version;
                AvailableRoom { room, version }
            }));
        }
        Ok(page.page(self, available, |found| (found.room.room, found.room.settings.name.clone())))
    }

    fn fits(&self, room: &RoomDoc, now: Timestamp) -> bool {
        let is_ahead = self.stay.from.start() >= now || self.stay.from >= room.settings.earliest_start(now);
        is_ahead
            && self.booker.may_book(&room.settings)
            && room.settings.check_people(self.filter.people.unwrap_or(1)).is_ok()
            && room.settings.check_stay(self.stay).is_ok()
            && room.settings.check_days_ahead(self.stay.from, now).is_ok()
    }
}

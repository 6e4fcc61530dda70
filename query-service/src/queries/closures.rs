//! A closure in all its rooms.

use std::collections::HashSet;

use shared_events::{Closure, ClosureId, RoomId, Version};

use super::{QueryError, rooms_by_name::RoomsByName};
use crate::stores::{Queries, RoomFilter};

/// A closure, and the rooms that have it or lack it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClosureOfRooms {
    /// The closure.
    pub closure: ClosureId,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClosedRooms {
    /// The closure, as one of the rooms has or had it.
    pub closure: Closure,
    /// The rooms that are closed by it, with the version that closed them, by id.
    pub closed: Vec<(RoomId, Version)>,
    /// The rooms in which it was lifted, by id.
    pub lifted: Vec<RoomId>,
    /// Rooms of the closure's kind, or any, that can be booked and never had it, by id.
    pub lacking: Vec<RoomId>,
}

impl ClosureOfRooms {
    /// The closure, or `None` if no room has or had it.
    pub async fn run(&self, models: &dyn Queries) -> Result<Option<ClosedRooms>, QueryError> {
        let mut docs = models.closure(self.closure).await?;
        docs.sort_by_key(|doc| doc.closure.room);
        let Some(closure) = docs.first().map(|doc| doc.closure.clone()) else { return Ok(None) };
        let closed =
            docs.iter().filter(|doc| doc.is_live()).map(|doc| (doc.closure.room, doc.version)).collect();
        let lifted = docs.iter().filter(|doc| !doc.is_live()).map(|doc| doc.closure.room).collect();
        let mut lacking = Vec::new();
        if closure.all || closure.kind.is_some() {
            let known: HashSet<RoomId> = docs.iter().map(|doc| doc.closure.room).collect();
            let kinds = closure.kind.iter().cloned().collect();
            let filter = RoomFilter { kinds, ..RoomFilter::default() };
            let mut all = RoomsByName::new(&filter, None);
            while let Some(rooms) = all.next(models).await? {
                lacking.extend(rooms.into_iter().map(|room| room.room).filter(|room| !known.contains(room)));
            }
            lacking.sort_unstable();
        }
        Ok(Some(ClosedRooms { closure, closed, lifted, lacking }))
    }
}

//! A walk over rooms, for queries that look at one after the other.

use shared_events::RoomId;

use super::ROOMS_AT_ONCE;
use crate::{
    read_models::RoomDoc,
    stores::{Queries, RoomFilter, StoreError},
};

/// Rooms in order of their names, some at a time.
pub(super) struct RoomsByName<'a> {
    filter: &'a RoomFilter,
    after: Option<(String, RoomId)>,
    is_over: bool,
}

impl<'a> RoomsByName<'a> {
    /// All rooms of a filter, or those after a place.
    pub(super) fn new(filter: &'a RoomFilter, after: Option<(RoomId, String)>) -> Self {
        Self { filter, after: after.map(|(id, name)| (name, id)), is_over: false }
    }

    /// The next ones; `None` after the last.
    pub(super) async fn next(&mut self, models: &dyn Queries) -> Result<Option<Vec<RoomDoc>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let rooms = models.rooms_by_name(self.filter, self.after.as_ref(), ROOMS_AT_ONCE).await?;
        self.is_over = rooms.len() < ROOMS_AT_ONCE;
        self.after = rooms.last().map(|room| (room.settings.name.clone(), room.room));
        Ok(Some(rooms))
    }
}

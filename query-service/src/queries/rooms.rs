//! Lists of rooms and kinds.

use shared_events::RoomId;

use super::{Page, PageRequest, QueryError};
use crate::{
    read_models::{KindCount, RoomDoc},
    stores::{Queries, RoomFilter},
};

/// Rooms that can be booked, by name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rooms {
    /// Only rooms of this kind.
    pub kind: Option<String>,
    /// Only rooms for at least this many people.
    pub people: Option<u32>,
}

impl Rooms {
    /// One page of them.
    pub async fn run(&self, models: &dyn Queries, page: &PageRequest) -> Result<Page<RoomDoc>, QueryError> {
        let after: Option<(RoomId, String)> = page.after(self)?;
        let after = after.map(|(id, name)| (name, id));
        let filter = RoomFilter { kind: self.kind.as_deref(), people: self.people };
        let rooms = models.rooms_by_name(filter, after.as_ref(), page.to_read()).await?;
        Ok(page.page(self, rooms, |room| (room.room, room.settings.name.clone())))
    }
}

/// Kinds by name, each with the number of its rooms that can be booked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Kinds;

impl Kinds {
    /// One page of them.
    pub async fn run(&self, models: &dyn Queries, page: &PageRequest) -> Result<Page<KindCount>, QueryError> {
        let after: Option<String> = page.after(self)?;
        let kinds = models.kinds(after.as_deref(), page.to_read()).await?;
        Ok(page.page(self, kinds, |kind| kind.kind.clone()))
    }
}

//! Queries: what the API answers, as logic over the read models.
//!
//! A query is a plain value; `run` answers it. Lists come in pages: a page's `next` is the cursor of the following
//! one, and a cursor works for the query that it came from only.

pub mod availability;
pub mod busiest_times;
pub mod cursor;
pub mod free;
pub mod history;
mod hours;
pub mod popular_rooms;
pub mod reservations;
pub mod rooms;
pub mod schedule;
mod statistics;

pub use availability::{Availability, AvailableRoom};
pub use busiest_times::{BusiestTimes, BusyHour};
pub use cursor::InvalidCursor;
pub use free::{FreeIntervals, FreeTime};
pub use history::UserHistory;
pub use popular_rooms::{PopularRoom, PopularRooms};
pub use reservations::{ReservationById, UserReservations};
pub use rooms::{Kinds, RoomById, Rooms};
pub use schedule::{RoomSchedule, Schedule};
pub use shared_events::feed::Page;

use std::{collections::HashMap, hash::Hash};

use shared_events::{RoomId, Version};

use crate::{
    progress::Progress,
    stores::{Queries, StoreError},
};

/// How many rooms a query over many rooms takes at a time.
const ROOMS_AT_ONCE: usize = 500;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The cursor is not one of this query.
    #[error(transparent)]
    InvalidCursor(#[from] InvalidCursor),
    /// The read models can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far rooms have come, at least: what this instance has written itself is known, the rest is read. To be asked
/// before the documents are read, so that these show at least that.
///
/// # Errors
/// When the store can't be read.
pub async fn versions_of(
    models: &dyn Queries,
    progress: &Progress,
    rooms: &[RoomId],
) -> Result<HashMap<RoomId, Version>, QueryError> {
    let mut versions = progress.known(rooms);
    let unknown: Vec<RoomId> = rooms.iter().filter(|room| !versions.contains_key(room)).copied().collect();
    if !unknown.is_empty() {
        for (room, checkpoint) in models.checkpoints(&unknown).await? {
            progress.learn(room, &checkpoint);
            versions.insert(room, checkpoint.version);
        }
    }
    Ok(versions)
}

/// [`versions_of`] one room.
async fn version_of(models: &dyn Queries, progress: &Progress, room: RoomId) -> Result<Version, QueryError> {
    Ok(versions_of(models, progress, &[room]).await?.get(&room).copied().unwrap_or_default())
}

/// Which page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// Most items on it; at least 1 (where requests enter: 1 to 500).
    pub limit: usize,
    /// `next` of the page before, or none for the first.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// The first page.
    #[must_use]
    pub const fn first(limit: usize) -> Self {
        Self { limit, cursor: None }
    }

    /// The place after which the page begins.
    fn after<Q: Hash, P: cursor::Place>(&self, query: &Q) -> Result<Option<P>, InvalidCursor> {
        self.cursor.as_deref().map(|text| cursor::open(query, text)).transpose()
    }

    /// How many items to read: one more than are shown tells whether there is a next page.
    fn to_read(&self) -> usize {
        self.limit.max(1).saturating_add(1)
    }

    /// The page of what was read with [`to_read`](Self::to_read).
    fn page<T, Q: Hash, P: cursor::Place>(
        &self,
        query: &Q,
        mut items: Vec<T>,
        place: impl Fn(&T) -> P,
    ) -> Page<T> {
        let limit = self.limit.max(1);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(|item| cursor::seal(query, &place(item))) } else { None };
        Page { items, next }
    }
}

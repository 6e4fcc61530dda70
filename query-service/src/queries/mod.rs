//! The API's queries, computed from the read models.
//!
//! A query is a plain value, and `run` answers it. Lists come in pages: a page's `next` is the cursor of the page after
//! it. A cursor works only for the query that made it.

pub mod availability;
pub mod booker;
pub mod bookings;
pub mod busiest_times;
pub mod closures;
pub mod crowd;
pub mod cursor;
pub mod free;
pub mod free_stays;
mod hours;
pub mod moved_local_times;
pub mod past;
pub mod popular_rooms;
pub mod reservations;
pub mod rooms;
mod rooms_by_name;
pub mod schedule;
pub mod schedules;
mod statistics;

pub use availability::{Availability, AvailableRoom};
pub use booker::Booker;
pub use bookings::{Bookings, KindBookings};
pub use busiest_times::{BusiestTimes, BusyHour, By, Day, Measure};
pub use closures::{ClosedRooms, ClosureOfRooms};
pub use crowd::{Crowd, Crowded};
pub use cursor::InvalidCursor;
pub use free::FreeTime;
pub use free_stays::{FreeStays, RoomWithTimes};
pub use moved_local_times::MovedLocalTimes;
pub use past::{PastReservation, PastRoom, PastSchedule, Remembered, Revision, Revisions};
pub use popular_rooms::{PopularRoom, PopularRooms, Reserved};
pub use reservations::{UserHistory, UserReservations};
pub use rooms::{KeptKinds, Kinds, Rooms};
pub use schedule::{Schedule, Scheduled};
pub use schedules::{RoomSchedule, Schedules};
pub use shared_events::feed::Page;

use std::{collections::HashMap, hash::Hash};

use shared_events::{RoomId, Version};

use crate::{
    progress::{Progress, Seen},
    stores::{Queries, StoreError},
};

/// Rooms that a query over many rooms reads at a time.
const ROOMS_AT_ONCE: usize = 500;

/// Why a query has no answer. Every `run` may fail with it.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The cursor is not one of this query's.
    #[error(transparent)]
    InvalidCursor(#[from] InvalidCursor),
    /// The read models can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What queries show of these rooms at least, if their documents are read afterwards. This instance knows what it has
/// written; it reads the others.
///
/// # Errors
/// When the checkpoints can't be read.
pub async fn seen_of(
    models: &dyn Queries,
    progress: &Progress,
    rooms: &[RoomId],
) -> Result<HashMap<RoomId, Seen>, StoreError> {
    let mut seen = progress.seen(rooms);
    let unknown: Vec<RoomId> = rooms.iter().filter(|room| !seen.contains_key(room)).copied().collect();
    if !unknown.is_empty() {
        for (room, checkpoint) in models.checkpoints(&unknown).await? {
            progress.learn(room, &checkpoint);
            seen.insert(room, Seen { version: checkpoint.version, parked: checkpoint.parked.is_some() });
        }
    }
    Ok(seen)
}

/// The version that a room's documents show at least, if they are read afterwards.
pub async fn version_of(
    models: &dyn Queries,
    progress: &Progress,
    room: RoomId,
) -> Result<Version, QueryError> {
    Ok(seen_of(models, progress, &[room]).await?.get(&room).copied().unwrap_or_default().version)
}

/// A page of a list of one room.
#[derive(Clone, Debug)]
pub struct RoomPage<T> {
    /// The room.
    pub room: RoomId,
    /// The version of the room's stream that the items show at least.
    pub version: Version,
    /// The items.
    pub page: Page<T>,
}

/// A request for a page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// The most items of the page, at least 1.
    pub limit: usize,
    /// `next` of the page before; `None` for the first page.
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

    /// The number of items to read: one more than the page has, which tells whether there is a next page.
    fn to_read(&self) -> usize {
        self.limit.max(1).saturating_add(1)
    }

    /// The page of at most [`to_read`](Self::to_read) items.
    fn page<T, Q: Hash, P: cursor::Place>(
        &self,
        query: &Q,
        mut items: Vec<T>,
        place: impl Fn(&T) -> P,
    ) -> Page<T> {
        let limit = self.limit.max(1);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|item| cursor::seal(query, &place(item)));
        Page { items, next }
    }
}

//! The read models' storage: ports by role, each with two adapters.

mod batch;
pub mod memory;
#[cfg(feature = "mongodb")]
pub mod mongo;
mod past;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use shared_events::{
    ClosureId, DecodedEvent, Erasures, Interval, Minute, ReservationId, RoomId, RoomSettings, TimeZone,
    Timestamp, UserId, Version,
};
use uuid::Uuid;

pub use self::{batch::Applied, past::Past};

use crate::read_models::{
    Checkpoint, ClosureDoc, DroppedEvent, HistoryDoc, KindCount, Outcome, Parked, ParkedMessage, Request,
    ReservationDoc, RoomDoc, RoomDocuments, UsageDoc, history::Booked, usage::Month,
};

/// Checkpoints of rooms, for the projector and queries.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// One checkpoint for each of these rooms, at version 0 for a room without events.
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError>;

    /// The checkpoint of one room.
    async fn checkpoint(&self, room: RoomId) -> Result<Checkpoint, StoreError> {
        Ok(self.checkpoints(&[room]).await?.remove(&room).unwrap_or_default())
    }
}

/// Where the projector writes: one generation of read models.
///
/// Several owners may write at once and each may die at any time. Documents are guarded by version, checkpoints are
/// compared and set, and applying a batch again changes nothing.
#[async_trait]
pub trait ProjectionStore: Checkpoints + Parking + Repair + Requests + ErasureList {
    /// Folds a batch into the documents, then advances the rooms' checkpoints. Usage may be written later.
    ///
    /// A batch may mix rooms. A room's events are in order, without gaps, and begin right after its checkpoint; each
    /// has passed [`crate::projections::check`].
    ///
    /// # Errors
    /// When the store can't be read or written, or a room's events are not consecutive. Some documents may be written
    /// then, but no checkpoint is ahead of its documents: apply the batch again.
    async fn apply(&self, batch: &[DecodedEvent]) -> Result<Applied, StoreError>;

    /// Writes usage that is folded and not stored, then its usage positions. A store that writes usage with its events has
    /// none.
    async fn write_usage(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes that part of it which has waited long enough, or which a query [waits for](Queries::hasten_usage).
    async fn write_due_usage(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Forgets the usage of an owner's rooms that was counted by other rules of time zones than those of this process. Returns
    /// the number of these rooms. [`catch_up_usage`](Self::catch_up_usage) folds it again.
    async fn forget_outdated_usage(&self, _owns: &Owns<'_>) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// Folds the events that usage lacks, of those rooms whose usage position is behind their checkpoint. Returns the
    /// number of these rooms. [`write_usage`](Self::write_usage) stores what is folded.
    async fn catch_up_usage(&self, _owns: &Owns<'_>) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// Tells whether an owner projects a room.
pub type Owns<'a> = dyn Fn(RoomId) -> bool + Send + Sync + 'a;

/// Parked rooms, and the events that they are parked at.
#[async_trait]
pub trait Parking: Send + Sync + 'static {
    /// Parks a room: keeps the message, then flags the checkpoint. The flag goes when the checkpoint passes the event.
    async fn park(&self, message: &ParkedMessage) -> Result<Swap, StoreError>;

    /// The message that was last parked for a room, even if the room is no longer parked.
    async fn parked_message(&self, room: RoomId) -> Result<Option<ParkedMessage>, StoreError>;

    /// Drops an event for good, in every generation. A second drop of the same event changes nothing.
    async fn drop_event(&self, dropped: &DroppedEvent) -> Result<(), StoreError>;

    /// Whether an operator dropped this event.
    async fn is_dropped(&self, room: RoomId, version: Version) -> Result<bool, StoreError>;

    /// Advances a room's checkpoint over a dropped event, and removes the flag.
    async fn pass_over(&self, room: RoomId, version: Version) -> Result<Swap, StoreError>;
}

/// Room repair: everything is removed, then applied again.
#[async_trait]
pub trait Repair: Send + Sync + 'static {
    /// Removes a room's checkpoint, so that its events are applied from the first one.
    async fn forget_checkpoint(&self, room: RoomId) -> Result<(), StoreError>;

    /// Deletes a room's documents, and these reservations if they are in the room. After an error some may be deleted.
    async fn delete_documents(&self, room: RoomId, reservations: &[ReservationId]) -> Result<(), StoreError>;
}

/// Operators' requests to the instance that projects a room.
#[async_trait]
pub trait Requests: Send + Sync + 'static {
    /// Requests without an outcome, oldest first, at most 100.
    async fn requests(&self) -> Result<Vec<Request>, StoreError>;

    /// Records the outcome of a request, unless it has one.
    async fn answer(&self, request: Uuid, outcome: &Outcome) -> Result<(), StoreError>;
}

/// The list of erased persons, which masks every event before it is applied or parked. All generations share it.
#[async_trait]
pub trait ErasureList: Send + Sync + 'static {
    /// The list, or `None` if none is stored yet.
    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError>;

    /// Stores the list that was read from the event store in place of the known one. The known one is what
    /// [`erasures`](Self::erasures) gave before, so that a delayed reading replaces no later one.
    async fn keep_erasures(&self, known: Option<&Erasures>, list: &Arc<Erasures>)
    -> Result<Swap, StoreError>;
}

/// The API's queries. `verify` and a rebuild use them too.
///
/// A list starts after the place `after` in its order, and has at most `limit` items.
#[async_trait]
pub trait Queries: Checkpoints + Past {
    /// The same read models over connections of the calling thread, which save a query the way to another thread.
    /// `None` if that makes no difference.
    fn for_this_thread(&self) -> Option<Arc<dyn Queries>> {
        None
    }

    /// A room, retired or not.
    async fn room(&self, room: RoomId) -> Result<Option<RoomDoc>, StoreError>;

    /// These rooms, retired or not, in no order.
    async fn rooms(&self, rooms: &[RoomId]) -> Result<Vec<RoomDoc>, StoreError>;

    /// Rooms that are not retired, by name, then id.
    async fn rooms_by_name(
        &self,
        filter: &RoomFilter,
        after: Option<&(String, RoomId)>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError>;

    /// Rooms by id, retired ones too.
    async fn rooms_by_id(
        &self,
        kind: Option<&str>,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError>;

    /// All kinds of rooms that are not retired, by name. Reads all rooms.
    async fn kinds(&self) -> Result<Vec<KindCount>, StoreError>;

    /// The parked rooms. Reads the checkpoints of all rooms.
    async fn parked_rooms(&self) -> Result<BTreeMap<RoomId, Parked>, StoreError>;

    /// A reservation, live or cancelled.
    async fn reservation(&self, reservation: ReservationId) -> Result<Option<ReservationDoc>, StoreError>;

    /// Live reservations of a room that overlap an interval, by `from`, then id.
    async fn live_in_room(
        &self,
        room: RoomId,
        during: Interval,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// Live reservations of these rooms that overlap any of the intervals, each once, in no order.
    async fn live_in_rooms(
        &self,
        rooms: &[RoomId],
        during: &[Interval],
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// At most `limit` live reservations of these rooms that overlap an interval, in no order.
    async fn live_in_some(
        &self,
        rooms: &[RoomId],
        during: Interval,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// Those of these rooms that a live reservation keeps busy in the room's interval.
    async fn occupied(&self, rooms: &[(RoomId, Interval)]) -> Result<HashSet<RoomId>, StoreError>;

    /// The closures of these rooms that overlap an interval and are not lifted, by `from`, then id.
    async fn closures_in_rooms(
        &self,
        rooms: &[RoomId],
        during: Interval,
    ) -> Result<Vec<ClosureDoc>, StoreError>;

    /// The closures of these rooms that overlap an interval, lifted ones too, in no order.
    async fn closures_ever(&self, rooms: &[RoomId], during: Interval) -> Result<Vec<ClosureDoc>, StoreError>;

    /// A closure in each room that has or had it, in no order.
    async fn closure(&self, closure: ClosureId) -> Result<Vec<ClosureDoc>, StoreError>;

    /// Live reservations of a user that end after `from` and begin before `to`, by `from`, then id.
    async fn live_of_user(
        &self,
        user: &UserId,
        from: Option<Minute>,
        to: Option<Minute>,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// Cancelled reservations of a user that were to end after `after`, by `to`.
    async fn cancelled_of_user(
        &self,
        user: &UserId,
        after: Minute,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// Live reservations of a zone that end after a minute, by id. Reads all reservations.
    async fn live_in_zone(
        &self,
        zone: TimeZone,
        from: Minute,
        after: Option<ReservationId>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// The entries of these events in the history, in no order.
    async fn entries_of(&self, events: &[(RoomId, Version)]) -> Result<Vec<HistoryDoc>, StoreError>;

    /// A user's history, newest first: by time, then room, then version, all descending.
    async fn history_of_user(
        &self,
        user: &UserId,
        after: Option<(Timestamp, RoomId, Version)>,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError>;

    /// Usage of these rooms in these local months, counted in any zone, in no order.
    async fn usage(
        &self,
        rooms: &[RoomId],
        months: RangeInclusive<Month>,
    ) -> Result<Vec<UsageDoc>, StoreError>;

    /// The bookings of stays that begin within an interval, by room.
    async fn bookings(&self, during: Interval) -> Result<HashMap<RoomId, Booked>, StoreError>;

    /// The usage position of each room: statistics show all events up to this version.
    fn usage_positions(&self) -> &dyn Checkpoints;

    /// Lets this process write the usage of these rooms soon, if it waits to be written here.
    fn hasten_usage(&self, _rooms: &[RoomId]) {}

    /// All documents of a room, and these reservations wherever they are. They show at least what the checkpoint
    /// claimed before the call; while the room is written, some may show more than others.
    async fn documents_of(
        &self,
        room: RoomId,
        reservations: &[ReservationId],
    ) -> Result<RoomDocuments, StoreError>;
}

/// Conditions on the rooms of a list.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RoomFilter {
    /// Only rooms of one of these kinds. Empty: of any.
    pub kinds: Vec<String>,
    /// Only rooms for at least this many people.
    pub people: Option<u32>,
    /// Only rooms of this building.
    pub building: Option<String>,
    /// Only rooms of this floor.
    pub floor: Option<String>,
    /// Only rooms with all of these attributes.
    pub attributes: Vec<String>,
}

impl RoomFilter {
    /// Rooms of a kind, or all.
    #[must_use]
    pub fn of_kind(kind: Option<String>) -> Self {
        Self { kinds: kind.into_iter().collect(), ..Self::default() }
    }

    /// Whether a room keeps all conditions.
    #[must_use]
    pub fn matches(&self, settings: &RoomSettings) -> bool {
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        (self.kinds.is_empty() || self.kinds.contains(&settings.kind))
            && self.people.is_none_or(|people| settings.capacity >= people)
            && is(&self.building, &settings.building)
            && is(&self.floor, &settings.floor)
            && self.attributes.iter().all(|attribute| settings.attributes.contains(attribute))
    }
}

/// The outcome of a compare-and-set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swap {
    /// The expected value was there, and is replaced.
    Done,
    /// Another value was there, written by somebody else, and stays.
    Moved,
}

impl From<bool> for Swap {
    fn from(found: bool) -> Self {
        if found { Self::Done } else { Self::Moved }
    }
}

/// Why the read models can't be read or written. Every method of the ports may fail with it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database gave an error or no answer. Trying again may help.
    #[error("the read models can't be reached")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored document does not have its form.
    #[error("a document of {collection} is not readable: {reason}")]
    Unreadable {
        /// The document's collection.
        collection: &'static str,
        /// The difference from its form.
        reason: String,
    },
    /// Others kept writing the same documents. Trying again may help.
    #[error("documents kept changing under the write")]
    Contended,
    /// The events of a room in a batch are not consecutive.
    #[error("the batch of room {room} is not applicable: {reason}")]
    Batch {
        /// The room of the events.
        room: RoomId,
        /// The first break in their order.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn backend(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Backend(cause.into())
    }
}

/// The longest time that a read of the store outside of a batch may take.
const LONGEST_READ: Duration = Duration::from_secs(30);

/// Gives up a read of the store after [`LONGEST_READ`]: a lost connection may never answer.
pub(crate) async fn in_time<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let outcome = tokio::time::timeout(LONGEST_READ, read).await;
    outcome.unwrap_or_else(|late| Err(StoreError::backend(late)))
}

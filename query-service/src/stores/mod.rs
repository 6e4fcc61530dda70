//! Where the read models are: ports by role, each with two adapters.

mod batch;
pub mod memory;
#[cfg(feature = "mongodb")]
pub mod mongo;

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use shared_events::{
    DecodedEvent, Erasures, Interval, Minute, ReservationId, RoomId, Timestamp, UserId, Version,
};
use uuid::Uuid;

pub use self::batch::Applied;

use crate::read_models::{
    Checkpoint, DroppedEvent, HistoryDoc, KindCount, Outcome, ParkedMessage, Request, ReservationDoc,
    RoomDoc, RoomDocuments, UsageDoc, usage::Month,
};

/// How far rooms are projected. The projector and queries read it.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// The checkpoints of these rooms: one for each, at version 0 for a room without events.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError>;

    /// The checkpoint of one room.
    ///
    /// # Errors
    /// As [`Checkpoints::checkpoints`].
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
    /// Folds a batch into the documents, then advances the rooms' checkpoints.
    ///
    /// The events of a room are in order, without gaps, and begin right after its checkpoint. Rooms may be mixed. Each
    /// event has passed [`crate::projections::check`]. After an error any part of the documents may be written, but no
    /// checkpoint is ahead of its documents: apply the batch again.
    ///
    /// # Errors
    /// When the store can't be read or written, or a room's events are not consecutive.
    async fn apply(&self, batch: &[DecodedEvent]) -> Result<Applied, StoreError>;
}

/// Rooms that wait behind an event that can't be applied.
#[async_trait]
pub trait Parking: Send + Sync + 'static {
    /// Parks a room behind an event: keeps the message, then flags the checkpoint. The flag goes when the checkpoint
    /// passes the event.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn park(&self, message: &ParkedMessage) -> Result<Swap, StoreError>;

    /// The message that was last parked for a room, whether the room still waits or not.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn parked_message(&self, room: RoomId) -> Result<Option<ParkedMessage>, StoreError>;

    /// Drops an event for good, in every generation. A second drop of the same event changes nothing.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn drop_event(&self, dropped: &DroppedEvent) -> Result<(), StoreError>;

    /// Whether an operator dropped this event.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn is_dropped(&self, room: RoomId, version: Version) -> Result<bool, StoreError>;

    /// Advances a room's checkpoint over a dropped event, and removes the flag.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn pass_over(&self, room: RoomId, version: Version) -> Result<Swap, StoreError>;
}

/// Room repair: everything is removed, then applied again.
#[async_trait]
pub trait Repair: Send + Sync + 'static {
    /// Removes a room's checkpoint, so that its events are applied from the first one.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn forget_checkpoint(&self, room: RoomId) -> Result<(), StoreError>;

    /// Deletes a room's documents, and those of these reservations that are in it.
    ///
    /// # Errors
    /// When the store can't be written; a part may be deleted.
    async fn delete_documents(&self, room: RoomId, reservations: &[ReservationId]) -> Result<(), StoreError>;
}

/// Requests of operators to the instance that projects a room.
#[async_trait]
pub trait Requests: Send + Sync + 'static {
    /// Requests without an outcome, oldest first, at most 100.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn requests(&self) -> Result<Vec<Request>, StoreError>;

    /// Records the outcome of a request, unless it has one.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn answer(&self, request: Uuid, outcome: &Outcome) -> Result<(), StoreError>;
}

/// The list of erased persons, which masks every event before it is applied or parked. All generations share it.
#[async_trait]
pub trait ErasureList: Send + Sync + 'static {
    /// The list, or none where none was kept yet.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError>;

    /// Keeps a list, unless a later one of the same event store is kept.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn keep_erasures(&self, list: &Erasures) -> Result<(), StoreError>;
}

/// What the API reads, and what `verify` and a rebuild compare.
#[async_trait]
pub trait Queries: Checkpoints {
    /// The same read models over connections of the calling thread, which spare a query the way to another thread.
    /// None where that makes no difference.
    fn for_this_thread(&self) -> Option<Arc<dyn Queries>> {
        None
    }

    /// A room, retired or not.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn room(&self, room: RoomId) -> Result<Option<RoomDoc>, StoreError>;

    /// Rooms that are not retired by name, then id, after a place in that order.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn rooms_by_name(
        &self,
        filter: RoomFilter<'_>,
        after: Option<&(String, RoomId)>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError>;

    /// Rooms, retired ones too, by id, after an id.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn rooms_by_id(
        &self,
        kind: Option<&str>,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError>;

    /// Kinds of rooms that are not retired, by name, after a kind.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn kinds(&self, after: Option<&str>, limit: usize) -> Result<Vec<KindCount>, StoreError>;

    /// A reservation, live or cancelled.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn reservation(&self, reservation: ReservationId) -> Result<Option<ReservationDoc>, StoreError>;

    /// Live reservations of a room that overlap an interval by `from`, then id, after a place in that order.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn live_in_room(
        &self,
        room: RoomId,
        during: Interval,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// Live reservations of these rooms that overlap any of the intervals, each once, in no order.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn live_in_rooms(
        &self,
        rooms: &[RoomId],
        during: &[Interval],
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// Which of these rooms have a live reservation that overlaps an interval.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn occupied(&self, rooms: &[RoomId], during: Interval) -> Result<HashSet<RoomId>, StoreError>;

    /// Live reservations of a user that end after `from` and begin before `to`, by `from`, then id, after a place
    /// in that order.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn live_of_user(
        &self,
        user: &UserId,
        from: Option<Minute>,
        to: Option<Minute>,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError>;

    /// What a user did, newest first (time, then room, then version, all descending), after a place in that order.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn history_of_user(
        &self,
        user: &UserId,
        after: Option<(Timestamp, RoomId, Version)>,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError>;

    /// Usage of these rooms in these local months, in whatever zones it was counted, in no order.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn usage(
        &self,
        rooms: &[RoomId],
        months: RangeInclusive<Month>,
    ) -> Result<Vec<UsageDoc>, StoreError>;

    /// All documents of a room, and these reservations wherever they are. They show at least what the checkpoint claimed
    /// when this was asked; of a room that is being written some may be further than others.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn documents_of(
        &self,
        room: RoomId,
        reservations: &[ReservationId],
    ) -> Result<RoomDocuments, StoreError>;
}

/// Which rooms to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoomFilter<'a> {
    /// Of this kind only.
    pub kind: Option<&'a str>,
    /// That take at least this many people.
    pub people: Option<u32>,
}

/// The outcome of a compare-and-set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swap {
    /// The expected value was there, and is replaced.
    Done,
    /// Another value was there, and stays: somebody else wrote it.
    Moved,
}

impl From<bool> for Swap {
    fn from(found: bool) -> Self {
        if found { Self::Done } else { Self::Moved }
    }
}

/// Why the read models can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database answered with an error or not at all. Trying again may help.
    #[error("the read models can't be reached")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored document is not of its form.
    #[error("a document of {collection} is not readable: {reason}")]
    Unreadable {
        /// Where it is stored.
        collection: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Others kept writing the same documents. Trying again may help.
    #[error("documents kept changing under the write")]
    Contended,
    /// The events of a room in a batch are not consecutive.
    #[error("the batch of room {room} is not applicable: {reason}")]
    Batch {
        /// Whose events.
        room: RoomId,
        /// What is wrong with them.
        reason: String,
    },
}

/// How long a look at a store may take that is not part of writing a batch.
const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// Gives up a read of the store after 30 s: a lost connection may never answer.
///
/// # Errors
/// What the look ends with, or that it took too long.
pub(crate) async fn in_time<T>(look: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let outcome = tokio::time::timeout(LONGEST_LOOK, look).await;
    outcome.unwrap_or_else(|late| Err(StoreError::Backend(late.into())))
}

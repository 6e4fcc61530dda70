//! Where the read models are kept: a port with two adapters.

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
use shared_events::{DecodedEvent, Erasures, Interval, Minute, ReservationId, RoomId, Timestamp, UserId};
use uuid::Uuid;

use crate::read_models::{
    Checkpoint, DroppedEvent, HistoryDoc, KindCount, Outcome, ParkedMessage, Request, ReservationDoc,
    RoomDoc, RoomDocuments, UsageDoc, usage::Month,
};

/// Read models: the projector writes them, queries read them. One generation of them.
///
/// Several owners may write at once and any of them may die at any time: documents are guarded, checkpoints are
/// compared and set, and applying a batch again changes nothing.
#[async_trait]
pub trait ReadModels: Send + Sync + 'static {
    /// How far these rooms have come. A room of which nothing is known is at version 0; every room asked for is in
    /// the answer.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError>;

    /// The same read models for a thread that has a runtime of its own, so that what it waits for need not be handed over
    /// from another one. None where that makes no difference.
    fn for_this_thread(&self) -> Option<Arc<dyn ReadModels>> {
        None
    }

    /// How far one room has come.
    ///
    /// # Errors
    /// As [`ReadModels::checkpoints`].
    async fn checkpoint(&self, room: RoomId) -> Result<Checkpoint, StoreError> {
        Ok(self.checkpoints(&[room]).await?.remove(&room).unwrap_or_default())
    }

    /// Folds a batch into the documents and then advances the rooms' checkpoints.
    ///
    /// The events of a room are in order, without gaps, and begin right after its checkpoint; rooms may be mixed. Each
    /// event has passed [`crate::projections::check`]. After an error any part of the documents may be written, and
    /// no checkpoint is ahead of its documents: apply the batch again.
    ///
    /// # Errors
    /// When the store can't be read or written, or the batch is not as said.
    async fn apply(&self, batch: &[DecodedEvent]) -> Result<Applied, StoreError>;

    /// Lets a room wait behind an event that can't be applied: keeps the message, then sets the flag beside the
    /// checkpoint. False, and no flag, when the checkpoint is not right before the message's version. The flag goes
    /// away when the room's checkpoint passes that version.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn park(&self, message: &ParkedMessage) -> Result<bool, StoreError>;

    /// The message that was last parked for a room, whether the room still waits or not.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn parked_message(&self, room: RoomId) -> Result<Option<ParkedMessage>, StoreError>;

    /// Notes, for every generation and for ever, that an event is left out: [`ReadModels::is_dropped`] is true from then
    /// on. Of a second drop of the same event nothing is noted.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn drop_event(&self, dropped: &DroppedEvent) -> Result<(), StoreError>;

    /// Whether an operator left this event out.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn is_dropped(&self, room: RoomId, version: u64) -> Result<bool, StoreError>;

    /// Advances a room's checkpoint over an event that was left out, and takes the flag away. False when the checkpoint
    /// is not right before it.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn pass_over(&self, room: RoomId, version: u64) -> Result<bool, StoreError>;

    /// Takes a room's checkpoint away, so that its events are applied from the first one.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn forget_checkpoint(&self, room: RoomId) -> Result<(), StoreError>;

    /// Deletes what is stored of a room, and of these reservations those that are in it.
    ///
    /// # Errors
    /// When the store can't be written; a part may be deleted.
    async fn delete_documents(&self, room: RoomId, reservations: &[ReservationId]) -> Result<(), StoreError>;

    /// Requests of operators that have no outcome yet, oldest first, at most 100.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn requests(&self) -> Result<Vec<Request>, StoreError>;

    /// Notes what became of a request, unless that is noted already.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn answer(&self, request: Uuid, outcome: &Outcome) -> Result<(), StoreError>;

    /// The list of erased persons by which everything is to be masked before it is applied or parked; none where it was
    /// never learned.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError>;

    /// Keeps a list for all generations, unless there is a later one of the same event store.
    ///
    /// # Errors
    /// When the store can't be written.
    async fn keep_erasures(&self, list: &Erasures) -> Result<(), StoreError>;

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
        after: Option<(Timestamp, RoomId, u64)>,
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

/// What applying a batch led to, for each of its rooms.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Rooms whose checkpoint is at this version or beyond: the room's last one in the batch.
    pub advanced: Vec<(RoomId, u64)>,
    /// Rooms whose checkpoint was not where the batch begins and is not beyond its end: another owner wrote it, or an
    /// older copy was restored. Their documents are right; read their checkpoints again and go on from there.
    pub conflicts: Vec<RoomId>,
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
    /// The events of a room in a batch are not consecutive, or one of them failed its check.
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

/// Gives a look at a store up after 30 s: from behind a connection that is no more an answer may never come.
///
/// # Errors
/// What the look ends with, or that it took too long.
pub(crate) async fn in_time<T>(look: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let outcome = tokio::time::timeout(LONGEST_LOOK, look).await;
    outcome.unwrap_or_else(|late| Err(StoreError::Backend(late.into())))
}

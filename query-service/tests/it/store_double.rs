//! A store in memory that fails and counts for tests.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use query_service::{
    read_models::{Checkpoint, DroppedEvent, Outcome, ParkedMessage, Request},
    stores::{
        Applied, Checkpoints, ErasureList, Parking, ProjectionStore, Queries, Repair, Requests, StoreError,
        Swap, memory::MemoryReadModels,
    },
};
use shared_events::{DecodedEvent, Erasures, ReservationId, RoomId, Version};
use uuid::Uuid;

/// A store for the projector and for queries.
pub(crate) trait Store: ProjectionStore + Queries {}

impl<T: ProjectionStore + Queries> Store for T {}

/// A store that fails as a test asks, and counts.
#[derive(Default)]
pub(crate) struct StoreDouble {
    pub(crate) models: MemoryReadModels,
    /// The number of next batches that fail before anything is written.
    pub(crate) fail_before: AtomicUsize,
    /// The number of next batches that fail after everything is written.
    pub(crate) fail_after: AtomicUsize,
    /// Reads of checkpoints.
    pub(crate) checkpoint_reads: AtomicUsize,
    /// Batches that were applied.
    pub(crate) applications: AtomicUsize,
}

fn due(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn failure() -> StoreError {
    StoreError::Backend("as the test wants".into())
}

#[async_trait]
impl Checkpoints for StoreDouble {
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError> {
        self.checkpoint_reads.fetch_add(1, Ordering::SeqCst);
        self.models.checkpoints(rooms).await
    }
}

#[async_trait]
impl ProjectionStore for StoreDouble {
    async fn apply(&self, batch: &[DecodedEvent]) -> Result<Applied, StoreError> {
        if due(&self.fail_before) {
            return Err(failure());
        }
        self.applications.fetch_add(1, Ordering::SeqCst);
        let applied = self.models.apply(batch).await?;
        if due(&self.fail_after) { Err(failure()) } else { Ok(applied) }
    }
}

/// Implements ports by the same methods of the store in memory.
macro_rules! forward {
    ($($port:ident { $(fn $method:ident($($argument:ident: $type:ty),*) -> $value:ty;)+ })+) => {$(
        #[async_trait]
        impl $port for StoreDouble {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$value, StoreError> {
                self.models.$method($($argument),*).await
            })+
        }
    )+};
}

forward! {
    Parking {
        fn park(message: &ParkedMessage) -> Swap;
        fn parked_message(room: RoomId) -> Option<ParkedMessage>;
        fn drop_event(dropped: &DroppedEvent) -> ();
        fn is_dropped(room: RoomId, version: Version) -> bool;
        fn pass_over(room: RoomId, version: Version) -> Swap;
    }
    Repair {
        fn forget_checkpoint(room: RoomId) -> ();
        fn delete_documents(room: RoomId, reservations: &[ReservationId]) -> ();
    }
    Requests {
        fn requests() -> Vec<Request>;
        fn answer(request: Uuid, outcome: &Outcome) -> ();
    }
    ErasureList {
        fn erasures() -> Option<Arc<Erasures>>;
        fn keep_erasures(known: Option<&Erasures>, list: &Arc<Erasures>) -> Swap;
    }
}

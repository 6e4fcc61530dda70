//! A store of tests that fails and counts.

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

/// A whole store: what the projector writes and queries read.
pub(crate) trait Store: ProjectionStore + Queries {}

impl<T: ProjectionStore + Queries> Store for T {}

/// A store in memory that fails and counts as a test asks.
#[derive(Default)]
pub(crate) struct StoreDouble {
    pub(crate) models: MemoryReadModels,
    /// How many of the next applications fail before anything is written.
    pub(crate) fail_before: AtomicUsize,
    /// How many of the next applications fail after everything is written.
    pub(crate) fail_after: AtomicUsize,
    /// How often checkpoints were read.
    pub(crate) checkpoint_reads: AtomicUsize,
    /// How often a batch was applied.
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

#[async_trait]
impl Parking for StoreDouble {
    async fn park(&self, message: &ParkedMessage) -> Result<Swap, StoreError> {
        self.models.park(message).await
    }

    async fn parked_message(&self, room: RoomId) -> Result<Option<ParkedMessage>, StoreError> {
        self.models.parked_message(room).await
    }

    async fn drop_event(&self, dropped: &DroppedEvent) -> Result<(), StoreError> {
        self.models.drop_event(dropped).await
    }

    async fn is_dropped(&self, room: RoomId, version: Version) -> Result<bool, StoreError> {
        self.models.is_dropped(room, version).await
    }

    async fn pass_over(&self, room: RoomId, version: Version) -> Result<Swap, StoreError> {
        self.models.pass_over(room, version).await
    }
}

#[async_trait]
impl Repair for StoreDouble {
    async fn forget_checkpoint(&self, room: RoomId) -> Result<(), StoreError> {
        self.models.forget_checkpoint(room).await
    }

    async fn delete_documents(&self, room: RoomId, reservations: &[ReservationId]) -> Result<(), StoreError> {
        self.models.delete_documents(room, reservations).await
    }
}

#[async_trait]
impl Requests for StoreDouble {
    async fn requests(&self) -> Result<Vec<Request>, StoreError> {
        self.models.requests().await
    }

    async fn answer(&self, request: Uuid, outcome: &Outcome) -> Result<(), StoreError> {
        self.models.answer(request, outcome).await
    }
}

#[async_trait]
impl ErasureList for StoreDouble {
    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError> {
        self.models.erasures().await
    }

    async fn keep_erasures(&self, list: &Erasures) -> Result<(), StoreError> {
        self.models.keep_erasures(list).await
    }
}

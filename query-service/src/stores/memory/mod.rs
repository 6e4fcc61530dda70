//! Read models in memory: for the embedded default, and as the oracle of the MongoDB adapter. They fold one event at a
//! time.

mod documents;
mod past;
mod queries;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use async_trait::async_trait;
use shared_events::{DecodedEvent, Erasures, ReservationId, RoomId, Version};
use uuid::Uuid;

use self::documents::Documents;
use super::{
    Applied, Checkpoints, ErasureList, Parking, ProjectionStore, Repair, Requests, StoreError, Swap,
    batch::spans,
};
use crate::read_models::{Checkpoint, DroppedEvent, Outcome, Parked, ParkedMessage, Request};

/// Read models that live as long as the process.
#[derive(Debug, Default)]
pub struct MemoryReadModels {
    documents: RwLock<Documents>,
}

impl MemoryReadModels {
    /// Empty read models.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    // A panic under the lock leaves at most a batch half applied. Applying it again completes it.
    fn read(&self) -> RwLockReadGuard<'_, Documents> {
        self.documents.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Documents> {
        self.documents.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Checkpoints for MemoryReadModels {
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError> {
        let documents = self.read();
        Ok(rooms
            .iter()
            .map(|room| (*room, documents.checkpoints.get(room).cloned().unwrap_or_default()))
            .collect())
    }
}

#[async_trait]
impl ProjectionStore for MemoryReadModels {
    async fn apply(&self, batch: &[DecodedEvent]) -> Result<Applied, StoreError> {
        let spans = spans(batch)?;
        let mut documents = self.write();
        for decoded in batch {
            documents.fold(decoded);
        }
        let mut applied = Applied::default();
        for (room, span) in spans {
            let checkpoint = documents.checkpoints.entry(room).or_default();
            if checkpoint.version == span.base {
                checkpoint.version = span.last;
                if checkpoint.parked.as_ref().is_some_and(|parked| parked.version <= span.last) {
                    checkpoint.parked = None;
                }
            }
            applied.count(room, span, checkpoint.version);
        }
        Ok(applied)
    }
}

#[async_trait]
impl Parking for MemoryReadModels {
    async fn park(&self, message: &ParkedMessage) -> Result<Swap, StoreError> {
        let mut documents = self.write();
        let checkpoint = documents.checkpoints.entry(message.room).or_default();
        if checkpoint.version.next() != message.version {
            return Ok(Swap::Moved);
        }
        checkpoint.parked = Some(Parked { version: message.version, reason: message.reason.clone() });
        documents.parked.insert(message.room, message.clone());
        Ok(Swap::Done)
    }

    async fn parked_message(&self, room: RoomId) -> Result<Option<ParkedMessage>, StoreError> {
        Ok(self.read().parked.get(&room).cloned())
    }

    async fn drop_event(&self, dropped: &DroppedEvent) -> Result<(), StoreError> {
        self.write().dropped.insert((dropped.message.room, dropped.message.version));
        Ok(())
    }

    async fn is_dropped(&self, room: RoomId, version: Version) -> Result<bool, StoreError> {
        Ok(self.read().dropped.contains(&(room, version)))
    }

    async fn pass_over(&self, room: RoomId, version: Version) -> Result<Swap, StoreError> {
        let mut documents = self.write();
        let checkpoint = documents.checkpoints.entry(room).or_default();
        if checkpoint.version.next() != version {
            return Ok(Swap::Moved);
        }
        *checkpoint = Checkpoint { version, parked: None };
        Ok(Swap::Done)
    }
}

#[async_trait]
impl Repair for MemoryReadModels {
    async fn forget_checkpoint(&self, room: RoomId) -> Result<(), StoreError> {
        self.write().checkpoints.remove(&room);
        Ok(())
    }

    async fn delete_documents(&self, room: RoomId, _: &[ReservationId]) -> Result<(), StoreError> {
        self.write().delete(room);
        Ok(())
    }
}

/// There are no requests: a restart rebuilds everything, so the embedded default has no operators' commands.
#[async_trait]
impl Requests for MemoryReadModels {
    async fn requests(&self) -> Result<Vec<Request>, StoreError> {
        Ok(Vec::new())
    }

    async fn answer(&self, _: Uuid, _: &Outcome) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl ErasureList for MemoryReadModels {
    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError> {
        Ok(self.read().erasures.clone())
    }

    async fn keep_erasures(
        &self,
        known: Option<&Erasures>,
        list: &Arc<Erasures>,
    ) -> Result<Swap, StoreError> {
        let mut documents = self.write();
        let mark = |list: &Erasures| (list.secret, list.epoch, list.last);
        if documents.erasures.as_deref().map(mark) != known.map(mark) {
            return Ok(Swap::Moved);
        }
        documents.mask(list);
        documents.erasures = Some(Arc::clone(list));
        Ok(Swap::Done)
    }
}

//! A room's documents, folded in memory from its events. The stored documents are compared with them.

use shared_events::{RoomId, Version};

use crate::{
    feed::{Feed, FeedError},
    projections::read,
    read_models::RoomDocuments,
    stores::{Parking, ProjectionStore, Queries, StoreError, memory::MemoryReadModels},
};

/// The fold of one room's events from the first one on.
pub(super) struct Fold {
    room: RoomId,
    models: MemoryReadModels,
    version: Version,
}

/// Why the fold stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum FoldError {
    /// The feed can't be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// This program can't read or apply an event.
    #[error("version {version} can't be applied: {reason}")]
    Event {
        /// The version of the event.
        version: Version,
        /// Why it can't be applied.
        reason: String,
    },
    /// The fold itself failed, which is a defect.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fold {
    /// The fold of no event.
    pub(super) fn new(room: RoomId) -> Self {
        Self { room, models: MemoryReadModels::new(), version: Version::NONE }
    }

    /// The version up to which events are folded.
    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// Folds the events up to `version`, or to the end of the stream, and returns the last version. It passes over the
    /// events that can't be applied and that an operator dropped. After an error it can go on.
    pub(super) async fn up_to(
        &mut self,
        feed: &dyn Feed,
        stored: &dyn Parking,
        version: Version,
    ) -> Result<Version, FoldError> {
        while self.version < version {
            let events = feed.events(self.room, self.version).await?;
            let mut ready = Vec::new();
            let mut stopped = None;
            for event in events.into_iter().take_while(|event| event.version <= version) {
                match read(&event) {
                    Ok(decoded) => ready.push(event.with_event(decoded)),
                    Err(reason) => {
                        stopped = Some((event.version, reason));
                        break;
                    }
                }
            }
            if ready.is_empty() && stopped.is_none() {
                break;
            }
            if let Some(last) = ready.last().map(|decoded| decoded.version) {
                self.models.apply(&ready).await?;
                self.version = last;
            }
            if let Some((version, reason)) = stopped {
                if !stored.is_dropped(self.room, version).await? {
                    return Err(FoldError::Event { version, reason });
                }
                self.models.pass_over(self.room, version).await?;
                self.version = version;
            }
        }
        Ok(self.version)
    }

    /// The documents after these events.
    pub(super) async fn documents(&self) -> Result<RoomDocuments, StoreError> {
        self.models.documents_of(self.room, &[]).await
    }
}

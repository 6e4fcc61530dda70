//! A room's documents as its events make them, folded in memory in the plainest way: what the stored ones are held
//! against.

use shared_events::{RoomId, Version};

use crate::{
    feed::{Feed, FeedError},
    projections::read,
    read_models::RoomDocuments,
    stores::{Parking, ProjectionStore, Queries, StoreError, memory::MemoryReadModels},
};

/// The events of one room from the first one on, folded as far as was asked.
pub(super) struct Fold {
    room: RoomId,
    models: MemoryReadModels,
    version: Version,
}

/// Why events can't be folded.
#[derive(Debug, thiserror::Error)]
pub(super) enum FoldError {
    /// The feed gave no events.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// This program can't read or apply an event.
    #[error("version {version} can't be applied: {reason}")]
    Event {
        /// Its version.
        version: Version,
        /// What is wrong with it.
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

    /// Folds the events up to `version`, or to the last one that the feed has, and tells how far it came. Events that
    /// can't be applied and that an operator left out, as `stored` says, are left out here too.
    ///
    /// # Errors
    /// [`FoldError`]. What was folded before stays; the same may be asked again.
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
            for event in events.iter().take_while(|event| event.version <= version) {
                match read(event) {
                    Ok(decoded) => ready.push(decoded),
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

    /// The documents that these events make.
    ///
    /// # Errors
    /// Never in fact: they are in memory.
    pub(super) async fn documents(&self) -> Result<RoomDocuments, StoreError> {
        self.models.documents_of(self.room, &[]).await
    }
}

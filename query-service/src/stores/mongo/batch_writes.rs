//! How a batch is written: first its documents, then the rooms' checkpoints. So a checkpoint never claims a document
//! that is missing.
//!
//! A new document is inserted, which costs a third of an update. One that is stored already is replaced by a newer form
//! only: the update finds it by `_id` alone and decides on the server, so a duplicate changes nothing.

use std::sync::Arc;

use async_trait::async_trait;
use shared_events::DecodedEvent;

use super::{
    MongoReadModels, batch::Batch, documents::Guarded, joint_writes::SMALL_BATCH, ordered_writes::Written,
};
use crate::stores::{Applied, ProjectionStore, StoreError, batch::spans};

#[async_trait]
impl ProjectionStore for MongoReadModels {
    async fn apply(&self, events: &[DecodedEvent]) -> Result<Applied, StoreError> {
        let mut spans = spans(events)?;
        let mut batch = Batch::fold(events)?;
        let mut usage = self.fold_usage(events, &spans).await?;
        batch.usage = std::mem::take(&mut usage.writes);
        spans.retain(|room, _| !usage.behind.contains(room));
        batch.spans = spans;

        let batch = Arc::new(batch);
        let is_small = batch.events <= SMALL_BATCH;
        let mut applied = if is_small && self.write_jointly(&batch).await? == Written::All {
            Applied::all(&batch.spans)
        } else {
            self.write_documents(&batch).await?;
            self.advance(&batch.spans).await?
        };

        for (room, version) in &applied.advanced {
            if let Some(documents) = usage.known.remove(room) {
                self.usage_cache.put(*room, *version, documents);
            }
        }
        applied.conflicts.extend(usage.behind);
        Ok(applied)
    }
}

impl MongoReadModels {
    /// Writes each collection by commands of its own, side by side. Whatever order they end in, each document is
    /// complete, and no checkpoint claims them yet.
    async fn write_documents(&self, batch: &Batch) -> Result<(), StoreError> {
        let made: Vec<_> = batch.made.iter().map(Guarded::document).collect();
        let insert = async {
            let present = self.reservations.insert(&made).await?;
            self.reservations.keep_newer(present.iter().filter_map(|at| batch.made.get(*at))).await
        };
        tokio::try_join!(
            insert,
            self.reservations.keep_newer(batch.changed.iter()),
            self.rooms.keep_newer(batch.rooms.iter()),
            // An event's entry never changes: a stored one is this one.
            self.history.insert(&batch.history),
            // Another owner may have counted further: then the stored one has what this one would add.
            self.usage.keep_newer(batch.usage.iter()),
        )?;
        Ok(())
    }
}

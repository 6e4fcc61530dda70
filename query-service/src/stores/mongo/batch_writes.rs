//! How a batch is written: first its documents, then the rooms' checkpoints. So a checkpoint never claims a document
//! that is missing. Usage is written behind, with a position of its own.
//!
//! A new document is inserted, which costs a third of an update. One that is stored already is replaced by a newer form
//! only: the update finds it by `_id` alone and decides on the server, so a duplicate changes nothing.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use shared_events::DecodedEvent;

use super::{
    MongoReadModels, batch::Batch, documents::Guarded, joint_writes::SMALL_BATCH, ordered_writes::Written,
};
use crate::{
    projections::history::entry,
    read_models::HistoryDoc,
    stores::{Applied, Owns, ProjectionStore, StoreError, batch::spans},
};

#[async_trait]
impl ProjectionStore for MongoReadModels {
    async fn apply(&self, events: &[DecodedEvent]) -> Result<Applied, StoreError> {
        let mut spans = spans(events)?;
        let entries: Vec<HistoryDoc> = events.iter().map(entry).collect();
        let mut batch = Batch::fold(events, &entries)?;
        let mut usage = self.fold_usage(&entries, &spans).await?;
        spans.retain(|room, _| !usage.behind.contains(room));
        batch.spans = spans;

        let batch = Arc::new(batch);
        let is_small = batch.events <= SMALL_BATCH;
        let mut applied = if is_small && self.write_jointly(&batch).await? == Written::All {
            Applied::all(&batch.spans)
        } else {
            self.write_documents(&batch).await?;
            self.checkpoints.advance(&batch.spans).await?
        };

        for (room, span) in &batch.spans {
            // Other rooms' events are folded again by those who have their checkpoints.
            if applied.conflicts.contains(room) {
                self.usage_behind.forget(*room);
            } else {
                self.usage_behind.keep(*room, *span, usage.documents.remove(room).unwrap_or_default());
            }
        }
        applied.conflicts.extend(usage.behind);
        if self.usage_behind.is_full() {
            self.write_usage().await?;
        }
        Ok(applied)
    }

    async fn write_usage(&self) -> Result<(), StoreError> {
        self.write_unwritten_usage(None).await
    }

    async fn write_due_usage(&self) -> Result<(), StoreError> {
        self.write_unwritten_usage(Some(Instant::now())).await
    }

    async fn forget_outdated_usage(&self, owns: &Owns<'_>) -> Result<usize, StoreError> {
        self.forget_usage_of_other_rules(owns).await
    }

    async fn catch_up_usage(&self, owns: &Owns<'_>) -> Result<usize, StoreError> {
        self.catch_up_with_checkpoints(owns).await
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
            self.closures.keep_newer(batch.closures.iter()),
            // An event's entry never changes: a stored one is this one.
            self.history.insert(&batch.history),
        )?;
        Ok(())
    }
}

//! How a batch of events is written: one write for each document that it touches, several commands in flight.
//!
//! New documents are inserted, which costs a tenth of an update; one that is there already is left to the guarded
//! update. Guarded updates are found by `_id` alone and decide inside, so that a duplicate is no error. Values stand in
//! `$literal`: in a pipeline a title such as `$5 lunch` would be a field's name.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::{
    Collection,
    bson::{Bson, Document, doc},
    error::{Error, ErrorKind},
    options::{UpdateModifications, UpdateOneModel},
};
use shared_events::{Envelope, ReservationId, RoomId};

use super::{
    MongoReadModels,
    documents::{from_history, from_reservation, from_room, from_usage, number, to_usage, usage_id},
};
use crate::{
    projections::{history, reservations, rooms, usage},
    read_models::{ReservationDoc, RoomDoc, UsageDoc, UsageKey},
    stores::{Applied, StoreError, batch::spans},
};

/// Documents in one command: reservations and history entries take a few hundred bytes each.
const SMALL_DOCUMENTS: usize = 1000;
/// Usage documents take up to 10 KB each, mostly less than one.
const LARGE_DOCUMENTS: usize = 200;
/// Commands of one collection at a time.
const IN_FLIGHT: usize = 4;
/// How often a document that others keep writing is folded again.
const ATTEMPTS: usize = 20;

/// MongoDB's code for a key that is already there.
const DUPLICATE_KEY: i32 = 11000;

impl MongoReadModels {
    /// Writes documents, then checkpoints: what a checkpoint claims is there.
    pub(super) async fn apply_batch(&self, batch: &[Envelope]) -> Result<Applied, StoreError> {
        let spans = spans(batch)?;
        self.write_documents(batch).await?;
        self.advance(&spans).await
    }

    async fn write_documents(&self, batch: &[Envelope]) -> Result<(), StoreError> {
        tokio::try_join!(
            self.write_rooms(batch),
            self.write_reservations(batch),
            self.write_history(batch),
            self.write_usage(batch),
        )?;
        Ok(())
    }

    async fn write_rooms(&self, batch: &[Envelope]) -> Result<(), StoreError> {
        let mut folded: HashMap<RoomId, Option<RoomDoc>> = HashMap::new();
        for envelope in batch {
            if let Some(room) = rooms::touches(envelope) {
                let doc = folded.entry(room).or_default();
                *doc = rooms::fold(doc.take(), envelope);
            }
        }
        let updates = folded.values().flatten().map(from_room).collect::<Result<Vec<_>, _>>()?;
        self.replace_lower(&self.rooms, "version", updates).await
    }

    async fn write_reservations(&self, batch: &[Envelope]) -> Result<(), StoreError> {
        let mut folded: HashMap<ReservationId, (bool, Option<ReservationDoc>)> = HashMap::new();
        for envelope in batch {
            if let Some(reservation) = reservations::touches(envelope) {
                let (new, doc) = folded.entry(reservation).or_default();
                *new |= matches!(envelope.event, shared_events::Event::ReservationMade(_));
                *doc = reservations::fold(doc.take(), envelope);
            }
        }
        let (mut inserts, mut updates) = (Vec::new(), Vec::new());
        for (new, doc) in folded.values() {
            let list = if *new { &mut inserts } else { &mut updates };
            list.extend(doc.as_ref().map(from_reservation));
        }
        updates.extend(insert_new(&self.reservations, inserts).await?);
        self.replace_lower(&self.reservations, "rank", updates).await
    }

    async fn write_history(&self, batch: &[Envelope]) -> Result<(), StoreError> {
        let entries = batch.iter().filter_map(history::entry).map(|entry| from_history(&entry)).collect();
        // An entry that is already there is this one.
        insert_new(&self.history, entries).await.map(|_| ())
    }

    async fn write_usage(&self, batch: &[Envelope]) -> Result<(), StoreError> {
        let mut events: HashMap<UsageKey, Vec<&Envelope>> = HashMap::new();
        for envelope in batch {
            for key in usage::touches(envelope) {
                events.entry(key).or_default().push(envelope);
            }
        }
        let events: Vec<(UsageKey, Vec<&Envelope>)> = events.into_iter().collect();
        let writes: Vec<_> = events.chunks(LARGE_DOCUMENTS).map(|part| self.fold_usage(part)).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).try_collect::<()>().await
    }

    /// Folds events into stored documents and replaces those that are still what was folded from; what another owner
    /// has written meanwhile is folded again.
    async fn fold_usage(&self, events: &[(UsageKey, Vec<&Envelope>)]) -> Result<(), StoreError> {
        let ids: Vec<String> = events.iter().map(|(key, _)| usage_id(*key)).collect();
        for _ in 0..ATTEMPTS {
            let mut stored: HashMap<UsageKey, UsageDoc> = HashMap::new();
            let mut found = self.usage.find(doc! { "_id": { "$in": &ids } }).await?;
            while let Some(document) = found.try_next().await? {
                let usage = to_usage(&document)?;
                stored.insert(usage.key, usage);
            }
            let mut updates = Vec::new();
            for (key, events) in events {
                let base = stored.remove(key);
                let version = base.as_ref().map_or(0, |base| base.version);
                let folded = events.iter().fold(base, |doc, event| Some(usage::fold(doc, *key, event)));
                if let Some(folded) = folded.filter(|folded| folded.version > version) {
                    let unchanged = doc! { "$eq": [{ "$ifNull": ["$version", 0] }, number(version)] };
                    updates.push(replacement(&self.usage, unchanged, from_usage(&folded)));
                }
            }
            let wanted = updates.len();
            if self.update(updates).await? == wanted {
                return Ok(());
            }
        }
        Err(StoreError::Contended)
    }

    /// Replaces documents whose `guard` is lower than the new one's, or that are not there.
    async fn replace_lower(
        &self,
        collection: &Collection<Document>,
        guard: &str,
        documents: Vec<Document>,
    ) -> Result<(), StoreError> {
        let updates = documents
            .into_iter()
            .map(|document| {
                let new = document.get(guard).cloned().unwrap_or(Bson::Null);
                let lower = doc! { "$lt": [{ "$ifNull": [format!("${guard}"), -1] }, new] };
                replacement(collection, lower, document)
            })
            .collect::<Vec<_>>();
        let parts: Vec<_> = updates.chunks(SMALL_DOCUMENTS).map(|part| self.update(part.to_vec())).collect();
        let mut parts = stream::iter(parts).buffer_unordered(IN_FLIGHT);
        while parts.try_next().await?.is_some() {}
        Ok(())
    }

    /// Runs updates, and tells how many changed something.
    async fn update(&self, updates: Vec<UpdateOneModel>) -> Result<usize, StoreError> {
        if updates.is_empty() {
            return Ok(0);
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let run = self
                .client
                .bulk_write(updates.iter().cloned())
                .ordered(false)
                .write_concern(self.write_concern.clone());
            match run.await {
                Ok(done) => {
                    return Ok(usize::try_from(done.modified_count + done.upserted_count).unwrap_or_default());
                }
                // Two owners inserted the same document at once: the second try finds it.
                Err(error) if attempts < ATTEMPTS && is_race(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The write of a whole document where `condition` holds for the stored one; else that stays.
fn replacement(collection: &Collection<Document>, condition: Document, document: Document) -> UpdateOneModel {
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    let decide = doc! { "$replaceWith": { "$cond": [condition, { "$literal": document }, "$$ROOT"] } };
    UpdateOneModel::builder()
        .namespace(collection.namespace())
        .filter(doc! { "_id": id })
        .update(UpdateModifications::Pipeline(vec![decide]))
        .upsert(true)
        .build()
}

fn is_race(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::BulkWrite(failed) => {
            failed.write_concern_errors.is_empty()
                && !failed.write_errors.is_empty()
                && failed.write_errors.values().all(|failed| failed.code == DUPLICATE_KEY)
        }
        _ => false,
    }
}

/// Inserts documents, and gives back those whose id is already there.
async fn insert_new(
    collection: &Collection<Document>,
    documents: Vec<Document>,
) -> Result<Vec<Document>, StoreError> {
    let parts: Vec<_> = documents
        .chunks(SMALL_DOCUMENTS)
        .map(|part| async move {
            match collection.insert_many(part).ordered(false).await {
                Ok(_) => Ok::<_, StoreError>(Vec::new()),
                Err(error) => {
                    let present = duplicates(error)?;
                    Ok(present.into_iter().filter_map(|at| part.get(at).cloned()).collect())
                }
            }
        })
        .collect();
    let present: Vec<Vec<Document>> = stream::iter(parts).buffer_unordered(IN_FLIGHT).try_collect().await?;
    Ok(present.concat())
}

/// Which inserts failed because their id is already there; any other failure stays one.
pub(super) fn duplicates(error: Error) -> Result<Vec<usize>, StoreError> {
    if let ErrorKind::InsertMany(failed) = error.kind.as_ref()
        && failed.write_concern_error.is_none()
        && let Some(errors) = &failed.write_errors
        && errors.iter().all(|error| error.code == DUPLICATE_KEY)
    {
        return Ok(errors.iter().map(|error| error.index).collect());
    }
    Err(error.into())
}

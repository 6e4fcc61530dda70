//! How a batch of events is written: one write for each document that it touches, several commands in flight.
//!
//! New documents are inserted, which costs a third of an update; one that is there already is left to the guarded
//! update. Guarded updates are found by `_id` alone and decide inside, so that a duplicate is no error.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use mongodb::bson::{RawDocumentBuf, doc};
use shared_events::{DecodedEvent, Event, ReservationId, RoomId};

use super::{
    MongoReadModels,
    documents::{Guarded, PackedUsage, from_history, from_reservation, from_room, usage_id},
    joint_writes::{Batch, SMALL_BATCH},
    stored::to_usage,
};
use crate::{
    projections::{history, reservations, rooms, usage},
    read_models::{ReservationDoc, RoomDoc, UsageKey},
    stores::{
        Applied, Checkpoints, ProjectionStore, StoreError,
        batch::{Span, spans},
    },
};

/// What became of the usage of a batch.
#[derive(Default)]
struct Usage {
    /// Documents that are right up to the batch's end, by room.
    known: HashMap<RoomId, Vec<PackedUsage>>,
    /// Rooms whose checkpoint is before the batch: an older copy of the database was restored.
    behind: BTreeSet<RoomId>,
}

/// The documents of a batch as they are to be.
#[derive(Default, Debug)]
pub(super) struct Writes {
    pub(super) rooms: Vec<Guarded>,
    /// Reservations that were made in the batch: nearly always they are not there yet.
    pub(super) made: Vec<Guarded>,
    /// Other reservations.
    pub(super) changed: Vec<Guarded>,
    pub(super) history: Vec<RawDocumentBuf>,
    pub(super) usage: Vec<Guarded>,
}

#[async_trait]
impl ProjectionStore for MongoReadModels {
    /// Writes documents, then checkpoints: what a checkpoint claims is there.
    async fn apply(&self, batch: &[DecodedEvent]) -> Result<Applied, StoreError> {
        let mut spans = spans(batch)?;
        let (mut usage, usage_writes) = self.fold_usage(batch, &spans).await?;
        let (made, changed) = fold_reservations(batch);
        let writes = Writes {
            rooms: fold_rooms(batch)?,
            made,
            changed,
            history: history_of(batch),
            usage: usage_writes,
        };
        spans.retain(|room, _| !usage.behind.contains(room));
        let batch = Arc::new(Batch { events: batch.len(), writes, spans });
        let mut applied = if batch.events <= SMALL_BATCH && self.write_jointly(&batch).await? {
            let advanced = batch.spans.iter().map(|(room, span)| (*room, span.last)).collect();
            Applied { advanced, conflicts: Vec::new() }
        } else {
            self.write_apart(&batch.writes).await?;
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
    /// Writes each collection by commands of its own, side by side.
    async fn write_apart(&self, writes: &Writes) -> Result<(), StoreError> {
        let inserts: Vec<_> = writes.made.iter().map(Guarded::document).collect();
        let insert = async {
            let present = self.reservations.insert(&inserts).await?;
            self.reservations.keep_newer(present.iter().filter_map(|at| writes.made.get(*at))).await
        };
        tokio::try_join!(
            insert,
            self.reservations.keep_newer(writes.changed.iter()),
            self.rooms.keep_newer(writes.rooms.iter()),
            // An entry that is already there is this one.
            self.history.insert(&writes.history),
            // One that another owner has counted further stays: it holds what this one would add.
            self.usage.keep_newer(writes.usage.iter()),
        )?;
        Ok(())
    }

    /// Folds usage into what is known of it or stored.
    async fn fold_usage(
        &self,
        batch: &[DecodedEvent],
        spans: &BTreeMap<RoomId, Span>,
    ) -> Result<(Usage, Vec<Guarded>), StoreError> {
        let mut events: HashMap<UsageKey, Vec<&DecodedEvent>> = HashMap::new();
        for decoded in batch {
            for key in usage::touches(decoded) {
                events.entry(key).or_default().push(decoded);
            }
        }
        let mut usage = Usage::default();
        for (room, span) in spans {
            usage.known.insert(*room, self.usage_cache.take(*room, span.base));
        }
        self.load_missing(&events, spans, &mut usage).await?;
        let mut writes = Vec::new();
        for (key, events) in events {
            let Some(documents) = usage.known.get_mut(&key.room) else { continue };
            let place = documents.iter().position(|document| document.key == key);
            let base = place.map(|place| documents.swap_remove(place));
            let version = base.as_ref().map_or(0, |base| base.version);
            let base = base.map(|base| base.unpack()).transpose()?;
            let folded = events.into_iter().fold(base, |doc, event| Some(usage::fold(doc, key, event)));
            let Some(folded) = folded else { continue };
            let packed = PackedUsage::pack(&folded);
            if packed.version > version {
                writes.push(packed.guarded());
            }
            documents.push(packed);
        }
        Ok((usage, writes))
    }

    /// Loads the documents that are to be folded and are not known. A room whose checkpoint is not as far as the batch
    /// takes for granted is given up: its documents lack what lies between.
    async fn load_missing(
        &self,
        events: &HashMap<UsageKey, Vec<&DecodedEvent>>,
        spans: &BTreeMap<RoomId, Span>,
        usage: &mut Usage,
    ) -> Result<(), StoreError> {
        let is_known = |key: &UsageKey| {
            usage.known.get(&key.room).is_some_and(|known| known.iter().any(|document| document.key == *key))
        };
        let missing: Vec<UsageKey> = events.keys().filter(|key| !is_known(key)).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = missing.iter().map(|key| usage_id(*key)).collect();
        let mut found = self.usage.collection.find(doc! { "_id": { "$in": ids } }).await?;
        while found.advance().await? {
            let document = to_usage(found.current())?;
            usage.known.entry(document.key.room).or_default().push(document);
        }
        // Checkpoints are read after the documents: these have at least what those claim.
        let rooms: BTreeSet<RoomId> = missing.iter().map(|key| key.room).collect();
        let claimed = |room: &RoomId| spans.get(room).map_or(0, |span| span.base);
        let rooms: Vec<RoomId> = rooms.into_iter().filter(|room| claimed(room) > 0).collect();
        for (room, checkpoint) in self.checkpoints(&rooms).await? {
            if checkpoint.version < claimed(&room) {
                usage.known.remove(&room);
                usage.behind.insert(room);
            }
        }
        Ok(())
    }
}

fn fold_rooms(batch: &[DecodedEvent]) -> Result<Vec<Guarded>, StoreError> {
    let mut folded: HashMap<RoomId, Option<RoomDoc>> = HashMap::new();
    for decoded in batch {
        if let Some(room) = rooms::touches(decoded) {
            let doc = folded.entry(room).or_default();
            *doc = rooms::fold(doc.take(), decoded);
        }
    }
    folded.values().flatten().map(from_room).collect()
}

/// Reservations that were made in the batch, and others.
fn fold_reservations(batch: &[DecodedEvent]) -> (Vec<Guarded>, Vec<Guarded>) {
    // In the order of ids, which is that of time: their index grows at its end.
    let mut folded: BTreeMap<ReservationId, (bool, Option<ReservationDoc>)> = BTreeMap::new();
    for decoded in batch {
        if let Some(reservation) = reservations::touches(decoded) {
            let (made, doc) = folded.entry(reservation).or_default();
            *made |= matches!(decoded.event, Event::ReservationMade(_));
            *doc = reservations::fold(doc.take(), decoded);
        }
    }
    let (mut made, mut changed) = (Vec::new(), Vec::new());
    for (is_new, doc) in folded.into_values() {
        let list = if is_new { &mut made } else { &mut changed };
        list.extend(doc.as_ref().map(from_reservation));
    }
    (made, changed)
}

fn history_of(batch: &[DecodedEvent]) -> Vec<RawDocumentBuf> {
    let mut entries: Vec<_> = batch.iter().filter_map(history::entry).collect();
    entries.sort_unstable_by_key(|entry| (entry.room, entry.version));
    entries.iter().map(from_history).collect()
}

//! Folding usage, which adds to the stored documents: they come from the cache, or are loaded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mongodb::bson::doc;
use shared_events::{DecodedEvent, RoomId, Version};

use super::{
    MongoReadModels,
    documents::{Guarded, PackedUsage, usage_id},
    stored::to_usage,
};
use crate::{
    projections::usage,
    read_models::UsageKey,
    stores::{Checkpoints, StoreError, batch::Span},
};

/// The usage of a batch.
#[derive(Default)]
pub(super) struct FoldedUsage {
    pub(super) writes: Vec<Guarded>,
    /// Documents that are complete up to the batch's end, by room.
    pub(super) known: HashMap<RoomId, Vec<PackedUsage>>,
    /// Rooms whose checkpoint is before the batch, because an older copy of the database was restored.
    pub(super) behind: BTreeSet<RoomId>,
}

impl MongoReadModels {
    pub(super) async fn fold_usage(
        &self,
        batch: &[DecodedEvent],
        spans: &BTreeMap<RoomId, Span>,
    ) -> Result<FoldedUsage, StoreError> {
        let mut events: HashMap<UsageKey, Vec<&DecodedEvent>> = HashMap::new();
        for decoded in batch {
            for key in usage::touches(decoded) {
                events.entry(key).or_default().push(decoded);
            }
        }
        let mut folded = FoldedUsage::default();
        for (room, span) in spans {
            folded.known.insert(*room, self.usage_cache.take(*room, span.base));
        }
        self.load_missing(&events, spans, &mut folded).await?;
        for (key, events) in events {
            let Some(documents) = folded.known.get_mut(&key.room) else { continue };
            let place = documents.iter().position(|document| document.key == key);
            let base = place.map(|place| documents.swap_remove(place));
            let version = base.as_ref().map(|base| base.version).unwrap_or_default();
            let base = base.map(|base| base.unpack()).transpose()?;
            let doc = events.into_iter().fold(base, |doc, event| Some(usage::fold(doc, key, event)));
            let Some(doc) = doc else { continue };
            let packed = PackedUsage::pack(&doc);
            if packed.version > version {
                folded.writes.push(packed.guarded());
            }
            documents.push(packed);
        }
        Ok(folded)
    }

    /// Loads the documents that the cache does not have. A room whose checkpoint is before the batch is given up: its
    /// documents lack the events in between.
    async fn load_missing(
        &self,
        events: &HashMap<UsageKey, Vec<&DecodedEvent>>,
        spans: &BTreeMap<RoomId, Span>,
        folded: &mut FoldedUsage,
    ) -> Result<(), StoreError> {
        let is_known = |key: &UsageKey| {
            let known = folded.known.get(&key.room);
            known.is_some_and(|known| known.iter().any(|document| document.key == *key))
        };
        let missing: Vec<UsageKey> = events.keys().filter(|key| !is_known(key)).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = missing.iter().map(|key| usage_id(*key)).collect();
        let mut found = self.usage.collection.find(doc! { "_id": { "$in": ids } }).await?;
        while found.advance().await? {
            let document = to_usage(found.current())?;
            folded.known.entry(document.key.room).or_default().push(document);
        }
        // Read after the documents, which have at least what these checkpoints claim.
        let claimed = |room: &RoomId| spans.get(room).map(|span| span.base).unwrap_or_default();
        let rooms: BTreeSet<RoomId> = missing.iter().map(|key| key.room).collect();
        let rooms: Vec<RoomId> = rooms.into_iter().filter(|room| claimed(room) > Version::NONE).collect();
        for (room, checkpoint) in self.checkpoints(&rooms).await? {
            if checkpoint.version < claimed(&room) {
                folded.known.remove(&room);
                folded.behind.insert(room);
            }
        }
        Ok(())
    }
}

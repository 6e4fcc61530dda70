//! Usage: batches are folded in memory, and documents are written behind, each room's usage position after them.
//!
//! What is lost in memory is folded again from the room's history entries, which are written before its checkpoint.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Instant,
};

use futures_util::{StreamExt, TryStreamExt, stream, try_join};
use mongodb::bson::{RawDocumentBuf, doc};
use shared_events::{RoomId, Version};

use super::{
    MongoReadModels,
    checkpoints::plain_advances,
    conditions::ids,
    documents::{Guarded, PackedUsage, history_id, usage_id},
    joint_writes::SMALL_BATCH,
    ordered_writes::{OrderedWrites, Written},
    queries::all,
    stored::{to_history, to_rules, to_usage},
    usage_behind::{RoomUsage, Unwritten},
};
use crate::{
    projections::usage,
    read_models::{Checkpoint, HistoryDoc, Rules, UsageDoc, UsageKey},
    stores::{Applied, Checkpoints, Owns, StoreError, batch::Span},
};

/// Entries of a room that are read at a time.
const ENTRIES_AT_ONCE: i64 = 5000;
/// Rooms that are folded again at a time.
const ROOMS_AT_ONCE: usize = 8;
/// Rooms whose positions are read at a time. What is folded of them stays, if a later read fails.
const LAGGING_AT_ONCE: usize = 100;

/// The documents of a room that a batch touches, wanted as the events up to a version leave them.
#[derive(Clone)]
struct Before {
    room: RoomId,
    version: Version,
    keys: Vec<UsageKey>,
}

/// The usage of a batch.
#[derive(Default)]
pub(super) struct FoldedUsage {
    /// Documents after the batch, by room.
    pub(super) documents: HashMap<RoomId, Vec<PackedUsage>>,
    /// Rooms whose checkpoint is before the batch, because an older copy of the database was restored.
    pub(super) behind: BTreeSet<RoomId>,
}

impl MongoReadModels {
    /// Folds the usage of a batch. Nothing is kept yet.
    pub(super) async fn fold_usage(
        &self,
        entries: &[HistoryDoc],
        spans: &BTreeMap<RoomId, Span>,
    ) -> Result<FoldedUsage, StoreError> {
        let touched = by_key(entries);
        let mut keys: HashMap<RoomId, Vec<UsageKey>> = HashMap::new();
        for key in touched.keys() {
            keys.entry(key.room).or_default().push(*key);
        }
        let before = spans.iter().map(|(room, span)| Before {
            room: *room,
            version: span.base,
            keys: keys.remove(room).unwrap_or_default(),
        });
        let (known, behind) = self.before(before.collect()).await?;
        let mut folded = FoldedUsage { behind, ..FoldedUsage::default() };
        for (key, entries) in touched {
            if let Some(documents) = known.get(&key.room) {
                folded.documents.entry(key.room).or_default().push(fold(documents, key, entries)?);
            }
        }
        Ok(folded)
    }

    /// The wanted documents by room, and the rooms whose checkpoint is before the wanted version.
    async fn before(
        &self,
        wanted: Vec<Before>,
    ) -> Result<(HashMap<RoomId, Vec<PackedUsage>>, BTreeSet<RoomId>), StoreError> {
        let (mut known, mut missing, mut unknown) = (HashMap::new(), Vec::new(), Vec::new());
        // Usage positions that the stored documents reach.
        let mut positions: HashMap<RoomId, Version> = HashMap::new();
        for mut before in wanted {
            let Before { room, version, ref keys } = before;
            if let Some((position, documents)) = self.usage_behind.find(room, version, keys) {
                before.keys.retain(|key| !documents.iter().any(|document| document.key == *key));
                known.insert(room, documents);
                if version > Version::NONE && !before.keys.is_empty() {
                    positions.insert(room, position);
                    missing.push(before);
                }
            } else if version == Version::NONE {
                // All its events are folded from the first one on, whatever is stored.
                self.usage_behind.begin(room, RoomUsage::default());
                known.insert(room, Vec::new());
            } else {
                unknown.push(before);
            }
        }
        if missing.is_empty() && unknown.is_empty() {
            return Ok((known, BTreeSet::new()));
        }
        // Read before the documents, which reach at least these positions.
        let rooms: Vec<RoomId> = unknown.iter().map(|before| before.room).collect();
        let stored = self.usage_positions.checkpoints(&rooms).await?;
        positions.extend(stored.into_iter().map(|(room, position)| (room, position.version)));
        let keys: Vec<UsageKey> = missing.iter().chain(&unknown).flat_map(|it| &it.keys).copied().collect();
        let (documents, mut outdated) = self.stored_usage(&keys).await?;
        for document in documents {
            known.entry(document.key.room).or_default().push(document);
        }
        let position = |room: &RoomId| positions.get(room).copied().unwrap_or_default();
        let again: Vec<_> = unknown
            .iter()
            .map(|it| (it.room, it.version, known.remove(&it.room).unwrap_or_default()))
            .map(|(room, version, documents)| self.fold_again(room, position(&room), version, documents))
            .collect();
        let again: Vec<_> = stream::iter(again).buffer_unordered(ROOMS_AT_ONCE).try_collect().await?;
        outdated.extend(again.iter().filter(|(_, usage)| usage.is_none()).map(|(room, _)| *room));

        // Read after the documents: an older copy that was restored meanwhile has earlier versions.
        let rooms: Vec<RoomId> = missing.iter().chain(&unknown).map(|before| before.room).collect();
        let (reached, checkpoints) =
            try_join!(self.usage_positions.checkpoints(&rooms), self.checkpoints.checkpoints(&rooms))?;
        let at = |versions: &HashMap<RoomId, Checkpoint>, room| {
            versions.get(room).map(|it: &Checkpoint| it.version).unwrap_or_default()
        };
        // It is folded again from the first event on, with the next batch or when usage is caught up.
        self.forget_usage(&outdated).await?;
        let mut behind = BTreeSet::new();
        for Before { room, version, .. } in missing.iter().chain(&unknown) {
            let is_older = at(&checkpoints, room) < *version || at(&reached, room) < position(room);
            if is_older || outdated.contains(room) {
                self.usage_behind.forget(*room);
                known.remove(room);
                behind.insert(*room);
            }
        }
        for (room, usage) in again.into_iter().filter(|(room, _)| !behind.contains(room)) {
            let Some(usage) = usage else { continue };
            known.insert(room, usage.documents.clone());
            self.usage_behind.begin(room, usage);
        }
        Ok((known, behind))
    }

    /// The usage of a room up to a version: some of its stored documents, which reach the usage position, and the later
    /// entries. `None` if another one of these documents was counted by other rules of its zone.
    async fn fold_again(
        &self,
        room: RoomId,
        position: Version,
        version: Version,
        documents: Vec<PackedUsage>,
    ) -> Result<(RoomId, Option<RoomUsage>), StoreError> {
        let mut known =
            RoomUsage { folded_to: position, written_to: position, documents, recent: true, due: None };
        while known.folded_to < version {
            let ids = doc! { "$gt": history_id(room, known.folded_to), "$lte": history_id(room, version) };
            let found = self.history.collection.find(doc! { "_id": ids }).sort(doc! { "_id": 1 });
            let entries = all(found.limit(ENTRIES_AT_ONCE).await?, to_history).await?;
            let Some(last) = entries.last() else { break };
            known.folded_to = last.version;
            let touched = by_key(&entries);
            let lacks = |key: &UsageKey| !known.documents.iter().any(|document| document.key == *key);
            let missing: Vec<UsageKey> = touched.keys().copied().filter(lacks).collect();
            let (stored, outdated) = self.stored_usage(&missing).await?;
            if !outdated.is_empty() {
                return Ok((room, None));
            }
            known.put(stored);
            let folded = touched.into_iter().map(|(key, entries)| fold(&known.documents, key, entries));
            let folded: Vec<_> = folded.collect::<Result<_, _>>()?;
            known.put(folded);
        }
        // Entries may lack at the end: an operator left their events out.
        known.folded_to = version;
        Ok((room, Some(known)))
    }

    /// The stored documents with these keys, and the rooms of those that were counted by other rules of their zone. These are left
    /// out: a fold never mixes two.
    async fn stored_usage(
        &self,
        keys: &[UsageKey],
    ) -> Result<(Vec<PackedUsage>, BTreeSet<RoomId>), StoreError> {
        if keys.is_empty() {
            return Ok((Vec::new(), BTreeSet::new()));
        }
        let ids: Vec<String> = keys.iter().map(|key| usage_id(*key)).collect();
        let found = all(self.usage.collection.find(doc! { "_id": { "$in": ids } }).await?, to_usage).await?;
        let (current, others): (Vec<_>, Vec<_>) = found.into_iter().partition(PackedUsage::is_current);
        Ok((current, others.into_iter().map(|document| document.key.room).collect()))
    }

    /// Forgets the usage of an owner's rooms with a document that was counted by other rules of its zone.
    pub(super) async fn forget_usage_of_other_rules(&self, owns: &Owns<'_>) -> Result<usize, StoreError> {
        let by_rules =
            doc! { "_id": { "zone": "$form.zone", "month": "$form.month", "rules": "$form.rules" } };
        let groups = self.usage.collection.aggregate([doc! { "$group": by_rules }]);
        let groups = all(groups.with_type::<RawDocumentBuf>().await?, to_rules).await?;
        let mut rooms = BTreeSet::new();
        for (zone, month, rules) in groups {
            if rules != Rules::of(zone, month.about()) {
                let of_group = doc! {
                    "form.zone": zone.0.name(),
                    "form.month": month.code(),
                    "form.rules": stored_rules(&rules),
                };
                let found = all(self.usage.collection.find(of_group).await?, to_usage).await?;
                rooms.extend(found.iter().map(|document| document.key.room).filter(|room| owns(*room)));
            }
        }
        let all: Vec<RoomId> = rooms.iter().copied().collect();
        for part in all.chunks(LAGGING_AT_ONCE) {
            self.forget_usage(&part.iter().copied().collect()).await?;
        }
        Ok(rooms.len())
    }

    /// Forgets the usage positions of rooms, then their documents that were counted by other rules of their zone. The other
    /// documents are folds of all events up to their versions, and stay.
    async fn forget_usage(&self, rooms: &BTreeSet<RoomId>) -> Result<(), StoreError> {
        if rooms.is_empty() {
            return Ok(());
        }
        let _nobody_writes_usage = self.usage_behind.writing.lock().await;
        let rooms: Vec<RoomId> = rooms.iter().copied().collect();
        rooms.iter().for_each(|room| self.usage_behind.forget(*room));
        self.usage_positions.forget(&rooms).await?;
        let of_rooms = doc! { "form.room": { "$in": ids(&rooms) } };
        let found = all(self.usage.collection.find(of_rooms).await?, to_usage).await?;
        let mut by_rules: HashMap<Option<&str>, Vec<String>> = HashMap::new();
        for document in found.iter().filter(|document| !document.is_current()) {
            by_rules.entry(stored_rules(&document.rules)).or_default().push(usage_id(document.key));
        }
        for (rules, ids) in by_rules {
            // Another owner may have written some again.
            let same = doc! { "_id": { "$in": ids }, "form.rules": rules };
            self.usage.collection.delete_many(same).await?;
        }
        Ok(())
    }

    /// Writes what is folded, or what of it is due, then the usage positions. A room whose position another owner has moved is forgotten.
    pub(super) async fn write_unwritten_usage(&self, due: Option<Instant>) -> Result<(), StoreError> {
        let _only = self.usage_behind.writing.lock().await;
        let unwritten = self.usage_behind.unwritten(due);
        if unwritten.is_empty() {
            return Ok(());
        }
        let documents: Vec<Guarded> =
            unwritten.iter().flat_map(|room| &room.documents).map(PackedUsage::guarded).collect();
        let spans = unwritten.iter().map(|Unwritten { room, span, .. }| (*room, *span)).collect();
        let applied = if self.write_usage_at_once(&documents, &spans).await? {
            Applied::all(&spans)
        } else {
            self.usage.keep_newer(documents.iter()).await?;
            self.usage_positions.advance(&spans).await?
        };
        for (room, _) in applied.advanced {
            if let Some(span) = spans.get(&room) {
                self.usage_behind.written(room, *span);
            }
        }
        for room in applied.conflicts {
            tracing::info!(%room, "another owner has written the usage position: usage is folded again");
            self.usage_behind.forget(room);
        }
        self.usage_behind.make_room();
        Ok(())
    }

    /// Writes few documents, then the usage positions, by one command. `false` if not all is written.
    async fn write_usage_at_once(
        &self,
        documents: &[Guarded],
        spans: &BTreeMap<RoomId, Span>,
    ) -> Result<bool, StoreError> {
        if documents.len().max(spans.len()) > SMALL_BATCH {
            return Ok(false);
        }
        let mut command = OrderedWrites::default();
        command.keep_newer(&self.usage, documents.iter());
        for statement in plain_advances(spans)? {
            command.update(&self.usage_positions.0, &statement)?;
        }
        Ok(matches!(command.run(&self.connection.client).await?, Written::All))
    }

    /// Folds the usage of those rooms of an owner whose usage position is behind their checkpoint.
    pub(super) async fn catch_up_with_checkpoints(&self, owns: &Owns<'_>) -> Result<usize, StoreError> {
        // Before the positions are read: those can only be later, unless an older copy of the database was restored.
        let written = self.usage_behind.positions();
        let (positions, checkpoints) = try_join!(self.usage_positions.all(), self.checkpoints.all())?;
        let mut lagging = Vec::new();
        for (room, checkpoint) in checkpoints {
            let position = positions.get(&room).map(|position| position.version).unwrap_or_default();
            if written.get(&room).is_some_and(|written| position < *written) {
                self.usage_behind.forget(room);
            }
            if position < checkpoint.version
                && owns(room)
                && !self.usage_behind.covers(room, checkpoint.version)
            {
                lagging.push(Before { room, version: checkpoint.version, keys: Vec::new() });
            }
        }
        let rooms = lagging.len();
        for part in lagging.chunks(LAGGING_AT_ONCE) {
            self.before(part.to_vec()).await?;
            if self.usage_behind.is_full() {
                self.write_unwritten_usage(None).await?;
            }
        }
        Ok(rooms)
    }
}

/// Rules as a condition: documents that were stored before they had rules have no such field.
fn stored_rules(rules: &Rules) -> Option<&str> {
    Some(rules.as_str()).filter(|text| !text.is_empty())
}

/// The documents that entries touch, each with its entries.
fn by_key(entries: &[HistoryDoc]) -> HashMap<UsageKey, Vec<&HistoryDoc>> {
    let mut touched: HashMap<UsageKey, Vec<&HistoryDoc>> = HashMap::new();
    for entry in entries {
        for key in usage::touches(entry) {
            touched.entry(key).or_default().push(entry);
        }
    }
    touched
}

/// The document of `key` after these entries.
fn fold(known: &[PackedUsage], key: UsageKey, entries: Vec<&HistoryDoc>) -> Result<PackedUsage, StoreError> {
    let stored = known.iter().find(|document| document.key == key).map(PackedUsage::unpack).transpose()?;
    let stored = stored.unwrap_or_else(|| UsageDoc::empty(key));
    Ok(PackedUsage::pack(&entries.into_iter().fold(stored, |doc, entry| usage::fold(Some(doc), key, entry))))
}

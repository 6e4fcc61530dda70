//! Checkpoints: those of many rooms in one document, so that a batch over many rooms writes few documents.
//!
//! A room's document follows from a fixed hash of its id. It is changed field by field, and each field only if it
//! still is what the batch continued: two owners never overwrite one another. A room takes some 42 bytes, so the
//! documents stay far below MongoDB's limit of 16 MB up to millions of rooms.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::{
    bson::{Bson, Document, doc},
    options::{ReturnDocument, UpdateModifications, UpdateOneModel},
};
use shared_events::RoomId;

use super::{
    MongoReadModels,
    batch_writes::duplicates,
    documents::{Stored, from_parked, number, uuid},
};
use crate::{
    read_models::{Checkpoint, Parked, ParkedMessage},
    stores::{Applied, StoreError, batch::Span},
};

/// Fixed for ever: rooms would lose their checkpoints.
const GROUPS: u32 = 16;
/// For so many rooms whole documents are read rather than single fields.
const MANY_ROOMS: usize = 200;
const IN_FLIGHT: usize = 8;

fn group(room: RoomId) -> u32 {
    room.fingerprint() % GROUPS
}

/// A room's name in the document. Hex digits only: a name with dots or dollars would mean something else.
fn field(room: RoomId) -> String {
    room.0.simple().to_string()
}

impl MongoReadModels {
    pub(super) async fn create_checkpoints(&self) -> Result<(), StoreError> {
        let groups = (0..GROUPS).map(|group| doc! { "_id": i64::from(group), "v": {}, "p": {} });
        match self.checkpoints.insert_many(groups).ordered(false).await {
            Ok(_) => Ok(()),
            Err(error) => duplicates(error).map(|_| ()),
        }
    }

    pub(super) async fn read_checkpoints(
        &self,
        rooms: &[RoomId],
    ) -> Result<HashMap<RoomId, Checkpoint>, StoreError> {
        let mut groups: Vec<i64> = rooms.iter().map(|room| i64::from(group(*room))).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut wanted = Document::new();
        if rooms.len() < MANY_ROOMS {
            for room in rooms {
                wanted.insert(format!("v.{}", field(*room)), 1);
                wanted.insert(format!("p.{}", field(*room)), 1);
            }
        }
        let mut found = HashMap::new();
        if !rooms.is_empty() {
            let mut documents =
                self.checkpoints.find(doc! { "_id": { "$in": groups } }).projection(wanted).await?;
            while let Some(document) = documents.try_next().await? {
                let id = Stored { collection: "checkpoints", doc: &document }.integer::<u32>("_id")?;
                found.insert(id, document);
            }
        }
        rooms
            .iter()
            .map(|room| {
                let checkpoint = match found.get(&group(*room)) {
                    Some(document) => of_room(document, *room)?,
                    None => Checkpoint::default(),
                };
                Ok((*room, checkpoint))
            })
            .collect()
    }

    /// Advances each room from its span's base to its end, if it is still there.
    pub(super) async fn advance(&self, spans: &BTreeMap<RoomId, Span>) -> Result<Applied, StoreError> {
        let mut groups: BTreeMap<u32, Vec<(RoomId, Span)>> = BTreeMap::new();
        for (room, span) in spans {
            groups.entry(group(*room)).or_default().push((*room, *span));
        }
        if groups.is_empty() {
            return Ok(Applied::default());
        }
        // Nearly always all rooms are where the batch begins and none of them waits: then one command does.
        let plain = groups.iter().map(|(group, rooms)| self.advance_plainly(*group, rooms));
        let done = self
            .client
            .bulk_write(plain.collect::<Vec<_>>())
            .ordered(false)
            .write_concern(self.write_concern.clone())
            .await?;
        if usize::try_from(done.matched_count).is_ok_and(|matched| matched == groups.len()) {
            let advanced = spans.iter().map(|(room, span)| (*room, span.last)).collect();
            return Ok(Applied { advanced, conflicts: Vec::new() });
        }
        let writes = groups.into_iter().map(|(group, rooms)| self.advance_each(group, rooms));
        let mut groups = stream::iter(writes).buffer_unordered(IN_FLIGHT);
        let mut applied = Applied::default();
        while let Some(part) = groups.try_next().await? {
            applied.advanced.extend(part.advanced);
            applied.conflicts.extend(part.conflicts);
        }
        Ok(applied)
    }

    /// Advances the rooms of a group if all of them are where the batch begins and none waits; else nothing.
    fn advance_plainly(&self, group: u32, rooms: &[(RoomId, Span)]) -> UpdateOneModel {
        let mut unchanged = doc! { "_id": i64::from(group) };
        let mut changes = Document::new();
        for (room, span) in rooms {
            let (version, parked) = (format!("v.{}", field(*room)), format!("p.{}", field(*room)));
            let base = if span.base == 0 { Bson::Null } else { number(span.base) };
            unchanged.insert(version.as_str(), base);
            unchanged.insert(parked, Bson::Null);
            changes.insert(version, number(span.last));
        }
        UpdateOneModel::builder()
            .namespace(self.checkpoints.namespace())
            .filter(unchanged)
            .update(UpdateModifications::Document(doc! { "$set": changes }))
            .build()
    }

    /// Advances those rooms that are where the batch begins, and takes away the flags of those that pass them.
    async fn advance_each(&self, group: u32, rooms: Vec<(RoomId, Span)>) -> Result<Applied, StoreError> {
        let mut changes = Document::new();
        let mut wanted = Document::new();
        for (room, span) in &rooms {
            let room = field(*room);
            let (version, parked) = (format!("v.{room}"), format!("p.{room}"));
            let unchanged = doc! { "$eq": [{ "$ifNull": [format!("${version}"), 0] }, number(span.base)] };
            let passed = doc! { "$lte": [format!("${parked}.version"), number(span.last)] };
            wanted.insert(version.as_str(), 1);
            changes.insert(
                parked.as_str(),
                doc! { "$cond": [{ "$and": [unchanged.clone(), passed] }, "$$REMOVE", format!("${parked}")] },
            );
            let keep = format!("${version}");
            changes.insert(version, doc! { "$cond": [unchanged, number(span.last), keep] });
        }
        let now = self
            .checkpoints
            .find_one_and_update(doc! { "_id": i64::from(group) }, vec![doc! { "$set": changes }])
            .projection(wanted)
            .return_document(ReturnDocument::After)
            .await?
            .ok_or_else(missing)?;
        let mut applied = Applied::default();
        for (room, span) in rooms {
            if of_room(&now, room)?.version >= span.last {
                applied.advanced.push((room, span.last));
            } else {
                applied.conflicts.push(room);
            }
        }
        Ok(applied)
    }

    pub(super) async fn park_room(&self, message: &ParkedMessage) -> Result<bool, StoreError> {
        let before = message.version.saturating_sub(1);
        if self
            .read_checkpoints(&[message.room])
            .await?
            .get(&message.room)
            .map(|checkpoint| checkpoint.version)
            != Some(before)
        {
            return Ok(false);
        }
        let id = doc! { "_id": uuid(message.room.0) };
        self.parked.replace_one(id, from_parked(message)).upsert(true).await?;
        let room = field(message.room);
        let (version, parked) = (format!("$v.{room}"), format!("p.{room}"));
        let flag = doc! { "version": number(message.version), "reason": message.reason.as_str() };
        let still_there = doc! { "$eq": [{ "$ifNull": [version, 0] }, number(before)] };
        let change = doc! { "$cond": [still_there, { "$literal": flag }, format!("${parked}")] };
        let now = self
            .checkpoints
            .find_one_and_update(
                doc! { "_id": i64::from(group(message.room)) },
                vec![doc! { "$set": { parked.as_str(): change } }],
            )
            .projection(doc! { parked: 1 })
            .return_document(ReturnDocument::After)
            .await?
            .ok_or_else(missing)?;
        let parked = of_room(&now, message.room)?.parked;
        Ok(parked.is_some_and(|parked| parked.version == message.version))
    }
}

fn missing() -> StoreError {
    StoreError::Unreadable { collection: "checkpoints", reason: "a document is missing".to_owned() }
}

/// A room's checkpoint in its group's document.
fn of_room(document: &Document, room: RoomId) -> Result<Checkpoint, StoreError> {
    let room = field(room);
    let part = |name: &str| match document.get(name) {
        Some(Bson::Document(part)) if part.contains_key(&room) => {
            Some(Stored { collection: "checkpoints", doc: part })
        }
        _ => None,
    };
    let version = part("v").map_or(Ok(0), |versions| versions.integer(&room))?;
    let parked = match part("p").and_then(|parked| parked.doc.get_document(&room).ok().cloned()) {
        Some(doc) => {
            let stored = Stored { collection: "checkpoints", doc: &doc };
            Some(Parked { version: stored.integer("version")?, reason: stored.text("reason")? })
        }
        None => None,
    };
    Ok(Checkpoint { version, parked })
}

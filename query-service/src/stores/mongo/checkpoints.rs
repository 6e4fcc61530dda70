//! Checkpoints: those of many rooms in one document, so that a batch over many rooms writes few documents.
//!
//! A room's document follows from a fixed hash of its id. It is changed field by field, and each field only if it
//! still is what the batch continued: two owners never overwrite one another. A room takes some 42 bytes, so the
//! documents stay far below MongoDB's limit of 16 MB up to millions of rooms.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::{
    bson::{
        Document, RawBsonRef, RawDocument, RawDocumentBuf, doc,
        raw::{CString, cstr},
        rawdoc,
    },
    options::ReturnDocument,
};
use shared_events::RoomId;

use super::{
    MongoReadModels,
    documents::{from_parked, number, uuid},
    stored::Stored,
};
use crate::{
    read_models::{Checkpoint, Parked, ParkedMessage},
    stores::{Applied, StoreError, batch::Span},
};

/// Part of the form of the read models: with another number rooms would not find their checkpoints. Few, for an update costs
/// the server more than what it changes; and not too few, for each condition searches its document.
const GROUPS: u32 = 8;
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

/// The path to a room's field.
fn path(part: char, room: RoomId) -> Result<CString, StoreError> {
    CString::try_from(format!("{part}.{}", field(room))).map_err(|error| StoreError::Backend(Box::new(error)))
}

impl MongoReadModels {
    pub(super) async fn create_checkpoints(&self) -> Result<(), StoreError> {
        let groups: Vec<_> =
            (0..GROUPS).map(|group| rawdoc! { "_id": i64::from(group), "v": {}, "p": {} }).collect();
        self.checkpoints.insert(&groups).await.map(|_| ())
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
            let mut documents = self
                .checkpoints
                .collection
                .find(doc! { "_id": { "$in": groups } })
                .projection(wanted)
                .await?;
            while let Some(document) = documents.try_next().await? {
                let id = Stored::read("checkpoints", &document)?.integer::<u32>("_id")?;
                found.insert(id, document);
            }
        }
        let groups = found.iter().map(|(group, document)| Ok((*group, Group::read(document)?)));
        let groups = groups.collect::<Result<HashMap<_, _>, StoreError>>()?;
        let of_room = |room: &RoomId| match groups.get(&group(*room)) {
            Some(group) => Ok((*room, group.room(*room)?)),
            None => Ok((*room, Checkpoint::default())),
        };
        rooms.iter().map(of_room).collect()
    }

    /// How far all rooms have come.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn all_checkpoints(&self) -> Result<BTreeMap<RoomId, Checkpoint>, StoreError> {
        let mut documents = self.checkpoints.collection.find(doc! {}).await?;
        let mut checkpoints = BTreeMap::new();
        while let Some(document) = documents.try_next().await? {
            let group = Group::read(&document)?;
            let names: HashSet<&str> = group.versions.keys().chain(group.parked.keys()).copied().collect();
            for name in names {
                let room = name.parse().map_err(|_| StoreError::Unreadable {
                    collection: "checkpoints",
                    reason: format!("{name:.80} is not a room"),
                })?;
                checkpoints.insert(room, group.room(room)?);
            }
        }
        Ok(checkpoints)
    }

    /// Lets a room be one of which nothing is known.
    pub(super) async fn reset_checkpoint(&self, room: RoomId) -> Result<(), StoreError> {
        let room_field = field(room);
        let nothing = doc! { format!("v.{room_field}"): "", format!("p.{room_field}"): "" };
        let id = doc! { "_id": i64::from(group(room)) };
        self.checkpoints.collection.update_one(id, doc! { "$unset": nothing }).await?;
        Ok(())
    }

    /// Advances each room from its span's base to its end, if it is still there.
    pub(super) async fn advance(&self, spans: &BTreeMap<RoomId, Span>) -> Result<Applied, StoreError> {
        if spans.is_empty() {
            return Ok(Applied::default());
        }
        // Nearly always all rooms are where the batch begins and none of them waits: then one command does.
        let plain = plain_advances(spans)?;
        if self.checkpoints.update(&plain).await? == plain.len() {
            let advanced = spans.iter().map(|(room, span)| (*room, span.last)).collect();
            return Ok(Applied { advanced, conflicts: Vec::new() });
        }
        let writes = by_group(spans).into_iter().map(|(group, rooms)| self.advance_each(group, rooms));
        let mut groups = stream::iter(writes).buffer_unordered(IN_FLIGHT);
        let mut applied = Applied::default();
        while let Some(part) = groups.try_next().await? {
            applied.advanced.extend(part.advanced);
            applied.conflicts.extend(part.conflicts);
        }
        Ok(applied)
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
            .collection
            .find_one_and_update(doc! { "_id": i64::from(group) }, vec![doc! { "$set": changes }])
            .projection(wanted)
            .return_document(ReturnDocument::After)
            .await?
            .ok_or_else(missing)?;
        let (now, mut applied) = (Group::read(&now)?, Applied::default());
        for (room, span) in rooms {
            if now.room(room)?.version >= span.last {
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
        self.parked.collection.replace_one(id, from_parked(message)).upsert(true).await?;
        let room = field(message.room);
        let (version, parked) = (format!("$v.{room}"), format!("p.{room}"));
        let flag = doc! { "version": number(message.version), "reason": message.reason.as_str() };
        let still_there = doc! { "$eq": [{ "$ifNull": [version, 0] }, number(before)] };
        let change = doc! { "$cond": [still_there, { "$literal": flag }, format!("${parked}")] };
        let now = self
            .checkpoints
            .collection
            .find_one_and_update(
                doc! { "_id": i64::from(group(message.room)) },
                vec![doc! { "$set": { parked.as_str(): change } }],
            )
            .projection(doc! { parked: 1 })
            .return_document(ReturnDocument::After)
            .await?
            .ok_or_else(missing)?;
        let parked = Group::read(&now)?.room(message.room)?.parked;
        Ok(parked.is_some_and(|parked| parked.version == message.version))
    }
}

fn by_group(spans: &BTreeMap<RoomId, Span>) -> BTreeMap<u32, Vec<(RoomId, Span)>> {
    let mut groups: BTreeMap<u32, Vec<(RoomId, Span)>> = BTreeMap::new();
    for (room, span) in spans {
        groups.entry(group(*room)).or_default().push((*room, *span));
    }
    groups
}

/// The statements that advance all rooms, one for each group.
pub(super) fn plain_advances(spans: &BTreeMap<RoomId, Span>) -> Result<Vec<RawDocumentBuf>, StoreError> {
    by_group(spans).iter().map(|(group, rooms)| advance_plainly(*group, rooms)).collect()
}

/// Advances the rooms of a group if all of them are where the batch begins and none waits; else nothing.
fn advance_plainly(group: u32, rooms: &[(RoomId, Span)]) -> Result<RawDocumentBuf, StoreError> {
    let (mut unchanged, mut changes) = (RawDocumentBuf::new(), RawDocumentBuf::new());
    unchanged.append(cstr!("_id"), i64::from(group));
    for (room, span) in rooms {
        let (version, parked) = (path('v', *room)?, path('p', *room)?);
        if span.base == 0 {
            unchanged.append(&version, RawBsonRef::Null);
        } else {
            unchanged.append(&version, number(span.base));
        }
        unchanged.append(parked, RawBsonRef::Null);
        changes.append(version, number(span.last));
    }
    let (mut update, mut statement) = (RawDocumentBuf::new(), RawDocumentBuf::new());
    update.append(cstr!("$set"), changes);
    statement.append(cstr!("q"), unchanged);
    statement.append(cstr!("u"), update);
    Ok(statement)
}

fn missing() -> StoreError {
    StoreError::Unreadable { collection: "checkpoints", reason: "a document is missing".to_owned() }
}

/// A document of checkpoints: versions and flags by room.
struct Group<'a> {
    versions: HashMap<&'a str, RawBsonRef<'a>>,
    parked: HashMap<&'a str, RawBsonRef<'a>>,
}

impl<'a> Group<'a> {
    fn read(document: &'a RawDocument) -> Result<Self, StoreError> {
        let stored = Stored::read("checkpoints", document)?;
        let part = |name: &str| {
            if stored.has(name) { stored.part(name).map(Stored::into_fields) } else { Ok(HashMap::new()) }
        };
        Ok(Self { versions: part("v")?, parked: part("p")? })
    }

    fn room(&self, room: RoomId) -> Result<Checkpoint, StoreError> {
        let field = field(room);
        let unreadable = || StoreError::Unreadable {
            collection: "checkpoints",
            reason: format!("{room}: neither a version nor a flag"),
        };
        let version = self.versions.get(field.as_str()).map_or(Some(0), |version| version.as_i64());
        let version = version.and_then(|version| u64::try_from(version).ok()).ok_or_else(unreadable)?;
        let parked = match self.parked.get(field.as_str()) {
            Some(parked) => {
                let stored = Stored::read("checkpoints", parked.as_document().ok_or_else(unreadable)?)?;
                Some(Parked { version: stored.integer("version")?, reason: stored.text("reason")? })
            }
            None => None,
        };
        Ok(Checkpoint { version, parked })
    }
}

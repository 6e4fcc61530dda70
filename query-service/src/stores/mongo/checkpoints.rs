//! Checkpoints and usage positions: many rooms share a document, so a batch over many rooms writes few documents.
//!
//! The room's id chooses its document, as it chooses its partition: rooms of one partition lie together. A write changes
//! single fields, and each only if it has the version that the batch continues, so owners never overwrite one another. A
//! room takes about 42 bytes: the documents stay below MongoDB's limit of 16 MB up to about 1.5 million rooms.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::{
    bson::{
        Document, RawBsonRef, RawDocument, RawDocumentBuf, doc,
        raw::{CString, cstr},
        rawdoc,
    },
    options::ReturnDocument,
};
use shared_events::{RoomId, Version, partition_of};

use super::{MongoReadModels, commands::Target, documents::number, stored::Stored};
use crate::{
    read_models::{Checkpoint, Parked},
    stores::{Applied, Checkpoints, StoreError, batch::Span},
};

/// Part of the form of the read models: with another number, rooms would not find their checkpoints. If the topic has a
/// multiple of this number of partitions, a batch of one partition updates one document, which is what costs most.
const GROUPS: i32 = 4;
/// From this many rooms on, whole documents are read in place of single fields.
const MANY_ROOMS: usize = 200;
const IN_FLIGHT: usize = 8;

/// The id of a room's document.
pub(super) fn group(room: RoomId) -> i64 {
    partition_of(room, GROUPS).into()
}

/// A room's hex digits: a field name without dots and dollars.
fn digits(room: RoomId) -> String {
    room.0.simple().to_string()
}

/// The nested names of a room's version: its last two digits, which are random in most ids, then those before. Two levels
/// save time, because the server searches a level name by name, once for each condition.
fn names(digits: &str) -> (&str, &str) {
    let (first, last) = digits.split_at(digits.len() - 2);
    (last, first)
}

/// The paths to a room's version and to its parked flag. Few rooms have a flag, so flags have one level.
pub(super) fn paths(room: RoomId) -> (String, String) {
    let digits = digits(room);
    let (last, first) = names(&digits);
    (format!("v.{last}.{first}"), format!("p.{digits}"))
}

#[async_trait]
impl Checkpoints for MongoReadModels {
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError> {
        self.checkpoints.checkpoints(rooms).await
    }
}

/// A collection with a version of each room: checkpoints, or usage positions, of which no room is parked.
#[derive(Clone, Debug)]
pub(super) struct RoomVersions(pub(super) Target);

#[async_trait]
impl Checkpoints for RoomVersions {
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError> {
        let mut groups: Vec<i64> = rooms.iter().map(|room| group(*room)).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut wanted = Document::new();
        if rooms.len() < MANY_ROOMS {
            for room in rooms {
                let (version, parked) = paths(*room);
                wanted.extend([(version, 1.into()), (parked, 1.into())]);
            }
        }
        let mut found = HashMap::new();
        if !rooms.is_empty() {
            let of_rooms = doc! { "_id": { "$in": groups } };
            let mut documents = self.0.collection.find(of_rooms).projection(wanted).await?;
            while let Some(document) = documents.try_next().await? {
                let id = Stored::read("checkpoints", &document)?.integer::<i64>("_id")?;
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
}

impl MongoReadModels {
    /// The checkpoints of all rooms.
    pub async fn all_checkpoints(&self) -> Result<BTreeMap<RoomId, Checkpoint>, StoreError> {
        self.checkpoints.all().await
    }
}

impl RoomVersions {
    /// Makes the documents that are missing.
    pub(super) async fn create(&self) -> Result<(), StoreError> {
        let groups: Vec<_> =
            (0..GROUPS).map(|group| rawdoc! { "_id": i64::from(group), "v": {}, "p": {} }).collect();
        self.0.insert(&groups).await.map(|_| ())
    }

    /// The versions of all rooms.
    pub(super) async fn all(&self) -> Result<BTreeMap<RoomId, Checkpoint>, StoreError> {
        let mut documents = self.0.collection.find(doc! {}).await?;
        let mut checkpoints = BTreeMap::new();
        while let Some(document) = documents.try_next().await? {
            let group = Group::read(&document)?;
            let versions = group.versions.keys().map(|(last, first)| format!("{first}{last}"));
            let rooms: HashSet<String> =
                versions.chain(group.parked.keys().map(|digits| (*digits).to_owned())).collect();
            for digits in rooms {
                let room = digits.parse().map_err(|_| StoreError::Unreadable {
                    collection: "checkpoints",
                    reason: format!("{digits:.80} is not a room"),
                })?;
                checkpoints.insert(room, group.room(room)?);
            }
        }
        Ok(checkpoints)
    }

    /// Advances each room to the end of its span, if it is at the span's base.
    pub(super) async fn advance(&self, spans: &BTreeMap<RoomId, Span>) -> Result<Applied, StoreError> {
        if spans.is_empty() {
            return Ok(Applied::default());
        }
        // Nearly always all rooms are at their bases and none is parked: one command does it.
        let plain = plain_advances(spans)?;
        if self.0.update(&plain).await? == plain.len() {
            return Ok(Applied::all(spans));
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

    /// Forgets rooms.
    pub(super) async fn forget(&self, rooms: &[RoomId]) -> Result<(), StoreError> {
        let mut groups: BTreeMap<i64, Document> = BTreeMap::new();
        for room in rooms {
            let (version, parked) = paths(*room);
            groups.entry(group(*room)).or_default().extend([(version, "".into()), (parked, "".into())]);
        }
        for (group, nothing) in groups {
            self.0.collection.update_one(doc! { "_id": group }, doc! { "$unset": nothing }).await?;
        }
        Ok(())
    }

    /// Advances the rooms that are at their bases, and removes flags that they pass.
    async fn advance_each(&self, group: i64, rooms: Vec<(RoomId, Span)>) -> Result<Applied, StoreError> {
        let mut changes = Document::new();
        let mut wanted = Document::new();
        for (room, span) in &rooms {
            let (version, parked) = paths(*room);
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
            .0
            .collection
            .find_one_and_update(doc! { "_id": group }, vec![doc! { "$set": changes }])
            .projection(wanted)
            .return_document(ReturnDocument::After)
            .await?
            .ok_or_else(missing)?;
        let (now, mut applied) = (Group::read(&now)?, Applied::default());
        for (room, span) in rooms {
            applied.count(room, span, now.room(room)?.version);
        }
        Ok(applied)
    }
}

fn by_group(spans: &BTreeMap<RoomId, Span>) -> BTreeMap<i64, Vec<(RoomId, Span)>> {
    let mut groups: BTreeMap<i64, Vec<(RoomId, Span)>> = BTreeMap::new();
    for (room, span) in spans {
        groups.entry(group(*room)).or_default().push((*room, *span));
    }
    groups
}

/// The statements that advance all rooms, one for each group.
pub(super) fn plain_advances(spans: &BTreeMap<RoomId, Span>) -> Result<Vec<RawDocumentBuf>, StoreError> {
    by_group(spans).iter().map(|(group, rooms)| advance_plainly(*group, rooms)).collect()
}

/// Advances the rooms of a group, if all are at their bases and none is parked; else nothing.
fn advance_plainly(group: i64, rooms: &[(RoomId, Span)]) -> Result<RawDocumentBuf, StoreError> {
    let (mut unchanged, mut changes) = (RawDocumentBuf::new(), RawDocumentBuf::new());
    unchanged.append(cstr!("_id"), group);
    for (room, span) in rooms {
        let (version, parked) = paths(*room);
        let (version, parked) = (c_string(version)?, c_string(parked)?);
        if span.base == Version::NONE {
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

fn c_string(path: String) -> Result<CString, StoreError> {
    CString::try_from(path).map_err(StoreError::backend)
}

fn version(stored: &RawBsonRef<'_>) -> Option<Version> {
    u64::try_from(stored.as_i64()?).ok().map(Version::from)
}

pub(super) fn missing() -> StoreError {
    StoreError::Unreadable { collection: "checkpoints", reason: "a document is missing".to_owned() }
}

/// A document of checkpoints: versions by the names of rooms, flags by their digits.
pub(super) struct Group<'a> {
    versions: HashMap<(&'a str, &'a str), RawBsonRef<'a>>,
    parked: HashMap<&'a str, RawBsonRef<'a>>,
}

impl<'a> Group<'a> {
    pub(super) fn read(document: &'a RawDocument) -> Result<Self, StoreError> {
        let stored = Stored::read("checkpoints", document)?;
        let mut group = Self { versions: HashMap::new(), parked: HashMap::new() };
        if stored.has("v") {
            for (last, part) in stored.part("v")?.parts()? {
                group.versions.extend(part.fields().map(|(first, version)| ((last, first), version)));
            }
        }
        if stored.has("p") {
            group.parked.extend(stored.part("p")?.fields());
        }
        Ok(group)
    }

    /// The version of each room that has one.
    pub(super) fn versions(&self) -> impl Iterator<Item = Option<Version>> {
        self.versions.values().map(version)
    }

    pub(super) fn room(&self, room: RoomId) -> Result<Checkpoint, StoreError> {
        let digits = digits(room);
        let unreadable = || StoreError::Unreadable {
            collection: "checkpoints",
            reason: format!("{room}: neither a version nor a flag"),
        };
        let version =
            self.versions.get(&names(&digits)).map_or(Some(Version::NONE), version).ok_or_else(unreadable)?;
        let parked = match self.parked.get(digits.as_str()) {
            Some(parked) => {
                let stored = Stored::read("checkpoints", parked.as_document().ok_or_else(unreadable)?)?;
                Some(Parked { version: stored.version()?, reason: stored.text("reason")? })
            }
            None => None,
        };
        Ok(Checkpoint { version, parked })
    }
}

#[cfg(test)]
mod tests {
    use shared_events::topics::DEFAULT_PARTITIONS;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_batch_of_one_partition_is_one_statement() {
        for partitions in [DEFAULT_PARTITIONS, 3 * DEFAULT_PARTITIONS] {
            let rooms = (0..1000).map(|number| RoomId(Uuid::from_u128(number)));
            let batch: BTreeMap<_, _> = rooms
                .filter(|room| partition_of(*room, partitions) == 1)
                .map(|room| (room, Span { base: 3.into(), last: 4.into() }))
                .collect();
            assert!(batch.len() > 50);
            assert_eq!(plain_advances(&batch).map(|statements| statements.len()).ok(), Some(1));
        }
    }
}

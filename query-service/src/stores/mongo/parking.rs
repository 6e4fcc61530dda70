//! Parked rooms and dropped events. The message lies beside the checkpoints; the checkpoint has a flag.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mongodb::{
    bson::{Document, doc},
    options::ReturnDocument,
};
use shared_events::{RoomId, Version};

use super::{
    MongoReadModels,
    checkpoints::{Group, group, missing, paths},
    documents::{from_parked, history_id, moment, number, uuid},
    requests::is_duplicate,
    stored::to_parked,
};
use crate::{
    read_models::{DroppedEvent, ParkedMessage},
    stores::{Checkpoints, Parking, StoreError, Swap, batch::Span},
};

#[async_trait]
impl Parking for MongoReadModels {
    async fn park(&self, message: &ParkedMessage) -> Result<Swap, StoreError> {
        let before = message.version.previous().unwrap_or_default();
        if self.checkpoint(message.room).await?.version != before {
            return Ok(Swap::Moved);
        }
        let id = doc! { "_id": uuid(message.room.0) };
        self.parked.collection.replace_one(id, from_parked(message)).upsert(true).await?;
        let (version, parked) = paths(message.room);
        let flag = doc! { "version": number(message.version), "reason": message.reason.as_str() };
        let still_there = doc! { "$eq": [{ "$ifNull": [format!("${version}"), 0] }, number(before)] };
        let change = doc! { "$cond": [still_there, { "$literal": flag }, format!("${parked}")] };
        let (id, change) =
            (doc! { "_id": group(message.room) }, doc! { "$set": { parked.as_str(): change } });
        let updated = self.checkpoints.0.collection.find_one_and_update(id, vec![change]);
        let updated = updated.projection(doc! { parked: 1 }).return_document(ReturnDocument::After);
        let now = updated.await?.ok_or_else(missing)?;
        let parked = Group::read(&now)?.room(message.room)?.parked;
        Ok(parked.is_some_and(|parked| parked.version == message.version).into())
    }

    async fn parked_message(&self, room: RoomId) -> Result<Option<ParkedMessage>, StoreError> {
        let found = self.parked.collection.find_one(doc! { "_id": uuid(room.0) }).await?;
        found.as_deref().map(to_parked).transpose()
    }

    async fn drop_event(&self, dropped: &DroppedEvent) -> Result<(), StoreError> {
        let message = &dropped.message;
        let mut stored = doc! {
            "_id": history_id(message.room, message.version), "reason": dropped.reason.as_str(),
            "by": dropped.by.as_str(), "at": moment(dropped.at),
        };
        let message = Document::try_from(&from_parked(message)).map_err(StoreError::backend)?;
        stored.insert("message", message);
        match self.dropped.collection.clone_with_type::<Document>().insert_one(stored).await {
            Err(error) if is_duplicate(&error) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    async fn is_dropped(&self, room: RoomId, version: Version) -> Result<bool, StoreError> {
        let id = doc! { "_id": history_id(room, version) };
        Ok(self.dropped.collection.find_one(id).await?.is_some())
    }

    async fn pass_over(&self, room: RoomId, version: Version) -> Result<Swap, StoreError> {
        let Some(base) = version.previous() else { return Ok(Swap::Moved) };
        let span = Span { base, last: version };
        let applied = self.checkpoints.advance(&BTreeMap::from([(room, span)])).await?;
        self.usage_behind.keep(room, span, Vec::new());
        Ok(applied.conflicts.is_empty().into())
    }
}

//! Requests of operators: small documents that people can read.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    bson::{Bson, Document, RawDocument, doc},
    error::{ErrorKind, WriteFailure},
};
use shared_events::RoomId;
use uuid::Uuid;

use super::{
    MongoReadModels,
    commands::DUPLICATE_KEY,
    documents::{moment, number, uuid},
    stored::Stored,
};
use crate::{
    read_models::{Outcome, Request, RequestedAction},
    stores::{Requests, StoreError},
};

const REQUESTS: &str = "requests";
/// Most requests in one read.
const MOST: i64 = 100;

impl MongoReadModels {
    /// Files a request for the owner of a room's partition.
    pub async fn ask(&self, request: &Request) -> Result<(), StoreError> {
        let mut stored = doc! {
            "_id": uuid(request.id), "room": uuid(request.room.0), "by": request.by.as_str(), "at": moment(request.at),
            "outcome": Bson::Null,
        };
        match &request.action {
            RequestedAction::Redrive => stored.insert("action", "redrive"),
            RequestedAction::Repair => stored.insert("action", "repair"),
            RequestedAction::Drop { version, reason } => {
                stored.insert("version", number(*version));
                stored.insert("reason", reason.as_str());
                stored.insert("action", "drop")
            }
        };
        self.requests.collection.clone_with_type::<Document>().insert_one(stored).await?;
        Ok(())
    }

    /// The outcome of a request, or none while it is not done.
    pub async fn outcome(&self, request: Uuid) -> Result<Option<Outcome>, StoreError> {
        let answered = doc! { "_id": uuid(request), "outcome": { "$ne": Bson::Null } };
        let Some(stored) = self.requests.collection.find_one(answered).await? else { return Ok(None) };
        let outcome = Stored::read(REQUESTS, &stored)?.part("outcome")?;
        Ok(Some(Outcome { done: outcome.flag("done")?, text: outcome.text("text")? }))
    }
}

#[async_trait]
impl Requests for MongoReadModels {
    async fn requests(&self) -> Result<Vec<Request>, StoreError> {
        let mut found = self
            .requests
            .collection
            .find(doc! { "outcome": Bson::Null })
            .sort(doc! { "at": 1 })
            .limit(MOST)
            .await?;
        let mut requests = Vec::new();
        while let Some(stored) = found.try_next().await? {
            match to_request(&stored) {
                Ok(request) => requests.push(request),
                // A later build may have filed it: it stays.
                Err(error) => tracing::warn!(%error, "a request of an operator can't be read"),
            }
        }
        Ok(requests)
    }

    async fn answer(&self, request: Uuid, outcome: &Outcome) -> Result<(), StoreError> {
        let waiting = doc! { "_id": uuid(request), "outcome": Bson::Null };
        let answer = doc! { "done": outcome.done, "text": outcome.text.as_str() };
        self.requests.collection.update_one(waiting, doc! { "$set": { "outcome": answer } }).await?;
        Ok(())
    }
}

/// Whether a document with that id is stored already.
pub(super) fn is_duplicate(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == DUPLICATE_KEY)
}

fn to_request(stored: &RawDocument) -> Result<Request, StoreError> {
    let stored = Stored::read(REQUESTS, stored)?;
    let action = match stored.text("action")?.as_str() {
        "redrive" => RequestedAction::Redrive,
        "repair" => RequestedAction::Repair,
        "drop" => RequestedAction::Drop { version: stored.version()?, reason: stored.text("reason")? },
        other => {
            let reason = format!("the action {other:.80}");
            return Err(StoreError::Unreadable { collection: REQUESTS, reason });
        }
    };
    Ok(Request {
        id: stored.uuid("_id")?,
        room: RoomId(stored.uuid("room")?),
        action,
        by: stored.text("by")?,
        at: stored.moment("at")?,
    })
}

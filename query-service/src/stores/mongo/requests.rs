//! What operators ask and what they left out: documents that are written by hand, so to say, and read by people.

use futures_util::TryStreamExt;
use mongodb::{
    bson::{Bson, Document, RawDocument, doc},
    error::{ErrorKind, WriteFailure},
};
use shared_events::{ReservationId, RoomId};
use uuid::Uuid;

use super::{
    MongoReadModels,
    commands::DUPLICATE_KEY,
    documents::{from_parked, history_id, moment, number, uuid},
    of_room::IDS_AT_ONCE,
    stored::Stored,
};
use crate::{
    read_models::{DroppedEvent, Outcome, Request, RequestedAction},
    stores::StoreError,
};

const REQUESTS: &str = "requests";
/// Most requests that are looked at together.
const MOST: i64 = 100;

impl MongoReadModels {
    /// Asks the owner of a room's partition to do something.
    ///
    /// # Errors
    /// When the store can't be written.
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

    /// What became of a request; none while nobody has done it.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn outcome(&self, request: Uuid) -> Result<Option<Outcome>, StoreError> {
        let answered = doc! { "_id": uuid(request), "outcome": { "$ne": Bson::Null } };
        let Some(stored) = self.requests.collection.find_one(answered).await? else { return Ok(None) };
        let outcome = Stored::read(REQUESTS, &stored)?.part("outcome")?;
        Ok(Some(Outcome { done: outcome.flag("done")?, text: outcome.text("text")? }))
    }

    pub(super) async fn waiting_requests(&self) -> Result<Vec<Request>, StoreError> {
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
                // Of a later build, perhaps: it stays for that.
                Err(error) => tracing::warn!(%error, "a request of an operator can't be read"),
            }
        }
        Ok(requests)
    }

    pub(super) async fn note_outcome(&self, request: Uuid, outcome: &Outcome) -> Result<(), StoreError> {
        let waiting = doc! { "_id": uuid(request), "outcome": Bson::Null };
        let answer = doc! { "done": outcome.done, "text": outcome.text.as_str() };
        self.requests.collection.update_one(waiting, doc! { "$set": { "outcome": answer } }).await?;
        Ok(())
    }

    pub(super) async fn note_drop(&self, dropped: &DroppedEvent) -> Result<(), StoreError> {
        let message = &dropped.message;
        let mut stored = doc! {
            "_id": history_id(message.room, message.version), "reason": dropped.reason.as_str(),
            "by": dropped.by.as_str(), "at": moment(dropped.at),
        };
        let message =
            Document::try_from(&from_parked(message)).map_err(|error| StoreError::Backend(error.into()))?;
        stored.insert("message", message);
        match self.dropped.collection.clone_with_type::<Document>().insert_one(stored).await {
            Err(error) if is_duplicate(&error) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// By indexes only: a partition waits for it. Without a checkpoint nothing that is cached of the room is found.
    pub(super) async fn delete_room(
        &self,
        room: RoomId,
        reservations: &[ReservationId],
    ) -> Result<(), StoreError> {
        self.rooms.collection.delete_one(doc! { "_id": uuid(room.0) }).await?;
        let of_room = uuid(room.0);
        let live = doc! { "form.room": of_room.clone(), "form.live": true };
        self.reservations.collection.delete_many(live).await?;
        for part in reservations.chunks(IDS_AT_ONCE) {
            let ids: Vec<Bson> = part.iter().map(|id| uuid(id.0)).collect();
            let here = doc! { "_id": { "$in": ids }, "form.room": of_room.clone() };
            self.reservations.collection.delete_many(here).await?;
        }
        self.usage.collection.delete_many(doc! { "form.room": of_room }).await?;
        let entries = doc! { "$gte": history_id(room, 0), "$lte": history_id(room, u64::MAX) };
        self.history.collection.delete_many(doc! { "_id": entries }).await?;
        Ok(())
    }
}

/// Whether a document with that id was there already.
pub(super) fn is_duplicate(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == DUPLICATE_KEY)
}

fn to_request(stored: &RawDocument) -> Result<Request, StoreError> {
    let stored = Stored::read(REQUESTS, stored)?;
    let action = match stored.text("action")?.as_str() {
        "redrive" => RequestedAction::Redrive,
        "repair" => RequestedAction::Repair,
        "drop" => {
            RequestedAction::Drop { version: stored.integer("version")?, reason: stored.text("reason")? }
        }
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

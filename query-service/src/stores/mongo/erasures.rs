//! Erased persons: the list that all generations share, and the masking of stored documents.
//!
//! Stored documents are found by the person's name, which only the erasing command knows. Later events are masked before
//! they are written, by the list, which has no names.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    Collection,
    bson::{Binary, Bson, Document, RawDocumentBuf, doc, spec::BinarySubtype},
};
use shared_events::{Erasures, RoomId, UserId, erasure::Bytes32};

use super::{
    Connection, MongoReadModels,
    documents::{from_parked, number, uuid},
    requests::is_duplicate,
    stored::{Stored, to_parked},
};
use crate::{
    read_models::ParkedMessage,
    stores::{ErasureList, StoreError},
};

/// The collection of the list, of all generations.
const ERASURES: &str = "erasures";
/// The id of its one document.
const LIST: &str = "list";

#[async_trait]
impl ErasureList for MongoReadModels {
    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError> {
        self.erasures.read().await
    }

    async fn keep_erasures(&self, list: &Erasures) -> Result<(), StoreError> {
        self.erasures.keep(list).await
    }
}

/// The stored list, and the one that was read last.
#[derive(Debug)]
pub(super) struct List {
    collection: Collection<Document>,
    known: Mutex<Option<Arc<Erasures>>>,
}

impl List {
    pub(super) fn of(connection: &Connection) -> Self {
        Self { collection: connection.collection(ERASURES), known: Mutex::default() }
    }

    /// Reads the list, if there is one. Its persons are read only if they have changed.
    pub(super) async fn read(&self) -> Result<Option<Arc<Erasures>>, StoreError> {
        let short = doc! { "epoch": 1, "secret": 1 };
        let Some(short) = self.collection.find_one(doc! { "_id": LIST }).projection(short).await? else {
            return Ok(None);
        };
        let (epoch, secret) = (epoch(&short)?, bytes(short.get("secret"))?);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.epoch == epoch && known.secret == secret) {
            return Ok(Some(known));
        }
        let Some(whole) = self.collection.find_one(doc! { "_id": LIST }).await? else { return Ok(None) };
        let list = Arc::new(to_list(&whole)?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&list));
        Ok(Some(list))
    }

    /// Keeps a list, unless a later one of the same event store is kept.
    pub(super) async fn keep(&self, list: &Erasures) -> Result<(), StoreError> {
        // One without a key is of a command service of before there were erasures, perhaps beside newer ones.
        let says_nothing = list.secret == Bytes32::default();
        let is_not_later = |kept: &Erasures| kept.secret == list.secret && kept.epoch >= list.epoch;
        if self.read().await?.is_some_and(|kept| says_nothing || is_not_later(&kept)) {
            return Ok(());
        }
        let secret = binary(list.secret);
        let person = |(person, pseudonym): (&Bytes32, &UserId)| doc! { "person": binary(*person), "pseudonym": pseudonym.as_str() };
        let persons: Vec<Document> = list.persons.iter().map(person).collect();
        let older = doc! { "$or": [{ "secret": { "$ne": secret.clone() } }, { "epoch": { "$lt": number(list.epoch) } }] };
        let change = doc! { "epoch": number(list.epoch), "secret": secret, "persons": persons };
        let filter = doc! { "$and": [{ "_id": LIST }, older] };
        match self.collection.update_one(filter, doc! { "$set": change }).upsert(true).await {
            // Another instance has kept a list that is as new.
            Err(error) if is_duplicate(&error) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }
}

fn epoch(document: &Document) -> Result<u64, StoreError> {
    let epoch = document.get_i64("epoch").ok().and_then(|epoch| u64::try_from(epoch).ok());
    epoch.ok_or_else(|| unreadable("epoch"))
}

fn to_list(document: &Document) -> Result<Erasures, StoreError> {
    let mut list =
        Erasures { epoch: epoch(document)?, secret: bytes(document.get("secret"))?, ..Erasures::default() };
    for person in document.get_array("persons").map_err(|_| unreadable("persons"))? {
        let person = person.as_document().ok_or_else(|| unreadable("persons"))?;
        let pseudonym = person.get_str("pseudonym").ok().and_then(|text| UserId::new(text).ok());
        list.persons.insert(bytes(person.get("person"))?, pseudonym.ok_or_else(|| unreadable("pseudonym"))?);
    }
    Ok(list)
}

fn unreadable(field: &str) -> StoreError {
    StoreError::Unreadable { collection: ERASURES, reason: format!("field {field}") }
}

fn binary(bytes: Bytes32) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.0.to_vec() })
}

fn bytes(stored: Option<&Bson>) -> Result<Bytes32, StoreError> {
    match stored {
        Some(Bson::Binary(binary)) => binary.bytes.as_slice().try_into().ok().map(Bytes32),
        _ => None,
    }
    .ok_or_else(|| unreadable("a hash"))
}

/// Masks the documents of a generation that name a person. Gives how many did.
pub(super) async fn mask_generation(
    connection: &Connection,
    prefix: &str,
    user: &UserId,
    list: &Erasures,
) -> Result<u64, StoreError> {
    let Some(pseudonym) = list.pseudonym(user).map(UserId::as_str) else { return Ok(0) };
    let collection = |name: &str| connection.collection::<Document>(&format!("{prefix}{name}"));
    let (reservations, history) = (collection("reservations"), collection("history"));
    let change = |at: &str| {
        doc! {
            "$set": { format!("{at}.user"): pseudonym },
            "$unset": { format!("{at}.title"): "", format!("{at}.reservedFor"): "" },
        }
    };
    let mut masked = 0;
    masked +=
        reservations.update_many(doc! { "form.user": user.as_str() }, change("form")).await?.modified_count;
    masked += history
        .update_many(doc! { "reservation.user": user.as_str() }, change("reservation"))
        .await?
        .modified_count;
    let actor = doc! { "$set": { "user": pseudonym } };
    masked += history.update_many(doc! { "user": user.as_str() }, actor).await?.modified_count;
    Ok(masked + mask_parked(connection, prefix, user, list).await?)
}

async fn mask_parked(
    connection: &Connection,
    prefix: &str,
    user: &UserId,
    list: &Erasures,
) -> Result<u64, StoreError> {
    let parked = connection.collection::<RawDocumentBuf>(&format!("{prefix}parked"));
    let checkpoints = connection.collection::<Document>(&format!("{prefix}checkpoints"));
    let mut masked = 0;
    let mut found = parked.find(doc! {}).await?;
    while let Some(stored) = found.try_next().await? {
        let Some(message) = without(&to_parked(&stored)?, user, list) else { continue };
        // A message that has replaced it is masked already.
        let same = doc! { "_id": uuid(message.room.0), "version": number(message.version) };
        parked.replace_one(same, from_parked(&message)).await?;
        let (flag, reason) = (flag(message.room, "version"), flag(message.room, "reason"));
        let waits = doc! { flag: number(message.version) };
        checkpoints.update_many(waits, doc! { "$set": { reason: message.reason.as_str() } }).await?;
        masked += 1;
    }
    Ok(masked)
}

/// The path to a part of a room's parked flag.
fn flag(room: RoomId, part: &str) -> String {
    format!("p.{}.{part}", room.0.simple())
}

/// Masks dropped messages. Gives how many named the person.
pub(super) async fn mask_dropped(
    dropped: &Collection<RawDocumentBuf>,
    user: &UserId,
    list: &Erasures,
) -> Result<u64, StoreError> {
    let mut masked = 0;
    let mut found = dropped.find(doc! {}).await?;
    while let Some(stored) = found.try_next().await? {
        let message = stored.get_document("message");
        let message = message.map_err(StoreError::backend)?;
        let Some(message) = without(&to_parked(message)?, user, list) else { continue };
        let message = Document::try_from(&from_parked(&message)).map_err(StoreError::backend)?;
        let id = doc! { "_id": Stored::read("dropped_events", &stored)?.id()? };
        dropped.update_one(id, doc! { "$set": { "message": message } }).await?;
        masked += 1;
    }
    Ok(masked)
}

/// The message without the person, if it names them: as an event does, or anywhere in its bytes. An unreadable one
/// loses each part that holds the name; the event store has the event.
fn without(message: &ParkedMessage, user: &UserId, list: &Erasures) -> Option<ParkedMessage> {
    let masked = message.masked(list);
    let mut rest = masked.clone().unwrap_or_else(|| message.clone());
    let names =
        |bytes: &[u8]| bytes.windows(user.as_str().len()).any(|part| part == user.as_str().as_bytes());
    let mut found = masked.is_some();
    for part in rest.headers.iter_mut().map(|(_, value)| value).chain([&mut rest.payload]) {
        if names(part) {
            part.clear();
            found = true;
        }
    }
    found |= names(rest.reason.as_bytes());
    found.then(|| rest.without_reason())
}

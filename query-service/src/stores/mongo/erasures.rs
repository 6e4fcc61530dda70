//! Erased persons: the list that all generations share, and the masking of stored documents.
//!
//! Stored documents are found by the person's name, which only the erasing command knows. Later events are masked before
//! they are written, by the list, which has no names.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    Collection, IndexModel,
    bson::{Binary, Bson, Document, RawDocument, RawDocumentBuf, doc, rawdoc, spec::BinarySubtype},
};
use service_kit::ids::new_id;
use shared_events::{Erasures, RoomId, UserId, erasure::Bytes32};
use uuid::Uuid;

use super::{
    Connection, MongoReadModels,
    commands::Target,
    documents::{from_parked, number, uuid},
    requests::is_duplicate,
    stored::{Stored, to_parked},
};
use crate::{
    read_models::ParkedMessage,
    stores::{ErasureList, StoreError, Swap, in_time},
};

/// The collection of the head, of all generations.
const ERASURES: &str = "erasures";
/// The id of its one document.
const LIST: &str = "list";
/// The collection of the persons.
const PERSONS: &str = "erased_persons";
/// Persons that are written in one time limit.
const PART: usize = 10_000;

#[async_trait]
impl ErasureList for MongoReadModels {
    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError> {
        self.erasures.read().await
    }

    async fn keep_erasures(
        &self,
        known: Option<&Erasures>,
        list: &Arc<Erasures>,
    ) -> Result<Swap, StoreError> {
        self.erasures.keep(known, list).await
    }
}

/// The stored list: a document for each person, and the head. Persons are written first and the head last, so every person
/// of a head is stored.
#[derive(Debug)]
pub(super) struct List {
    head: Collection<Document>,
    persons: Target,
    known: Mutex<Option<Known>>,
}

/// The list that was read last.
#[derive(Clone, Debug)]
struct Known {
    history: Uuid,
    list: Arc<Erasures>,
}

/// The document that tells what is stored.
struct Head {
    epoch: u64,
    secret: Bytes32,
    /// Place of the last person.
    last: u64,
    /// Stays the same while all new persons come after the last one, and only they need to be read.
    history: Uuid,
}

impl List {
    pub(super) fn of(connection: &Connection) -> Self {
        let (head, persons) = (connection.collection(ERASURES), connection.target(PERSONS));
        Self { head, persons, known: Mutex::default() }
    }

    pub(super) async fn create_index(&self) -> Result<(), StoreError> {
        let index = IndexModel::builder().keys(doc! { "seq": 1 }).build();
        self.persons.collection.create_index(index).await?;
        Ok(())
    }

    /// Reads the list, if there is one. Only new persons are read.
    pub(super) async fn read(&self) -> Result<Option<Arc<Erasures>>, StoreError> {
        Ok(in_time(self.read_known()).await?.map(|known| known.list))
    }

    async fn read_known(&self) -> Result<Option<Known>, StoreError> {
        // A head without a history is of an earlier form: the event store has its persons.
        let ours = doc! { "_id": LIST, "history": { "$exists": true } };
        let Some(head) = self.head.find_one(ours).await? else { return Ok(None) };
        let head = Head::read(&head)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A head before the known one is of a restored copy, which lacks persons.
        let known = known.filter(|known| known.history == head.history && known.list.epoch <= head.epoch);
        if let Some(known) = known.as_ref().filter(|known| known.list.epoch == head.epoch) {
            return Ok(Some(known.clone()));
        }
        let mut list = known.map(|known| Erasures::clone(&known.list)).unwrap_or_default();
        let new = if list.last == 0 {
            doc! {}
        } else {
            doc! { "seq": { "$gt": number(list.last) } }
        };
        let mut found = self.persons.collection.find(new).await?;
        while found.advance().await? {
            let (person, seq, pseudonym) = to_person(found.current())?;
            list.persons.insert(person, (seq, pseudonym));
        }
        (list.epoch, list.secret, list.last) = (head.epoch, head.secret, head.last);
        let known = Known { history: head.history, list: Arc::new(list) };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(Some(known))
    }

    /// Replaces the known list.
    pub(super) async fn keep(
        &self,
        known: Option<&Erasures>,
        list: &Arc<Erasures>,
    ) -> Result<Swap, StoreError> {
        let kept = in_time(self.read_known()).await?;
        let mark = |list: &Erasures| (list.secret, list.epoch, list.last);
        if kept.as_ref().map(|kept| mark(&kept.list)) != known.map(mark) {
            return Ok(Swap::Moved);
        }
        let is_new = |(person, entry): &(&Bytes32, &(u64, UserId))| {
            kept.as_ref().is_none_or(|kept| kept.list.persons.get(person) != Some(entry))
        };
        let new: Vec<_> = list.persons.iter().filter(is_new).collect();
        for part in new.chunks(PART) {
            in_time(self.persons.upsert(part.iter().map(|entry| statement(*entry)).collect())).await?;
        }
        let continues = |kept: &&Known| {
            let last = kept.list.last;
            kept.list.secret == list.secret
                && list.last >= last
                && new.iter().all(|(_, (seq, _))| *seq > last)
        };
        let history = kept.as_ref().filter(continues).map_or_else(new_id, |kept| kept.history);
        let change = doc! {
            "$set": {
                "epoch": number(list.epoch), "secret": binary(list.secret), "last": number(list.last),
                "history": uuid(history),
            },
            "$unset": { "persons": "" },
        };
        let swap = in_time(self.replace(kept.as_ref(), change)).await?;
        if swap == Swap::Done {
            let known = Some(Known { history, list: Arc::clone(list) });
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        }
        Ok(swap)
    }

    async fn replace(&self, kept: Option<&Known>, change: Document) -> Result<Swap, StoreError> {
        let unchanged = match kept {
            Some(Known { history, list }) => {
                doc! { "_id": LIST, "history": uuid(*history), "epoch": number(list.epoch) }
            }
            None => doc! { "_id": LIST, "history": { "$exists": false } },
        };
        match self.head.update_one(unchanged, change).upsert(kept.is_none()).await {
            Ok(done) => Ok((done.matched_count == 1 || done.upserted_id.is_some()).into()),
            // Another instance was first.
            Err(error) if is_duplicate(&error) => Ok(Swap::Moved),
            Err(error) => Err(error.into()),
        }
    }
}

impl Head {
    fn read(document: &Document) -> Result<Self, StoreError> {
        let count = |field: &str| {
            let count = document.get_i64(field).ok().and_then(|count| u64::try_from(count).ok());
            count.ok_or_else(|| unreadable(field))
        };
        let history = match document.get("history") {
            Some(Bson::Binary(stored)) => Uuid::from_slice(&stored.bytes).ok(),
            _ => None,
        };
        Ok(Self {
            epoch: count("epoch")?,
            secret: match document.get("secret") {
                Some(Bson::Binary(stored)) => bytes(&stored.bytes),
                _ => None,
            }
            .ok_or_else(|| unreadable("secret"))?,
            last: count("last")?,
            history: history.ok_or_else(|| unreadable("history"))?,
        })
    }
}

fn to_person(document: &RawDocument) -> Result<(Bytes32, u64, UserId), StoreError> {
    let person = document.get_binary("_id").ok().and_then(|stored| bytes(stored.bytes));
    let seq = document.get_i64("seq").ok().and_then(|seq| u64::try_from(seq).ok());
    let pseudonym = document.get_str("pseudonym").ok().and_then(|text| UserId::new(text).ok());
    let unreadable =
        |field: &str| StoreError::Unreadable { collection: PERSONS, reason: format!("field {field}") };
    Ok((
        person.ok_or_else(|| unreadable("_id"))?,
        seq.ok_or_else(|| unreadable("seq"))?,
        pseudonym.ok_or_else(|| unreadable("pseudonym"))?,
    ))
}

/// The statement that writes a person.
fn statement((person, (seq, pseudonym)): (&Bytes32, &(u64, UserId))) -> RawDocumentBuf {
    rawdoc! {
        "q": { "_id": binary(*person) },
        "u": { "$set": { "seq": number(*seq), "pseudonym": pseudonym.as_str() } },
        "upsert": true,
    }
}

fn unreadable(field: &str) -> StoreError {
    StoreError::Unreadable { collection: ERASURES, reason: format!("field {field}") }
}

fn binary(bytes: Bytes32) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.0.to_vec() }
}

fn bytes(stored: &[u8]) -> Option<Bytes32> {
    stored.try_into().ok().map(Bytes32)
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
    let user_text = user.as_str();
    // Each has an index: of live or cancelled reservations, of those that somebody made for the owner, of entries in histories,
    // and of those in nobody's, which have `by`.
    let steps = [
        (&reservations, doc! { "form.user": user_text, "form.live": true }, change("form")),
        (&reservations, doc! { "form.user": user_text, "form.live": false }, change("form")),
        (&reservations, doc! { "form.bookedBy": user_text }, doc! { "$set": { "form.bookedBy": pseudonym } }),
        (&history, doc! { "people": user_text, "reservation.user": user_text }, change("reservation")),
        (&history, doc! { "by": { "$exists": true }, "reservation.user": user_text }, change("reservation")),
        (
            &history,
            doc! { "reservation.bookedBy": user_text },
            doc! { "$set": { "reservation.bookedBy": pseudonym } },
        ),
        (&history, doc! { "by": user_text }, doc! { "$set": { "by": pseudonym } }),
    ];
    let mut masked = 0;
    for (documents, of_user, change) in steps {
        masked += documents.update_many(of_user, change).await?.modified_count;
    }
    // Last: the entries of a person are found by them.
    let change = doc! { "$set": { "people.$[erased]": pseudonym } };
    masked += history
        .update_many(doc! { "people": user_text }, change)
        .array_filters([doc! { "erased": user_text }])
        .await?
        .modified_count;
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

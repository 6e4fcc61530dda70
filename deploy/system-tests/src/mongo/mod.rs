//! Databases of tests, and the documents of read models.

use anyhow::{Context, bail};
use futures_util::TryStreamExt;
use mongodb::{
    Database,
    bson::{Bson, Document, RawDocumentBuf, doc},
};
use uuid::Uuid;

/// Drops a database.
pub async fn drop_database(server: &str, name: &str) -> mongodb::error::Result<()> {
    mongodb::Client::with_uri_str(server).await?.database(name).drop().await
}

/// The collections that hold a text, searched byte by byte.
pub async fn collections_that_hold(
    server: &str,
    database: &str,
    sought: &str,
) -> mongodb::error::Result<Vec<String>> {
    let database = mongodb::Client::with_uri_str(server).await?.database(database);
    let mut found = Vec::new();
    for name in database.list_collection_names().await? {
        let mut documents = database.collection::<RawDocumentBuf>(&name).find(doc! {}).await?;
        while let Some(document) = documents.try_next().await? {
            if document.as_bytes().windows(sought.len().max(1)).any(|part| part == sought.as_bytes()) {
                found.push(name);
                break;
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Begins the names of collections where the database does not say which generation is live.
const GENERATION: &str = "g1_";

/// A document of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReservationDoc {
    pub(crate) id: Uuid,
    pub(crate) room: Uuid,
    pub(crate) revision: u64,
    pub(crate) live: bool,
    /// None if only the first half of a move was folded.
    pub(crate) version: Option<u64>,
    /// Minutes since 1970.
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) user: String,
}

/// A history entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryDoc {
    pub(crate) room: Uuid,
    pub(crate) version: u64,
    /// In whose history it is: who did it, then the others whom it concerns.
    pub(crate) people: Vec<String>,
    pub(crate) what: String,
    pub(crate) reservation: Uuid,
    pub(crate) revision: u64,
}

/// The documents of the live generation.
#[derive(Debug, Clone)]
pub(crate) struct Documents {
    pub(crate) reservations: Vec<ReservationDoc>,
    pub(crate) history: Vec<HistoryDoc>,
}

/// Reads the documents of the live generation.
pub(crate) async fn documents(server: &str, database: &str) -> anyhow::Result<Documents> {
    let database = mongodb::Client::with_uri_str(server).await?.database(database);
    let prefix = live_prefix(&database).await?;
    let all = async |name: &str, wanted: Document| -> anyhow::Result<Vec<Document>> {
        let collection = database.collection::<Document>(&format!("{prefix}{name}"));
        Ok(collection.find(wanted).await?.try_collect().await?)
    };
    let reservations = all("reservations", doc! {}).await?;
    // Entries that are nobody's history have no such field.
    let history = all("history", doc! { "people": { "$exists": true } }).await?;
    Ok(Documents {
        reservations: reservations.iter().map(reservation).collect::<anyhow::Result<_>>()?,
        history: history.iter().map(entry).collect::<anyhow::Result<_>>()?,
    })
}

/// How the names of the live generation's collections begin: where there is a registry, a document `live-FORM` names
/// the number of the generation that is shown in that form, and the highest form is the newest program's.
async fn live_prefix(database: &Database) -> anyhow::Result<String> {
    let registry = database.collection::<Document>("generations");
    let pointers: Vec<Document> =
        registry.find(doc! { "_id": { "$regex": "^live-" } }).await?.try_collect().await?;
    let form = |pointer: &&Document| pointer.get_str("_id").ok()?.strip_prefix("live-")?.parse::<u32>().ok();
    match pointers.iter().max_by_key(form) {
        Some(newest) => Ok(format!("g{}_", number(newest, "live")?)),
        None => Ok(GENERATION.to_owned()),
    }
}

fn reservation(document: &Document) -> anyhow::Result<ReservationDoc> {
    let form = document.get_document("form")?;
    Ok(ReservationDoc {
        id: uuid(document, "_id")?,
        room: uuid(form, "room")?,
        revision: number(form, "revision")?,
        live: form.get_bool("live")?,
        version: form.get_i64("version").ok().and_then(|version| u64::try_from(version).ok()),
        from: minute(form, "from")?,
        to: minute(form, "to")?,
        user: form.get_str("user")?.to_owned(),
    })
}

fn entry(document: &Document) -> anyhow::Result<HistoryDoc> {
    let id = document.get_binary_generic("_id")?;
    let (room, version) = id.split_at_checked(16).context("the id of an entry is not room and version")?;
    let reservation = document.get_document("reservation")?;
    Ok(HistoryDoc {
        room: Uuid::from_slice(room)?,
        version: u64::from_be_bytes(version.try_into()?),
        people: document
            .get_array("people")?
            .iter()
            .map(|person| person.as_str().map(str::to_owned).context("people"))
            .collect::<anyhow::Result<_>>()?,
        what: document.get_str("what")?.to_owned(),
        reservation: uuid(reservation, "id")?,
        revision: number(reservation, "revision")?,
    })
}

fn uuid(document: &Document, name: &str) -> anyhow::Result<Uuid> {
    match document.get(name) {
        Some(Bson::Binary(binary)) => Ok(Uuid::from_slice(&binary.bytes)?),
        other => bail!("{name} is {other:?}, not an id"),
    }
}

fn number(document: &Document, name: &str) -> anyhow::Result<u64> {
    let value = document.get_i64(name).or_else(|_| document.get_i32(name).map(i64::from))?;
    Ok(u64::try_from(value)?)
}

fn minute(document: &Document, name: &str) -> anyhow::Result<i64> {
    Ok(document.get_datetime(name)?.timestamp_millis().div_euclid(60_000))
}

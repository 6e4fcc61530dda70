//! The documents of one event, written by one command.

use anyhow::{Context, Result, ensure};
use mongodb::{
    Client,
    bson::{Binary, Bson, Document, doc, spec::BinarySubtype},
};
use query_service::{read_models::generation::FIRST, stores::mongo::prefix};
use shared_events::RoomId;

use crate::connect::mongo::history_id;

/// Writes reservations, entries of the history and checkpoints of rooms with one event each.
pub(crate) struct OneEvent {
    client: Client,
    database: String,
    /// Documents of an event of ours, of which only the ids change.
    reservation: Document,
    entry: Document,
}

impl OneEvent {
    /// Writes to a database with the collections of read models. `ours` has some documents.
    pub(crate) async fn like(url: &str, ours: &str, database: &str) -> Result<Self> {
        let client = Client::with_uri_str(url).await?;
        let ours = client.database(ours);
        let last = async |name: &str| {
            let of = ours.collection::<Document>(&format!("{}{name}", prefix(FIRST)));
            of.find_one(doc! {}).sort(doc! { "_id": -1 }).await?.context("a document of ours")
        };
        let (reservation, entry) = (last("reservations").await?, last("history").await?);
        Ok(Self { client, database: database.to_owned(), reservation, entry })
    }

    /// Waits until the documents are durable.
    pub(crate) async fn write(&mut self, room: RoomId, number: u64) -> Result<()> {
        let of = |name: &str| format!("{}.{}{name}", self.database, prefix(FIRST));
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: room.0.as_bytes().to_vec() };
        self.reservation.insert("_id", uuid);
        self.entry.insert("_id", history_id(room, 1));
        let checkpoint = format!("v.{:02x}.bare", number % 256);
        let command = doc! {
            "bulkWrite": 1,
            "ops": [
                { "insert": 0, "document": self.reservation.clone() },
                { "insert": 1, "document": self.entry.clone() },
                {
                    "update": 2, "filter": { "_id": i64::try_from(number % 4)? },
                    "updateMods": { "$set": { checkpoint: i64::try_from(number)? } },
                },
            ],
            "nsInfo": [{ "ns": of("reservations") }, { "ns": of("history") }, { "ns": of("checkpoints") }],
            "ordered": true,
            "writeConcern": { "w": "majority", "j": true },
        };
        let answer = self.client.database("admin").run_command(command).await?;
        ensure!(answer.get("nErrors") == Some(&Bson::Int32(0)), "the documents are not written: {answer}");
        Ok(())
    }
}

//! The documents of events, written by bare commands.

use std::{collections::BTreeMap, ops::Range};

use anyhow::{Context, Result, ensure};
use mongodb::{
    Client,
    bson::{Binary, Bson, Document, doc, spec::BinarySubtype},
};
use query_service::{read_models::generation::FIRST, stores::mongo::prefix};
use shared_events::RoomId;
use uuid::Uuid;

use crate::connect::mongo::history_id;

/// Rooms that have checkpoints.
const ROOMS: u64 = 500;

/// Writes reservations, entries of the history and checkpoints, as a projector does.
pub(crate) struct BareEvents {
    client: Client,
    database: String,
    /// Documents of an event of ours, of which only the ids change.
    reservation: Document,
    entry: Document,
}

impl BareEvents {
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

    /// Writes events with one durable command. Number n is the only one in the stream of [`room`] n. Without checkpoints, the
    /// command has only inserts.
    pub(crate) async fn write(&mut self, events: Range<u64>, checkpoints: bool) -> Result<()> {
        let of = |name: &str| format!("{}.{}{name}", self.database, prefix(FIRST));
        let (mut reservations, mut entries) = (Vec::new(), Vec::new());
        let mut groups: BTreeMap<i64, Document> = BTreeMap::new();
        for number in events {
            let id = room(number);
            let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: id.0.as_bytes().to_vec() };
            self.reservation.insert("_id", uuid);
            reservations.push(Bson::from(doc! { "insert": 0, "document": self.reservation.clone() }));
            self.entry.insert("_id", history_id(id, 1));
            entries.push(Bson::from(doc! { "insert": 1, "document": self.entry.clone() }));
            let place = number % ROOMS;
            let field = format!("v.{:02x}.{place:030x}", place % 256);
            groups.entry(i64::try_from(place % 4)?).or_default().insert(field, i64::try_from(number)?);
        }
        let mut ops = reservations;
        ops.append(&mut entries);
        if checkpoints {
            let update = |(id, fields): (i64, Document)| doc! { "update": 2, "filter": { "_id": id }, "updateMods": { "$set": fields } };
            ops.extend(groups.into_iter().map(update).map(Bson::from));
        }
        let command = doc! {
            "bulkWrite": 1,
            "ops": ops,
            "nsInfo": [{ "ns": of("reservations") }, { "ns": of("history") }, { "ns": of("checkpoints") }],
            "ordered": true,
            "errorsOnly": true,
            "writeConcern": { "w": "majority", "j": true },
        };
        let answer = self.client.database("admin").run_command(command).await?;
        ensure!(answer.get("nErrors") == Some(&Bson::Int32(0)), "the documents are not written: {answer}");
        Ok(())
    }
}

/// The room of event n.
pub(crate) fn room(event: u64) -> RoomId {
    RoomId(Uuid::from_u128(u128::from(event) << 64 | 0xba5e))
}

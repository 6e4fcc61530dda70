//! The limit of the projector: the driver alone inserts the final documents.

use std::sync::Arc;

use anyhow::{Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::{
    Client, Collection, Database,
    bson::{RawDocumentBuf, doc},
    options::{Acknowledgment, CollectionOptions, WriteConcern},
};
use query_service::{read_models::generation::FIRST, stores::mongo::prefix};
use tokio::time::Instant;

/// Encoded documents by collection.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    client: Client,
    collections: Arc<Vec<(&'static str, Vec<RawDocumentBuf>)>>,
}

/// The form of the inserts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Documents per command.
    pub(crate) rows: usize,
    /// Commands in flight.
    pub(crate) in_flight: usize,
}

/// The fastest of these forms is the limit.
pub(crate) const FORMS: [Form; 4] = [
    Form { rows: 1000, in_flight: 2 },
    Form { rows: 1000, in_flight: 4 },
    Form { rows: 1000, in_flight: 8 },
    Form { rows: 3000, in_flight: 4 },
];

/// Reads the documents of a database, without the checkpoints: an empty database has them, too.
pub(crate) async fn stored(url: &str, database: &str) -> Result<Documents> {
    let client = Client::with_uri_str(url).await?;
    let mut collections = Vec::new();
    for name in ["rooms", "reservations", "history", "usage"] {
        let found = collection(&client.database(database), name).find(doc! {}).await?;
        collections.push((name, found.try_collect().await?));
    }
    Ok(Documents { client, collections: Arc::new(collections) })
}

impl Documents {
    /// The number of documents in a collection.
    pub(crate) fn count_of(&self, name: &str) -> usize {
        self.collections
            .iter()
            .filter(|(other, _)| *other == name)
            .map(|(_, documents)| documents.len())
            .sum()
    }

    /// Inserts every `step`-th document into an empty database that has its indexes. Returns seconds.
    pub(crate) async fn insert(&self, database: &str, form: Form, step: usize) -> Result<f64> {
        let database = self.client.database(database);
        let mut commands = Vec::new();
        for (name, documents) in self.collections.iter() {
            for rows in documents.iter().step_by(step).collect::<Vec<_>>().chunks(form.rows) {
                commands.push((collection(&database, name), rows.to_vec()));
            }
        }
        // All collections at the same time, as a projector writes them.
        let mut mixed: Vec<_> = commands.into_iter().enumerate().collect();
        mixed.sort_by_key(|(number, _)| number.wrapping_mul(0x9e37_79b9) % 1_000_003);
        let started = Instant::now();
        let writes = mixed.into_iter().map(|(_, (collection, rows))| async move {
            let wanted = rows.len();
            let done = collection.insert_many(rows).ordered(false).await?;
            ensure!(done.inserted_ids.len() == wanted, "not all documents were inserted");
            Ok(())
        });
        stream::iter(writes).buffer_unordered(form.in_flight).try_collect::<()>().await?;
        Ok(started.elapsed().as_secs_f64())
    }
}

fn collection(database: &Database, name: &str) -> Collection<RawDocumentBuf> {
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    let options = CollectionOptions::builder().write_concern(durable).build();
    database.collection_with_options(&format!("{}{name}", prefix(FIRST)), options)
}

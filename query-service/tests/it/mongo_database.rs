//! A database on the real server for each test, dropped at the end.

use std::sync::{Arc, Mutex};

use mongodb::{
    Client, Collection,
    bson::{Bson, Document, doc},
    event::{EventHandler, command::CommandEvent},
    options::ClientOptions,
};
use query_service::stores::mongo::{Connection, Generations, MongoReadModels};
use service_kit::ids::new_id;

use crate::pipelines::wait_apart;

pub(crate) const COLLECTIONS: [&str; 7] =
    ["rooms", "reservations", "history", "usage", "checkpoints", "parked", "usage_positions"];

pub(crate) fn url() -> String {
    std::env::var("MONGODB_URL").expect("MONGODB_URL: deploy/servers/servers.sh up prints it")
}

/// A database that only one test uses.
pub(crate) struct TestDatabase {
    pub(crate) client: Client,
    pub(crate) name: String,
    connection: Connection,
}

impl TestDatabase {
    pub(crate) async fn create() -> Self {
        Self::with_options(ClientOptions::parse(url()).await.unwrap())
    }

    /// A database, and read models in it.
    pub(crate) async fn with_models() -> (Self, Arc<MongoReadModels>) {
        let database = Self::create().await;
        let models = Arc::new(database.models("t_").await);
        (database, models)
    }

    /// A database that records the commands of these names.
    pub(crate) async fn recorded(names: &'static [&'static str]) -> (Self, Arc<Mutex<Vec<Document>>>) {
        let sent: Arc<Mutex<Vec<Document>>> = Arc::default();
        let mut options = ClientOptions::parse(url()).await.unwrap();
        let record = Arc::clone(&sent);
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event
                && names.contains(&started.command_name.as_str())
            {
                record.lock().unwrap().push(started.command);
            }
        }));
        (Self::with_options(options), sent)
    }

    pub(crate) fn with_options(options: ClientOptions) -> Self {
        let name = format!("query_test_{}", new_id().simple());
        let client = Client::with_options(options.clone()).unwrap();
        Self { client, connection: Connection::with_options(options, &name).unwrap(), name }
    }

    /// Read models whose collections begin with `prefix`.
    pub(crate) async fn models(&self, prefix: &str) -> MongoReadModels {
        MongoReadModels::open(self.connection.clone(), prefix).await.unwrap()
    }

    pub(crate) fn generations(&self) -> Generations {
        Generations::over(self.connection.clone())
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.client.database(&self.name).collection(name)
    }

    /// All documents of each collection, by id.
    pub(crate) async fn dump(&self, prefix: &str) -> Vec<(String, Vec<Document>)> {
        let mut dump = Vec::new();
        for name in COLLECTIONS {
            let collection = self.collection(&format!("{prefix}{name}"));
            let mut found = collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
            let mut documents = Vec::new();
            while found.advance().await.unwrap() {
                documents.push(sorted(found.deserialize_current().unwrap()));
            }
            dump.push((name.to_owned(), documents));
        }
        dump
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let name = self.name.clone();
        wait_apart(async move {
            let client = Client::with_uri_str(url()).await.unwrap();
            client.database(&name).drop().await.unwrap();
        });
    }
}

/// A document with its fields by name: the rooms of a checkpoint document stand in the order of their first events.
fn sorted(document: Document) -> Document {
    let mut fields: Vec<_> = document
        .into_iter()
        .map(|(name, value)| match value {
            Bson::Document(inner) => (name, sorted(inner).into()),
            value => (name, value),
        })
        .collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields.into_iter().collect()
}

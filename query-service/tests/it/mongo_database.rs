//! A database of its own for each test.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use mongodb::{
    Client,
    bson::{Document, doc},
    event::{EventHandler, command::CommandEvent},
    options::ClientOptions,
};
use query_service::stores::mongo::MongoReadModels;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) database: String,
}

impl Server {
    pub(crate) async fn models(&self) -> MongoReadModels {
        MongoReadModels::open(self.client.clone(), &self.database, "g1_").await.unwrap()
    }

    /// Everything that is stored, collection by collection, by id.
    pub(crate) async fn dump(&self, prefix: &str) -> Vec<(String, Vec<Document>)> {
        let database = self.client.database(&self.database);
        let mut dump = Vec::new();
        for name in ["rooms", "reservations", "history", "usage", "checkpoints", "parked"] {
            let mut found = database
                .collection::<Document>(&format!("{prefix}{name}"))
                .find(doc! {})
                .sort(doc! { "_id": 1 })
                .await
                .unwrap();
            let mut documents = Vec::new();
            while found.advance().await.unwrap() {
                documents.push(sorted(found.deserialize_current().unwrap()));
            }
            dump.push((name.to_owned(), documents));
        }
        dump
    }
}

/// Checkpoints of rooms are added in the order in which they arrive; nothing depends on it.
fn sorted(document: Document) -> Document {
    let mut fields: Vec<_> = document
        .into_iter()
        .map(|(name, value)| match value {
            mongodb::bson::Bson::Document(inner) => (name, sorted(inner).into()),
            value => (name, value),
        })
        .collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields.into_iter().collect()
}

pub(crate) fn url() -> String {
    std::env::var("MONGODB_URL").expect("MONGODB_URL: deploy/servers/servers.sh up prints it")
}

/// Runs a test on a database that is dropped afterwards, whatever happens.
pub(crate) async fn with_database<F>(test: impl FnOnce(Server) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    with_options(ClientOptions::parse(url()).await.unwrap(), test).await;
}

/// Runs a test, and records the commands of these names that its clients send.
pub(crate) async fn with_recorded<F>(
    names: &'static [&'static str],
    test: impl FnOnce(Server, Arc<Mutex<Vec<Document>>>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
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
    with_options(options, |server| test(server, sent)).await;
}

pub(crate) async fn with_options<F>(options: ClientOptions, test: impl FnOnce(Server) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let client = Client::with_options(options).unwrap();
    let database = format!("test_{}", service_kit::ids::new_id().simple());
    let server = Server { client, database };
    let result = tokio::spawn(test(server.clone())).await;
    server.client.database(&server.database).drop().await.unwrap();
    if let Err(failed) = result {
        std::panic::resume_unwind(failed.into_panic());
    }
}

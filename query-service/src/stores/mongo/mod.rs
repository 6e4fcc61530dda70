//! Read models in MongoDB.
//!
//! Every write decides by itself whether it still applies, so that several owners may write at once. No sessions,
//! transactions or change streams are needed. All reads and writes go to the primary, with majority concern.

mod batch_writes;
mod checkpoints;
mod documents;
mod packing;
mod reads;

use std::time::Duration;

use mongodb::{
    Client, Collection, IndexModel,
    bson::{Document, doc},
    options::{
        Acknowledgment, ClientOptions, DatabaseOptions, IndexOptions, ReadConcern, ReadPreference,
        SelectionCriteria, WriteConcern,
    },
};

use super::StoreError;

/// How long an operation waits for a server that is not there.
const SERVER_WAIT: Duration = Duration::from_secs(5);

/// One generation of read models in a database.
#[derive(Clone, Debug)]
pub struct MongoReadModels {
    client: Client,
    write_concern: WriteConcern,
    rooms: Collection<Document>,
    reservations: Collection<Document>,
    history: Collection<Document>,
    usage: Collection<Document>,
    checkpoints: Collection<Document>,
    parked: Collection<Document>,
}

impl MongoReadModels {
    /// Connects to a server and opens read models there.
    ///
    /// # Errors
    /// When the address is not one, the server can't be reached, or collections can't be prepared.
    pub async fn connect(url: &str, database: &str, prefix: &str) -> Result<Self, StoreError> {
        let mut options = ClientOptions::parse(url).await?;
        options.server_selection_timeout.get_or_insert(SERVER_WAIT);
        options.connect_timeout.get_or_insert(SERVER_WAIT);
        options.app_name.get_or_insert_with(|| "query-service".to_owned());
        Self::open(Client::with_options(options)?, database, prefix).await
    }

    /// Opens the read models whose collections' names begin with `prefix`; what is missing is made.
    ///
    /// # Errors
    /// When the server can't be reached, or collections can't be prepared.
    pub async fn open(client: Client, database: &str, prefix: &str) -> Result<Self, StoreError> {
        let write_concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        let options = DatabaseOptions::builder()
            .write_concern(write_concern.clone())
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        let database = client.database_with_options(database, options);
        let collection = |name: &str| database.collection(&format!("{prefix}{name}"));
        let models = Self {
            rooms: collection("rooms"),
            reservations: collection("reservations"),
            history: collection("history"),
            usage: collection("usage"),
            checkpoints: collection("checkpoints"),
            parked: collection("parked"),
            write_concern,
            client,
        };
        models.create_indexes().await?;
        models.create_checkpoints().await?;
        Ok(models)
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.client.database("admin").run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }

    /// One index for each order in which the queries read.
    async fn create_indexes(&self) -> Result<(), StoreError> {
        let index = |keys: Document| IndexModel::builder().keys(keys).build();
        let live = |keys: Document| {
            let only_live = IndexOptions::builder().partial_filter_expression(doc! { "live": true }).build();
            IndexModel::builder().keys(keys).options(only_live).build()
        };
        let of_rooms = [
            index(doc! { "retired": 1, "settings.name": 1, "_id": 1 }),
            index(doc! { "retired": 1, "settings.kind": 1, "settings.name": 1, "_id": 1 }),
            index(doc! { "settings.kind": 1, "_id": 1 }),
        ];
        let of_reservations =
            [live(doc! { "room": 1, "weeks": 1 }), live(doc! { "user": 1, "from": 1, "_id": 1 })];
        let of_history = [index(doc! { "user": 1, "at": -1, "room": -1, "version": -1 })];
        let of_usage = [index(doc! { "room": 1, "year": 1 })];
        self.rooms.create_indexes(of_rooms).await?;
        self.reservations.create_indexes(of_reservations).await?;
        self.history.create_indexes(of_history).await?;
        self.usage.create_indexes(of_usage).await?;
        Ok(())
    }
}

impl From<mongodb::error::Error> for StoreError {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Backend(Box::new(error))
    }
}

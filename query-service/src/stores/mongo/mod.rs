//! Read models in MongoDB.
//!
//! Every write decides by itself whether it still applies, so that several owners may write at once. No sessions,
//! transactions or change streams are needed. All reads and writes go to the primary, with majority concern.

mod batch_writes;
mod checkpoints;
mod commands;
mod documents;
mod erasures;
mod generations;
mod joint_writes;
mod ordered_writes;
mod packing;
mod parking;
mod queries;
mod repair;
mod requests;
mod stored;
mod usage_cache;

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client, Database, IndexModel,
    bson::{Document, doc},
    error::ErrorKind,
    options::{
        Acknowledgment, ClientOptions, DatabaseOptions, IndexOptions, ReadConcern, ReadPreference,
        SelectionCriteria, ServerAddress, Tls, TlsOptions, WriteConcern,
    },
};
use service_kit::tls::{Authorities, is_this_machine, warn_of_open_way};

pub use self::generations::{Generations, MongoSettings};
use self::{commands::Target, erasures::List, joint_writes::JointWrites, usage_cache::UsageCache};
use super::StoreError;

/// Begins the names of the first generation's collections.
pub const GENERATION: &str = "g2_";
/// The form of the documents that this program reads and writes. Another form is another generation: programs of
/// either show their own.
pub const FORM: u32 = 5;

/// The collection of events that operators left out: read models that are made again leave them out too.
const DROPPED: &str = "dropped_events";

/// What the server says of an index that is not there.
const INDEX_NOT_FOUND: i32 = 27;
/// How long an operation waits for a server that is not there.
const SERVER_WAIT: Duration = Duration::from_secs(5);
/// Connections that are kept open, so that a query after a quiet time does not wait for one.
const MIN_CONNECTIONS: u32 = 8;
/// Most connections, where the URL does not say: queries must not wait for those that the projector writes on.
const MAX_CONNECTIONS: u32 = 64;
/// Connections that a thread of its own keeps open.
const MIN_CONNECTIONS_OF_A_THREAD: u32 = 2;

/// One generation of read models in a database.
#[derive(Clone, Debug)]
pub struct MongoReadModels {
    client: Client,
    rooms: Target,
    reservations: Target,
    history: Target,
    usage: Target,
    checkpoints: Target,
    parked: Target,
    /// Events that are left out, of all generations.
    dropped: Target,
    requests: Target,
    /// Who was erased, of all generations.
    erasures: Arc<List>,
    usage_cache: Arc<UsageCache>,
    joint_writes: Arc<JointWrites>,
    /// How a thread gets connections of its own to the same collections.
    connecting: Option<Arc<Connecting>>,
}

#[derive(Debug)]
struct Connecting {
    options: ClientOptions,
    database: String,
    prefix: String,
}

impl MongoReadModels {
    /// Connects to a server and opens read models there.
    ///
    /// # Errors
    /// When the address is not one, the server can't be reached, or collections can't be prepared.
    pub async fn connect(url: &str, database: &str, prefix: &str) -> Result<Self, StoreError> {
        Self::open(Client::with_options(client_options(url, None).await?)?, database, prefix).await
    }

    /// Opens the read models whose collections' names begin with `prefix`; what is missing is made.
    ///
    /// # Errors
    /// When the server can't be reached, or collections can't be prepared.
    pub async fn open(client: Client, database: &str, prefix: &str) -> Result<Self, StoreError> {
        let models = Self::named(client, database, prefix);
        models.create_indexes().await?;
        models.create_checkpoints().await?;
        Ok(models)
    }

    /// Lets threads have connections of their own, made with these options.
    fn with_connections_for_threads(mut self, options: ClientOptions, database: &str, prefix: &str) -> Self {
        let (database, prefix) = (database.to_owned(), prefix.to_owned());
        self.connecting = Some(Arc::new(Connecting { options, database, prefix }));
        self
    }

    /// Read models of which everything is there.
    fn named(client: Client, database: &str, prefix: &str) -> Self {
        let database = durable_database(&client, database);
        let collection = |name: &str| Target {
            database: database.clone(),
            collection: database.collection(&format!("{prefix}{name}")),
        };
        Self {
            rooms: collection("rooms"),
            reservations: collection("reservations"),
            history: collection("history"),
            usage: collection("usage"),
            checkpoints: collection("checkpoints"),
            parked: collection("parked"),
            dropped: Target { database: database.clone(), collection: database.collection(DROPPED) },
            requests: collection("requests"),
            erasures: Arc::new(List::of(&database)),
            usage_cache: Arc::default(),
            joint_writes: Arc::default(),
            connecting: None,
            client,
        }
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.client.database("admin").run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }

    /// Drops an index that an earlier build made and another one has replaced. Where the service may not, it stays: it does
    /// no harm but for the time that its entries take.
    async fn drop_index(target: &Target, name: &str) {
        let not_there = |error: &mongodb::error::Error| matches!(&*error.kind, ErrorKind::Command(error) if error.code == INDEX_NOT_FOUND);
        if let Err(error) = target.collection.drop_index(name).await
            && !not_there(&error)
        {
            tracing::warn!(%error, name, "an index that nothing uses any more is still there");
        }
    }

    /// One index for each order in which the queries read.
    async fn create_indexes(&self) -> Result<(), StoreError> {
        let index = |keys: Document| IndexModel::builder().keys(keys).build();
        let live = |keys: Document| {
            let only_live =
                IndexOptions::builder().partial_filter_expression(doc! { "form.live": true }).build();
            IndexModel::builder().keys(keys).options(only_live).build()
        };
        let of_rooms = [
            index(doc! { "form.retired": 1, "form.settings.name": 1, "_id": 1 }),
            index(doc! { "form.retired": 1, "form.settings.kind": 1, "form.settings.name": 1, "_id": 1 }),
            index(doc! { "form.settings.kind": 1, "_id": 1 }),
        ];
        let of_reservations = [
            live(doc! { "form.room": 1, "form.weeks": 1, "form.from": 1, "form.to": 1 }),
            live(doc! { "form.user": 1, "form.from": 1, "_id": 1 }),
        ];
        let of_history = [index(doc! { "user": 1, "at": -1, "_id": -1 })];
        let of_usage = [index(doc! { "form.room": 1, "form.month": 1 })];
        self.rooms.collection.create_indexes(of_rooms).await?;
        self.reservations.collection.create_indexes(of_reservations).await?;
        Self::drop_index(&self.reservations, "form.room_1_form.weeks_1").await;
        self.history.collection.create_indexes(of_history).await?;
        self.usage.collection.create_indexes(of_usage).await?;
        Ok(())
    }
}

/// How the server at an address is reached, whose certificate these authorities may have signed.
async fn client_options(url: &str, authorities: Option<&Authorities>) -> Result<ClientOptions, StoreError> {
    let mut options = ClientOptions::parse(url).await?;
    verify(&mut options, authorities);
    options.server_selection_timeout.get_or_insert(SERVER_WAIT);
    options.connect_timeout.get_or_insert(SERVER_WAIT);
    options.min_pool_size.get_or_insert(MIN_CONNECTIONS);
    options.max_pool_size.get_or_insert(MAX_CONNECTIONS);
    options.app_name.get_or_insert_with(|| "query-service".to_owned());
    Ok(options)
}

/// Has servers on other machines reached by TLS where the connection string says nothing of it, and names the authorities
/// where it names none.
fn verify(options: &mut ClientOptions, authorities: Option<&Authorities>) {
    let remote = options.hosts.iter().any(|address| match address {
        ServerAddress::Tcp { host, .. } => !is_this_machine(host),
        _ => false,
    });
    if options.tls.is_none() && remote {
        options.tls = Some(Tls::Enabled(TlsOptions::default()));
    }
    match &mut options.tls {
        Some(Tls::Enabled(tls)) => {
            if let Some(authorities) = authorities {
                tls.ca_file_path.get_or_insert_with(|| authorities.path().into());
            }
            if remote && tls.allow_invalid_certificates == Some(true) {
                warn_of_open_way("MONGODB_URL", "MongoDB's certificate is not verified");
            }
        }
        Some(Tls::Disabled) if remote => warn_of_open_way("MONGODB_URL", "MongoDB is reached without TLS"),
        _ => {}
    }
}

/// A database of which everything is read from and written to a majority.
fn durable_database(client: &Client, name: &str) -> Database {
    let options = DatabaseOptions::builder()
        .write_concern(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build())
        .read_concern(ReadConcern::majority())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build();
    client.database_with_options(name, options)
}

impl From<mongodb::error::Error> for StoreError {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Backend(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_address_makes_reads_go_to_a_secondary_or_writes_be_acknowledged_by_less_than_a_majority() {
        let url = "mongodb://127.0.0.1:1/?readPreference=secondary&readConcernLevel=local&w=1&journal=false";
        let options = client_options(url, None).await.unwrap();
        let database = durable_database(&Client::with_options(options).unwrap(), "any");
        let collection = database.collection::<Document>("any");
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        assert_eq!(database.selection_criteria(), Some(&primary));
        assert_eq!(collection.selection_criteria(), Some(&primary));
        assert_eq!(collection.read_concern(), Some(&ReadConcern::majority()));
        let write = collection.write_concern().unwrap();
        assert_eq!((&write.w, write.journal), (&Some(Acknowledgment::Majority), Some(true)));
    }

    #[tokio::test]
    async fn servers_on_other_machines_are_reached_by_tls_unless_the_url_says_otherwise() {
        let tls = async |url: &str| {
            let mut options = ClientOptions::parse(url).await.unwrap();
            verify(&mut options, None);
            matches!(options.tls, Some(Tls::Enabled(_)))
        };
        assert!(tls("mongodb://db.example.org/").await);
        assert!(tls("mongodb://127.0.0.1,db.example.org/").await);
        assert!(!tls("mongodb://db.example.org/?tls=false").await);
        assert!(!tls("mongodb://127.0.0.1/").await);
        assert!(tls("mongodb://127.0.0.1/?tls=true").await);
    }
}

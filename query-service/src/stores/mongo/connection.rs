//! The connection to MongoDB. Everything is read and written with majority concern, through the primary.

use std::time::Duration;

use mongodb::{
    Client, Collection, Database,
    options::{
        Acknowledgment, ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria,
        ServerAddress, Tls, TlsOptions, WriteConcern,
    },
};
use secrecy::{ExposeSecret, SecretString};
use service_kit::tls::{Authorities, is_this_machine, warn_of_open_way};

use super::commands::Target;
use crate::stores::StoreError;

/// How long an operation waits for a server that is away.
const SERVER_WAIT: Duration = Duration::from_secs(5);
/// Connections that stay open, so that a query after a quiet time does not wait for one.
const MIN_CONNECTIONS: u32 = 8;
/// Most connections where the URL names no number: queries must not wait for those of the projector.
const MAX_CONNECTIONS: u32 = 64;
/// Connections that a thread of its own keeps open.
const MIN_CONNECTIONS_OF_A_THREAD: u32 = 2;

/// Where the read models are.
#[derive(Clone, Debug)]
pub struct MongoSettings {
    /// A MongoDB connection string.
    pub url: SecretString,
    /// The database.
    pub database: String,
    /// Who signs the servers' certificates where the connection string names nobody, in place of the public ones.
    pub authorities: Option<Authorities>,
}

/// A pool of connections to one database.
#[derive(Clone, Debug)]
pub struct Connection {
    options: ClientOptions,
    pub(super) client: Client,
    pub(super) database: Database,
}

impl Connection {
    /// Reads the address. The server is reached when something is asked of it.
    ///
    /// # Errors
    /// When the address is not one.
    pub async fn open(settings: &MongoSettings) -> Result<Self, StoreError> {
        let mut options = ClientOptions::parse(settings.url.expose_secret()).await?;
        verify(&mut options, settings.authorities.as_ref());
        options.server_selection_timeout.get_or_insert(SERVER_WAIT);
        options.connect_timeout.get_or_insert(SERVER_WAIT);
        options.min_pool_size.get_or_insert(MIN_CONNECTIONS);
        options.max_pool_size.get_or_insert(MAX_CONNECTIONS);
        options.app_name.get_or_insert_with(|| "query-service".to_owned());
        Self::with_options(options, &settings.database)
    }

    /// A connection with the driver's own options.
    ///
    /// # Errors
    /// When the options contradict one another.
    pub fn with_options(options: ClientOptions, database: &str) -> Result<Self, StoreError> {
        let client = Client::with_options(options.clone())?;
        let durable = DatabaseOptions::builder()
            .write_concern(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build())
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        let database = client.database_with_options(database, durable);
        Ok(Self { options, client, database })
    }

    /// A pool of the calling thread's own to the same database.
    pub(super) fn for_this_thread(&self) -> Result<Self, StoreError> {
        let mut options = self.options.clone();
        options.min_pool_size = options.min_pool_size.map(|least| least.min(MIN_CONNECTIONS_OF_A_THREAD));
        Self::with_options(options, self.database.name())
    }

    pub(crate) fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.database.collection(name)
    }

    pub(super) fn target(&self, name: &str) -> Target {
        Target { database: self.database.clone(), collection: self.collection(name) }
    }
}

/// Sets TLS for servers on other machines where the connection string says nothing about it, and the authorities where
/// it names none.
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

#[cfg(test)]
mod tests {
    use mongodb::bson::Document;

    use super::*;

    #[tokio::test]
    async fn no_address_makes_reads_go_to_a_secondary_or_writes_be_acknowledged_by_less_than_a_majority() {
        let url = "mongodb://127.0.0.1:1/?readPreference=secondary&readConcernLevel=local&w=1&journal=false";
        let settings = MongoSettings { url: url.into(), database: "any".to_owned(), authorities: None };
        let Connection { database, .. } = Connection::open(&settings).await.unwrap();
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

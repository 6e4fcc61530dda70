//! The servers of the tests: addresses, a database or a topic for one test, and waiting for an effect.

use std::time::Duration;

use command_service::{
    event_store::mysql::MySqlStore,
    kafka::{KafkaOptions, ensure_topic},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use service_kit::{brokers::Brokers, ids};
use sqlx::{Connection, Executor, MySqlConnection};

/// Longer than any effect takes on a busy machine. Only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// Waits until a condition holds. It looks again and again: servers and other processes tell the test nothing.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(POLL).await;
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(outcome.is_ok(), "{what}: not within {PATIENCE:?}");
}

/// The URL of the MySQL server, without a database.
pub(crate) fn mysql_url() -> String {
    let url = std::env::var("MYSQL_URL").expect("MYSQL_URL names a MySQL server");
    url.trim_end_matches('/').to_owned()
}

/// The addresses of the Kafka brokers.
pub(crate) fn brokers() -> String {
    std::env::var("KAFKA_BROKERS").expect("KAFKA_BROKERS names the brokers")
}

/// A MySQL database, dropped with this value.
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Database {
    /// A database with its tables.
    pub(crate) async fn new() -> Self {
        let database = Self::missing();
        database.open().migrate().await.unwrap();
        database
    }

    /// A name for a database that does not exist yet.
    pub(crate) fn missing() -> Self {
        Self::missing_on(&mysql_url())
    }

    /// The same on the server at this URL.
    pub(crate) fn missing_on(server: &str) -> Self {
        Self { url: format!("{server}/test_{}", ids::new_id().simple()) }
    }

    pub(crate) fn open(&self) -> MySqlStore {
        MySqlStore::open(self.url.as_str(), 4, None, None).unwrap()
    }

    /// A session beside the store's own.
    pub(crate) async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.url).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = self.url.rsplit_once('/').unwrap();
        let (server, sql) = (server.to_owned(), format!("DROP DATABASE IF EXISTS {name}"));
        finish(async move {
            let mut connection = MySqlConnection::connect(&server).await.unwrap();
            connection.execute("SET lock_wait_timeout = 5").await.unwrap();
            connection.execute(sql.as_str()).await.unwrap();
        });
    }
}

/// A Kafka topic, deleted with this value.
pub(crate) struct Topic {
    pub(crate) options: KafkaOptions,
}

impl Topic {
    /// A topic with four partitions.
    pub(crate) async fn new() -> Self {
        let topic = Self::missing();
        ensure_topic(&topic.options).await.unwrap();
        topic
    }

    /// A name for a topic that does not exist yet.
    pub(crate) fn missing() -> Self {
        let options = KafkaOptions {
            brokers: Brokers::open(brokers()),
            topic: format!("test-{}", ids::new_id()),
            partitions: 4,
            replication: 1,
            retention_hours: 168,
        };
        Self { options }
    }

    pub(crate) async fn delete(&self) {
        delete_topic(&self.options.topic).await;
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let topic = self.options.topic.clone();
        finish(async move { delete_topic(&topic).await });
    }
}

async fn delete_topic(topic: &str) {
    admin().delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
}

pub(crate) fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers()).create().unwrap()
}

/// Runs to its end outside of the test's runtime, which `drop` can't wait for.
fn finish(work: impl Future<Output = ()> + Send + 'static) {
    let working = std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    });
    // A failure here must not hide the outcome of the test.
    drop(working.join());
}

//! The real servers, and a name on them that nobody else has.

use anyhow::{Context, Result};
use reqwest::Url;

use crate::{kafka, mongo, mysql, unique};

/// The URLs of the real servers.
#[derive(Clone, Debug)]
pub struct ServerUrls {
    /// `MYSQL_URL`, without a database.
    pub mysql: String,
    /// `KAFKA_BROKERS`.
    pub brokers: String,
    /// `MONGODB_URL`.
    pub mongodb: String,
}

impl ServerUrls {
    /// The servers that the environment names.
    pub fn from_environment() -> Result<Self> {
        let named = |name: &str| {
            std::env::var(name).with_context(|| {
                format!("{name} must name a server: eval \"$(deploy/servers/servers.sh up)\"")
            })
        };
        Ok(Self {
            mysql: named("MYSQL_URL")?,
            brokers: named("KAFKA_BROKERS")?,
            mongodb: named("MONGODB_URL")?,
        })
    }
}

/// One unique name for a MySQL database, a topic, a consumer group and a MongoDB database. Dropped, it removes them.
#[derive(Debug)]
pub struct Namespace {
    /// The name.
    pub name: String,
    /// The servers.
    pub servers: ServerUrls,
}

impl Namespace {
    /// Creates the MySQL database.
    pub async fn create(servers: &ServerUrls, prefix: &str) -> Result<Self> {
        let name = unique(prefix);
        mysql::create_database(&servers.mysql, &name).await?;
        Ok(Self { name, servers: servers.clone() })
    }

    /// The URL of the MySQL database.
    #[must_use]
    pub fn database_url(&self) -> String {
        let mut url = Url::parse(&self.servers.mysql).unwrap();
        url.set_path(&self.name);
        url.into()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let removed = block_on(|| async {
            mysql::drop_database(&self.servers.mysql, &self.name).await?;
            mongo::drop_database(&self.servers.mongodb, &self.name).await?;
            kafka::remove(&self.servers.brokers, &self.name).await
        });
        if let Err(error) = removed {
            eprintln!("{} was not removed from the servers: {error:#}", self.name);
        }
    }
}

/// Runs a future to its end in a `drop`, on a thread of its own: a thread of a runtime must not block.
pub fn block_on<F: Future<Output = Result<()>>>(start: impl FnOnce() -> F + Send) -> Result<()> {
    std::thread::scope(|scope| {
        let run = || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(start());
        scope.spawn(run).join().unwrap_or_else(|_| anyhow::bail!("the thread panicked"))
    })
}

//! The two peers: a source that drains an outbox table into a topic, and a sink that fills a collection.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use system_tests::Namespace;

use super::{
    Connector, Worker,
    mongo::Documents,
    mysql,
    settings::{self, Tuning},
};
use crate::{
    kafka::{self, Topic},
    rig::Rig,
};

/// Debezium with its own outbox table and topic.
pub(crate) struct Source<'worker> {
    pub(crate) connector: Connector<'worker>,
    pub(crate) namespace: Namespace,
    pub(crate) topic: Topic,
    /// The number of documents that were ever committed.
    pub(crate) committed: u64,
}

impl<'worker> Source<'worker> {
    /// Creates table and topic, and runs the connector until it has delivered a first row. Debezium skips rows that are
    /// committed before it knows its position in the binary log, and stores no position before its first delivery.
    pub(crate) async fn start(rig: &Rig, worker: &'worker Worker, tuning: Tuning) -> Result<Self> {
        let namespace = rig.namespace_without_tls("outbox").await?;
        mysql::create_outbox(&namespace.database_url()).await?;
        kafka::create_topic(&rig.servers.brokers, &namespace.name).await?;
        let name = format!("{}-source", namespace.name);
        let settings = settings::source(rig, &namespace, &name, tuning)?;
        let connector = Connector::create(worker, name, &settings).await?;
        let topic = Topic::open(&rig.servers.brokers, &namespace.name)?;
        for _ in 0..30 {
            mysql::commit_first_row(&namespace.database_url()).await?;
            if topic.until(0, 1, Duration::from_secs(2)).await.is_ok() {
                topic.until_quiet().await?;
                return Ok(Self { connector, namespace, topic, committed: 0 });
            }
        }
        bail!("Debezium delivers no row")
    }

    /// Commits a backlog while the connector is stopped, then resumes it. Returns the rate at which the topic fills.
    pub(crate) async fn drain(&mut self, documents: u64, patience: Duration) -> Result<f64> {
        self.connector.stop().await?;
        let before = self.topic.messages().await?;
        mysql::fill_outbox(&self.namespace.database_url(), self.committed, documents).await?;
        self.committed += documents;
        self.connector.resume().await?;
        let drained = self.topic.until(before, documents, patience).await?;
        let after = self.topic.until_quiet().await?;
        ensure!(after == before + documents, "{documents} rows became {} messages", after - before);
        Ok(drained.rate())
    }

    /// Checks that the topic has every committed document, those of a room in order.
    pub(crate) async fn verify(&self) -> Result<()> {
        self.topic.verify(self.committed, kafka::of_documents).await.map(|_| ())
    }
}

/// The MongoDB sink connector, from the topic of a namespace into a collection of its database.
pub(crate) struct Sink<'worker> {
    pub(crate) connector: Connector<'worker>,
    pub(crate) documents: Documents,
}

impl<'worker> Sink<'worker> {
    /// Runs the connector from the start of the topic.
    pub(crate) async fn start(
        rig: &Rig,
        worker: &'worker Worker,
        namespace: &Namespace,
        collection: &str,
        tuning: Tuning,
    ) -> Result<Self> {
        let documents = Documents::open(&rig.servers.mongodb, &namespace.name, collection).await?;
        let name = format!("{}-{collection}-sink", namespace.name);
        let settings = settings::sink(rig, namespace, collection, tuning);
        Ok(Self { connector: Connector::create(worker, name, &settings).await?, documents })
    }

    /// Deletes the connector and its documents.
    pub(crate) async fn end(self) -> Result<()> {
        self.connector.delete().await?;
        self.documents.clear().await
    }
}

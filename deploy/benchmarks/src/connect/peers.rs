//! The two peers at work: a source that empties an outbox table into a topic, and a sink that fills a collection.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use system_tests::Namespace;

use super::{
    Worker,
    mongo::Documents,
    mysql,
    settings::{self, Tuning},
};
use crate::{
    kafka::{self, Topic},
    rig::Rig,
};

/// Debezium with an outbox table and a topic of its own.
pub(crate) struct Source<'worker> {
    worker: &'worker Worker,
    pub(crate) namespace: Namespace,
    pub(crate) topic: Topic,
    name: String,
    /// Documents that were ever committed.
    pub(crate) committed: u64,
}

impl<'worker> Source<'worker> {
    /// Makes table and topic, and runs the connector until it has delivered a first row. (It passes over the rows that are
    /// there before it has taken its place in the binary log, and it keeps no place before it has delivered one: rows that
    /// are committed while it is stopped would never arrive.)
    pub(crate) async fn start(rig: &Rig, worker: &'worker Worker, tuning: Tuning) -> Result<Self> {
        let namespace = rig.namespace_without_tls("outbox").await?;
        mysql::create_outbox(&namespace.database_url()).await?;
        kafka::create_topic(&rig.servers.brokers, &namespace.name).await?;
        let name = format!("{}-source", namespace.name);
        worker.create(&name, &settings::source(rig, &namespace, &name, tuning)?).await?;
        let topic = Topic::open(&rig.servers.brokers, &namespace.name)?;
        for _ in 0..30 {
            mysql::commit_first_row(&namespace.database_url()).await?;
            if topic.until(0, 1, Duration::from_secs(2)).await.is_ok() {
                topic.until_quiet().await?;
                return Ok(Self { worker, namespace, topic, name, committed: 0 });
            }
        }
        bail!("Debezium delivers no row")
    }

    /// Commits a backlog while the connector is stopped, lets it go on, and gives the rate at which the backlog comes into
    /// the topic.
    pub(crate) async fn drain(&mut self, documents: u64, patience: Duration) -> Result<f64> {
        self.worker.stop(&self.name).await?;
        let before = self.topic.messages().await?;
        mysql::fill_outbox(&self.namespace.database_url(), self.committed, documents).await?;
        self.committed += documents;
        self.worker.resume(&self.name).await?;
        let drained = self.topic.until(before, documents, patience).await?;
        let after = self.topic.until_quiet().await?;
        ensure!(after == before + documents, "{documents} rows became {} messages", after - before);
        Ok(drained.rate())
    }

    /// Ends its task; it keeps its place.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.worker.stop(&self.name).await
    }

    /// Lets it go on.
    pub(crate) async fn resume(&self) -> Result<()> {
        self.worker.resume(&self.name).await
    }

    /// Makes sure that every document that was committed is in the topic, and those of a room in their order.
    pub(crate) async fn verify(&self) -> Result<()> {
        self.topic.verify(self.committed, kafka::of_documents).await.map(|_| ())
    }

    /// Removes the connector.
    pub(crate) async fn end(self) -> Result<()> {
        self.worker.delete(&self.name).await
    }
}

/// The MongoDB sink connector, from a namespace's topic into a collection of the namespace's database.
pub(crate) struct Sink<'worker> {
    worker: &'worker Worker,
    name: String,
    pub(crate) documents: Documents,
}

impl<'worker> Sink<'worker> {
    /// Runs the connector: it reads the topic from its beginning.
    pub(crate) async fn start(
        rig: &Rig,
        worker: &'worker Worker,
        namespace: &Namespace,
        collection: &str,
        tuning: Tuning,
    ) -> Result<Self> {
        let documents = Documents::open(&rig.servers.mongodb, &namespace.name, collection).await?;
        let name = format!("{}-{collection}-sink", namespace.name);
        worker.create(&name, &settings::sink(rig, namespace, collection, tuning)).await?;
        Ok(Self { worker, name, documents })
    }

    /// Ends its tasks; it keeps its place.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.worker.stop(&self.name).await
    }

    /// Lets it go on.
    pub(crate) async fn resume(&self) -> Result<()> {
        self.worker.resume(&self.name).await
    }

    /// Removes the connector and what it has written.
    pub(crate) async fn end(self) -> Result<()> {
        self.worker.delete(&self.name).await?;
        self.documents.clear().await
    }
}

//! From the transaction to the message in Kafka: our relay from the binary log, against Debezium tuned for latency.
//!
//! Ours starts at the event's `recorded_at`, which the writer reads before its transaction; theirs when the transaction is
//! sent to MySQL. Both end at a consumer of the topic.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use command_service::event_store::Mode;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::relay_log;
use crate::{
    connect::{Worker, mysql::Writer, peers::Source, settings::Tuning},
    figures::{Finding, Series, Target, number},
    kafka::{Arrivals, Latencies, document, recorded},
    peer_documents::Document,
    rig::Rig,
    rounds::alternate,
};

const PATIENCE: Duration = Duration::from_secs(120);
/// Connections that commit single rows.
const WRITERS: u32 = 8;

pub(crate) async fn against_debezium(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = rig.size(8, 3);
    let worker = Worker::start(rig).await?;
    let mut theirs = Theirs::start(rig, &worker).await?;
    let mut ours = relay_log::target(rig, Mode::Log).await?;
    let arrivals = Arrivals::watch(&rig.servers.brokers, &ours.namespace.name, PATIENCE, recorded).await?;
    let (mut p99, mut their_p99) = (Vec::new(), Vec::new());
    let (our_p50, their_p50) = alternate(
        rig.rounds,
        async |_| relay_log::latency(&mut ours, &arrivals, number(seconds), &mut p99).await,
        async |_| {
            theirs.source.connector.resume().await?;
            // What comes first after a pause is slow.
            theirs.run(1).await?;
            let latencies = theirs.run(seconds).await?;
            // It must not use the processor while ours is measured.
            theirs.source.connector.stop().await?;
            their_p99.push(latencies.at(0.99));
            Ok(latencies.at(0.5))
        },
    )
    .await?;
    relay_log::check(ours, Mode::Log).await?;
    theirs.source.connector.resume().await?;
    theirs.source.verify().await?;
    Ok(vec![
        Finding::new(
            "arrival-log-debezium",
            "Debezium, tuned for latency",
            Target::AtMost(0.5),
            0.3,
            Series::new("transaction to received from Kafka, p50 at 500/s, from the log", "ms", our_p50),
            Series::new("the same of Debezium", "ms", their_p50),
        )
        .with(Series::new("from the log, p99", "ms", p99))
        .with(Series::new("Debezium, p99", "ms", their_p99)),
    ])
}

/// Debezium, its writers, and a consumer of its topic.
struct Theirs<'worker> {
    source: Source<'worker>,
    writer: Arc<Writer>,
    arrivals: Arrivals<Uuid>,
}

impl<'worker> Theirs<'worker> {
    async fn start(rig: &Rig, worker: &'worker Worker) -> Result<Self> {
        let mut source = Source::start(rig, worker, Tuning::Latency).await?;
        // Before this many rows the worker is not warm.
        source.drain(100_000, PATIENCE).await?;
        let writer = Arc::new(Writer::open(&source.namespace.database_url(), WRITERS).await?);
        let arrivals =
            Arrivals::watch(&rig.servers.brokers, &source.namespace.name, PATIENCE, document).await?;
        source.connector.stop().await?;
        Ok(Self { source, writer, arrivals })
    }

    /// Commits single rows at a steady rate.
    async fn run(&mut self, seconds: u64) -> Result<Latencies> {
        self.arrivals.begin();
        let first = self.source.committed;
        let end = first + seconds * relay_log::PER_SECOND;
        let start = tokio::time::Instant::now();
        let mut commits = JoinSet::new();
        for document in (first..end).map(Document) {
            let due = number(document.0 - first) / number(relay_log::PER_SECOND);
            tokio::time::sleep_until(start + Duration::from_secs_f64(due)).await;
            let writer = Arc::clone(&self.writer);
            commits.spawn(async move { anyhow::Ok((document.id(), writer.commit(document).await?)) });
        }
        self.source.committed = end;
        let mut sent = HashMap::new();
        while let Some(commit) = commits.join_next().await {
            let (id, commit) = commit??;
            sent.insert(id.parse::<Uuid>()?, commit.sent);
        }
        let of_commit = |(id, seen): (Uuid, i64)| Ok((*sent.get(&id).context("an unknown row")?, seen));
        let pairs: Result<Vec<_>> =
            self.arrivals.end(end - first).await?.into_iter().map(of_commit).collect();
        Ok(Latencies::of(pairs?))
    }
}

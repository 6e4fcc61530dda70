//! From the transaction to the message in Kafka: our relay from the binary log, against Debezium tuned for latency.
//!
//! The time starts when the commit is acknowledged: ours by the answer over HTTP, theirs by MySQL's answer to the writer. It
//! ends at a consumer of the topic. A message can come before the answer, which counts as no time.
//!
//! A second figure starts when the transaction is sent to MySQL. Ours starts at the event's `recorded_at`, which MySQL reads
//! at BEGIN, in whole milliseconds.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use command_service::event_store::Mode;
use shared_events::RoomId;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::relay_log;
use crate::{
    command_target::{CommandTarget, event_of},
    connect::{
        Worker,
        mysql::{Commit, Writer},
        peers::Source,
        settings::Tuning,
    },
    figures::{Finding, Series, Target, number},
    kafka::{Arrivals, Latencies, document, event},
    load::Pace,
    mysql,
    peer_documents::Document,
    rig::Rig,
    rounds::alternate,
};

const PATIENCE: Duration = Duration::from_secs(120);
/// Connections that commit single rows.
const WRITERS: u32 = 8;
/// Connections of the load on ours.
const CONNECTIONS: usize = 64;

pub(crate) async fn against_debezium(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = rig.size(8, 3);
    let worker = Worker::start(rig).await?;
    let mut theirs = Theirs::start(rig, &worker).await?;
    let mut ours = Ours::start(rig).await?;
    let (mut all, mut all_of_theirs) = (Vec::new(), Vec::new());
    let (our_p50, their_p50) = alternate(
        rig.rounds,
        async |_| {
            let times = ours.run(number(seconds)).await?;
            let p50 = times.from_commit.at(0.5);
            all.push(times);
            Ok(p50)
        },
        async |_| {
            theirs.source.connector.resume().await?;
            // What comes first after a pause is slow.
            theirs.run(1).await?;
            let times = theirs.run(seconds).await?;
            // It must not use the processor while ours is measured.
            theirs.source.connector.stop().await?;
            let p50 = times.from_commit.at(0.5);
            all_of_theirs.push(times);
            Ok(p50)
        },
    )
    .await?;
    relay_log::check(ours.target, Mode::Log).await?;
    theirs.source.connector.resume().await?;
    theirs.source.verify().await?;
    let mut finding = Finding::new(
        "arrival-log-debezium",
        "Debezium, tuned for latency",
        Target::AtMost(0.5),
        0.3,
        Series::new("commit to received from Kafka, p50 at 500/s, from the log", "ms", our_p50),
        Series::new("the same of Debezium", "ms", their_p50),
    );
    for (who, all) in [("from the log", all), ("Debezium", all_of_theirs)] {
        let each = |name: &str, value: fn(&Times) -> f64| {
            Series::new(&format!("{who}, {name}"), "ms", all.iter().map(value).collect())
        };
        finding = finding
            .with(each("p99", |times| times.from_commit.at(0.99)))
            .with(each("p50 from the transaction's sending", |times| times.from_sending.at(0.5)));
    }
    Ok(vec![finding])
}

/// The times of one run until messages came.
struct Times {
    from_commit: Latencies,
    from_sending: Latencies,
}

impl Times {
    /// Of what came, and the commit of each.
    fn of<T: Hash + Eq>(came: Vec<(T, i64)>, commits: &HashMap<T, Commit>) -> Result<Self> {
        let mut times = Vec::with_capacity(came.len());
        for (event, seen) in came {
            times.push((*commits.get(&event).context("an event that nobody committed")?, seen));
        }
        Ok(Self {
            from_commit: Latencies::of(times.iter().map(|(commit, seen)| (commit.answered, *seen))),
            from_sending: Latencies::of(times.iter().map(|(commit, seen)| (commit.sent, *seen))),
        })
    }
}

/// A command service whose relay reads the binary log, and a consumer of its topic.
struct Ours {
    target: CommandTarget,
    arrivals: Arrivals<(RoomId, u64)>,
}

impl Ours {
    async fn start(rig: &Rig) -> Result<Self> {
        let target = relay_log::target(rig, Mode::Log).await?;
        let arrivals = Arrivals::watch(&rig.servers.brokers, &target.namespace.name, PATIENCE, event).await?;
        Ok(Self { target, arrivals })
    }

    async fn run(&mut self, seconds: f64) -> Result<Times> {
        let first = self.target.next();
        self.arrivals.begin();
        let pace = Pace::Open(number(relay_log::PER_SECOND));
        let outcome = self.target.reserve(CONNECTIONS, pace, 0.0, seconds).await?;
        let came = self.arrivals.end(outcome.sent).await?;
        let recorded = mysql::recorded_at(&self.target.namespace.database_url()).await?;
        let mut commits = HashMap::new();
        for (number, answered) in outcome.answered_at {
            let event = event_of(&self.target.rooms, first + number);
            let recorded = recorded.get(&event).context("an event that was answered is recorded")?;
            commits.insert(event, Commit { sent: recorded * 1000, answered });
        }
        Times::of(came, &commits)
    }
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
    async fn run(&mut self, seconds: u64) -> Result<Times> {
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
        let mut committed = HashMap::new();
        while let Some(commit) = commits.join_next().await {
            let (id, commit) = commit??;
            committed.insert(id.parse::<Uuid>()?, commit);
        }
        Times::of(self.arrivals.end(end - first).await?, &committed)
    }
}

//! From commit to visible in MongoDB: our two services, against Debezium and the MongoDB sink connector in one worker.
//!
//! The time starts when the commit is acknowledged: ours by the answer over HTTP, theirs by the answer of MySQL. It ends
//! when a query with read concern `majority` sees a document: our history entry, or their only document.
//!
//! A second figure starts when the transaction is sent to MySQL. Ours starts at the event's `recorded_at`, which
//! MySQL reads at BEGIN, in milliseconds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use query_service::{read_models::generation::FIRST, stores::mongo::prefix};
use tokio::task::JoinSet;

use crate::{
    command_target::{CommandTarget, Relaying, event_of},
    connect::{
        Worker,
        mongo::{self, Documents},
        mysql::{Commit, Writer},
        peers::{Sink, Source},
        settings::Tuning,
    },
    figures::{Finding, Series, Target, number},
    load::{Pace, new_histogram},
    mysql,
    peer_documents::Document,
    processor::{Costs, Meter, busy_seconds},
    rig::{Rig, Service},
    visibility_probe::{Schedule, VisibilityProbe},
};

const PATIENCE: Duration = Duration::from_secs(120);
/// Connections that commit single rows.
const WRITERS: u32 = 8;
const ROOMS: usize = 500;
const CONNECTIONS: usize = 64;
pub(super) const WARM_UP_SECONDS: u64 = 1;
/// Events per second of both sides, and of ours alone.
pub(super) const MANY: u64 = 500;
const RATES: [u64; 2] = [50, MANY];
pub(super) const MOST: u64 = 2000;
/// The limit of our p99 at that rate.
const LIMIT_MS: f64 = 50.0;

/// Latencies of one run in microseconds.
pub(super) struct Latencies {
    from_commit: Histogram<u64>,
    from_sending: Histogram<u64>,
}

impl Latencies {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { from_commit: new_histogram()?, from_sending: new_histogram()? })
    }

    /// Notes when a document was seen, which can be before the client gets its answer.
    pub(super) fn note(&mut self, commit: Commit, seen: i64) -> Result<()> {
        self.from_commit.record(u64::try_from((seen - commit.answered).max(1))?)?;
        Ok(self.from_sending.record(u64::try_from((seen - commit.sent).max(1))?)?)
    }

    /// A quantile of the time from commit, in milliseconds.
    pub(super) fn at(&self, quantile: f64) -> f64 {
        milliseconds(&self.from_commit, quantile)
    }
}

/// Runs of one side by rate, and what an event cost in each.
#[derive(Default)]
struct Runs {
    latencies: BTreeMap<u64, Vec<Latencies>>,
    costs: BTreeMap<u64, Vec<Costs>>,
}

impl Runs {
    fn add(&mut self, rate: u64, run: Latencies, costs: Costs) {
        self.latencies.entry(rate).or_default().push(run);
        self.costs.entry(rate).or_default().push(costs);
    }

    fn take(&mut self, rate: u64) -> (Vec<Latencies>, Vec<Costs>) {
        (self.latencies.remove(&rate).unwrap_or_default(), self.costs.remove(&rate).unwrap_or_default())
    }
}

pub(crate) async fn from_commit(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = rig.size(8, 3);
    let worker = Worker::start(rig).await?;
    let mut as_they_come = Vec::new();
    let others = [("default", Tuning::Default), ("tuned for rate", Tuning::Rate)];
    // These are shown beside the ratio. A short run leaves them out.
    for (name, tuning) in others.into_iter().filter(|_| !rig.short) {
        let mut theirs = Theirs::start(rig, &worker, tuning).await?;
        theirs.warm_up().await?;
        for rate in RATES {
            as_they_come.push((rate, name, theirs.run(rate, seconds).await?));
        }
        theirs.end().await?;
    }
    let mut theirs = Theirs::start(rig, &worker, Tuning::Latency).await?;
    theirs.warm_up().await?;
    let mut ours = Ours::start(rig).await?;
    let (mut our_runs, mut their_runs) = (Runs::default(), Runs::default());
    let mut cost = Vec::new();
    let events = |rate: u64| rate * (seconds + WARM_UP_SECONDS);
    for round in 0..rig.rounds {
        for turn in 0..2 {
            if (round + turn).is_multiple_of(2) {
                theirs.rest().await?;
                for rate in RATES.into_iter().chain([MOST]) {
                    let (before, meter) = (busy_seconds()?, Meter::start()?);
                    let run = ours.run(rate, seconds).await?;
                    our_runs.add(rate, run, meter.for_each_of(events(rate))?);
                    if rate == MOST {
                        cost.push((busy_seconds()? - before) / number(events(rate)) * 1e6);
                    }
                }
            } else {
                theirs.wake().await?;
                for rate in RATES {
                    let meter = Meter::start()?;
                    let run = theirs.run(rate, seconds).await?;
                    their_runs.add(rate, run, meter.for_each_of(events(rate))?);
                }
            }
        }
        eprintln!("  round {}: ours {}; theirs {}", round + 1, short(&our_runs), short(&their_runs));
    }
    theirs.wake().await?;
    theirs.verify().await?;
    ours.target.check().await?;
    let mut findings = Vec::new();
    for rate in RATES {
        let ((our_runs, our_costs), (their_runs, their_costs)) = (our_runs.take(rate), their_runs.take(rate));
        let against = "Debezium and sink connector, tuned for latency";
        let mut finding = |name: &str, quantile: f64, target: Target, aim: f64| {
            let of = |who: &str, runs: &[Latencies]| {
                let values = each(runs, quantile);
                Series::new(&format!("{who}, {name} at {rate}/s"), "ms", values)
            };
            let sent = |who: &str, runs: &[Latencies]| {
                let values = runs.iter().map(|run| milliseconds(&run.from_sending, quantile)).collect();
                Series::new(&format!("{who}, {name} from the transaction's sending"), "ms", values)
            };
            let mut finding = Finding::new(
                &format!("visible-{rate}-{name}"),
                against,
                target,
                aim,
                of("ours", &our_runs),
                of("theirs", &their_runs),
            )
            .with_costs(&our_costs, &their_costs)
            .with(sent("ours", &our_runs))
            .with(sent("theirs", &their_runs));
            for (_, tuning, latencies) in as_they_come.iter().filter(|(at, ..)| *at == rate) {
                let values = vec![latencies.at(quantile)];
                finding = finding.with(Series::new(&format!("theirs, {tuning}, {name}"), "ms", values));
            }
            findings.push(finding);
        };
        let (median, aim) = if rate == MANY { (0.6, 0.4) } else { (0.5, 0.3) };
        finding("p50", 0.5, Target::AtMost(median), aim);
        finding("p99", 0.99, Target::AtMost(0.6), 0.4);
    }
    let (runs, costs) = our_runs.take(MOST);
    let of_most = |name: &str, quantile| {
        let values = each(&runs, quantile);
        Series::new(&format!("ours, {name} at 2000/s"), "ms", values)
    };
    let mut finding = Finding::within("visible-2000-p99", "50 ms", of_most("p99", 0.99), LIMIT_MS, 0.4)
        .with_costs(&costs, &[]);
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99.9", 0.999), ("max", 1.0)] {
        finding = finding.with(of_most(name, quantile));
    }
    let all = "all processes, processor time from request to visible";
    findings.push(finding.with(Series::new(all, "µs/event", cost)));
    Ok(findings)
}

/// A quantile of each run's time from commit.
pub(super) fn each(runs: &[Latencies], quantile: f64) -> Vec<f64> {
    runs.iter().map(|run| run.at(quantile)).collect()
}

fn milliseconds(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    number(latencies.value_at_quantile(quantile)) / 1000.0
}

fn short(runs: &Runs) -> String {
    let last = runs.latencies.iter().filter_map(|(rate, runs)| Some((rate, runs.last()?)));
    let texts = last.map(|(rate, run)| {
        let of = |quantile| run.at(quantile);
        format!("{rate}/s p50 {:.1} p99 {:.1} ms", of(0.5), of(0.99))
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Command service and query service.
pub(super) struct Ours {
    pub(super) target: CommandTarget,
    history: Documents,
    _query: Service,
}

impl Ours {
    pub(super) async fn start(rig: &Rig) -> Result<Self> {
        let namespace = rig.namespace_without_tls("visible").await?;
        let target = CommandTarget::at(rig, namespace, ROOMS, Relaying::On).await?;
        let mut query = rig.query_service(&target.namespace, &target.service.url(), &[])?;
        query.until_ready().await?;
        let history = Documents::open(
            &rig.servers.mongodb,
            &target.namespace.name,
            &format!("{}history", prefix(FIRST)),
        )
        .await?;
        let mut ours = Self { target, history, _query: query };
        ours.run(500, 2).await?;
        Ok(ours)
    }

    pub(super) async fn run(&mut self, rate: u64, seconds: u64) -> Result<Latencies> {
        let first = self.target.next();
        let rooms = self.target.rooms.clone();
        let event = move |number| event_of(&rooms, number);
        let ids = {
            let event = event.clone();
            move |number| {
                let (room, version) = event(number);
                mongo::history_id(room, version)
            }
        };
        let probe = VisibilityProbe::begin(self.history.clone(), Box::new(ids), first, Schedule::of(rate));
        let pace = Pace::Open(number(rate));
        let outcome =
            self.target.reserve(CONNECTIONS, pace, number(WARM_UP_SECONDS), number(seconds)).await?;
        let answered_at: HashMap<_, _> = outcome.answered_at.into_iter().collect();
        let seen = probe.end(self.target.next()).await?;
        let recorded = mysql::recorded_at(&self.target.namespace.database_url()).await?;
        let mut latencies = Latencies::new()?;
        for (number, micros) in seen {
            if number >= first + WARM_UP_SECONDS * rate {
                let recorded = recorded.get(&event(number)).context("an event that is seen is recorded")?;
                let answered = answered_at.get(&(number - first)).context("its command was answered")?;
                latencies.note(Commit { sent: recorded * 1000, answered: *answered }, micros)?;
            }
        }
        Ok(latencies)
    }
}

/// Debezium and the sink connector.
pub(super) struct Theirs<'worker> {
    source: Source<'worker>,
    sink: Sink<'worker>,
    writer: Arc<Writer>,
}

impl<'worker> Theirs<'worker> {
    pub(super) async fn start(rig: &Rig, worker: &'worker Worker, tuning: Tuning) -> Result<Self> {
        let source = Source::start(rig, worker, tuning).await?;
        let sink = Sink::start(rig, worker, &source.namespace, "documents", tuning).await?;
        let writer = Arc::new(Writer::open(&source.namespace.database_url(), WRITERS).await?);
        Ok(Self { source, sink, writer })
    }

    /// The worker needs 100,000 documents to be warm: after 30,000 it is still thirty times slower at 500/s. So a short run
    /// warms up as long as a full one.
    pub(super) async fn warm_up(&mut self) -> Result<()> {
        self.source.drain(100_000, PATIENCE).await?;
        self.until_visible().await
    }

    async fn until_visible(&mut self) -> Result<()> {
        let wanted = self.source.committed;
        let started = Instant::now();
        // The first row is a document, too.
        while self.sink.documents.recount().await? < wanted + 1 {
            ensure!(started.elapsed() < PATIENCE, "the sink connector does not write what is there");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Commits single rows at a steady rate.
    pub(super) async fn run(&mut self, rate: u64, seconds: u64) -> Result<Latencies> {
        let first = self.source.committed;
        let counted_from = first + rate * WARM_UP_SECONDS;
        let end = counted_from + rate * seconds;
        let ids = Box::new(|number| mongo::document_id(Document(number).id()));
        let probe = VisibilityProbe::begin(self.sink.documents.clone(), ids, first, Schedule::of(rate));
        let start = tokio::time::Instant::now();
        let mut commits = JoinSet::new();
        for document in first..end {
            let due = start + Duration::from_secs_f64(number(document - first) / number(rate));
            let writer = Arc::clone(&self.writer);
            tokio::time::sleep_until(due).await;
            commits.spawn(async move { anyhow::Ok((document, writer.commit(Document(document)).await?)) });
        }
        self.source.committed = end;
        let mut committed = HashMap::new();
        while let Some(commit) = commits.join_next().await {
            committed.extend([commit??]);
        }
        let seen = probe.end(end).await?;
        let mut latencies = Latencies::new()?;
        for (number, micros) in seen.into_iter().filter(|(number, _)| *number >= counted_from) {
            latencies.note(*committed.get(&number).context("a commit")?, micros)?;
        }
        Ok(latencies)
    }

    /// Stops the connectors: they must not use the processor while ours is measured.
    pub(super) async fn rest(&self) -> Result<()> {
        self.source.connector.stop().await?;
        self.sink.connector.stop().await
    }

    /// Resumes the connectors and waits until a new row is visible.
    pub(super) async fn wake(&mut self) -> Result<()> {
        self.source.connector.resume().await?;
        self.sink.connector.resume().await?;
        self.writer.commit(Document(self.source.committed)).await?;
        self.source.committed += 1;
        self.until_visible().await
    }

    pub(super) async fn verify(&mut self) -> Result<()> {
        self.source.verify().await?;
        self.until_visible().await
    }

    async fn end(self) -> Result<()> {
        self.sink.end().await?;
        self.source.connector.delete().await
    }
}

//! Readers that are told by notices and fetch the events, against readers of the topic of events.
//!
//! Both read the same events at the same time. The time starts at an event's `recordedtime` and ends when the reader has it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use door_display::{Credentials, Feed, follow, listen};
use hdrhistogram::Histogram;
use shared_events::{RawEvent, RoomId, changes::Follower};
use system_tests::kafka::messages;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    command_target::{CommandTarget, Relaying},
    figures::{Finding, Series, Target, number},
    kafka::{Arrivals, Latencies, recorded},
    load::{Pace, new_histogram},
    mysql,
    rig::Rig,
    wall_clock::clock_micros,
};

const ROOMS: usize = 500;
const CONNECTIONS: usize = 64;
/// Events per second.
const RATES: [u64; 2] = [50, 500];
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn against_full_events(rig: &Rig) -> Result<Vec<Finding>> {
    let namespace = rig.namespace_without_tls("zero").await?;
    let mut target = CommandTarget::at(rig, namespace, ROOMS, Relaying::On).await?;
    let (brokers, events) = (rig.servers.brokers.clone(), target.namespace.name.clone());
    let notices = format!("{events}-notices");
    let settings = [("KAFKA_NOTICES_TOPIC", notices.as_str())];
    let mut query = rig.query_service(&target.namespace, &target.service.url(), &settings)?;
    query.until_ready().await?;
    let full = Arrivals::watch(&brokers, &events, PATIENCE, recorded).await?;
    let reader = Reader::start(rig, &target, &notices).await?;
    reader.until_level(&target).await?;
    target.reserve(CONNECTIONS, Pace::Open(500.0), 0.0, 2.0).await?;
    reader.until_level(&target).await?;

    let seconds = number(rig.size(10, 3));
    let mut findings = Vec::new();
    for rate in RATES {
        let mut figures: HashMap<&str, Vec<f64>> = HashMap::new();
        for round in 1..=rig.rounds {
            full.begin();
            reader.begin();
            let outcome = target.reserve(CONNECTIONS, Pace::Open(number(rate)), 0.0, seconds).await?;
            let theirs = Latencies::of(full.end(outcome.sent).await?);
            reader.until_level(&target).await?;
            let ours = reader.latencies();
            let of = |quantile: f64| number(ours.value_at_quantile(quantile)) / 1000.0;
            for (name, value) in [
                ("p50", of(0.5)),
                ("p99", of(0.99)),
                ("their p50", theirs.at(0.5)),
                ("their p99", theirs.at(0.99)),
            ] {
                figures.entry(name).or_default().push(value);
            }
            eprintln!("  {rate}/s, round {round}: by notices p50 {:.1} p99 {:.1} ms", of(0.5), of(0.99));
        }
        let mut series = |name: &str, shown: &str| {
            Series::new(&format!("{shown} at {rate}/s"), "ms", figures.remove(name).unwrap_or_default())
        };
        let (p99, p50) = (series("p99", "by notices, p99"), series("p50", "by notices, p50"));
        let (their_p50, their_p99) =
            (series("their p50", "full events, p50"), series("their p99", "full events, p99"));
        let finding = Finding::within(&format!("zero-payload-{rate}-p99"), "200 ms", p99, 200.0, 0.5);
        findings.push(finding.with(p50).with(their_p50).with(their_p99));
    }
    target.check().await?;
    reader.check()?;
    let sizes = (bytes(&brokers, &notices).await?, bytes(&brokers, &events).await?);
    let series = |name: &str, bytes: u64| Series::new(name, "bytes", vec![number(bytes)]);
    findings.push(Finding::new(
        "zero-payload-bytes",
        "full events",
        Target::AtMost(0.5),
        0.3,
        series("notices", sizes.0),
        series("full events", sizes.1),
    ));
    Ok(findings)
}

/// The bytes of all messages of a topic: keys, values and headers.
async fn bytes(brokers: &str, topic: &str) -> Result<u64> {
    let all = messages(brokers, topic).await?;
    let sizes = all.iter().map(|message| {
        let headers = message.headers.iter();
        let headers = headers.map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len));
        message.key.len() + message.payload.len() + headers.sum::<usize>()
    });
    Ok(u64::try_from(sizes.sum::<usize>())?)
}

/// A reader by notices, which keeps the head of each room.
struct Reader {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    heads: HashMap<RoomId, u64>,
    /// Whether each version came once and in order.
    in_order: bool,
    latencies: Histogram<u64>,
}

impl Reader {
    async fn start(rig: &Rig, target: &CommandTarget, topic: &str) -> Result<Self> {
        let feed =
            Feed::new(target.service.url().parse()?, Credentials::Token(rig.token("reader", &["service"])?))?;
        let started = Instant::now();
        let mut notices = loop {
            let (brokers, topic) = (rig.servers.brokers.clone(), topic.to_owned());
            match spawn_blocking(move || listen(&brokers, &topic)).await? {
                Ok(notices) => break notices,
                // The query service makes the topic.
                Err(error) => ensure!(started.elapsed() < PATIENCE, "{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let state = State { heads: HashMap::new(), in_order: true, latencies: new_histogram()? };
        let state = Arc::new(Mutex::new(state));
        let applied = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let apply = |events: &[RawEvent]| {
                let now = clock_micros();
                let mut state = applied.lock().unwrap_or_else(PoisonError::into_inner);
                for event in events {
                    let version = event.version.get();
                    let before = state.heads.insert(event.room, version).unwrap_or_default();
                    state.in_order &= version == before + 1;
                    let micros = (now - event.recorded_at.epoch_millis() * 1000).max(1);
                    state.latencies.record(u64::try_from(micros)?)?;
                }
                Ok(())
            };
            follow(Follower::of_all([]), &feed, &mut notices, apply).await;
        });
        Ok(Self { state, task })
    }

    /// Forgets the latencies.
    fn begin(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).latencies.reset();
    }

    fn latencies(&self) -> Histogram<u64> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).latencies.clone()
    }

    /// Waits until it has all events of the store.
    async fn until_level(&self, target: &CommandTarget) -> Result<()> {
        let heads = mysql::heads(&target.namespace.database_url()).await?;
        let started = Instant::now();
        loop {
            let behind = {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                heads
                    .iter()
                    .find(|(room, head)| state.heads.get(*room).copied().unwrap_or_default() < **head)
                    .map(|(room, _)| *room)
            };
            let Some(room) = behind else { return Ok(()) };
            ensure!(started.elapsed() < PATIENCE, "the reader lacks events of room {room}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn check(&self) -> Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(state.in_order, "a version came twice, or out of order");
        state.heads.values().max().context("no events").map(drop)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

//! The relay from MySQL's binary log: a backlog against the outbox table and against Debezium, and commands beside it.

use std::time::Duration;

use anyhow::{Result, ensure};
use command_service::event_store::{
    Mode, Outbox as _, StoredPlace,
    mysql::{MySqlStore, Passed},
};
use system_tests::Namespace;

use super::{relay, relay_debezium};
use crate::{
    backlog::Backlog,
    command_target::{CommandTarget, Relaying},
    drain::Drained,
    figures::{Finding, Series, Target, number},
    kafka::{Arrivals, Latencies, Topic, recorded},
    load::Pace,
    mysql,
    peer_documents::KEYS,
    rig::{Rig, Service},
    rounds::alternate,
};

const ROOMS: usize = 500;
const CONNECTIONS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Commands per second when latency is measured.
pub(super) const PER_SECOND: u64 = 500;

/// Events that stand in the binary log after a place to which the relay can be set back.
struct InTheLog {
    namespace: Namespace,
    backlog: Backlog,
    store: MySqlStore,
    place: StoredPlace,
}

impl InTheLog {
    async fn build(rig: &Rig, namespace: Namespace, rooms: usize, events: u64) -> Result<Self> {
        command_service::operate::migrate(namespace.database_url()).await?;
        let store = MySqlStore::open(namespace.database_url(), 1, None, None)?;
        let mut service = rig.command_service(&namespace, &[])?;
        service.until_ready().await?;
        until(&store, Mode::Log).await?;
        service.stop().await?;
        let place = store.relay_state().await?.place;
        let backlog = Backlog::build(&namespace, rooms, events).await?;
        Ok(Self { namespace, backlog, store, place })
    }

    /// Sets the relay back to the place, starts a command service, and waits until all events are in a topic.
    async fn drain(&self, rig: &Rig, topic: &Namespace) -> Result<(Service, Drained)> {
        mysql::backlog::free_leases(&self.namespace.database_url()).await?;
        let leader_epoch = self.store.relay_state().await?.place.leader_epoch;
        let place = StoredPlace { leader_epoch, ..self.place.clone() };
        ensure!(self.store.store_place(&place, &Passed::default()).await?, "the place is not stored");
        let (watched, events) = (Topic::open(&rig.servers.brokers, &topic.name)?, self.backlog.len());
        let arrival = tokio::spawn(async move { watched.until(0, events, PATIENCE).await });
        let process = rig.command_service(&self.namespace, &[("KAFKA_TOPIC", topic.name.as_str())])?;
        let drained = arrival.await??;
        in_mode(&self.store, Mode::Log).await?;
        Ok((process, drained))
    }
}

/// Fails if the relay has gone back to the table by itself.
async fn in_mode(store: &MySqlStore, mode: Mode) -> Result<()> {
    let state = store.relay_state().await?;
    ensure!(
        state.phase == mode.phase(),
        "the relay is in the phase {}: {}",
        state.phase,
        state.place.problem
    );
    Ok(())
}

/// Switches the mode of a running service, and waits.
async fn until(store: &MySqlStore, mode: Mode) -> Result<()> {
    store.want_mode(mode).await?;
    for _ in 0..500 {
        let state = store.relay_state().await?;
        ensure!(state.place.problem.is_empty(), "the mode is refused: {}", state.place.problem);
        if state.phase == mode.phase() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    anyhow::bail!("the mode is not reached")
}

/// A backlog, against the same backlog in the outbox table.
pub(crate) async fn against_the_table(rig: &Rig) -> Result<Vec<Finding>> {
    let events = rig.size(500_000, 100_000);
    let log = InTheLog::build(rig, rig.namespace("relay_log").await?, ROOMS, events).await?;
    let table = rig.namespace("relay_table").await?;
    let backlog = Backlog::build(&table, ROOMS, events).await?;
    let (mut cost, mut their_cost, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    let (ours, theirs) = alternate(
        rig.rounds,
        async |_| {
            let topic = relay::topic(rig).await?;
            let (process, arrived) = log.drain(rig, &topic).await?;
            cost.push(process.processor_seconds()? * 1e6 / number(events));
            memory.push(process.memory()?.peak);
            process.stop().await?;
            relay::check(rig, &topic, &log.backlog).await?;
            Ok(arrived.rate())
        },
        async |_| {
            let topic = relay::topic(rig).await?;
            let (process, arrived) = relay::drain(rig, &table, &topic, &backlog, events, events).await?;
            their_cost.push(process.processor_seconds()? * 1e6 / number(events));
            process.stop().await?;
            relay::check(rig, &topic, &backlog).await?;
            Ok(arrived.rate())
        },
    )
    .await?;
    Ok(vec![
        Finding::new(
            "relay-log",
            "the outbox table",
            Target::AtLeast(1.25),
            1.5,
            Series::new("from the binary log", "events/s", ours),
            Series::new("from the outbox table", "events/s", theirs),
        )
        .with(Series::new("command service from the log, processor time", "µs/event", cost))
        .with(Series::new("command service from the table, processor time", "µs/event", their_cost))
        .with(Series::new("command service from the log, most memory", "MB", memory)),
    ])
}

/// A backlog, against Debezium, tuned for rate and warm.
pub(crate) async fn against_debezium(rig: &Rig) -> Result<Vec<Finding>> {
    let events = rig.size(500_000, 100_000);
    let namespace = rig.namespace_without_tls("relay_log").await?;
    let log = InTheLog::build(rig, namespace, usize::try_from(KEYS)?, events).await?;
    let drains = relay_debezium::drains(rig, &log.backlog, async |topic| log.drain(rig, topic).await).await?;
    let memory = drains.memory_finding("relay-log-debezium-memory");
    Ok(vec![
        Finding::new(
            "relay-log-debezium",
            "Debezium, tuned and warm",
            Target::AtLeast(1.6),
            2.5,
            Series::new("command-service, from the binary log", "events/s", drains.our_rates),
            Series::new("Debezium", "events/s", drains.their_rates),
        ),
        memory,
    ])
}

/// Durable commands until the relay has delivered them, and the time from the record to the message in Kafka: from the log,
/// against the table.
pub(crate) async fn beside_commands(rig: &Rig) -> Result<Vec<Finding>> {
    let mut log = target(rig, Mode::Log).await?;
    let mut table = target(rig, Mode::Table).await?;
    let seconds = number(rig.size(8, 3));
    let arrivals = [
        Arrivals::watch(&rig.servers.brokers, &log.namespace.name, PATIENCE, recorded).await?,
        Arrivals::watch(&rig.servers.brokers, &table.namespace.name, PATIENCE, recorded).await?,
    ];
    let [of_log, of_table] = &arrivals;
    let (mut committed, mut their_committed) = (Vec::new(), Vec::new());
    let (ours, theirs) = alternate(
        rig.rounds,
        async |_| delivered(&mut log, of_log, seconds, &mut committed).await,
        async |_| delivered(&mut table, of_table, seconds, &mut their_committed).await,
    )
    .await?;
    let rate = Finding::new(
        "commands-log",
        "the outbox table",
        Target::AtLeast(1.1),
        1.2,
        Series::new("commands until all are in Kafka, from the log", "commands/s", ours),
        Series::new("commands until all are in Kafka, from the table", "commands/s", theirs),
    )
    .with(Series::new("commands until committed, from the log", "commands/s", committed))
    .with(Series::new("commands until committed, from the table", "commands/s", their_committed));
    let (mut p99, mut their_p99) = (Vec::new(), Vec::new());
    let (ours, theirs) = alternate(
        rig.rounds,
        async |_| latency(&mut log, of_log, seconds, &mut p99).await,
        async |_| latency(&mut table, of_table, seconds, &mut their_p99).await,
    )
    .await?;
    check(log, Mode::Log).await?;
    check(table, Mode::Table).await?;
    let latency = Finding::new(
        "arrival-log",
        "the outbox table, from memory",
        Target::AtMost(1.1),
        1.0,
        Series::new("recorded to received from Kafka, p50 at 500/s, from the log", "ms", ours),
        Series::new("the same from memory", "ms", theirs),
    )
    .with(Series::new("from the log, p99", "ms", p99))
    .with(Series::new("from memory, p99", "ms", their_p99));
    Ok(vec![rate, latency])
}

/// A command service whose relay has this source.
pub(super) async fn target(rig: &Rig, mode: Mode) -> Result<CommandTarget> {
    let target = CommandTarget::ours(rig, ROOMS, Relaying::On).await?;
    let store = MySqlStore::open(target.namespace.database_url(), 1, None, None)?;
    until(&store, mode).await?;
    store.close().await;
    Ok(target)
}

/// Checks what is stored, and that it was relayed in this mode.
pub(super) async fn check(target: CommandTarget, mode: Mode) -> Result<()> {
    target.check().await?;
    relayed_in(&target, mode).await
}

/// Fails if a command service's relay is not in this mode any more.
pub(super) async fn relayed_in(target: &CommandTarget, mode: Mode) -> Result<()> {
    let store = MySqlStore::open(target.namespace.database_url(), 1, None, None)?;
    let checked = in_mode(&store, mode).await;
    store.close().await;
    checked
}

/// The rate of commands from the first one until the last message is in Kafka. Notes the rate of their answers.
async fn delivered(
    target: &mut CommandTarget,
    arrivals: &Arrivals<i64>,
    seconds: f64,
    committed: &mut Vec<f64>,
) -> Result<f64> {
    arrivals.begin();
    let outcome = target.reserve(CONNECTIONS, Pace::Closed, 0.0, seconds).await?;
    let came = arrivals.end(outcome.sent).await?;
    let (begin, end) =
        (came.iter().map(|(recorded, _)| *recorded).min(), came.iter().map(|(_, seen)| *seen).max());
    let micros = end.unwrap_or_default() - begin.unwrap_or_default();
    committed.push(outcome.rate);
    Ok(number(outcome.sent) / (number(u64::try_from(micros)?) / 1e6))
}

async fn latency(
    target: &mut CommandTarget,
    arrivals: &Arrivals<i64>,
    seconds: f64,
    p99: &mut Vec<f64>,
) -> Result<f64> {
    arrivals.begin();
    let outcome = target.reserve(64, Pace::Open(number(PER_SECOND)), 0.0, seconds).await?;
    let latencies = Latencies::of(arrivals.end(outcome.sent).await?);
    p99.push(latencies.at(0.99));
    Ok(latencies.at(0.5))
}

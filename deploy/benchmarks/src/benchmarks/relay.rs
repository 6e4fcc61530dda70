//! The relay: it drains the outbox to Kafka.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use command_service::event_store::{Buckets, Outbox as _, mysql::MySqlStore};
use tokio::task::spawn_blocking;

use system_tests::Namespace;

use crate::{
    backlog::Backlog,
    drain::Drained,
    figures::{Finding, Series, Spread, Target, number},
    kafka::{self, Topic},
    rig::{Rig, Service},
    rounds::alternate,
};

const ROOMS: usize = 500;
/// The part of a backlog whose rate must not depend on the backlog's length.
const FIRST: u64 = 10_000;
/// Queries of an empty outbox in one round.
const POLLS: usize = 200;
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(120);

/// A backlog, against the Kafka client alone with the same messages in memory.
pub(crate) async fn backlog(rig: &Rig) -> Result<Vec<Finding>> {
    let namespace = rig.namespace("relay").await?;
    let events = rig.size(500_000, 100_000);
    let backlog = Backlog::build(&namespace, ROOMS, events).await?;
    let store = MySqlStore::open(namespace.database_url(), 1, None, None)?;
    let (mut memory, mut cost, mut duplicates) = (Vec::new(), Vec::new(), Vec::new());
    let (ours, theirs) = alternate(
        rig.rounds,
        async |_| {
            let topic = topic(rig).await?;
            let (process, arrived) = drain(rig, &namespace, &topic, &backlog, events, events).await?;
            while !store.undelivered(Buckets::ALL, 1).await?.is_empty() {
                ensure!(arrived.since() < PATIENCE, "the outbox does not get empty");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let emptied = arrived.until_now();
            memory.push(process.memory()?.peak);
            cost.push(process.processor_seconds()? * 1e6 / number(events));
            process.stop().await?;
            duplicates.push(number(check(rig, &topic, &backlog).await?));
            Ok(emptied.rate())
        },
        async |_| {
            let topic = topic(rig).await?;
            let (brokers, name, ready) = (
                rig.servers.brokers.clone(),
                topic.name.clone(),
                backlog.events().collect::<Result<Vec<_>>>()?,
            );
            let rate =
                spawn_blocking(move || kafka::send_from_memory(&brokers, &name, ready.into_iter())).await??;
            check(rig, &topic, &backlog).await?;
            Ok(rate)
        },
    )
    .await?;
    store.close().await;
    Ok(vec![
        Finding::new(
            "relay",
            "the Kafka client alone, the same messages from memory",
            Target::AtLeast(0.25),
            0.5,
            Series::new("outbox to Kafka, until it is empty", "events/s", ours),
            Series::new("client alone, all acknowledged", "events/s", theirs),
        )
        .with(Series::new("command service, most memory", "MB", memory))
        .with(Series::new("command service, processor time", "µs/event", cost))
        .with(Series::new("duplicates", "events", duplicates)),
    ])
}

/// The first events of a long backlog, against those of a short one. Then a query of an outbox that is empty after many
/// deletions, against one that was never filled.
pub(crate) async fn growth(rig: &Rig) -> Result<Vec<Finding>> {
    let (namespace, fresh) = (rig.namespace("relay_growth").await?, rig.namespace("relay_fresh").await?);
    let many = rig.size(1_000_000, 100_000);
    let backlog = Backlog::build(&namespace, ROOMS, many).await?;
    let first = async |waiting| {
        let topic = topic(rig).await?;
        let (process, arrived) = drain(rig, &namespace, &topic, &backlog, waiting, FIRST).await?;
        drop(process);
        Ok(1e6 / arrived.rate())
    };
    let (long, short) =
        alternate(rig.rounds, async |_| first(many).await, async |_| first(FIRST).await).await?;
    let topic = topic(rig).await?;
    let (process, _) = drain(rig, &namespace, &topic, &backlog, many, many).await?;
    process.stop().await?;
    check(rig, &topic, &backlog).await?;
    command_service::operate::migrate(fresh.database_url()).await?;
    let (used, unused) = (open(&namespace)?, open(&fresh)?);
    ensure!(used.undelivered(Buckets::ALL, 1).await?.is_empty(), "the outbox is not empty");
    let (after, never) =
        alternate(rig.rounds, async |_| look(&used).await, async |_| look(&unused).await).await?;
    used.close().await;
    unused.close().await;
    Ok(vec![
        Finding::new(
            "relay-growth",
            "the first events of a short backlog",
            Target::AtMost(1.2),
            1.0,
            Series::new(&format!("first {FIRST} of {many}"), "µs/event", long),
            Series::new(&format!("first {FIRST} of {FIRST}"), "µs/event", short),
        ),
        Finding::new(
            "relay-growth",
            "a look at an outbox that was never filled",
            Target::AtMost(1.2),
            1.0,
            Series::new(&format!("look at an empty outbox after {many} deletions"), "µs", after),
            Series::new("look at an outbox that was never filled", "µs", never),
        ),
    ])
}

/// A new topic.
pub(super) async fn topic(rig: &Rig) -> Result<Namespace> {
    let namespace = rig.namespace("relay_topic").await?;
    kafka::create_topic(&rig.servers.brokers, &namespace.name).await?;
    Ok(namespace)
}

/// Puts events into the outbox, starts a command service, and waits until `arrive` of them are in the topic.
pub(super) async fn drain(
    rig: &Rig,
    namespace: &Namespace,
    topic: &Namespace,
    backlog: &Backlog,
    waiting: u64,
    arrive: u64,
) -> Result<(Service, Drained)> {
    backlog.refill(waiting).await?;
    let watched = Topic::open(&rig.servers.brokers, &topic.name)?;
    let arrival = tokio::spawn(async move { watched.until(0, arrive, PATIENCE).await });
    let process = rig.command_service(namespace, &[("KAFKA_TOPIC", topic.name.as_str())])?;
    Ok((process, arrival.await??))
}

/// Checks that the topic has the whole backlog. Returns the number of duplicates.
pub(super) async fn check(rig: &Rig, topic: &Namespace, backlog: &Backlog) -> Result<u64> {
    let topic = Topic::open(&rig.servers.brokers, &topic.name)?;
    let found = topic.verify(backlog.len(), kafka::of_events).await?;
    ensure!(found.keys == backlog.rooms(), "{} rooms in namespace of {}", found.keys, backlog.rooms());
    Ok(found.duplicates)
}

fn open(namespace: &Namespace) -> Result<MySqlStore> {
    Ok(MySqlStore::open(namespace.database_url(), 1, None, None)?)
}

/// Median microseconds of the query that an idle relay sends.
async fn look(store: &MySqlStore) -> Result<f64> {
    let mut times = Vec::with_capacity(POLLS);
    for _ in 0..POLLS {
        let started = Instant::now();
        store.undelivered(Buckets::ALL, 100_000).await?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Spread::of(&times).median)
}

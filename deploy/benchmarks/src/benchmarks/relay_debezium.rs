//! A backlog of committed events into Kafka: our relay, against Debezium's outbox event router, tuned for rate and warm.
//!
//! Both are timed in the same way, from the first message that is seen in the topic to the last one: what either needs
//! to start is not counted.

use std::time::Duration;

use anyhow::Result;

use crate::{
    connect::{
        Worker,
        kafka::{self, Topic},
        peers::Source,
        settings::Tuning,
    },
    figures::{Finding, Series, Target},
    rig::{Memory, Rig},
    rounds::alternate,
    workload::{self, Workload},
};

const PATIENCE: Duration = Duration::from_secs(180);

/// The rate of a drain, and the memory that it takes.
///
/// # Errors
/// When the peers can't be fetched or started, or a message is missing or out of order.
pub(crate) async fn against_debezium(rig: &Rig) -> Result<Vec<Finding>> {
    let events = rig.size(300_000, 100_000);
    let worker = Worker::start(rig).await?;
    let mut source = Source::start(rig, &worker, Tuning::Rate).await?;
    // The first drain after a start is half as fast as those that follow.
    let warm = source.drain(200_000, PATIENCE).await?;
    eprintln!("  Debezium, warming up: {warm:.0}/s");
    let (mut memory, mut their_memory) = (Vec::new(), Vec::new());
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| {
            let (rate, used) = ours(rig, events).await?;
            memory.push(used);
            Ok(rate)
        },
        async |_| {
            let rate = source.drain(events, PATIENCE).await?;
            their_memory.push(worker.memory()?);
            Ok(rate)
        },
    )
    .await?;
    source.verify().await?;
    Ok(vec![
        Finding::new(
            "relay-debezium",
            "Debezium, tuned and warm",
            Target::AtLeast(2.0),
            4.0,
            Series::new("command-service", "events/s", our_rates),
            Series::new("Debezium", "events/s", their_rates),
        ),
        Finding::new(
            "relay-debezium-memory",
            "Debezium's worker",
            Target::AtMost(0.1),
            0.05,
            Series::new("command-service, peak", "MB", megabytes(&memory, |memory| memory.peak)),
            Series::new(
                "Kafka Connect with Debezium, peak",
                "MB",
                megabytes(&their_memory, |memory| memory.peak),
            ),
        )
        .with(Series::new(
            "command-service, afterwards",
            "MB",
            megabytes(&memory, |memory| memory.now),
        )),
    ])
}

/// Rate and memory of a command service that finds a backlog when it starts.
async fn ours(rig: &Rig, events: u64) -> Result<(f64, Memory)> {
    let place = rig.place("relay").await?;
    workload::commit(&place.database_url(), Workload::new().take(usize::try_from(events)?)).await?;
    kafka::create_topic(&rig.brokers, &place.name).await?;
    let topic = Topic::open(&rig.brokers, &place.name)?;
    let service = rig.command_service(&place, &[])?;
    let rate = topic.rate_until(0, events, PATIENCE).await?;
    let memory = service.memory()?;
    service.stop().await?;
    topic.verify(events, kafka::of_events).await?;
    Ok((rate, memory))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn megabytes(memory: &[Memory], which: fn(&Memory) -> u64) -> Vec<f64> {
    memory.iter().map(|memory| which(memory) as f64 / 1e6).collect()
}

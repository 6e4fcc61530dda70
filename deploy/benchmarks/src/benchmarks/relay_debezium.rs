//! A backlog from the outbox to Kafka: our relay, against Debezium's outbox event router, tuned for rate and warm.
//!
//! Both sides are timed from the first message in the topic to the last, so the start does not count.

use std::time::Duration;

use anyhow::Result;

use super::relay;
use crate::{
    backlog::Backlog,
    connect::{Worker, peers::Source, settings::Tuning},
    figures::{Finding, Series, Target},
    peer_documents::KEYS,
    rig::{Memory, Rig},
    rounds::alternate,
};

const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) async fn against_debezium(rig: &Rig) -> Result<Vec<Finding>> {
    let events = rig.size(300_000, 100_000);
    let worker = Worker::start(rig).await?;
    let mut source = Source::start(rig, &worker, Tuning::Rate).await?;
    // The first drain after a start has half the rate of the next ones.
    let warm = source.drain(200_000, PATIENCE).await?;
    eprintln!("  Debezium, warming up: {warm:.0}/s");
    let namespace = rig.namespace_without_tls("relay").await?;
    let backlog = Backlog::build(&namespace, usize::try_from(KEYS)?, events).await?;
    let (mut memory, mut their_memory) = (Vec::new(), Vec::new());
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| {
            let topic = relay::topic(rig).await?;
            let (service, arrived) = relay::drain(rig, &namespace, &topic, &backlog, events, events).await?;
            memory.push(service.memory()?);
            service.stop().await?;
            relay::check(rig, &topic, &backlog).await?;
            Ok(arrived.rate())
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
            Series::new("command-service, peak", "MB", each(&memory, |memory| memory.peak)),
            Series::new("Kafka Connect with Debezium, peak", "MB", each(&their_memory, |memory| memory.peak)),
        )
        .with(Series::new("command-service, afterwards", "MB", each(&memory, |memory| memory.now))),
    ])
}

fn each(memory: &[Memory], which: fn(&Memory) -> f64) -> Vec<f64> {
    memory.iter().map(which).collect()
}

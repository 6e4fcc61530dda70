//! A backlog to Kafka: our relay, from the outbox or from the binary log, against Debezium's outbox event router, tuned for rate
//! and warm.
//!
//! Both sides are timed from the first message in the topic to the last, so the start does not count.

use std::time::Duration;

use anyhow::Result;
use system_tests::Namespace;

use super::relay;
use crate::{
    backlog::Backlog,
    connect::{Worker, peers::Source, settings::Tuning},
    drain::Drained,
    figures::{Finding, Series, Target},
    peer_documents::KEYS,
    rig::{Memory, Rig, Service},
    rounds::alternate,
};

const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) async fn against_debezium(rig: &Rig) -> Result<Vec<Finding>> {
    let events = rig.size(300_000, 100_000);
    let namespace = rig.namespace_without_tls("relay").await?;
    let backlog = Backlog::build(&namespace, usize::try_from(KEYS)?, events).await?;
    let drains = drains(rig, &backlog, async |topic| {
        relay::drain(rig, &namespace, topic, &backlog, events, events).await
    })
    .await?;
    let now = drains.memory.iter().map(|memory| memory.now).collect();
    let memory = drains.memory_finding("relay-debezium-memory");
    Ok(vec![
        Finding::new(
            "relay-debezium",
            "Debezium, tuned and warm",
            Target::AtLeast(2.0),
            4.0,
            Series::new("command-service", "events/s", drains.our_rates),
            Series::new("Debezium", "events/s", drains.their_rates),
        ),
        memory.with(Series::new("command-service, afterwards", "MB", now)),
    ])
}

/// Rates and memory of drains, one of each a round.
pub(super) struct Drains {
    pub(super) our_rates: Vec<f64>,
    pub(super) their_rates: Vec<f64>,
    memory: Vec<Memory>,
    their_memory: Vec<Memory>,
}

/// Drains our backlog and one of Debezium's of the same length in turns. `ours` fills a topic.
pub(super) async fn drains(
    rig: &Rig,
    backlog: &Backlog,
    mut ours: impl AsyncFnMut(&Namespace) -> Result<(Service, Drained)>,
) -> Result<Drains> {
    let worker = Worker::start(rig).await?;
    let mut source = Source::start(rig, &worker, Tuning::Rate).await?;
    // The first drain after a start has half the rate of the next ones.
    let warm = source.drain(200_000, PATIENCE).await?;
    eprintln!("  Debezium, warming up: {warm:.0}/s");
    let (mut memory, mut their_memory) = (Vec::new(), Vec::new());
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| {
            let topic = relay::topic(rig).await?;
            let (service, arrived) = ours(&topic).await?;
            memory.push(service.memory()?);
            service.stop().await?;
            relay::check(rig, &topic, backlog).await?;
            Ok(arrived.rate())
        },
        async |_| {
            let rate = source.drain(backlog.len(), PATIENCE).await?;
            their_memory.push(worker.memory()?);
            Ok(rate)
        },
    )
    .await?;
    source.verify().await?;
    Ok(Drains { our_rates, their_rates, memory, their_memory })
}

impl Drains {
    /// The most memory of both sides.
    pub(super) fn memory_finding(&self, name: &str) -> Finding {
        let peaks = |memory: &[Memory]| memory.iter().map(|memory| memory.peak).collect();
        Finding::new(
            name,
            "Debezium's worker",
            Target::AtMost(0.1),
            0.05,
            Series::new("command-service, peak", "MB", peaks(&self.memory)),
            Series::new("Kafka Connect with Debezium, peak", "MB", peaks(&self.their_memory)),
        )
    }
}

//! Events from Kafka into MongoDB: our projector with all its read models, against the MongoDB sink connector with one
//! document an event, tuned for rate and warm.
//!
//! Both sides are timed from the first event that is seen to the last. Theirs is the count of the documents. Ours is the
//! sum of all rooms' versions that all read models show, usage among them.

use std::time::Duration;

use anyhow::{Result, ensure};
use shared_events::DecodedEvent;
use tokio::task::spawn_blocking;

use system_tests::Namespace;

use super::projector::{check, project};
use crate::{
    connect::{Worker, peers::Sink, settings::Tuning},
    drain::Drain,
    event_generator::{self, Shape},
    figures::{Finding, Series, Target},
    kafka::{self, Filler},
    peer_documents::{Document, KEYS},
    processor::{Costs, Meter},
    rig::Rig,
    rounds::alternate,
};

const USERS: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(crate) async fn against_the_sink(rig: &Rig) -> Result<Vec<Finding>> {
    let events =
        event_generator::events(Shape::mixed(usize::try_from(KEYS)?, USERS), rig.size(200_000, 50_000))?;
    let documents = u64::try_from(events.len())?;
    let (ours, theirs) = (rig.namespace("projector").await?, rig.namespace("sink").await?);
    for namespace in [&ours, &theirs] {
        kafka::create_topic(&rig.servers.brokers, &namespace.name).await?;
    }
    let mut filler = Filler::new(&rig.servers.brokers)?;
    let topic = theirs.name.clone();
    let recorded = events.iter().map(DecodedEvent::encode).collect::<Result<Vec<_>, _>>()?;
    filler.events(&ours.name, recorded.into_iter())?;
    spawn_blocking(move || filler.documents(&topic, (0..documents).map(Document))).await??;
    let worker = Worker::start(rig).await?;
    // The first drain after a start is slower than the next ones.
    let (warm, _) = sink(rig, &worker, &theirs, "warm", documents).await?;
    eprintln!("  sink connector, warming up: {warm:.0}/s");
    let (mut our_costs, mut their_costs) = (Vec::new(), Vec::new());
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| {
            let filled = project(rig, &ours, &events).await?;
            check(rig, &filled.models, &events).await?;
            our_costs.push(filled.costs);
            Ok(filled.rate)
        },
        async |round| {
            let (rate, costs) = sink(rig, &worker, &theirs, &format!("round{round}"), documents).await?;
            their_costs.push(costs);
            Ok(rate)
        },
    )
    .await?;
    Ok(vec![
        Finding::new(
            "projector-sink",
            "MongoDB sink connector, tuned and warm",
            Target::AtLeast(2.0),
            3.0,
            Series::new("query-service, all read models", "events/s", our_rates),
            Series::new("sink connector, one document an event", "events/s", their_rates),
        )
        .with_costs(&our_costs, &their_costs),
    ])
}

/// The rate of a sink connector with an empty collection, and what it cost.
async fn sink(
    rig: &Rig,
    worker: &Worker,
    namespace: &Namespace,
    collection: &str,
    events: u64,
) -> Result<(f64, Costs)> {
    let meter = Meter::start()?;
    let sink = Sink::start(rig, worker, namespace, collection, Tuning::Rate).await?;
    let mut drain = Drain::new(0, events, PATIENCE);
    let drained = loop {
        if let Some(drained) = drain.saw(sink.documents.count().await?)? {
            break drained;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let costs = meter.for_each_of(events)?;
    ensure!(sink.documents.recount().await? == events, "the collection is not complete");
    sink.end().await?;
    Ok((drained.rate(), costs))
}

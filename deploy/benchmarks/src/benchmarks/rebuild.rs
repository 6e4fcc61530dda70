//! All read models from nothing, out of the feed of the event store.

use std::time::Duration;

use anyhow::Result;
use command_service::event_store::{Append as _, Group, mysql::MySqlStore};
use shared_events::DecodedEvent;

use system_tests::Namespace;

use super::projector::{best_form, check, insert};
use crate::{
    command_target::{Relaying, start},
    event_generator::{self, Shape},
    figures::{Finding, Series, Target, number},
    kafka,
    mongo::{bare, heads, read_models, until_level},
    rig::{Rig, Service},
    rounds::alternate,
};

const ROOMS: usize = 500;
const USERS: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(300);

/// From an empty database and an empty topic, against the driver alone inserting the documents that the events end in.
pub(crate) async fn from_the_feed(rig: &Rig) -> Result<Vec<Finding>> {
    let events = event_generator::events(Shape::mixed(ROOMS, USERS), rig.size(300_000, 50_000))?;
    let source = rig.namespace("rebuild").await?;
    kafka::create_topic(&rig.servers.brokers, &source.name).await?;
    let commands = store(rig, &source, &events).await?;
    let first = fill(rig, &source, &commands, &events).await?;
    check(rig, &first.1, &events).await?;
    let documents = bare::stored(&rig.servers.mongodb, &first.1.name).await?;
    drop(first);
    let form = best_form(rig, &documents).await?;
    let count = number(u64::try_from(events.len())?);
    let (ours, theirs) = alternate(
        rig.rounds,
        async |_| Ok(fill(rig, &source, &commands, &events).await?.0),
        async |_| Ok(count / insert(rig, &documents, form, 1).await?),
    )
    .await?;
    let against = format!("driver alone, {} rows a command, {} in flight", form.rows, form.in_flight);
    Ok(vec![Finding::new(
        "rebuild",
        "the driver alone inserting the final documents",
        Target::AtLeast(0.5),
        0.8,
        Series::new("query-service from the feed, all read models", "events/s", ours),
        Series::new(&against, "events/s", theirs),
    )])
}

/// A command service whose event store holds the events, and which sends none of them to Kafka.
async fn store(rig: &Rig, namespace: &Namespace, events: &[DecodedEvent]) -> Result<Service> {
    let store = MySqlStore::open(&namespace.database_url(), 1, None)?;
    store.migrate().await?;
    for part in events.chunks(2000) {
        let events = part.iter().map(DecodedEvent::encode).collect();
        store.append(&Group { events, ..Group::default() }).await?;
    }
    store.close().await;
    start(rig, namespace, Relaying::Off).await
}

/// Runs a query service until all is visible. Gives events a second.
async fn fill(
    rig: &Rig,
    source: &Namespace,
    commands: &Service,
    events: &[DecodedEvent],
) -> Result<(f64, Namespace)> {
    let namespace = rig.namespace("rebuilt").await?;
    let models = read_models(&rig.servers.mongodb, &namespace.name).await?;
    let more = [("KAFKA_TOPIC", source.name.as_str()), ("WATCHDOG_SECONDS", "1")];
    let service = rig.query_service(&namespace, &commands.url(), &more)?;
    let rate = until_level(&models, &heads(events), PATIENCE).await?;
    service.stop().await?;
    Ok((rate, namespace))
}

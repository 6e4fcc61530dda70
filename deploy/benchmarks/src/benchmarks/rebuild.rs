//! All read models from the feed of the event store.

use std::time::Duration;

use anyhow::{Context, Result};
use command_service::event_store::{Append as _, Group, mysql::MySqlStore};
use shared_events::{DecodedEvent, Timestamp};

use system_tests::Namespace;

use super::projector::{Filled, against_inserts};
use crate::{
    command_target::{Relaying, start},
    event_generator::{self, Shape},
    figures::{Finding, Target},
    kafka,
    mongo::{heads, read_models, until_level},
    mysql,
    processor::Meter,
    rig::{Rig, Service},
};

const ROOMS: usize = 500;
const USERS: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(300);

/// The database and the topic are empty at the start.
pub(crate) async fn from_the_feed(rig: &Rig) -> Result<Vec<Finding>> {
    let mut events = event_generator::events(Shape::mixed(ROOMS, USERS), rig.size(300_000, 50_000))?;
    let source = rig.namespace("rebuild").await?;
    kafka::create_topic(&rig.servers.brokers, &source.name).await?;
    let commands = store(rig, &source, &events).await?;
    // The event store records them by its own clock.
    let recorded = mysql::recorded_at(&source.database_url()).await?;
    for event in &mut events {
        let at = recorded.get(&(event.room, event.version.get())).context("an event is not stored")?;
        event.recorded_at = Timestamp::from_epoch_millis(*at);
    }
    let first = fill(rig, &source, &commands, &events).await?.models;
    let name = "query-service from the feed, all read models";
    let finding = against_inserts(rig, &events, first, Target::AtLeast(0.7), "rebuild", name, async || {
        fill(rig, &source, &commands, &events).await
    });
    Ok(vec![finding.await?])
}

/// A command service with the events, which does not relay them.
async fn store(rig: &Rig, namespace: &Namespace, events: &[DecodedEvent]) -> Result<Service> {
    let store = MySqlStore::open(namespace.database_url(), 1, None, None)?;
    store.migrate().await?;
    for part in events.chunks(2000) {
        let events = part.iter().map(DecodedEvent::encode).collect::<Result<_, _>>()?;
        store.append(&Group { events, ..Group::default() }).await?;
    }
    store.close().await;
    start(rig, namespace, Relaying::Off).await
}

/// Runs a query service until everything is visible.
async fn fill(rig: &Rig, source: &Namespace, commands: &Service, events: &[DecodedEvent]) -> Result<Filled> {
    let namespace = rig.namespace("rebuilt").await?;
    let models = read_models(&rig.servers.mongodb, &namespace.name).await?;
    let more = [("KAFKA_TOPIC", source.name.as_str()), ("WATCHDOG_SECONDS", "1")];
    let meter = Meter::start()?;
    let service = rig.query_service(&namespace, &commands.url(), &more)?;
    let rate = until_level(&models, &heads(events), PATIENCE).await?;
    let costs = meter.for_each_of(u64::try_from(events.len())?)?;
    service.stop().await?;
    Ok(Filled { rate, costs, models: namespace })
}

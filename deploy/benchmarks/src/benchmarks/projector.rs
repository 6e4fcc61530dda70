//! Events from Kafka into all read models: reservations, rooms, history, usage, checkpoints.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use query_service::{
    read_models::{ReservationDoc, usage::Month},
    stores::{ErasureList, ProjectionStore, Queries, memory::MemoryReadModels},
};
use sha2::{Digest, Sha256};
use shared_events::{DecodedEvent, Interval, Minute, RoomId, UserId};

use system_tests::Namespace;

use crate::{
    event_generator::{self, Shape},
    figures::{Finding, Series, Target, number},
    kafka::{self, Filler},
    mongo::{
        bare::{self, Documents, FORMS, Form},
        heads, read_models, until_level,
    },
    processor::{Costs, Meter},
    rig::Rig,
    rounds::alternate,
};

const ROOMS: usize = 500;
const USERS: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(300);
/// Nobody listens there. The service does not need it: no event is missing.
const NO_FEED: &str = "http://127.0.0.1:9";

pub(crate) async fn backlog(rig: &Rig) -> Result<Vec<Finding>> {
    let events = event_generator::events(Shape::mixed(ROOMS, USERS), rig.size(500_000, 60_000))?;
    let source = rig.namespace("events").await?;
    kafka::create_topic(&rig.servers.brokers, &source.name).await?;
    let recorded = events.iter().map(DecodedEvent::encode).collect::<Result<Vec<_>, _>>()?;
    Filler::new(&rig.servers.brokers)?.events(&source.name, recorded.into_iter())?;
    let first = project(rig, &source, &events).await?.models;
    let finding = against_inserts(
        rig,
        &events,
        first,
        Target::AtLeast(0.7),
        "projector",
        "query-service, all read models",
        async || project(rig, &source, &events).await,
    )
    .await?;
    Ok(vec![finding])
}

/// Read models that show all events.
pub(crate) struct Filled {
    /// Events per second.
    pub(crate) rate: f64,
    pub(crate) costs: Costs,
    pub(crate) models: Namespace,
}

/// Compares the rate of `ours` with that of the driver alone, which inserts the final documents of `first` in its
/// fastest form.
pub(crate) async fn against_inserts(
    rig: &Rig,
    events: &[DecodedEvent],
    first: Namespace,
    target: Target,
    benchmark: &str,
    our_name: &str,
    mut ours: impl AsyncFnMut() -> Result<Filled>,
) -> Result<Finding> {
    check(rig, &first, events).await?;
    let documents = bare::stored(&rig.servers.mongodb, &first.name).await?;
    drop(first);
    let form = best_form(rig, &documents).await?;
    let count = u64::try_from(events.len())?;
    let (mut our_costs, mut their_costs) = (Vec::new(), Vec::new());
    let (ours, theirs) = alternate(
        rig.rounds,
        async |_| {
            let filled = ours().await?;
            our_costs.push(filled.costs);
            Ok(filled.rate)
        },
        async |_| {
            let meter = Meter::start()?;
            let seconds = insert(rig, &documents, form, 1).await?;
            their_costs.push(meter.for_each_of(count)?);
            Ok(number(count) / seconds)
        },
    )
    .await?;
    let their_name = format!("driver alone, {} rows a command, {} in flight", form.rows, form.in_flight);
    Ok(Finding::new(
        benchmark,
        "the driver alone inserting the final documents",
        target,
        0.85,
        Series::new(our_name, "events/s", ours),
        Series::new(&their_name, "events/s", theirs),
    )
    .with_costs(&our_costs, &their_costs))
}

/// Runs a query service on the topic until everything is visible.
pub(crate) async fn project(rig: &Rig, source: &Namespace, events: &[DecodedEvent]) -> Result<Filled> {
    let namespace = rig.namespace("projected").await?;
    let models = read_models(&rig.servers.mongodb, &namespace.name).await?;
    // There is no feed to read the erased persons from.
    models.keep_erasures(None, &Arc::default()).await?;
    let more = [("KAFKA_TOPIC", source.name.as_str()), ("WATCHDOG_SECONDS", "86400")];
    let meter = Meter::start()?;
    let service = rig.query_service(&namespace, NO_FEED, &more)?;
    let rate = until_level(&models, &heads(events), PATIENCE).await?;
    let costs = meter.for_each_of(u64::try_from(events.len())?)?;
    service.stop().await?;
    Ok(Filled { rate, costs, models: namespace })
}

/// The fastest form for an eighth of the documents.
async fn best_form(rig: &Rig, documents: &Documents) -> Result<Form> {
    let mut best: Option<(f64, Form)> = None;
    for form in FORMS {
        let seconds = insert(rig, documents, form, 8).await?;
        eprintln!("  driver alone, {form:?}: {seconds:.2} s for an eighth");
        if best.is_none_or(|(so_far, _)| seconds < so_far) {
            best = Some((seconds, form));
        }
    }
    best.map(|(_, form)| form).ok_or_else(|| anyhow::anyhow!("no form was tried"))
}

/// Inserts every `step`-th document into a new database. Returns seconds.
async fn insert(rig: &Rig, documents: &Documents, form: Form, step: usize) -> Result<f64> {
    let namespace = rig.namespace("bare").await?;
    read_models(&rig.servers.mongodb, &namespace.name).await?;
    documents.insert(&namespace.name, form, step).await
}

/// Checks that the read models equal those of the in-memory store.
pub(crate) async fn check(rig: &Rig, namespace: &Namespace, events: &[DecodedEvent]) -> Result<()> {
    let oracle = MemoryReadModels::new();
    for part in events.chunks(1000) {
        ensure!(oracle.apply(part).await?.conflicts.is_empty(), "the events are not in order");
    }
    let models = read_models(&rig.servers.mongodb, &namespace.name).await?;
    let rooms: Vec<RoomId> = heads(events).into_keys().collect();
    let users: HashSet<&UserId> = events.iter().map(|event| &event.metadata.actor).collect();
    let expected = digest(&oracle, &rooms, &users).await?;
    let found = digest(&models, &rooms, &users).await?;
    ensure!(expected == found, "the read models differ from a fold of the events: {expected:?}, {found:?}");
    let documents = bare::stored(&rig.servers.mongodb, &namespace.name).await?;
    let made: HashSet<_> =
        events.iter().filter_map(|event| event.event.reservation()).map(|r| r.id).collect();
    ensure!(documents.count_of("reservations") == made.len(), "reservations are missing");
    Ok(())
}

/// Hashes of everything that queries show: rooms with their checkpoints and live reservations, usage, history.
async fn digest(models: &dyn Queries, rooms: &[RoomId], users: &HashSet<&UserId>) -> Result<[String; 3]> {
    const ALL: usize = 1_000_000;
    let at = Minute::from_epoch_minutes;
    let always = Interval { from: at(0)?, to: at(60_000_000)? };
    let (mut of_rooms, mut of_usage, mut of_history) = (Sha256::new(), Sha256::new(), Sha256::new());
    let mut rooms = rooms.to_vec();
    rooms.sort_unstable();
    for room in &rooms {
        let checkpoint = models.checkpoints(&[*room]).await?.remove(room);
        let mut live: Vec<ReservationDoc> = Vec::new();
        live.extend(models.live_in_room(*room, always, None, ALL).await?);
        of_rooms.update(format!("{checkpoint:?} {:?} {live:?}", models.room(*room).await?));
        let mut usage = models.usage(&[*room], Month::around(always)).await?;
        usage.sort_by_key(|usage| usage.key.place());
        of_usage.update(format!("{usage:?}"));
    }
    let mut users: Vec<_> = users.iter().collect();
    users.sort_unstable();
    for user in users {
        of_history.update(format!("{:?}", models.history_of_user(user, None, ALL).await?));
    }
    Ok([of_rooms, of_usage, of_history].map(|hash| format!("{:x}", hash.finalize())))
}

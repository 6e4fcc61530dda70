//! Events that wait in Kafka into MongoDB: our projector folds them into all of its read models, against the MongoDB sink
//! connector that writes one document an event, tuned for rate and warm.
//!
//! Both are timed in the same way, from the first document that is seen to the last one; ours ends when the checkpoints
//! of all rooms are there too.

use std::{collections::HashMap, time::Duration};

use anyhow::{Result, ensure};
use query_service::stores::{
    ReadModels,
    mongo::{GENERATION, MongoReadModels},
};
use shared_events::RoomId;
use tokio::task::spawn_blocking;

use crate::{
    connect::{
        Worker,
        documents::Document,
        kafka::{self, Drain, Filler},
        mongo::Documents,
        peers::Sink,
        settings::Tuning,
    },
    figures::{Finding, Series, Target},
    rig::{Place, Rig},
    rounds::alternate,
    workload::{self, Workload},
};

const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The rate of a projection from waiting events.
///
/// # Errors
/// When the peers can't be fetched or started, or something is missing at the end.
pub(crate) async fn against_the_sink(rig: &Rig) -> Result<Vec<Finding>> {
    let events = rig.size(200_000, 50_000);
    let (ours, theirs) = (rig.place("projector").await?, rig.place("sink").await?);
    for place in [&ours, &theirs] {
        kafka::create_topic(&rig.brokers, &place.name).await?;
    }
    let filler = Filler::new(&rig.brokers)?;
    let (our_topic, their_topic) = (ours.name.clone(), theirs.name.clone());
    spawn_blocking(move || {
        filler.events(&our_topic, Workload::new().take(usize::try_from(events)?))?;
        filler.documents(&their_topic, (0..events).map(Document))
    })
    .await??;
    let mut heads: HashMap<RoomId, u64> = HashMap::new();
    for event in Workload::new().take(usize::try_from(events)?) {
        heads.insert(event.room, event.version);
    }
    let worker = Worker::start(rig).await?;
    // The first drain after a start is slower than those that follow.
    let warm = sink(rig, &worker, &theirs, "warm", events).await?;
    eprintln!("  sink connector, warming up: {warm:.0}/s");
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| project(rig, &ours, events, &heads).await,
        async |round| sink(rig, &worker, &theirs, &format!("round{round}"), events).await,
    )
    .await?;
    Ok(vec![Finding::new(
        "projector-sink",
        "MongoDB sink connector, tuned and warm",
        Target::AtLeast(0.75),
        1.5,
        Series::new("query-service, all read models", "events/s", our_rates),
        Series::new("sink connector, one document an event", "events/s", their_rates),
    )])
}

/// The rate of a query service that starts with empty read models.
async fn project(rig: &Rig, place: &Place, events: u64, heads: &HashMap<RoomId, u64>) -> Result<f64> {
    let models_place = rig.place("models").await?;
    let settings = [
        ("MONGODB_DATABASE", models_place.name.as_str()),
        ("KAFKA_TOPIC", place.name.as_str()),
        ("WATCHDOG_SECONDS", "86400"),
    ];
    let models = MongoReadModels::connect(&rig.mongodb, &models_place.name, GENERATION).await?;
    let history = Documents::open(&rig.mongodb, &models_place.name, &format!("{GENERATION}history")).await?;
    let entries = events - workload::ROOMS;
    let rooms: Vec<RoomId> = workload::rooms().collect();
    // Nothing is missing from the topic, so the feed is never asked.
    let service = rig.query_service(&models_place, "http://127.0.0.1:9", &settings)?;
    let mut drain = Drain::new(0, entries, PATIENCE);
    let rate = loop {
        let count = history.count().await?;
        // The last entries count when the rooms' checkpoints say that everything is there.
        let done = count == entries
            && models
                .checkpoints(&rooms)
                .await?
                .iter()
                .all(|(room, checkpoint)| heads.get(room) == Some(&checkpoint.version));
        if let Some(rate) = drain.saw(if done { entries } else { count.min(entries - 1) })? {
            break rate;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    service.stop().await?;
    ensure!(history.recount().await? == entries, "history is not complete");
    Ok(rate)
}

/// The rate of a sink connector that starts with an empty collection.
async fn sink(rig: &Rig, worker: &Worker, place: &Place, collection: &str, events: u64) -> Result<f64> {
    let sink = Sink::start(rig, worker, place, collection, Tuning::Rate).await?;
    let mut drain = Drain::new(0, events, PATIENCE);
    let rate = loop {
        if let Some(rate) = drain.saw(sink.documents.count().await?)? {
            break rate;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    ensure!(sink.documents.recount().await? == events, "the collection is not complete");
    sink.end().await?;
    Ok(rate)
}

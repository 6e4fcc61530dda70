//! Operations of the benchmarks on MongoDB.

pub(crate) mod bare;
pub(crate) mod bare_events;
pub(crate) mod replay;

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use mongodb::{Client, bson::doc};
use query_service::{
    read_models::{Checkpoint, generation::FIRST},
    stores::{
        Checkpoints, Queries as _,
        mongo::{Connection, Generations, MongoReadModels, MongoSettings},
    },
};
use shared_events::{DecodedEvent, RoomId, Timestamp};

use crate::{drain::Drain, wall_clock::clock_micros};

/// The server's version.
pub(crate) async fn version(url: &str) -> Result<String> {
    let info =
        Client::with_uri_str(url).await?.database("admin").run_command(doc! { "buildInfo": 1 }).await?;
    info.get_str("version").map(str::to_owned).context("no version")
}

/// Opens the live read models of a database. Creates them, with their indexes, if there are none.
pub(crate) async fn read_models(url: &str, database: &str) -> Result<MongoReadModels> {
    let settings =
        MongoSettings { url: url.to_owned().into(), database: database.to_owned(), authorities: None };
    let now = Timestamp::from_epoch_millis(clock_micros() / 1000);
    let generations = Generations::over(Connection::open(&settings).await?);
    generations.ensure_first(now).await?;
    Ok(generations.models(FIRST).await?)
}

/// The last version of each room.
pub(crate) fn heads(events: &[DecodedEvent]) -> HashMap<RoomId, u64> {
    let mut heads = HashMap::new();
    for event in events {
        let head: &mut u64 = heads.entry(event.room).or_default();
        *head = event.version.get().max(*head);
    }
    heads
}

/// The number of events of these rooms that all read models show, usage among them.
pub(crate) async fn shown(models: &MongoReadModels, rooms: &[RoomId]) -> Result<u64> {
    let checkpoints = models.checkpoints(rooms).await?;
    let counted = models.usage_positions().checkpoints(rooms).await?;
    let of_room = |room: &RoomId| {
        let version = |of: &HashMap<RoomId, Checkpoint>| of.get(room).map_or(0, |it| it.version.get());
        version(&checkpoints).min(version(&counted))
    };
    Ok(rooms.iter().map(of_room).sum())
}

/// Waits until the read models reach the heads. Returns events per second from the first progress on.
pub(crate) async fn until_level(
    models: &MongoReadModels,
    heads: &HashMap<RoomId, u64>,
    within: Duration,
) -> Result<f64> {
    let rooms: Vec<RoomId> = heads.keys().copied().collect();
    let wanted: u64 = heads.values().sum();
    let mut drain = Drain::new(0, wanted, within);
    loop {
        if let Some(drained) = drain.saw(shown(models, &rooms).await?)? {
            return Ok(drained.rate());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! Operations of the benchmarks on MongoDB.

pub(crate) mod bare;
pub(crate) mod replay;

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use mongodb::{Client, bson::doc};
use query_service::{
    read_models::generation::FIRST,
    stores::{
        Checkpoints,
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

/// Waits until the checkpoints reach the heads. Returns events per second from the first progress on.
pub(crate) async fn until_level(
    models: &MongoReadModels,
    heads: &HashMap<RoomId, u64>,
    within: Duration,
) -> Result<f64> {
    let rooms: Vec<RoomId> = heads.keys().copied().collect();
    let wanted: u64 = heads.values().sum();
    let mut drain = Drain::new(0, wanted, within);
    loop {
        let done =
            models.checkpoints(&rooms).await?.values().map(|checkpoint| checkpoint.version.get()).sum();
        if let Some(drained) = drain.saw(done)? {
            return Ok(drained.rate());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

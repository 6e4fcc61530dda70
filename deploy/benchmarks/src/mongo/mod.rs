//! What benchmarks ask MongoDB for.

pub(crate) mod bare;
pub(crate) mod replay;

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use mongodb::{Client, bson::doc, options::ClientOptions};
use query_service::stores::{
    ReadModels,
    mongo::{GENERATION, MongoReadModels},
};
use shared_events::{Envelope, RoomId};

use crate::drain::Drain;

/// The server's version.
///
/// # Errors
/// When it can't be reached.
pub(crate) async fn version(url: &str) -> Result<String> {
    let info =
        Client::with_uri_str(url).await?.database("admin").run_command(doc! { "buildInfo": 1 }).await?;
    info.get_str("version").map(str::to_owned).context("no version")
}

/// The read models of a database, with their indexes.
///
/// # Errors
/// When the server can't be reached.
pub(crate) async fn read_models(url: &str, database: &str) -> Result<MongoReadModels> {
    let client = Client::with_options(ClientOptions::parse(url).await?)?;
    Ok(MongoReadModels::open(client, database, GENERATION).await?)
}

/// The last version of each room.
pub(crate) fn heads(events: &[Envelope]) -> HashMap<RoomId, u64> {
    let mut heads = HashMap::new();
    for event in events {
        let head: &mut u64 = heads.entry(event.room).or_default();
        *head = event.version.max(*head);
    }
    heads
}

/// Waits until the checkpoints are at the heads, and tells how many events a second came in from the first look at which
/// there were some.
///
/// # Errors
/// When they are not there in time.
pub(crate) async fn until_level(
    models: &MongoReadModels,
    heads: &HashMap<RoomId, u64>,
    within: Duration,
) -> Result<f64> {
    let rooms: Vec<RoomId> = heads.keys().copied().collect();
    let wanted: u64 = heads.values().sum();
    let mut drain = Drain::new(0, wanted, within);
    loop {
        let done = models.checkpoints(&rooms).await?.values().map(|checkpoint| checkpoint.version).sum();
        if let Some(drained) = drain.saw(done)? {
            return Ok(drained.rate());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

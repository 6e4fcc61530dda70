//! Fills a generation with the events up to a moment. It is never fed, and never shown without its number.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use service_kit::meter::Meter;
use shared_events::{DecodedEvent, Erasures, RoomId, Timestamp, Version};

use crate::{
    erasures::learn,
    feed::{Feed, all_heads},
    generations::servers::Servers,
    projections::read,
    read_models::generation::State,
    stores::{Parking, ProjectionStore, Swap, mongo::MongoReadModels},
};

/// Rooms that are filled at a time.
const SIDE_BY_SIDE: usize = 4;
/// A later moment may miss events that were being committed then.
const FINAL_AFTER_MS: i64 = 30_000;

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) generation: u32,
    pub(crate) until: Timestamp,
    pub(crate) rooms: u64,
    pub(crate) events: u64,
    pub(crate) seconds: f64,
}

/// Makes a generation of the events that were recorded up to a moment.
///
/// # Errors
/// When the moment is too late, a server can't be reached, or an event can't be applied. An interrupted one is dropped by
/// its number.
pub(crate) async fn freeze(servers: &Servers, until: Timestamp) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let age = servers.now().epoch_millis() - until.epoch_millis();
    ensure!(age > FINAL_AFTER_MS, "the moment must lie at least 30 seconds back");
    let generations = &servers.generations;
    let number = generations.begin_frozen(servers.now(), until).await?;
    let heads = all_heads(servers.feed.as_ref()).await.context("the feed can't be read")?;
    eprintln!("generation {number}: {} rooms from the feed, up to {until}", heads.len());
    loop {
        let list = learn(servers.feed.as_ref(), generations).await?;
        let models = generations.models(number).await?;
        let meter = Meter::new("rooms", u64::try_from(heads.len()).unwrap_or(u64::MAX));
        let rooms = heads.iter().map(async |head| {
            fill(servers, &models, head.room, until, &list).await?;
            meter.add(1);
            anyhow::Ok(())
        });
        let rooms: Vec<_> = rooms.collect();
        stream::iter(rooms).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
        meter.finish();
        models.write_usage().await?;
        // A person who was erased meanwhile is masked from the start.
        if learn(servers.feed.as_ref(), generations).await?.epoch == list.epoch {
            break;
        }
        generations.drop_collections(number).await?;
    }
    let frozen = generations.advance(number, State::Building, State::Frozen).await?;
    ensure!(frozen == Swap::Done, "generation {number} was dropped during the rebuild");
    let totals = generations.totals(number).await?;
    let (rooms, events) = (totals.rooms, totals.events);
    Ok(Report { generation: number, until, rooms, events, seconds: begun.elapsed().as_secs_f64() })
}

async fn apply(models: &MongoReadModels, events: &[DecodedEvent]) -> anyhow::Result<()> {
    let applied = models.apply(events).await?;
    ensure!(applied.conflicts.is_empty(), "another program writes the generation");
    Ok(())
}

/// Applies a room's events up to a moment. They are recorded in the order of their versions, so the first later one ends it.
async fn fill(
    servers: &Servers,
    models: &MongoReadModels,
    room: RoomId,
    until: Timestamp,
    list: &Arc<Erasures>,
) -> anyhow::Result<()> {
    let mut version = Version::NONE;
    loop {
        let events = servers.feed.events(room, version).await.context("the feed can't be read")?;
        let (page, first) = (events.len(), version);
        let mut ready: Vec<DecodedEvent> = Vec::new();
        for event in events.into_iter().take_while(|event| event.recorded_at <= until) {
            version = event.version;
            match read(&event) {
                Ok(decoded) => {
                    let mut decoded = event.with_event(decoded);
                    list.mask(&mut decoded);
                    ready.push(decoded);
                }
                Err(reason) => {
                    let dropped = models.is_dropped(room, version).await?;
                    ensure!(dropped, "version {version} of room {room} can't be applied: {reason}");
                    let before = std::mem::take(&mut ready);
                    apply(models, &before).await?;
                    models.pass_over(room, version).await?;
                }
            }
        }
        apply(models, &ready).await?;
        // The rest of the page, or of the stream, is later.
        if page == 0 || version.get() - first.get() < u64::try_from(page)? {
            return Ok(());
        }
    }
}

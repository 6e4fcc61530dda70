//! Fills a generation from the feed, many rooms at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use futures_util::{StreamExt, TryStreamExt, stream};
use service_kit::{clock::Clock, meter::Meter, retry::Backoff};
use shared_events::{RoomId, Version, feed::Head};

use crate::{
    feed::Feed,
    generations::servers::Servers,
    progress::Progress,
    projector::{Dependencies, Pipeline},
    stores::ProjectionStore,
};

/// Pipelines that work side by side. Each holds some pages of the feed in memory.
const SIDE_BY_SIDE: usize = 4;
/// Rooms of one pipeline. A new pipeline fills the next ones, so that memory is bounded.
const ROOMS: usize = 64;
/// Time without any new event after which filling fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two updates of the meter.
const POLL: Duration = Duration::from_millis(200);

/// Fills one generation.
pub(super) struct Fill {
    store: Arc<dyn ProjectionStore>,
    feed: Arc<dyn Feed>,
    clock: Clock,
}

impl Fill {
    pub(super) fn new(store: Arc<dyn ProjectionStore>, servers: &Servers) -> Self {
        Self { store, feed: Arc::clone(&servers.feed) as _, clock: servers.clock.clone() }
    }

    /// Fills until each room is at its head or beyond, or is parked.
    pub(super) async fn run(&self, heads: &[Head]) -> anyhow::Result<()> {
        // An earlier run may have ended before it wrote usage.
        self.store.catch_up_usage(&|_| true).await?;
        let meter = Meter::new("filling", heads.iter().map(|head| head.version.get()).sum());
        let parts: Vec<_> = heads.chunks(ROOMS).map(|heads| self.part(heads, &meter)).collect();
        stream::iter(parts).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
        meter.finish();
        Ok(())
    }

    /// Whether the event store has this event.
    pub(super) async fn is_stored(&self, room: RoomId, version: Version) -> anyhow::Result<bool> {
        Ok(!self.feed.events(room, version.previous().unwrap_or_default()).await?.is_empty())
    }

    /// Fills some rooms, and updates the meter meanwhile.
    async fn part(&self, heads: &[Head], meter: &Meter) -> anyhow::Result<()> {
        let progress = Arc::new(Progress::default());
        progress.set_owned(Box::new(|_| true));
        let mut told = 0;
        let filling = self.fill(heads, &progress);
        tokio::pin!(filling);
        loop {
            let ended = tokio::time::timeout(POLL, &mut filling).await;
            let done = events_of(&progress, heads);
            if let Ok(outcome) = ended {
                outcome?;
                meter.add(heads.iter().map(|head| head.version.get()).sum::<u64>().saturating_sub(told));
                return Ok(());
            }
            meter.add(done.saturating_sub(told));
            told = told.max(done);
        }
    }

    /// Fills some rooms. It tries again until no room is behind.
    pub(super) async fn fill(&self, heads: &[Head], progress: &Arc<Progress>) -> anyhow::Result<()> {
        let mut pipeline = Pipeline::new(Dependencies {
            store: Arc::clone(&self.store),
            feed: Arc::clone(&self.feed),
            progress: Arc::clone(progress),
            clock: self.clock.clone(),
        });
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let (mut best, mut since) = (0, Instant::now());
        loop {
            let reason = match pipeline.compare(heads).await {
                Ok(_) if pipeline.rooms_behind() == 0 => return Ok(self.store.write_usage().await?),
                Ok(_) => format!("the feed does not give the events of {} rooms", pipeline.rooms_behind()),
                Err(error) => format!("{:#}", anyhow::Error::from(error)),
            };
            let done = events_of(progress, heads);
            if done > best {
                (best, since) = (done, Instant::now());
                backoff.reset();
            }
            if since.elapsed() > PATIENCE {
                bail!("{reason}: run this again, it goes on from here");
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }
}

/// The number of events of these rooms that are written.
fn events_of(progress: &Progress, heads: &[Head]) -> u64 {
    let rooms: Vec<RoomId> = heads.iter().map(|head| head.room).collect();
    let seen = progress.seen(&rooms);
    let written = |head: &Head| seen.get(&head.room).copied().unwrap_or_default().version;
    heads.iter().map(|head| written(head).min(head.version).get()).sum()
}

//! Tells live streams what the read models of the live generation show.

use std::{collections::HashMap, sync::Arc, time::Duration};

use service_kit::clock::Clock;
use shared_events::{RoomId, Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::Shown;
use crate::{
    live::{Hub, Notice},
    progress::Seen,
    queries::seen_of,
    stores::{StoreError, in_time},
};

/// The pause between two reads of rooms that other instances project.
const PAUSE: Duration = Duration::from_millis(20);
/// The pause after a failed read.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// The pause between two comparisons of what was told with the read models.
const COMPARE_EVERY: Duration = Duration::from_secs(10);

/// Histogram: seconds from the record of an event to the moment in which live streams are told of it.
const TOLD_SECONDS: &str = "live_told_seconds";

/// Tells what is shown, for as long as it is polled.
pub(crate) async fn tell(hub: Arc<Hub>, mut shown: watch::Receiver<Option<Arc<Shown>>>, clock: Clock) {
    hub.asked().await;
    metrics::describe_histogram!(
        TOLD_SECONDS,
        metrics::Unit::Seconds,
        "Time from an event's record to live streams being told."
    );
    loop {
        let generation = shown.wait_for(Option::is_some).await.map(|shown| shown.clone());
        let Ok(Some(generation)) = generation else { return };
        let telling = Telling { hub: &hub, shown: generation, clock: &clock, read_at: Instant::now() };
        tokio::select! {
            () = telling.run() => {}
            changed = shown.changed() => {
                if changed.is_err() {
                    return;
                }
                hub.show_others();
            }
        }
    }
}

struct Telling<'a> {
    hub: &'a Hub,
    shown: Arc<Shown>,
    clock: &'a Clock,
    /// The time of the next read of the store.
    read_at: Instant,
}

impl Telling<'_> {
    async fn run(mut self) {
        let mut compare_at = Instant::now() + COMPARE_EVERY;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(compare_at) => {
                    compare_at = Instant::now() + COMPARE_EVERY;
                    match in_time(self.seen(&self.hub.quiet())).await {
                        Ok(seen) => self.hub.compare(&seen),
                        Err(error) => tracing::debug!(%error, "live streams are not compared"),
                    }
                }
                () = self.hub.waits() => {
                    if let Err(error) = self.step().await {
                        tracing::debug!(%error, "live streams wait");
                        sleep(PAUSE_AFTER_ERROR).await;
                    }
                }
            }
        }
    }

    async fn seen(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Seen>, StoreError> {
        seen_of(self.shown.models.as_ref(), &self.shown.progress, rooms).await
    }

    /// Tells what is shown of the rooms that are waited for, and waits until there may be more.
    async fn step(&mut self) -> Result<(), StoreError> {
        let rooms = self.hub.waiting();
        let mut seen = self.shown.progress.seen(&rooms);
        let others = seen.len() < rooms.len();
        if others && Instant::now() >= self.read_at {
            seen = in_time(self.seen(&rooms)).await?;
            self.read_at = Instant::now() + PAUSE;
        }
        let now = Timestamp::from_epoch_millis(self.clock.now_ms());
        self.hub.show(&seen, |notice| record(notice, now));
        let pause = async {
            match others {
                true => sleep_until(self.read_at).await,
                // This instance projects all of them.
                false => sleep(COMPARE_EVERY).await,
            }
        };
        tokio::select! {
            () = self.shown.progress.changed() => {}
            () = self.hub.more() => {}
            () = pause => {}
        }
        Ok(())
    }
}

fn record(notice: &Notice, now: Timestamp) {
    if let Some(recorded_at) = notice.recorded_at {
        metrics::histogram!(TOLD_SECONDS).record(now.since(recorded_at).as_secs_f64());
    }
}

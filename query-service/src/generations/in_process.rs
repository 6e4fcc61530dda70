//! The only generation of the embedded default. It lives in memory and is rebuilt from the feed at start.

use std::{sync::Arc, time::Duration};

use service_kit::{readiness::Component, retry::Backoff};
use shared_events::{RawEvent, Timestamp};
use tokio::{sync::mpsc, time::timeout};

use super::{Feeding, Shown};
use crate::{
    feed::{Feed, all_heads},
    live::{Hub, Notice},
    notifications::Teller,
    progress::Progress,
    projector::{Dependencies, Inbox, Message, Pipeline, Projector, watchdog},
    read_models::generation::{FIRST, Generation, Registry, State},
    stores::memory::MemoryReadModels,
};

/// The partition of all rooms.
const PARTITION: i32 = 0;
/// The offset of the first message to live streams. 0 would say that none came before.
const FIRST_OFFSET: i64 = 1;
/// Events that come this soon after one another are told together, and so are all of a command.
const TOGETHER: Duration = Duration::from_millis(10);
/// Most events that are told together: more than a series has.
const MOST_TOGETHER: usize = 500;
/// How long the last batch may take at the end.
const LAST_BATCH: Duration = Duration::from_secs(3);

impl Feeding {
    /// Rebuilds the read models from the feed, then applies and tells the events of the channel until it is stopped.
    pub async fn in_process(
        self,
        component: Component,
        events: mpsc::Receiver<RawEvent>,
        teller: Option<Teller>,
    ) {
        component.failing("the read models are being rebuilt");
        let made_at = Timestamp::from_epoch_millis(self.clock.now_ms());
        let models = Arc::new(MemoryReadModels::new());
        let progress = Arc::new(Progress::default());
        let dependencies = Dependencies {
            store: Arc::clone(&models) as _,
            feed: self.feed,
            progress: Arc::clone(&progress),
            clock: self.clock,
        };
        let mut pipeline = Pipeline::new(dependencies.clone());
        let rebuilt = rebuild(dependencies.feed.as_ref(), &mut pipeline, &component);
        if self.stop.run_until_cancelled(rebuilt).await.is_none() {
            return;
        }
        let projector = Projector::new(dependencies, self.limits, component.clone());
        projector.route_by(Box::new(|_| PARTITION));
        progress.set_owned(Box::new(|_| true));
        let inbox = projector.start_with(PARTITION, pipeline);
        if let Some(teller) = &teller {
            teller.read_rooms_from(Arc::clone(&models) as _);
        }
        self.registry.send_replace(only(made_at));
        self.shown.send_replace(Some(Arc::new(Shown::new(models, progress))));
        component.ok();
        let watched = watchdog::watch(&projector, self.watchdog, self.stop.clone());
        // Places of an earlier process mean nothing in this one.
        self.live.begin(service_kit::ids::new_id().as_u64_pair().1, &[FIRST_OFFSET]);
        self.live.filled();
        let (told, untold) = mpsc::channel(MOST_TOGETHER);
        let told = teller.is_some().then_some(told);
        let work =
            async { tokio::join!(forward(events, &inbox, &self.live, told), tell(untold, teller), watched) };
        self.stop.run_until_cancelled(work).await;
        projector.stop(&[PARTITION], LAST_BATCH).await;
    }
}

/// The registry of one process: its one generation.
fn only(made_at: Timestamp) -> Registry {
    let generation =
        Generation { number: FIRST, form: 0, state: State::Following, first: true, made_at, until: None };
    Registry { generations: vec![generation], live: Some(FIRST), ..Registry::default() }
}

/// Reads all streams until the read models are level.
async fn rebuild(feed: &dyn Feed, pipeline: &mut Pipeline, component: &Component) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        let outcome: anyhow::Result<usize> = async {
            pipeline.compare(&all_heads(feed).await?).await?;
            Ok(pipeline.rooms_behind())
        }
        .await;
        match outcome {
            Ok(0) => return,
            Ok(behind) => component.failing(format!("{behind} rooms are not rebuilt yet")),
            Err(error) => component.failing(error.to_string()),
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

/// Passes events on until the command service ends. Events that come later are in its store for the next start.
async fn forward(
    mut events: mpsc::Receiver<RawEvent>,
    inbox: &Inbox,
    live: &Hub,
    told: Option<mpsc::Sender<RawEvent>>,
) {
    let mut offset = 0;
    while let Some(event) = events.recv().await {
        live.push(0, FIRST_OFFSET + offset, Some(Notice::of(&event)));
        if let Some(told) = &told
            && told.send(event.clone()).await.is_err()
        {
            return;
        }
        if inbox.push_when_there_is_room(Message::event(offset, event)).await.is_err() {
            return;
        }
        offset += 1;
    }
}

/// Notifies subscriptions of events until no more come.
async fn tell(mut events: mpsc::Receiver<RawEvent>, teller: Option<Teller>) {
    let Some(teller) = teller else { return };
    while let Some(together) = next(&mut events).await {
        if let Err(error) = teller.tell(&together).await {
            tracing::warn!(%error, events = together.len(), "events notify nobody");
        }
    }
}

/// The next events that belong together. `None` when no more come.
async fn next<T>(events: &mut mpsc::Receiver<T>) -> Option<Vec<T>> {
    let mut together = vec![events.recv().await?];
    while together.len() < MOST_TOGETHER
        && let Ok(Some(event)) = timeout(TOGETHER, events.recv()).await
    {
        together.push(event);
    }
    Some(together)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_that_come_right_after_one_another_are_told_together_and_later_ones_apart() {
        let (sender, mut events) = mpsc::channel(1);
        let send = async {
            for number in 0..MOST_TOGETHER + 3 {
                sender.send(number).await.unwrap();
            }
            tokio::time::sleep(2 * TOGETHER).await;
            sender.send(0).await.unwrap();
            drop(sender);
        };
        let take = async {
            let mut counts = Vec::new();
            while let Some(together) = next(&mut events).await {
                counts.push(together.len());
            }
            counts
        };
        let ((), counts) = tokio::join!(send, take);
        assert_eq!(counts, [MOST_TOGETHER, 3, 1]);
    }
}

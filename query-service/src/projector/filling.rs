//! Reads missing events from the feed, and its copies of unreadable ones.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use shared_events::{RoomId, feed::Head};
use tokio::time::Instant;

use super::{
    pipeline::{Pipeline, ROUNDS, Suspects},
    room::{ParkedState, RoomState},
};
use crate::{feed::FeedError, projections::read, read_models::ParkedMessage, stores::StoreError};

/// Rooms whose events are read side by side and written together.
const ROOMS_AT_ONCE: usize = 16;

impl Pipeline {
    /// Compares heads with the checkpoints, fills the missing events, and returns the number of rooms that missed some. It
    /// finds a loss at the end of a stream, which no later event shows. It also builds read models from nothing.
    pub async fn compare(&mut self, heads: &[Head]) -> Result<usize, StoreError> {
        self.late_by_design = true;
        let outcome = self.compare_heads(heads).await;
        self.ended(outcome)
    }

    async fn compare_heads(&mut self, heads: &[Head]) -> Result<usize, StoreError> {
        let rooms: HashSet<RoomId> = heads.iter().map(|head| head.room).collect();
        let mut found = 0;
        for _ in 0..ROUNDS {
            self.load(&rooms).await?;
            for head in heads {
                if let Some(state) = self.rooms.get_mut(&head.room) {
                    state.known = state.known.max(head.version);
                }
            }
            let missing = self.missing_events(&rooms);
            found = found.max(missing.len());
            self.fill(missing, Suspects::new()).await?;
            if self.are_loaded(&rooms) {
                return Ok(found);
            }
        }
        Err(StoreError::Contended)
    }

    /// Tries to fill the rooms that are behind.
    pub async fn fill_those_behind(&mut self) -> Result<(), StoreError> {
        let rooms = self.behind.clone();
        self.load(&rooms).await?;
        let missing = self.missing_events(&rooms);
        self.fill(missing, Suspects::new()).await
    }

    /// Reads the missing events of these rooms, until the feed fails. Rooms that still miss events stay behind.
    pub(super) async fn fill(
        &mut self,
        mut missing: Vec<RoomId>,
        mut suspects: Suspects,
    ) -> Result<(), StoreError> {
        self.behind.extend(&missing);
        while !missing.is_empty() && self.feed_rests_until.is_none_or(|until| until <= Instant::now()) {
            let rooms: Vec<RoomId> = missing.drain(..missing.len().min(ROOMS_AT_ONCE)).collect();
            missing.extend(self.fill_page(rooms, &mut suspects).await?);
        }
        let rooms = &self.rooms;
        self.behind.retain(|room| rooms.get(room).is_some_and(|state| state.is_behind()));
        self.metrics.handles().behind.set(u32::try_from(self.behind.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Reads one page of each room, and returns the rooms that may have more.
    async fn fill_page(
        &mut self,
        rooms: Vec<RoomId>,
        suspects: &mut Suspects,
    ) -> Result<Vec<RoomId>, StoreError> {
        let feed = &self.dependencies.feed;
        let after =
            |room| self.rooms.get(&room).and_then(|state: &RoomState| state.checkpoint).unwrap_or_default();
        let reads: Vec<_> = rooms.into_iter().map(|room| (room, after(room))).collect();
        let pages: Vec<_> = stream::iter(reads)
            .map(|(room, after)| async move { (room, feed.events(room, after).await) })
            .buffer_unordered(ROOMS_AT_ONCE)
            .collect()
            .await;
        let (mut ready, mut broken, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for (room, page) in pages {
            match page {
                Err(error) => self.let_the_feed_rest(&error),
                Ok(events) if events.is_empty() => {
                    broken.extend(self.at_the_end(room, suspects.remove(&room)))
                }
                Ok(events) => {
                    more.push(room);
                    for event in events {
                        match read(&event) {
                            Ok(decoded) => ready.push(event.with_event(decoded)),
                            Err(reason) => {
                                broken.push(ParkedMessage::of_event(&event, reason, self.now()));
                                break;
                            }
                        }
                    }
                }
            }
        }
        if !ready.is_empty() {
            self.feed_backoff.reset();
            self.feed_rests_until = None;
        }
        self.write(ready).await?;
        for message in broken {
            self.park(message).await?;
        }
        Ok(self.missing_events(&more))
    }

    /// The feed has no event after the room's checkpoint. Returns the unreadable message after it, to park the room at.
    fn at_the_end(&mut self, room: RoomId, suspect: Option<ParkedMessage>) -> Option<ParkedMessage> {
        let state = self.rooms.get_mut(&room)?;
        let checkpoint = state.checkpoint?;
        state.ask = false;
        state.tried();
        if let Some(message) = suspect.filter(|message| message.version == checkpoint.next()) {
            return Some(message);
        }
        if state.known > checkpoint && state.parked == ParkedState::No {
            let (version, known) = (checkpoint.get(), state.known.get());
            tracing::error!(%room, version, known, "the feed does not have events that were seen");
            self.feed_rests_until = Some(Instant::now() + self.feed_backoff.next_delay());
        }
        None
    }

    fn let_the_feed_rest(&mut self, error: &FeedError) {
        self.metrics.handles().feed_failures.increment(1);
        let delay = self.feed_backoff.next_delay();
        tracing::warn!(%error, delay_ms = delay.as_millis(), "rooms stay behind until the feed answers");
        self.feed_rests_until = Some(Instant::now() + delay);
    }
}

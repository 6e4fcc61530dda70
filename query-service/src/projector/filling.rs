//! What a pipeline reads from the feed: events that did not come, and copies of those that could not be read.

use futures_util::{StreamExt, stream};
use shared_events::{RoomId, feed::Head};
use tokio::time::Instant;

use super::{
    parking::parked_event,
    pipeline::{Pipeline, ROUNDS, Suspects, read},
};
use crate::{feed::FeedError, read_models::ParkedMessage, stores::StoreError};

/// Rooms whose events are read from the feed side by side, and written together.
const ROOMS_AT_ONCE: usize = 16;

impl Pipeline {
    /// Compares streams' heads with the checkpoints and fills what is missing, so that a loss at the end of a stream,
    /// which no later event shows, is noticed. Also what makes read models from nothing. Tells how many rooms missed
    /// events.
    ///
    /// # Errors
    /// As [`Pipeline::step`].
    pub async fn compare(&mut self, heads: &[Head]) -> Result<usize, StoreError> {
        self.late_by_design = true;
        let outcome = self.compare_rounds(heads).await;
        self.late_by_design = false;
        if outcome.is_err() {
            self.forget_everything();
        }
        outcome
    }

    async fn compare_rounds(&mut self, heads: &[Head]) -> Result<usize, StoreError> {
        let mut found = 0;
        for _ in 0..ROUNDS {
            self.load(heads.iter().map(|head| head.room)).await?;
            for head in heads {
                if let Some(state) = self.rooms.get_mut(&head.room) {
                    state.known = state.known.max(head.version);
                }
            }
            let missing = self.those_that_miss_events(heads.iter().map(|head| head.room));
            found = found.max(missing.len());
            if self.fill(missing, Suspects::new()).await? {
                return Ok(found);
            }
        }
        Err(StoreError::Contended)
    }

    /// Tries to fill the rooms that are behind.
    ///
    /// # Errors
    /// As [`Pipeline::step`].
    pub async fn fill_those_behind(&mut self) -> Result<(), StoreError> {
        let rooms: Vec<RoomId> = self.behind.iter().copied().collect();
        self.load(rooms.iter().copied()).await?;
        let missing = self.those_that_miss_events(rooms);
        // A room that another owner wrote is read and tried again the next time.
        self.fill(missing, Suspects::new()).await.map(|_| ())
    }

    /// Reads what these rooms miss from the feed, as far as it can be reached; what stays missing is remembered.
    /// False as in [`Pipeline::write`].
    pub(super) async fn fill(
        &mut self,
        mut missing: Vec<RoomId>,
        mut suspects: Suspects,
    ) -> Result<bool, StoreError> {
        let mut as_expected = true;
        self.behind.extend(&missing);
        while !missing.is_empty() {
            if self.feed_rests_until.is_some_and(|until| until > Instant::now()) {
                break;
            }
            let rooms: Vec<RoomId> = missing.drain(..missing.len().min(ROOMS_AT_ONCE)).collect();
            let (read_again, expected) = self.fill_some(rooms, &mut suspects).await?;
            as_expected &= expected;
            missing.extend(read_again);
        }
        let still = |room: &RoomId| self.rooms.get(room).is_some_and(|state| state.misses_events());
        self.behind.retain(still);
        self.metrics.behind(self.behind.len());
        Ok(as_expected)
    }

    /// Reads one page for each room. Tells which rooms have more, and whether checkpoints were where they should be.
    async fn fill_some(
        &mut self,
        rooms: Vec<RoomId>,
        suspects: &mut Suspects,
    ) -> Result<(Vec<RoomId>, bool), StoreError> {
        let feed = &self.parts.feed;
        let after = |room: RoomId| self.rooms.get(&room).map_or(0, |state| state.version);
        let reads: Vec<_> = rooms.into_iter().map(|room| (room, after(room))).collect();
        let pages: Vec<_> = stream::iter(reads)
            .map(|(room, after)| async move { (room, feed.events(room, after).await) })
            .buffer_unordered(ROOMS_AT_ONCE)
            .collect()
            .await;
        let now = self.parts.clock.now_ms();
        let (mut ready, mut broken, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for (room, page) in pages {
            match page {
                Err(error) => self.let_the_feed_rest(&error),
                Ok(events) if events.is_empty() => {
                    broken.extend(self.nothing_more(room, suspects.remove(&room)))
                }
                Ok(events) => {
                    more.push(room);
                    for event in events {
                        match read(&event) {
                            Ok(decoded) => ready.push(decoded),
                            Err(reason) => {
                                broken.push(parked_event(&event, reason, now));
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
        let mut as_expected = self.write(ready).await?;
        for message in broken {
            as_expected &= self.park(message).await?;
        }
        more.retain(|room| self.misses_events(*room));
        Ok((more, as_expected))
    }

    /// The feed has nothing after the room's checkpoint. What can't be read is then all there is.
    fn nothing_more(&mut self, room: RoomId, suspect: Option<ParkedMessage>) -> Option<ParkedMessage> {
        let state = self.rooms.get_mut(&room)?;
        state.ask = false;
        state.try_again = false;
        if let Some(message) = suspect.filter(|message| message.version == state.version + 1) {
            return Some(message);
        }
        if state.known > state.version && !state.parked {
            let (version, known) = (state.version, state.known);
            tracing::error!(%room, version, known, "the feed does not have events that were seen");
            self.feed_rests_until = Some(Instant::now() + self.feed_backoff.next_delay());
        }
        None
    }

    fn let_the_feed_rest(&mut self, error: &FeedError) {
        self.metrics.feed_failed();
        let delay = self.feed_backoff.next_delay();
        tracing::warn!(%error, delay_ms = delay.as_millis(), "rooms stay behind until the feed answers");
        self.feed_rests_until = Some(Instant::now() + delay);
    }
}

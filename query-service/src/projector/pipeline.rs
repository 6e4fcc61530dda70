//! What happens to the messages of one partition: read, checked against the rooms' checkpoints, written, published.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use service_kit::{
    clock::Clock,
    retry::Backoff,
    traces::{SpanKind, of_request},
};
use shared_events::{DecodedEvent, Erasures, RawEvent, RoomId};
use tokio::time::{Duration, Instant};

use super::{
    message::{Content, Message},
    metrics::ProjectorMetrics,
    parking::{parked_event, parked_message},
};
use crate::{
    feed::Feed,
    progress::Progress,
    projections,
    read_models::ParkedMessage,
    stores::{ProjectionStore, StoreError},
};

/// Rounds in which rooms that others wrote meanwhile are read and tried again, before the step fails.
pub(super) const ROUNDS: usize = 5;

/// How long a list of erased persons is used before it is read again. Who erases somebody waits longer than this.
pub const LIST_IS_GOOD_FOR: Duration = Duration::from_secs(1);

/// What a pipeline works with.
#[derive(Clone)]
pub struct Dependencies {
    /// Where documents and checkpoints are written.
    pub store: Arc<dyn ProjectionStore>,
    /// Where missing events are read.
    pub feed: Arc<dyn Feed>,
    /// Who waits for what.
    pub progress: Arc<Progress>,
    /// The time, for lag and for when a room was parked.
    pub clock: Clock,
}

/// The rooms of one partition. Dropped with all that it knows when the partition goes to another owner.
pub struct Pipeline {
    pub(super) parts: Dependencies,
    pub(super) rooms: HashMap<RoomId, RoomState>,
    /// Rooms that miss events which the feed did not give yet.
    pub(super) behind: HashSet<RoomId>,
    pub(super) feed_rests_until: Option<Instant>,
    pub(super) feed_backoff: Backoff,
    /// What is written now tells nothing about lag.
    pub(super) late_by_design: bool,
    pub(super) metrics: ProjectorMetrics,
    /// The list of erased persons, and when it was read.
    erasures: Option<(Instant, Arc<Erasures>)>,
}

/// What is known of a room.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoomState {
    /// Its checkpoint.
    pub(super) version: u64,
    /// A version that is known to exist.
    pub(super) known: u64,
    /// A message came whose version can't be read: the feed tells what there is.
    pub(super) ask: bool,
    /// It waits behind an event that can't be read.
    pub(super) parked: bool,
    /// It was found parked: what could not be read then may be readable for this build.
    pub(super) try_again: bool,
}

impl RoomState {
    /// Whether there is something to read from the feed, or no saying yet.
    pub(super) const fn misses_events(self) -> bool {
        if self.version == UNKNOWN {
            return true;
        }
        if self.parked { self.try_again } else { self.known > self.version || self.ask }
    }
}

/// Messages that can't be read, by room, until the feed's copy was tried.
pub(super) type Suspects = HashMap<RoomId, ParkedMessage>;

impl Pipeline {
    /// A pipeline that knows nothing yet.
    #[must_use]
    pub fn new(parts: Dependencies) -> Self {
        Self {
            parts,
            rooms: HashMap::new(),
            behind: HashSet::new(),
            feed_rests_until: None,
            feed_backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(30)),
            late_by_design: false,
            metrics: ProjectorMetrics::default(),
            erasures: None,
        }
    }

    /// Works on a batch. When it returns, everything that the batch brought is written, or its room is parked or
    /// known to be behind; the offset may be stored. Working on the same batch again changes nothing.
    ///
    /// # Errors
    /// When the store can't be read or written. Any part may have been written; the same batch is to be tried again.
    pub async fn step(&mut self, batch: &[Message]) -> Result<(), StoreError> {
        self.metrics.batch(batch.len());
        let outcome = self.rounds(batch).await;
        if outcome.is_err() {
            // What is known may no longer be so.
            self.forget_everything();
        }
        outcome
    }

    async fn rounds(&mut self, batch: &[Message]) -> Result<(), StoreError> {
        for _ in 0..ROUNDS {
            self.load(batch.iter().filter_map(Message::room)).await?;
            let (ready, suspects) = self.sort(batch);
            let mut as_expected = self.write(ready).await?;
            let rooms: HashSet<RoomId> = batch.iter().filter_map(Message::room).collect();
            let missing = self.those_that_miss_events(rooms);
            for room in missing.iter().filter(|room| !self.behind.contains(room)) {
                tracing::warn!(%room, "events are missing: they are read from the feed");
                self.metrics.gap();
            }
            as_expected &= self.fill(missing, suspects).await?;
            if as_expected {
                return Ok(());
            }
        }
        Err(StoreError::Contended)
    }

    /// When rooms that are behind are to be tried again, if there are any.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        if self.behind.is_empty() { None } else { Some(self.feed_rests_until.unwrap_or_else(Instant::now)) }
    }

    /// The rooms that miss events which the feed did not give yet.
    #[must_use]
    pub fn rooms_behind(&self) -> usize {
        self.behind.len()
    }

    pub(super) fn forget_everything(&mut self) {
        self.late_by_design = false;
        // What a room that is behind is known to miss is kept: nothing else may tell it again soon.
        self.rooms.retain(|room, _| self.behind.contains(room));
        for state in self.rooms.values_mut() {
            state.version = UNKNOWN;
        }
    }

    /// Reads the checkpoints that are not known yet.
    pub(super) async fn load(&mut self, rooms: impl Iterator<Item = RoomId>) -> Result<(), StoreError> {
        let is_known = |room: &RoomId| self.rooms.get(room).is_some_and(|state| state.version != UNKNOWN);
        let unknown: HashSet<RoomId> = rooms.filter(|room| !is_known(room)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<RoomId> = unknown.into_iter().collect();
        let checkpoints = self.parts.store.checkpoints(&unknown).await?;
        for room in unknown {
            let checkpoint = checkpoints.get(&room);
            let parked = checkpoint.is_some_and(|checkpoint| checkpoint.parked.is_some());
            let state = self.rooms.entry(room).or_default();
            state.version = checkpoint.map_or(0, |checkpoint| checkpoint.version);
            state.try_again |= parked && !state.parked;
            state.parked = parked;
            self.parts.progress.publish([(room, state.version)]);
            if parked {
                self.parts.progress.park(room);
            }
        }
        Ok(())
    }

    /// Reads the messages that come next in their rooms. Notes what others tell.
    fn sort(&mut self, batch: &[Message]) -> (Vec<DecodedEvent>, Suspects) {
        let mut ready = Vec::with_capacity(batch.len());
        let mut suspects = Suspects::new();
        let mut next: HashMap<RoomId, u64> = HashMap::new();
        let now = self.parts.clock.now_ms();
        for message in batch {
            let Some((room, state)) =
                message.room().and_then(|room| Some((room, self.rooms.get_mut(&room)?)))
            else {
                self.metrics.foreign();
                tracing::error!(offset = message.offset, "a message that belongs to no room is passed over");
                continue;
            };
            let next = next.entry(room).or_insert(state.version + 1);
            match &message.content {
                Content::Event(event) if event.version < *next => self.metrics.duplicate(),
                Content::Event(event) => {
                    state.known = state.known.max(event.version);
                    if event.version > *next || state.parked {
                        continue;
                    }
                    match read(event) {
                        Ok(decoded) => {
                            ready.push(decoded);
                            *next += 1;
                        }
                        Err(reason) => {
                            suspects.entry(room).or_insert_with(|| parked_event(event, reason, now));
                        }
                    }
                }
                Content::Unreadable(message) => match message.version {
                    Some(version) if version < *next => self.metrics.duplicate(),
                    Some(version) => {
                        state.known = state.known.max(version);
                        suspects.entry(room).or_insert_with(|| parked_message(room, version, message, now));
                    }
                    None => state.ask = true,
                },
            }
        }
        (ready, suspects)
    }

    /// Writes events that follow their rooms' checkpoints. False when a checkpoint was not where it was thought to
    /// be: the room is forgotten and must be looked at again.
    pub(super) async fn write(&mut self, mut ready: Vec<DecodedEvent>) -> Result<bool, StoreError> {
        let mut as_expected = true;
        if !ready.is_empty() {
            let erasures = self.erasures().await?;
            ready.iter_mut().for_each(|decoded| _ = erasures.mask(decoded));
        }
        while !ready.is_empty() {
            let started = Instant::now();
            match self.parts.store.apply(&ready).await {
                Ok(applied) => {
                    for room in &applied.conflicts {
                        as_expected = false;
                        self.metrics.conflict();
                        self.forget(*room);
                    }
                    self.advance(&ready, &applied.advanced);
                    if !self.late_by_design {
                        trace(&ready, &applied.advanced, started);
                    }
                    break;
                }
                // Nothing of a room whose events don't fit is worth a second try; the others go on.
                Err(StoreError::Batch { room, reason }) => {
                    let first = ready.iter().find(|decoded| decoded.room == room).map(DecodedEvent::encode);
                    let Some(first) = first else { return Err(StoreError::Batch { room, reason }) };
                    ready.retain(|decoded| decoded.room != room);
                    let now = self.parts.clock.now_ms();
                    as_expected &= self.park(parked_event(&first, reason, now)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(as_expected)
    }

    /// The list of erased persons, as it was a moment ago at most. Where the store has none, the feed's: read models that
    /// are new, or were put back to before there was a list, are not made of events that name somebody.
    pub(super) async fn erasures(&mut self) -> Result<Arc<Erasures>, StoreError> {
        if let Some((_, list)) = self.erasures.as_ref().filter(|(read, _)| read.elapsed() < LIST_IS_GOOD_FOR)
        {
            return Ok(Arc::clone(list));
        }
        let asked = Instant::now();
        let list = match self.parts.store.erasures().await? {
            Some(list) => list,
            None => {
                let list = self.parts.feed.erasures().await;
                let list = Arc::new(list.map_err(|error| StoreError::Backend(Box::new(error)))?);
                self.parts.store.keep_erasures(&list).await?;
                list
            }
        };
        self.erasures = Some((asked, Arc::clone(&list)));
        Ok(list)
    }

    pub(super) fn advance(&mut self, written: &[DecodedEvent], advanced: &[(RoomId, u64)]) {
        for (room, version) in advanced {
            let state = self.rooms.entry(*room).or_default();
            state.version = *version;
            state.parked = false;
            state.try_again = false;
            state.known = state.known.max(*version);
        }
        self.parts.progress.publish(advanced.iter().copied());
        self.metrics.applied(written.len());
        if self.late_by_design {
            return;
        }
        let now = self.parts.clock.now_ms();
        for decoded in written {
            self.metrics.visible(now - decoded.recorded_at.epoch_millis());
        }
    }

    pub(super) fn forget(&mut self, room: RoomId) {
        if let Some(state) = self.rooms.get_mut(&room) {
            state.version = UNKNOWN;
        }
        self.parts.progress.forget(room);
    }

    pub(super) fn misses_events(&self, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|state| state.version != UNKNOWN && state.misses_events())
    }

    pub(super) fn those_that_miss_events(&self, rooms: impl IntoIterator<Item = RoomId>) -> Vec<RoomId> {
        rooms.into_iter().filter(|room| self.misses_events(*room)).collect()
    }
}

/// Makes the spans of those events whose requests are traced.
fn trace(written: &[DecodedEvent], advanced: &[(RoomId, u64)], started: Instant) {
    let events = i64::try_from(written.len()).unwrap_or(i64::MAX);
    for decoded in written {
        let traceparent = decoded.metadata.traceparent.as_deref();
        let Some(mut span) = of_request(traceparent, "apply", SpanKind::Consumer, started.elapsed()) else {
            continue;
        };
        span.set("events", events);
        // Of a room that another instance wrote meanwhile nothing was applied.
        if advanced.iter().any(|(room, version)| *room == decoded.room && *version >= decoded.version) {
            span.end();
        }
    }
}

/// Stands for a checkpoint that has to be read. No stream is that long.
pub(super) const UNKNOWN: u64 = u64::MAX - 1;

/// An event that can be applied, or why it can't.
///
/// # Errors
/// The reason.
pub fn read(event: &RawEvent) -> Result<DecodedEvent, String> {
    let decoded = event.decode().map_err(|error| error.to_string())?;
    projections::check(&decoded).map_err(|error| error.to_string())?;
    Ok(decoded)
}

//! The pipeline of one partition: it checks messages against the rooms' checkpoints, writes what is next and publishes
//! what is visible.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use service_kit::{
    clock::Clock,
    retry::Backoff,
    traces::{SpanKind, of_request},
};
use shared_events::{DecodedEvent, Erasures, RoomId, Timestamp, Version};
use tokio::time::{Duration, Instant};

use super::{
    message::{Content, Message},
    metrics::ProjectorMetrics,
    room::{ParkedState, RoomState},
};
use crate::{
    feed::Feed,
    progress::Progress,
    projections::read,
    read_models::ParkedMessage,
    stores::{ProjectionStore, StoreError},
};

/// How often rooms that another owner wrote meanwhile are loaded and tried again, before a step fails.
pub(super) const ROUNDS: usize = 5;

/// How long the list of erased persons is used before it is read again. An erasure waits longer than this.
pub const LIST_IS_GOOD_FOR: Duration = Duration::from_secs(1);

/// What a pipeline works with.
#[derive(Clone)]
pub struct Dependencies {
    /// Where documents and checkpoints are written.
    pub store: Arc<dyn ProjectionStore>,
    /// Where missing events are read.
    pub feed: Arc<dyn Feed>,
    /// The queries that wait for a version.
    pub progress: Arc<Progress>,
    /// The time, for lag and for parked messages.
    pub clock: Clock,
}

/// The rooms of one partition. Another owner of the partition starts with a new one.
pub struct Pipeline {
    pub(super) dependencies: Dependencies,
    pub(super) rooms: HashMap<RoomId, RoomState>,
    /// Rooms whose missing events the feed has not given yet.
    pub(super) behind: HashSet<RoomId>,
    pub(super) feed_rests_until: Option<Instant>,
    pub(super) feed_backoff: Backoff,
    /// Events that are written now are old: they tell nothing about lag.
    pub(super) late_by_design: bool,
    pub(super) metrics: ProjectorMetrics,
    /// The list of erased persons, and when it was read.
    erasures: Option<(Instant, Arc<Erasures>)>,
}

/// Messages that can't be read, by room, until the feed's copy was tried.
pub(super) type Suspects = HashMap<RoomId, ParkedMessage>;

impl Pipeline {
    /// A pipeline that knows no room yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            dependencies,
            rooms: HashMap::new(),
            behind: HashSet::new(),
            feed_rests_until: None,
            feed_backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(30)),
            late_by_design: false,
            metrics: ProjectorMetrics::default(),
            erasures: None,
        }
    }

    /// Projects a batch. Then each of its events is written, or its room is parked or behind, and the offset may be
    /// stored. The same batch again changes nothing.
    ///
    /// # Errors
    /// When the store can't be read or written. Any part may be written: try the same batch again.
    pub async fn step(&mut self, batch: &[Message]) -> Result<(), StoreError> {
        self.metrics.batch(batch.len());
        let outcome = self.project(batch).await;
        if outcome.is_err() {
            self.forget_everything();
        }
        outcome
    }

    async fn project(&mut self, batch: &[Message]) -> Result<(), StoreError> {
        let rooms: HashSet<RoomId> = batch.iter().filter_map(Message::room).collect();
        for _ in 0..ROUNDS {
            self.load(&rooms).await?;
            let (ready, suspects) = self.sort(batch);
            self.write(ready).await?;
            let missing = self.missing_events(&rooms);
            for room in missing.iter().filter(|room| !self.behind.contains(room)) {
                tracing::warn!(%room, "events are missing: they are read from the feed");
                self.metrics.gap();
            }
            self.fill(missing, suspects).await?;
            if self.are_loaded(&rooms) {
                return Ok(());
            }
        }
        Err(StoreError::Contended)
    }

    /// When rooms that are behind are tried again, if there are any.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        (!self.behind.is_empty()).then(|| self.feed_rests_until.unwrap_or_else(Instant::now))
    }

    /// How many rooms are behind because the feed has not given their events yet.
    #[must_use]
    pub fn rooms_behind(&self) -> usize {
        self.behind.len()
    }

    /// Unloads all rooms after an error, and keeps which versions rooms behind are known to miss.
    pub(super) fn forget_everything(&mut self) {
        self.late_by_design = false;
        self.rooms.retain(|room, _| self.behind.contains(room));
        self.rooms.values_mut().for_each(|state| state.checkpoint = None);
    }

    /// Reads the checkpoints of rooms that are not loaded.
    pub(super) async fn load(&mut self, rooms: &HashSet<RoomId>) -> Result<(), StoreError> {
        let unloaded: Vec<RoomId> = rooms.iter().copied().filter(|room| !self.is_loaded(*room)).collect();
        if unloaded.is_empty() {
            return Ok(());
        }
        let Dependencies { store, progress, .. } = &self.dependencies;
        for (room, checkpoint) in store.checkpoints(&unloaded).await? {
            self.rooms.entry(room).or_default().load(checkpoint.version, checkpoint.parked.is_some());
            progress.publish([(room, checkpoint.version)]);
            if checkpoint.parked.is_some() {
                progress.park(room);
            }
        }
        Ok(())
    }

    /// Decodes the messages that come next in their rooms, and notes what the others tell.
    fn sort(&mut self, batch: &[Message]) -> (Vec<DecodedEvent>, Suspects) {
        let mut ready = Vec::with_capacity(batch.len());
        let mut suspects = Suspects::new();
        let mut next: HashMap<RoomId, Version> = HashMap::new();
        let now = self.now();
        for message in batch {
            let Some((room, state)) =
                message.room().and_then(|room| Some((room, self.rooms.get_mut(&room)?)))
            else {
                self.metrics.foreign();
                tracing::error!(offset = message.offset, "a message that belongs to no room is passed over");
                continue;
            };
            let next = next.entry(room).or_insert(state.checkpoint.unwrap_or_default().next());
            match &message.content {
                Content::Event(event) if event.version < *next => self.metrics.duplicate(),
                Content::Event(event) => {
                    state.known = state.known.max(event.version);
                    if event.version > *next || state.parked != ParkedState::No {
                        continue;
                    }
                    match read(event) {
                        Ok(decoded) => {
                            ready.push(decoded);
                            *next = next.next();
                        }
                        Err(reason) => {
                            suspects
                                .entry(room)
                                .or_insert_with(|| ParkedMessage::of_event(event, reason, now));
                        }
                    }
                }
                Content::Unreadable(message) => match message.version {
                    Some(version) if version < *next => self.metrics.duplicate(),
                    Some(version) => {
                        state.known = state.known.max(version);
                        suspects.entry(room).or_insert_with(|| message.to_parked(room, version, now));
                    }
                    None => state.ask = true,
                },
            }
        }
        (ready, suspects)
    }

    /// Writes events that follow their rooms' checkpoints. A room whose checkpoint has moved is unloaded.
    pub(super) async fn write(&mut self, mut ready: Vec<DecodedEvent>) -> Result<(), StoreError> {
        if !ready.is_empty() {
            let erasures = self.erasures().await?;
            ready.iter_mut().for_each(|decoded| _ = erasures.mask(decoded));
        }
        while !ready.is_empty() {
            let started = Instant::now();
            match self.dependencies.store.apply(&ready).await {
                Ok(applied) => {
                    applied.conflicts.iter().for_each(|room| self.moved(*room));
                    self.advance(&ready, &applied.advanced);
                    if !self.late_by_design {
                        trace(&ready, &applied.advanced, started);
                    }
                    return Ok(());
                }
                // The store can't apply this room's events: it is parked, and the others go on.
                Err(StoreError::Batch { room, reason }) => {
                    let first = ready.iter().find(|decoded| decoded.room == room).map(DecodedEvent::encode);
                    let Some(Ok(first)) = first else { return Err(StoreError::Batch { room, reason }) };
                    ready.retain(|decoded| decoded.room != room);
                    self.park(ParkedMessage::of_event(&first, reason, self.now())).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The list of erased persons, at most a second old. A store without a list takes the feed's first, so that new or
    /// restored read models never show an erased person.
    pub(super) async fn erasures(&mut self) -> Result<Arc<Erasures>, StoreError> {
        if let Some((_, list)) = self.erasures.as_ref().filter(|(read, _)| read.elapsed() < LIST_IS_GOOD_FOR)
        {
            return Ok(Arc::clone(list));
        }
        let asked = Instant::now();
        let Dependencies { store, feed, .. } = &self.dependencies;
        let list = match store.erasures().await? {
            Some(list) => list,
            None => {
                let list = feed.erasures().await.map_err(|error| StoreError::Backend(Box::new(error)))?;
                store.keep_erasures(&list).await?;
                Arc::new(list)
            }
        };
        self.erasures = Some((asked, Arc::clone(&list)));
        Ok(list)
    }

    /// Publishes what is written.
    pub(super) fn advance(&mut self, written: &[DecodedEvent], advanced: &[(RoomId, Version)]) {
        for (room, version) in advanced {
            self.rooms.entry(*room).or_default().advance(*version);
        }
        self.dependencies.progress.publish(advanced.iter().copied());
        self.metrics.applied(written.len());
        if self.late_by_design {
            return;
        }
        let now = self.dependencies.clock.now_ms();
        for decoded in written {
            self.metrics.visible(now - decoded.recorded_at.epoch_millis());
        }
    }

    /// Unloads a room whose checkpoint another owner has moved.
    pub(super) fn moved(&mut self, room: RoomId) {
        self.metrics.conflict();
        self.forget(room);
    }

    /// Unloads a room.
    pub(super) fn forget(&mut self, room: RoomId) {
        if let Some(state) = self.rooms.get_mut(&room) {
            state.checkpoint = None;
        }
        self.dependencies.progress.forget(room);
    }

    fn is_loaded(&self, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|state| state.checkpoint.is_some())
    }

    /// Whether no room was forgotten since it was loaded.
    pub(super) fn are_loaded(&self, rooms: &HashSet<RoomId>) -> bool {
        rooms.iter().all(|room| self.is_loaded(*room))
    }

    /// The rooms whose events the feed may have.
    pub(super) fn missing_events<'a>(&self, rooms: impl IntoIterator<Item = &'a RoomId>) -> Vec<RoomId> {
        let misses = |room: &&RoomId| self.rooms.get(room).is_some_and(|state| state.misses_events());
        rooms.into_iter().filter(misses).copied().collect()
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.dependencies.clock.now_ms())
    }
}

/// Ends a span for each traced event that is visible now.
fn trace(written: &[DecodedEvent], advanced: &[(RoomId, Version)], started: Instant) {
    let events = i64::try_from(written.len()).unwrap_or(i64::MAX);
    for decoded in written {
        let traceparent = decoded.metadata.traceparent.as_deref();
        let Some(mut span) = of_request(traceparent, "apply", SpanKind::Consumer, started.elapsed()) else {
            continue;
        };
        span.set("events", events);
        if advanced.iter().any(|(room, version)| *room == decoded.room && *version >= decoded.version) {
            span.end();
        }
    }
}

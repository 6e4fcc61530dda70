//! The pipeline of one partition. It checks messages against the rooms' checkpoints, writes the next events and publishes
//! the versions that are visible.

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
    erasures::learn,
    feed::Feed,
    progress::Progress,
    projections::read,
    read_models::ParkedMessage,
    stores::{ProjectionStore, StoreError},
};

/// Attempts of a step. A room that another owner writes meanwhile is loaded again for the next one.
pub(super) const ROUNDS: usize = 5;

/// The longest time between two reads of the list of erased persons. An erasure waits longer than this.
pub const LIST_IS_GOOD_FOR: Duration = Duration::from_secs(1);

/// The dependencies of a pipeline.
#[derive(Clone)]
pub struct Dependencies {
    /// The store of documents and checkpoints.
    pub store: Arc<dyn ProjectionStore>,
    /// The source of missing events.
    pub feed: Arc<dyn Feed>,
    /// The queries that wait for a version.
    pub progress: Arc<Progress>,
    /// The clock of lag and parked messages.
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
    /// The events that are written now are old. They count in no metric of lag.
    pub(super) late_by_design: bool,
    pub(super) metrics: ProjectorMetrics,
    /// The list of erased persons, and when it was read.
    erasures: Option<(Instant, Arc<Erasures>)>,
}

/// Unreadable messages by room, until the feed's copy is tried.
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

    /// Projects a batch: each event is written, or its room is parked or behind. The offset may be stored afterwards. The
    /// same batch again changes nothing.
    ///
    /// # Errors
    /// When the store can't be read or written. Some events may be written: try the same batch again.
    pub async fn step(&mut self, batch: &[Message]) -> Result<(), StoreError> {
        self.metrics.handles().batch.record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let outcome = self.project(batch).await;
        self.ended(outcome)
    }

    /// Unloads all rooms if the work failed.
    pub(super) fn ended<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        self.late_by_design = false;
        outcome.inspect_err(|_| self.forget_everything())
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
                self.metrics.handles().gaps.increment(1);
            }
            self.fill(missing, suspects).await?;
            if self.are_loaded(&rooms) {
                return Ok(());
            }
        }
        Err(StoreError::Contended)
    }

    /// The time at which rooms that are behind are tried again, if there are any.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        (!self.behind.is_empty()).then(|| self.feed_rests_until.unwrap_or_else(Instant::now))
    }

    /// The number of rooms that are behind because the feed has not given their events yet.
    #[must_use]
    pub fn rooms_behind(&self) -> usize {
        self.behind.len()
    }

    /// Unloads all rooms after an error. The known versions of rooms that are behind stay.
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

    /// Decodes the messages that come next in their rooms. The other ones only tell which versions exist.
    fn sort(&mut self, batch: &[Message]) -> (Vec<DecodedEvent>, Suspects) {
        let mut ready = Vec::with_capacity(batch.len());
        let mut suspects = Suspects::new();
        let mut next: HashMap<RoomId, Version> = HashMap::new();
        let now = self.now();
        for message in batch {
            let Some((room, state)) =
                message.room().and_then(|room| Some((room, self.rooms.get_mut(&room)?)))
            else {
                self.metrics.handles().foreign.increment(1);
                tracing::error!(offset = message.offset, "a message that belongs to no room is passed over");
                continue;
            };
            let next = next.entry(room).or_insert(state.checkpoint.unwrap_or_default().next());
            match &message.content {
                Content::Event(event) if event.version < *next => {
                    self.metrics.handles().duplicates.increment(1)
                }
                Content::Event(event) => {
                    state.known = state.known.max(event.version);
                    if event.version > *next || state.parked != ParkedState::No {
                        continue;
                    }
                    match read(event) {
                        Ok(decoded) => {
                            // The message stays: its batch may have to be tried again.
                            ready.push(DecodedEvent {
                                room,
                                version: event.version,
                                metadata: event.metadata.clone(),
                                recorded_at: event.recorded_at,
                                event: decoded,
                            });
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
                    Some(version) if version < *next => self.metrics.handles().duplicates.increment(1),
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
                // The store can't apply this room's events: the room is parked, and the others go on.
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
            None => learn(feed.as_ref(), store.as_ref()).await.map_err(StoreError::backend)?,
        };
        self.erasures = Some((asked, Arc::clone(&list)));
        Ok(list)
    }

    /// Publishes the versions that are written.
    pub(super) fn advance(&mut self, written: &[DecodedEvent], advanced: &[(RoomId, Version)]) {
        for (room, version) in advanced {
            self.rooms.entry(*room).or_default().advance(*version);
        }
        self.dependencies.progress.publish(advanced.iter().copied());
        self.metrics.handles().applied.increment(u64::try_from(written.len()).unwrap_or_default());
        if self.late_by_design {
            return;
        }
        let now = Timestamp::from_epoch_millis(self.dependencies.clock.now_ms());
        for decoded in written {
            self.metrics.visible(now.since(decoded.recorded_at));
        }
    }

    /// Unloads a room whose checkpoint another owner has moved.
    pub(super) fn moved(&mut self, room: RoomId) {
        self.metrics.handles().conflicts.increment(1);
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

    /// Whether all these rooms are still loaded.
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

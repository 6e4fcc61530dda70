//! One reading of the binary log, from the stored place until something ends it.

use std::{collections::HashMap, time::Duration};

use service_kit::{
    telemetry::with_causes,
    traces::{SpanKind, of_request},
};
use shared_events::{Erasures, RawEvent, RoomId, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    BinlogRelay,
    abort_points::{ACKNOWLEDGED, BEFORE_SEND, SENT, STORED},
    progress::{Progress, Source},
    relayed::{Note, Relayed},
};
use crate::{
    event_store::{
        ErasureList as _, EventLog as _, HeldRoom, Mode, Outbox as _, Phase, Position, RelayState,
        StoreError, StoredEvent, StoredPlace,
        mysql::{BinlogError, BinlogReader, Entry, Place},
    },
    outbox::{Publisher, Report, Undelivered},
};

/// Interval between looks at the state.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Interval between places that are stored. Each is a durable transaction beside those of the commands.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// Nothing is sent by a list of erased persons that is older than this.
const LIST_IS_GOOD_FOR: Duration = Duration::from_secs(1);
/// Interval between barriers. A refill repeats at most what was committed since the last one.
const BARRIER_EVERY: Duration = Duration::from_secs(60);
/// Events wait while the note is written.
const NOTE_LIMIT: Duration = Duration::from_secs(1);

/// Why a reading has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Everything before the switch to the table is delivered.
    Drained,
    /// It was asked to end, or another instance leads, or the phase is another one.
    Stopped,
    /// Kafka failed. The publisher has to be reset.
    Undelivered(String),
    /// The note beside the topic can't be read. Nothing was sent.
    Unnoted(String),
    /// The log can't be read.
    Unreadable(BinlogError),
    /// The event store failed.
    Store(StoreError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A held room: its events from a position on are left out.
#[derive(Clone, Copy, Debug)]
struct Hold {
    from: Position,
}

pub(super) struct Session<'a, P> {
    relay: &'a mut BinlogRelay<P>,
    progress: Progress,
    place: Place,
    stored: StoredPlace,
    /// What is noted beside the topic.
    note: Note,
    /// Whether the note could not be written. The next barrier tries again.
    note_failed: bool,
    /// The epoch of the phase in which this reading began.
    began: RelayState,
    /// Whether anything was read from the log.
    reads: bool,
    /// Whether the log is past the switch from the table.
    started: bool,
    /// Whether the switch to the table was read.
    at_the_end: bool,
    holds: HashMap<RoomId, Hold>,
    erasures: Erasures,
    /// When the last look at the state began.
    looked_at: Instant,
    moved_at: Instant,
}

impl<'a, P: Publisher> Session<'a, P> {
    /// Prepares a reading for the leader of this epoch.
    pub(super) async fn new(relay: &'a mut BinlogRelay<P>, state: RelayState) -> Result<Self, Ended> {
        let place = Place::of(&state.place);
        let place = place.map_err(|reason| Ended::Unreadable(BinlogError::Lost(reason)))?;
        let note = relay.note(state.place.mode_epoch).await?;
        let looked_at = Instant::now();
        let mut erasures = Erasures::default();
        relay.store.read_on(&mut erasures).await?;
        let holds = relay.store.holds().await?;
        let holds = holds.into_iter().map(|(room, from, _)| (room, Hold { from })).collect();
        Ok(Self {
            progress: Progress::after_a_stall(relay.stalled_since),
            relay,
            place,
            note,
            note_failed: false,
            stored: state.place.clone(),
            reads: false,
            started: !state.place.anchor.is_empty(),
            began: state,
            at_the_end: false,
            holds,
            erasures,
            looked_at,
            moved_at: Instant::now(),
        })
    }

    /// Reads and sends until something ends it. What is delivered by then is stored.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Ended {
        let reader = match self.relay.store.read_binlog(&self.place).await {
            Ok(reader) => reader,
            Err(error) => return Ended::Unreadable(error),
        };
        self.place.read_on(reader.server_uuid());
        let ended = self.read(reader, stop).await;
        self.progress.advance(&mut self.place);
        if !matches!(ended, Ended::Store(_)) {
            // The next reading repeats what is not stored.
            drop(self.store_place().await);
        }
        if matches!(ended, Ended::Stopped | Ended::Drained) {
            self.write_note(false).await;
        }
        self.relay.delivered = self.progress.last().or(self.relay.delivered);
        self.relay.stalled_since = self.progress.stalled_since();
        ended
    }

    async fn read(&mut self, mut reader: BinlogReader, stop: &CancellationToken) -> Ended {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut store = interval(STORE_EVERY);
        store.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut barrier = interval(BARRIER_EVERY);
        loop {
            let fresh = self.looked_at.elapsed() < LIST_IS_GOOD_FOR;
            let sends = fresh && !self.progress.is_full() && !self.at_the_end;
            let done = tokio::select! {
                reports = self.relay.publisher.reports() => self.settle(reports).await,
                entries = reader.next(), if sends => match entries {
                    Ok(entries) => self.send_all(entries).await,
                    Err(error) => return Ended::Unreadable(error),
                },
                _ = look.tick() => self.look(reader.server_uuid()).await,
                _ = store.tick() => self.store_and_note().await,
                _ = barrier.tick(), if self.began.phase == Phase::Log => self.set_barrier().await,
                () = stop.cancelled() => return Ended::Stopped,
            };
            if let Err(ended) = done {
                return ended;
            }
            if self.progress.advance(&mut self.place) {
                self.moved_at = Instant::now();
            }
            if self.at_the_end && self.progress.is_empty() {
                return match self.store_place().await {
                    Ok(()) => Ended::Drained,
                    Err(ended) => ended,
                };
            }
        }
    }

    /// Sets a barrier, and writes the note again: Kafka forgets one that is not written for long.
    async fn set_barrier(&mut self) -> Result<(), Ended> {
        self.relay.store.set_barrier(self.began.epoch).await?;
        self.write_note(true).await;
        Ok(())
    }

    /// Sends entries in order. Once entries are read they are all sent, whatever is in flight.
    async fn send_all(&mut self, entries: Vec<Entry>) -> Result<(), Ended> {
        self.reads = true;
        let mut behind = None;
        for entry in entries {
            match entry {
                Entry::Event(event) if self.started && !self.at_the_end => {
                    behind = Some(event.recorded_at);
                    self.send(event, Source::Log).await?;
                }
                Entry::Event(_) => {}
                Entry::State { phase, epoch, barrier } => {
                    self.started |= phase == Phase::ToLog && epoch == self.stored.mode_epoch;
                    self.at_the_end |=
                        self.started && phase == Phase::Draining && epoch > self.stored.mode_epoch;
                    if self.started {
                        self.progress.barrier(barrier);
                    }
                }
                Entry::Released { room, up_to } if self.started => self.release(room, up_to).await?,
                Entry::Released { .. } => {}
                Entry::End(transaction) if self.started => self.progress.end(transaction),
                Entry::End(transaction) => self.progress.end(transaction.left_out()),
            }
        }
        if let Some(recorded_at) = behind {
            let now = Timestamp::from_epoch_millis(self.relay.clock.now_ms());
            metrics::gauge!("relay_binlog_behind_seconds").set(now.since(recorded_at).as_secs_f64());
        }
        Ok(())
    }

    async fn send(&mut self, event: StoredEvent, source: Source) -> Result<(), Ended> {
        let relayed = Relayed::of(&event);
        let Relayed { room, position, .. } = relayed;
        let held = self.holds.get(&room).is_some_and(|hold| position >= hold.from);
        if held && source == Source::Log {
            return Ok(());
        }
        let event = match event.into_raw() {
            Ok(event) => self.masked(event),
            Err(reason) => return self.hold(room, position, reason.to_string()).await,
        };
        let span =
            of_request(event.metadata.traceparent.as_deref(), "publish", SpanKind::Producer, Duration::ZERO);
        // The publisher reports numbers of slots in the place of positions.
        let number = self.progress.next_number().into();
        BEFORE_SEND.reached(self.relay.abort_at);
        let sent = self.relay.publisher.send(number, event).await;
        if let Some(span) = span {
            span.end();
        }
        match sent {
            Ok(()) => {
                SENT.reached(self.relay.abort_at);
                self.progress.sent(relayed, source);
                Ok(())
            }
            Err(Undelivered::Refused(reason)) => self.hold(room, position, reason).await,
            Err(Undelivered::Failed(reason)) => Err(Ended::Undelivered(reason)),
        }
    }

    /// The log has events as they were first written, so erased persons are masked here.
    fn masked(&self, mut event: RawEvent) -> RawEvent {
        if !self.erasures.persons.is_empty() {
            self.erasures.mask_metadata(&mut event.metadata);
            if let Some(payload) = self.erasures.masked_payload(&event.payload) {
                event.payload = payload;
            }
        }
        event
    }

    async fn settle(&mut self, reports: Vec<Report>) -> Result<(), Ended> {
        let mut failed = None;
        for report in reports {
            match report {
                Report::Delivered(number) => {
                    ACKNOWLEDGED.reached(self.relay.abort_at);
                    self.progress.settled(number.get());
                }
                Report::Refused(number, reason) => {
                    if let Some((room, position)) = self.progress.settled(number.get()) {
                        self.hold(room, position, reason).await?;
                    }
                }
                Report::Failed(reason) => failed = Some(reason),
            }
        }
        failed.map_or(Ok(()), |reason| Err(Ended::Undelivered(reason)))
    }

    /// Holds a room. The hold is committed before a place beyond its event is stored.
    async fn hold(&mut self, room: RoomId, position: Position, reason: String) -> Result<(), Ended> {
        if self.holds.get(&room).is_some_and(|hold| hold.from <= position) {
            return Ok(());
        }
        tracing::error!(room = %room, %position, %reason, "an event can't be sent, its room is held");
        let held_at = Timestamp::from_epoch_millis(self.relay.clock.now_ms());
        self.relay.store.hold_room(&HeldRoom { room, position, reason, held_at }).await?;
        self.holds.insert(room, Hold { from: position });
        Ok(())
    }

    /// Sends what the outbox has of a released room. Later events come from the log.
    async fn release(&mut self, room: RoomId, up_to: Position) -> Result<(), Ended> {
        // The log shows a transaction a moment before a SELECT does.
        self.relay.store.wait_for_change().await?;
        let holds = self.relay.store.holds().await?;
        if !holds.iter().any(|(held, _, released_to)| *held == room && *released_to == Some(up_to)) {
            // The release is passed already, or the room is held again.
            return Ok(());
        }
        self.holds.remove(&room);
        let rows = self.relay.store.outbox_rows_of(room, up_to).await?;
        for piece in rows.chunks(1000) {
            for event in self.relay.store.events_at(piece).await? {
                self.send(event, Source::Outbox).await?;
                if self.holds.contains_key(&room) {
                    return Ok(());
                }
            }
        }
        self.progress.released(room);
        Ok(())
    }

    /// Looks at the state: who leads, which phase it is, who was erased.
    async fn look(&mut self, server_uuid: &str) -> Result<(), Ended> {
        let began = Instant::now();
        if self.reads {
            self.relay.leadership.stalled(self.progress.stalled_since());
        }
        let state = self.relay.store.relay_state().await?;
        // After a switch of the primary, an open connection stays with the former one, whose log has nothing new.
        if state.server_uuid != server_uuid
            || state.place.leader_epoch != self.stored.leader_epoch
            || !matches!(state.phase, Phase::Log | Phase::Draining)
        {
            return Err(Ended::Stopped);
        }
        if state.erasures != self.erasures.epoch {
            self.relay.store.read_on(&mut self.erasures).await?;
        }
        self.looked_at = began;
        if state.phase == Phase::Log && state.wanted != Mode::Log {
            self.relay.change(&state, Phase::Draining).await?;
        }
        metrics::gauge!("relay_binlog_place_age_seconds").set(self.moved_at.elapsed().as_secs_f64());
        Ok(())
    }

    async fn store_and_note(&mut self) -> Result<(), Ended> {
        self.store_place().await?;
        self.write_note(false).await;
        Ok(())
    }

    /// Notes the last event beside the topic, if it is another one or `again`.
    async fn write_note(&mut self, again: bool) {
        let note = Note { last: self.progress.last().or(self.note.last), ..self.note };
        if !again && (note == self.note || self.note_failed) {
            return;
        }
        let up_to = note.last.map_or(Position::START, |relayed| relayed.position);
        let writing = timeout(NOTE_LIMIT, self.relay.publisher.note(up_to, note.to_string()));
        self.note_failed = match writing.await {
            Ok(Ok(())) => {
                self.note = note;
                false
            }
            Ok(Err(Undelivered::Refused(reason) | Undelivered::Failed(reason))) => {
                tracing::warn!(%reason, "the last relayed event could not be noted beside the topic");
                true
            }
            Err(_) => {
                tracing::warn!("Kafka is slow to note the last relayed event");
                true
            }
        };
    }

    async fn store_place(&mut self) -> Result<(), Ended> {
        let mut stored = self.stored.clone();
        if self.reads {
            stored.problem.clear();
        }
        self.place.store(&mut stored);
        let (passed, delivered_to) = self.progress.passed();
        stored.delivered_to = delivered_to.max(stored.delivered_to);
        if stored == self.stored && passed.rooms.is_empty() {
            return Ok(());
        }
        if !self.relay.store.store_place(&stored, passed).await? {
            return Err(Ended::Stopped);
        }
        STORED.reached(self.relay.abort_at);
        self.progress.stored();
        self.stored = stored;
        Ok(())
    }
}

impl Ended {
    /// The end in words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Drained => "drained".to_owned(),
            Self::Stopped => "stopped".to_owned(),
            Self::Undelivered(reason) | Self::Unnoted(reason) => reason.clone(),
            Self::Unreadable(error) => error.to_string(),
            Self::Store(error) => with_causes(error),
        }
    }
}

//! One try at deciding and committing a group.
//!
//! Decisions are made one after the other on the cached rooms, each seeing the effects of those before it. Everything
//! that was applied can be undone, so a try that fails leaves no trace: the next one decides all commands again.

mod records;

use std::collections::{HashMap, HashSet};

use service_kit::clock::Clock;
use shared_events::{DecodedEvent, Event, Metadata, RawEvent, ReservationId, RoomId, Timestamp, Version};

use super::{CommandOutcome, Failure, Pending, RecordedOutcome, Reply, Submission, answers, cache::Cache};
use crate::{
    commands::{Command, Decision, NewEvent},
    domain::{Rejection, Room, RoomEntry, Undo},
    event_store::{Group, KeyId, KeyRecord, NewKey, StoreError},
};

/// How often a decision may ask for a room, or for a room's past, before something must be wrong: once for each room of
/// a kind, or for each move of a reservation.
const MAX_LOADS: usize = 100_000;

/// Why a try failed. Nothing that it applied is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AttemptError {
    /// Another writer was first: decide again.
    Conflict,
    /// The store could not be reached, or did not answer in time.
    Transient,
    /// As before, and what was to be committed may have been.
    Unknown,
    /// The store refuses the group.
    Permanent,
}

impl AttemptError {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Transient => "transient",
            Self::Unknown => "unknown",
            Self::Permanent => "permanent",
        }
    }
}

impl From<StoreError> for AttemptError {
    fn from(error: StoreError) -> Self {
        let permanent = !matches!(error, StoreError::Unavailable { .. });
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            permanent,
            "the event store could not be read"
        );
        if permanent { Self::Permanent } else { Self::Transient }
    }
}

/// What a successful try leaves.
pub(super) struct CommittedGroup {
    /// Answers by index; a command without one has the key of another command of its group, and has to be tried again.
    pub(super) replies: HashMap<usize, Reply>,
    /// The rooms that have new events, with their versions before them.
    pub(super) written: HashMap<RoomId, Version>,
    /// The new events with their positions, in the order in which they were decided.
    pub(super) events: Vec<(u64, RawEvent)>,
}

pub(super) struct Attempt<'a> {
    pub(super) cache: &'a mut Cache,
    pub(super) clock: &'a Clock,
    pending: &'a [Pending],
    now: Timestamp,
    replies: HashMap<usize, Reply>,
    pub(super) group: Group,
    /// Of the group's events, once they are committed.
    pub(super) positions: Vec<u64>,
    undo: Vec<(RoomId, Undo)>,
    directory_undo: Vec<(RoomId, Option<RoomEntry>)>,
    /// Versions, before this try, of all rooms that it has looked at; 0 for those that don't exist.
    pub(super) base: HashMap<RoomId, Version>,
    /// The rooms that stand behind an outcome without events. (A room of a kind that was looked at and not taken is none
    /// of them.)
    pub(super) rests_on: HashSet<RoomId>,
    /// Whether the keys of all commands are looked up before they are decided.
    keys_first: bool,
    records: HashMap<KeyId, KeyRecord>,
    /// Reservations made in this group by keys of this group.
    made: HashMap<KeyId, ReservationId>,
    new_keys: HashSet<KeyId>,
    /// Rooms without events that are in the cache for this try.
    invented: Vec<RoomId>,
    pub(super) doubted_kinds: HashSet<String>,
    pub(super) doubted_names: HashSet<String>,
}

impl<'a> Attempt<'a> {
    /// `keys_first` where an earlier try has shown that some of the keys are taken, or may have.
    pub(super) fn new(
        cache: &'a mut Cache,
        clock: &'a Clock,
        pending: &'a [Pending],
        keys_first: bool,
    ) -> Self {
        // Lines of an import may have been sent before, and speak of one another by their keys.
        let imported = |pending: &Pending| pending.submission.command.imported;
        Self {
            keys_first: keys_first || pending.iter().any(imported),
            cache,
            clock,
            pending,
            now: Timestamp::from_epoch_millis(clock.now().timestamp_millis()),
            replies: HashMap::new(),
            group: Group::default(),
            positions: Vec::new(),
            undo: Vec::new(),
            directory_undo: Vec::new(),
            base: HashMap::new(),
            rests_on: HashSet::new(),
            records: HashMap::new(),
            made: HashMap::new(),
            new_keys: HashSet::new(),
            invented: Vec::new(),
            doubted_kinds: HashSet::new(),
            doubted_names: HashSet::new(),
        }
    }

    pub(super) async fn run(mut self) -> Result<CommittedGroup, AttemptError> {
        let result = self.decide_and_commit().await;
        if let Err(setback) = result {
            self.take_back(setback);
        }
        for room in std::mem::take(&mut self.invented) {
            if self.cache.rooms.get(room).is_some_and(|room| room.version() == 0) {
                self.cache.forget(room);
            }
        }
        match result {
            Ok(()) => {
                let written = self.group.events.iter().map(|event| event.room).collect::<HashSet<_>>();
                let written = written
                    .into_iter()
                    .map(|room| (room, self.base.get(&room).copied().unwrap_or_default()))
                    .collect();
                let events = self.positions.into_iter().zip(self.group.events).collect();
                Ok(CommittedGroup { replies: self.replies, written, events })
            }
            Err(setback) => Err(setback),
        }
    }

    async fn decide_and_commit(&mut self) -> Result<(), AttemptError> {
        self.cache.refresh_erasures().await?;
        self.cache.refresh_directory().await?;
        let directory = &self.cache.rooms.directory;
        let rooms: HashSet<RoomId> =
            self.pending.iter().flat_map(|pending| pending.submission.command.rooms(directory)).collect();
        let gained = self.cache.load(rooms.into_iter()).await?;
        self.settle(&gained);
        if self.keys_first {
            self.find_records().await?;
        }
        for (index, pending) in self.pending.iter().enumerate() {
            if !self.replies.contains_key(&index) {
                if let Some(reply) = self.carry_out(&pending.submission).await? {
                    self.replies.insert(index, reply);
                }
                self.cache.rooms.drop_whole();
            }
        }
        if !self.keys_first {
            self.find_records_of_those_without_effect().await?;
        }
        self.verify().await?;
        self.append().await
    }

    /// Commands of this group that an earlier try has committed after all: its connection was lost during COMMIT.
    fn settle(&mut self, gained: &[DecodedEvent]) {
        if gained.is_empty() {
            return;
        }
        for (index, pending) in self.pending.iter().enumerate() {
            let id = pending.submission.command.id.to_string();
            let mut own: Vec<_> = gained.iter().filter(|event| event.metadata.causation_id == id).collect();
            // The answer of a move speaks of the room that it entered.
            own.sort_by_key(|event| !matches!(event.event, Event::ReservationMovedOut(_)));
            let own: Vec<_> =
                own.into_iter().map(|event| (event.room, event.version, &event.event)).collect();
            if let Some(done) = answers::done(&own) {
                self.replies.insert(
                    index,
                    Ok(CommandOutcome { result: Ok(done), rests_on: Vec::new(), repeated: false }),
                );
            }
        }
    }

    /// Decides one command and applies its events. `None` when it has to wait for a command with the same key.
    async fn carry_out(&mut self, submission: &Submission) -> Result<Option<Reply>, AttemptError> {
        if submission.key.is_some_and(|key| self.new_keys.contains(&key.id)) {
            return Ok(None);
        }
        let mut command = submission.command.clone();
        if !command.imported {
            command.now = self.now;
        }
        if let Some(pseudonym) = self.cache.erasures.pseudonym(&command.actor.user) {
            if !command.imported {
                return Ok(Some(Err(Failure::Erased)));
            }
            command.actor.user = pseudonym.clone();
        }
        if let Some(key) = submission.made_by {
            match self.made_by(key) {
                Some(reservation) => records::name_reservation(&mut command.action, reservation),
                // The line that should have made it was rejected, or there is none.
                None => return Ok(Some(self.reject(submission, Rejection::UnknownReservation, Vec::new()))),
            }
        }
        let rooms = command.rooms(&self.cache.rooms.directory);
        self.touch(&rooms).await?;
        for _ in 0..MAX_LOADS {
            let decision = command.decide(&self.cache.rooms);
            if let Decision::NeedsRoom(room) | Decision::NeedsWholeStream(room) = decision
                && self.cache.is_not_understood(room)
            {
                return Ok(Some(Err(Failure::NotUnderstood(room))));
            }
            match decision {
                Decision::NeedsRoom(room) => {
                    self.touch(&[room]).await?;
                    self.invent(room);
                }
                Decision::NeedsWholeStream(room) => self.take_whole(room).await?,
                Decision::Events(events) => return self.apply(submission, &command, events).map(Some),
                Decision::Unchanged { room, reservation, revision } => {
                    let rests_on = self.doubt(&command);
                    let version = self.cache.rooms.get(room).map(Room::version).unwrap_or_default();
                    self.record(submission, || RecordedOutcome::Unchanged {
                        room,
                        version,
                        reservation,
                        revision,
                    });
                    let result = Ok(answers::unchanged(room, version, reservation, revision));
                    return Ok(Some(Ok(CommandOutcome { result, rests_on, repeated: false })));
                }
                Decision::Rejected(rejection) => {
                    let rests_on = self.doubt(&command);
                    return Ok(Some(self.reject(submission, rejection, rests_on)));
                }
            }
        }
        tracing::error!(command = %command.id, "a decision does not end");
        Ok(Some(Err(Failure::Refused)))
    }

    /// Notes what has to be found unchanged for an outcome without events to hold.
    fn doubt(&mut self, command: &Command) -> Vec<(RoomId, Version)> {
        self.doubted_kinds.extend(command.kind().map(str::to_owned));
        self.doubted_names.extend(command.name().map(str::to_owned));
        let rests_on = command.rests_on(&self.cache.rooms);
        self.rests_on.extend(&rests_on);
        rests_on
            .into_iter()
            .map(|room| (room, self.cache.rooms.get(room).map(Room::version).unwrap_or_default()))
            .collect()
    }

    fn reject(
        &mut self,
        submission: &Submission,
        rejection: Rejection,
        rests_on: Vec<(RoomId, Version)>,
    ) -> Reply {
        self.record(submission, || RecordedOutcome::Rejected(rejection.clone()));
        Ok(CommandOutcome { result: Err(rejection), rests_on, repeated: false })
    }

    /// Puts an empty room where a stream has no events, for this try only.
    fn invent(&mut self, room: RoomId) {
        if !self.cache.rooms.contains(room) {
            self.cache.rooms.insert(Room::new(room));
            self.invented.push(room);
        }
    }

    /// Makes sure that the rooms are loaded and notes the versions on which this try rests.
    pub(super) async fn touch(&mut self, rooms: &[RoomId]) -> Result<(), AttemptError> {
        // A room that was touched before may hold effects of this group: it is not loaded over them.
        let untouched: Vec<RoomId> =
            rooms.iter().copied().filter(|room| !self.base.contains_key(room)).collect();
        if !untouched.is_empty() {
            self.cache.load(untouched.into_iter()).await?;
        }
        for room in rooms {
            let version = self.cache.rooms.get(*room).map(Room::version).unwrap_or_default();
            self.base.entry(*room).or_insert(version);
        }
        Ok(())
    }

    /// Puts a room's whole past beside it for the decision in hand.
    pub(super) async fn take_whole(&mut self, room: RoomId) -> Result<(), AttemptError> {
        self.touch(&[room]).await?;
        let base = self.base.get(&room).copied().unwrap_or_default();
        let Some(mut whole) = self.cache.load_whole(room, base).await? else {
            return Err(AttemptError::Conflict);
        };
        for event in self.group.events.iter().filter(|event| event.room == room) {
            let applied = event
                .decode()
                .ok()
                .and_then(|event| whole.apply(event.version, event.metadata.time, &event.event).ok());
            if applied.is_none() {
                return Err(AttemptError::Permanent);
            }
        }
        self.cache.rooms.insert_whole(whole);
        Ok(())
    }

    fn apply(
        &mut self,
        submission: &Submission,
        command: &Command,
        events: Vec<NewEvent>,
    ) -> Result<Reply, AttemptError> {
        self.cache.rooms.drop_whole();
        let first = self.group.events.len();
        let mut effects = Vec::with_capacity(events.len());
        for NewEvent { room, mut event } in events {
            // A line of an import that tells again what an erased person did.
            if command.actor.user != submission.command.actor.user
                && let Some(reservation) = event.reservation_mut()
            {
                (reservation.title, reservation.reserved_for) = (None, None);
            }
            // A room that is being registered.
            self.invent(room);
            let Some(state) = self.cache.rooms.get_mut(room) else { return Err(AttemptError::Permanent) };
            self.base.entry(room).or_insert(state.version());
            let version = state.version().next();
            let undo = state.apply(version, command.now, &event).map_err(|_| AttemptError::Permanent)?;
            self.undo.push((room, undo));
            if let Some(entry) = RoomEntry::after(&event) {
                self.group.rooms.push(entry.clone());
                self.directory_undo.push((room, self.cache.rooms.directory.upsert(entry)));
            }
            self.group.events.push(RawEvent {
                room,
                version,
                event_type: event.event_type().into(),
                payload: event.to_json().map_err(|_| AttemptError::Permanent)?,
                metadata: Metadata {
                    time: command.now,
                    subject: event.subject(),
                    actor: command.actor.user.clone(),
                    correlation_id: submission.correlation_id.clone(),
                    causation_id: command.id.to_string(),
                    traceparent: submission.traceparent.clone(),
                },
                recorded_at: self.now,
            });
            effects.push((room, version, event));
        }
        let effects: Vec<_> = effects.iter().map(|(room, version, event)| (*room, *version, event)).collect();
        let Some(done) = answers::done(&effects) else { return Err(AttemptError::Permanent) };
        if let Some(key) = submission.key {
            let last = self.group.events.len() - 1;
            self.new_keys.insert(key.id);
            self.made.extend(done.reservation.map(|reservation| (key.id, reservation)));
            self.group.keys.push(NewKey {
                id: key.id,
                fingerprint: key.fingerprint,
                event: Some(last),
                other_event: (last > first).then_some(first),
                outcome: None,
            });
        }
        Ok(Ok(CommandOutcome { result: Ok(done), rests_on: Vec::new(), repeated: false }))
    }

    /// Leaves rooms and directory as they were before this try.
    fn take_back(&mut self, setback: AttemptError) {
        self.cache.rooms.drop_whole();
        for (room, undo) in self.undo.drain(..).rev() {
            // A room that was found to be wrong is no longer there.
            if let Some(state) = self.cache.rooms.get_mut(room) {
                state.undo(undo);
            }
        }
        for (room, previous) in self.directory_undo.drain(..).rev() {
            self.cache.rooms.directory.restore(room, previous);
        }
        if setback == AttemptError::Unknown {
            self.cache.distrust_directory();
        }
    }
}

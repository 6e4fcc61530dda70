//! One attempt to decide and commit a group.
//!
//! It decides the commands one after the other on the cached rooms, each with the effects of those before it. It can undo
//! everything that it applies, so a failed attempt leaves no trace, and the next one decides all commands again.

mod apply;
mod error;
mod forgotten;
mod records;

use std::collections::{HashMap, HashSet};

use service_kit::clock::Clock;
use shared_events::{DecodedEvent, RawEvent, RoomId, Timestamp, Version};

pub(super) use self::error::AttemptError;
use self::records::Made;
use super::{CommandOutcome, Failure, Pending, RecordedOutcome, Reply, answers, cache::Cache};
use crate::{
    commands::{Action, Command, Decision, Origin, RestoreReservation, Revision, SeriesDecision},
    domain::{Rejection, Room, RoomEntry, Undo},
    event_store::{Appended, Group, KeyId, KeyRecord, Position},
};

/// Most rooms and whole streams that one decision may ask for: one for each room of a kind, or for each move of a reservation.
const MAX_LOADS: usize = 100_000;

/// The result of a successful attempt.
pub(super) struct CommittedGroup {
    /// Replies by index. A command without one has the key of another command of its group, and needs another attempt.
    pub(super) replies: HashMap<usize, Reply>,
    /// The rooms with new events, at their versions before them.
    pub(super) written: HashMap<RoomId, Version>,
    /// The new events in the order of their decisions.
    pub(super) events: Vec<(Position, RawEvent)>,
    /// Whether the outbox has them.
    pub(super) in_outbox: bool,
}

/// When an attempt looks up the idempotency keys of its commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeyLookup {
    /// Before it decides. Some of the keys may have been used already.
    Before,
    /// After it has decided, for commands without an effect. The unique index checks the others.
    After,
}

pub(super) struct Attempt<'a> {
    pub(super) cache: &'a mut Cache,
    pending: &'a [Pending],
    now: Timestamp,
    replies: HashMap<usize, Reply>,
    pub(super) group: Group,
    /// The committed group, unless nothing had to be written.
    pub(super) appended: Option<Appended>,
    undo: Vec<(RoomId, Undo)>,
    directory_undo: Vec<(RoomId, Option<RoomEntry>)>,
    /// The versions before this attempt of all rooms that it has read.
    pub(super) base: HashMap<RoomId, Version>,
    /// Rooms that a rejection or no-op depends on.
    pub(super) rests_on: HashSet<RoomId>,
    key_lookup: KeyLookup,
    records: HashMap<KeyId, KeyRecord>,
    /// What was made in this group by keys of this group.
    made: HashMap<KeyId, Made>,
    new_keys: HashSet<KeyId>,
    /// Rooms without events that are in the cache for this attempt.
    empty: Vec<RoomId>,
    /// Kinds that a rejection or no-op depends on.
    pub(super) kinds: HashSet<String>,
    /// Names that one depends on.
    pub(super) names: HashSet<String>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        cache: &'a mut Cache,
        clock: &'a Clock,
        pending: &'a [Pending],
        key_lookup: KeyLookup,
    ) -> Self {
        // Lines of an import and steps of a roll-back may have been sent before. Lines refer to one another by keys.
        let records = |pending: &Pending| pending.submission.command.origin != Origin::Request;
        Self {
            key_lookup: if pending.iter().any(records) { KeyLookup::Before } else { key_lookup },
            cache,
            pending,
            now: Timestamp::from_epoch_millis(clock.now().timestamp_millis()),
            replies: HashMap::new(),
            group: Group::default(),
            appended: None,
            undo: Vec::new(),
            directory_undo: Vec::new(),
            base: HashMap::new(),
            rests_on: HashSet::new(),
            records: HashMap::new(),
            made: HashMap::new(),
            new_keys: HashSet::new(),
            empty: Vec::new(),
            kinds: HashSet::new(),
            names: HashSet::new(),
        }
    }

    pub(super) async fn run(mut self) -> Result<CommittedGroup, AttemptError> {
        let result = self.decide_and_commit().await;
        if let Err(error) = result {
            self.roll_back(error);
        }
        for room in std::mem::take(&mut self.empty) {
            if self.cache.rooms.get(room).is_some_and(|room| room.version() == 0) {
                self.cache.forget(room);
            }
        }
        result?;
        let base = |room| (room, self.base.get(&room).copied().unwrap_or_default());
        let written = self.group.events.iter().map(|event| base(event.room)).collect();
        let in_outbox = self.appended.as_ref().is_some_and(|appended| appended.in_outbox);
        let positions = self.appended.map(|appended| appended.positions).unwrap_or_default();
        let events = positions.into_iter().zip(self.group.events).collect();
        Ok(CommittedGroup { replies: self.replies, written, events, in_outbox })
    }

    async fn decide_and_commit(&mut self) -> Result<(), AttemptError> {
        self.cache.refresh_erasures().await?;
        self.cache.refresh_directory().await?;
        let directory = &self.cache.rooms.directory;
        let rooms: HashSet<RoomId> =
            self.pending.iter().flat_map(|pending| pending.submission.command.rooms(directory)).collect();
        let gained = self.cache.load(rooms.into_iter()).await?;
        self.answer_committed(&gained);
        if self.key_lookup == KeyLookup::Before {
            self.find_records().await?;
        }
        for (index, pending) in self.pending.iter().enumerate() {
            if !self.replies.contains_key(&index) {
                if let Some(reply) = self.carry_out(pending).await? {
                    self.replies.insert(index, reply);
                }
                self.cache.rooms.forget_again();
            }
        }
        if self.key_lookup == KeyLookup::After {
            self.find_records_of_those_without_effect().await?;
        }
        self.verify().await?;
        self.append().await
    }

    /// Answers the commands that an earlier attempt has committed after all: its connection was lost during COMMIT.
    fn answer_committed(&mut self, gained: &[DecodedEvent]) {
        if gained.is_empty() {
            return;
        }
        for (index, pending) in self.pending.iter().enumerate() {
            let id = pending.submission.command.id.to_string();
            let mut own: Vec<_> = gained.iter().filter(|event| event.metadata.causation_id == id).collect();
            // The reply describes the room in which the reservation is.
            own.sort_by_key(|event| event.event.reservation().is_none_or(|about| about.room == event.room));
            let own: Vec<_> =
                own.into_iter().map(|event| (event.room, event.version, &event.event)).collect();
            let command = &pending.submission.command;
            let done = match command.action.series(command.id) {
                // Its record has more than the events.
                Some(_) if pending.submission.key.is_some() => None,
                Some(series) => answers::series_done(series, &own, Vec::new()),
                None => answers::done(&own),
            };
            if let Some(done) = done {
                self.replies.insert(
                    index,
                    Ok(CommandOutcome {
                        result: Ok(done),
                        rests_on: Vec::new(),
                        alternatives: Vec::new(),
                        repeated: false,
                    }),
                );
            }
        }
    }

    /// Decides one command and applies its events. Returns `None` if it has to wait for a command with the same key.
    async fn carry_out(&mut self, pending: &Pending) -> Result<Option<Reply>, AttemptError> {
        let submission = &pending.submission;
        if submission.key.is_some_and(|key| self.new_keys.contains(&key.id)) {
            return Ok(None);
        }
        let mut command = submission.command.clone();
        if command.origin != Origin::Import {
            command.now = self.now;
        }
        if let Some(pseudonym) = self.cache.erasures.pseudonym(&command.actor.user) {
            if command.origin != Origin::Import {
                return Ok(Some(Err(Failure::Erased)));
            }
            command.actor.user = pseudonym.clone();
        }
        if let Some(stay) = command.action.new_stay_mut()
            && let Some(pseudonym) =
                stay.reserved_by.as_ref().and_then(|owner| self.cache.erasures.pseudonym(owner))
        {
            if command.origin != Origin::Import {
                return Ok(Some(Err(Failure::Erased)));
            }
            stay.reserved_by = Some(pseudonym.clone());
            (stay.title, stay.reserved_for) = (None, None);
        }
        if let Action::RestoreReservation(RestoreReservation { was: Revision::Live(values), .. }) =
            &mut command.action
        {
            // They were read under an earlier list of erased persons.
            self.cache.erasures.mask_reservation(values);
        }
        if let Some(key) = submission.made_by {
            let made = self.made_by(key);
            // The line that should have made it was rejected or does not exist. Not recorded: it may be corrected.
            if !made.is_some_and(|made| made.name(&mut command.action)) {
                let about_series = command.action.is_about_series();
                let result =
                    Err(if about_series { Rejection::UnknownSeries } else { Rejection::UnknownReservation });
                return Ok(Some(Ok(CommandOutcome {
                    result,
                    rests_on: Vec::new(),
                    alternatives: Vec::new(),
                    repeated: false,
                })));
            }
        }
        let rooms = command.rooms(&self.cache.rooms.directory);
        self.touch(&rooms).await?;
        for _ in 0..MAX_LOADS {
            let decision = command.decide(&self.cache.rooms);
            if let Decision::NeedsRoom(room)
            | Decision::NeedsWholeStream(room)
            | Decision::NeedsRecall { room, .. } = decision
                && self.cache.is_not_understood(room)
            {
                return Ok(Some(Err(Failure::NotUnderstood(room))));
            }
            // Rooms to which it followed a reservation were loaded for other commands, and may be stale.
            let trail = command.trail(&self.cache.rooms);
            if trail.iter().any(|room| self.cache.rooms.contains(*room) && !self.base.contains_key(room)) {
                self.touch(&trail).await?;
                continue;
            }
            match decision {
                Decision::NeedsRoom(room) => {
                    self.touch(&[room]).await?;
                    self.insert_empty(room);
                }
                Decision::NeedsRecall { room, reservation } => {
                    if !self.recall(pending, room, reservation).await? {
                        return Ok(Some(Err(Failure::Forgotten { room, reservation })));
                    }
                }
                Decision::NeedsWholeStream(room) => self.take_whole(room).await?,
                Decision::Events(events) if !self.cache.may_write(&events).await? => {
                    return Ok(Some(Err(Failure::NotYetWritten)));
                }
                Decision::Events(events) => return self.apply(submission, &command, events, None).map(Some),
                Decision::Series(decision) if !self.cache.may_write(&decision.events).await? => {
                    return Ok(Some(Err(Failure::NotYetWritten)));
                }
                Decision::Series(decision) if decision.events.is_empty() => {
                    return self.leave_series(pending, &command, *decision).map(Some);
                }
                Decision::Series(decision) => {
                    let SeriesDecision { series, events, skipped, .. } = *decision;
                    return self.apply(submission, &command, events, Some((series, skipped))).map(Some);
                }
                Decision::Unchanged { room, reservation, revision } => {
                    let rests_on = self.depend_on(pending, &command);
                    let version = self.cache.rooms.get(room).map(Room::version).unwrap_or_default();
                    self.record(submission, || RecordedOutcome::Unchanged {
                        room,
                        version,
                        reservation,
                        revision,
                    })?;
                    let result = Ok(answers::unchanged(room, version, reservation, revision));
                    return Ok(Some(Ok(CommandOutcome {
                        result,
                        rests_on,
                        alternatives: Vec::new(),
                        repeated: false,
                    })));
                }
                Decision::Rejected(rejection) => {
                    let rests_on = self.depend_on(pending, &command);
                    self.record(submission, || RecordedOutcome::Rejected(rejection.clone()))?;
                    let alternatives = command.alternatives(&self.cache.rooms, &rejection);
                    let result = Err(rejection);
                    return Ok(Some(Ok(CommandOutcome { result, rests_on, alternatives, repeated: false })));
                }
            }
        }
        tracing::error!(command = %command.id, "a decision does not end");
        Ok(Some(Err(Failure::Refused)))
    }

    /// Notes the rooms, kind and name that a rejection or no-op depends on.
    fn depend_on(&mut self, pending: &Pending, command: &Command) -> Vec<(RoomId, Version)> {
        self.kinds.extend(command.kind().map(str::to_owned));
        self.names.extend(command.name().map(str::to_owned));
        let rests_on = command.rests_on(&self.cache.rooms);
        if !self.was_seen(pending, &rests_on) {
            self.rests_on.extend(&rests_on);
        }
        rests_on
            .into_iter()
            .map(|room| (room, self.cache.rooms.get(room).map(Room::version).unwrap_or_default()))
            .collect()
    }

    /// The reply to a command about a series that makes no event. Only a change that the series has already is recorded: a dry
    /// run is no command of an import.
    fn leave_series(
        &mut self,
        pending: &Pending,
        command: &Command,
        decision: SeriesDecision,
    ) -> Result<Reply, AttemptError> {
        let rests_on = self.depend_on(pending, command);
        let room = decision.room;
        let version = self.cache.rooms.get(room).map(Room::version).unwrap_or_default();
        self.record(&pending.submission, || RecordedOutcome::Unchanged {
            room,
            version,
            reservation: None,
            revision: 0,
        })?;
        let result = Ok(answers::series_unchanged(decision, version));
        Ok(Ok(CommandOutcome { result, rests_on, alternatives: Vec::new(), repeated: false }))
    }

    /// Caches an empty room for a stream without events, for this attempt only.
    fn insert_empty(&mut self, room: RoomId) {
        if !self.cache.rooms.contains(room) {
            self.cache.rooms.insert(Room::new(room));
            self.empty.push(room);
        }
    }

    /// Loads rooms and notes their versions before this attempt.
    pub(super) async fn touch(&mut self, rooms: &[RoomId]) -> Result<(), AttemptError> {
        // A room that was read before may hold effects of this group, which loading would lose.
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

    /// Restores rooms and directory as they were before this attempt.
    fn roll_back(&mut self, error: AttemptError) {
        self.cache.rooms.forget_again();
        for (room, undo) in self.undo.drain(..).rev() {
            // A room whose cached state was wrong is gone.
            if let Some(state) = self.cache.rooms.get_mut(room) {
                state.undo(undo);
            }
        }
        for (room, previous) in self.directory_undo.drain(..).rev() {
            self.cache.rooms.directory.restore(room, previous);
        }
        if error == AttemptError::Unknown {
            self.cache.mark_directory_stale();
        }
    }
}

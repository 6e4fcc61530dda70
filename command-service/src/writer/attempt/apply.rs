//! The effects of one decision: rooms, events, record and reply.

use shared_events::{Metadata, RawEvent, SeriesId, Timestamp};
use uuid::Uuid;

use super::{Attempt, AttemptError, records::Made};
use crate::{
    commands::{Command, NewEvent, Origin},
    domain::{Misfit, Room, RoomEntry},
    event_store::{KeyKind, NewKey},
    writer::{
        CommandOutcome, RecordedOutcome, Reply, Submission,
        answers::{self, RecordedSeries},
    },
};

impl Attempt<'_> {
    /// Applies the events of a command: of a series, with the occurrences that were left out.
    pub(super) fn apply(
        &mut self,
        submission: &Submission,
        command: &Command,
        events: Vec<NewEvent>,
        series: Option<(SeriesId, Vec<Misfit>)>,
    ) -> Result<Reply, AttemptError> {
        self.cache.rooms.forget_again();
        let first = self.group.events.len();
        let mut effects = Vec::with_capacity(events.len());
        let traceparent = submission.traceparent.clone().unwrap_or_else(|| untraced(command.id));
        // Both halves of a move are recorded at one time, which is not before that of either room's last event.
        let rooms = events.iter().filter_map(|event| self.cache.rooms.get(event.room));
        let recorded_at = rooms.map(Room::recorded_at).max().unwrap_or(Timestamp::EARLIEST);
        for NewEvent { room, mut event } in events {
            // An import may repeat an act of an erased person.
            if command.actor.user != submission.command.actor.user
                && let Some(reservation) = event.reservation_mut()
            {
                (reservation.title, reservation.reserved_for) = (None, None);
            }
            // The command may register the room.
            self.insert_empty(room);
            let Some(state) = self.cache.rooms.get_mut(room) else { return Err(AttemptError::Permanent) };
            self.base.entry(room).or_insert(state.version());
            let version = state.version().next();
            let undo = state.apply(version, command.now, &event).map_err(|_| AttemptError::Permanent)?;
            self.undo.push((room, undo));
            state.record(recorded_at);
            if let Some(entry) = RoomEntry::after(&event) {
                self.group.rooms.push(entry.clone());
                self.directory_undo.push((room, self.cache.rooms.directory.upsert(entry)));
            }
            self.group.events.push(RawEvent {
                room,
                version,
                event_type: event.event_type().into(),
                payload: event.to_json()?,
                metadata: Metadata {
                    time: command.now,
                    subject: event.subject(),
                    actor: command.actor.user.clone(),
                    correlation_id: submission.correlation_id.clone(),
                    causation_id: command.id.to_string(),
                    traceparent: Some(traceparent.clone()),
                },
                recorded_at,
            });
            effects.push((room, version, event));
        }
        let effects: Vec<_> = effects.iter().map(|(room, version, event)| (*room, *version, event)).collect();
        let last = self.group.events.len() - 1;
        let recorded = series.as_ref().map(|(series, skipped)| (*series, skipped.clone()));
        let done = match series {
            None => answers::done(&effects),
            Some((series, skipped)) => answers::series_done(series, &effects, skipped),
        };
        let Some(done) = done else { return Err(AttemptError::Permanent) };
        if let Some(key) = submission.key {
            self.new_keys.insert(key.id);
            // The first one, if it is a series.
            let event = if recorded.is_some() { effects.first() } else { effects.last() };
            let made = event.and_then(|(_, _, event)| Made::by(event));
            self.made.extend(made.map(|made| (key.id, made)));
            let outcome = match recorded {
                None => None,
                Some((series, skipped)) => {
                    Some(serde_json::to_vec(&RecordedOutcome::Series(RecordedSeries {
                        room: done.room,
                        series,
                        after: effects
                            .first()
                            .and_then(|(_, version, _)| version.previous())
                            .unwrap_or_default(),
                        events: u32::try_from(effects.len()).unwrap_or(u32::MAX),
                        skipped,
                    }))?)
                }
            };
            // A record names the event of the answer, and the other one of a move; of a series the first one.
            let (event, other) = match &outcome {
                Some(_) => (first, None),
                None => (last, (last > first).then_some(first)),
            };
            self.group.keys.push(NewKey {
                kind: if command.origin == Origin::Request { KeyKind::Request } else { KeyKind::ImportLine },
                id: key.id,
                fingerprint: key.fingerprint,
                event: Some(event),
                other_event: other,
                outcome,
                replaces: self.replaces(key),
            });
        }
        Ok(Ok(CommandOutcome {
            result: Ok(done),
            rests_on: Vec::new(),
            alternatives: Vec::new(),
            repeated: false,
        }))
    }
}

/// The trace context of a command whose request has none: a trace of its own that nobody samples. Every event has one, because
/// a connector can't leave a header out.
fn untraced(command: Uuid) -> String {
    let (_, random) = command.as_u64_pair();
    format!("00-{}-{random:016x}-00", command.simple())
}

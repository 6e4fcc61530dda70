//! Idempotency records of a group's commands.

use std::collections::HashSet;

use shared_events::{Event, RawEvent, Reservation, ReservationId, RoomId, SeriesId};

use super::{Attempt, AttemptError};
use crate::{
    commands::{Action, Origin},
    event_store::{KeyId, KeyKind, NewKey, ReplacedKey, StoredEvent},
    writer::{Failure, IdempotencyKey, Pending, RecordedOutcome, Submission, answers},
};

impl<'a> Attempt<'a> {
    /// Looks up all keys of the group in one read. This comes after loading the rooms: otherwise a key that is committed in
    /// between, and whose effect is undone again, would be decided a second time.
    pub(super) async fn find_records(&mut self) -> Result<(), AttemptError> {
        let mut wanted = HashSet::new();
        for pending in self.pending {
            wanted.extend(pending.submission.key.map(|key| key.id));
            wanted.extend(pending.submission.made_by);
        }
        self.read_records(wanted).await?;
        for (index, pending) in self.pending.iter().enumerate() {
            if !self.replies.contains_key(&index) {
                self.answer_from_record(index, pending).await?;
            }
        }
        Ok(())
    }

    /// Looks up the keys of commands without an effect. The keys of the others need no read: the unique index checks them
    /// when their records are inserted.
    pub(super) async fn find_records_of_those_without_effect(&mut self) -> Result<(), AttemptError> {
        let without_effect = |(index, pending): (usize, &'a Pending)| {
            let key = pending.submission.key?;
            (!self.new_keys.contains(&key.id)).then_some((index, pending, key.id))
        };
        let doubtful: Vec<_> = self.pending.iter().enumerate().filter_map(without_effect).collect();
        self.read_records(doubtful.iter().map(|(.., key)| *key).collect()).await?;
        for (index, pending, _) in doubtful {
            self.answer_from_record(index, pending).await?;
        }
        Ok(())
    }

    async fn read_records(&mut self, wanted: HashSet<KeyId>) -> Result<(), AttemptError> {
        if !wanted.is_empty() {
            let wanted: Vec<KeyId> = wanted.into_iter().collect();
            let found = self.cache.store.keys.find_keys(&wanted).await?;
            self.records = found.into_iter().map(|record| (record.id, record)).collect();
        }
        Ok(())
    }

    async fn answer_from_record(&mut self, index: usize, pending: &Pending) -> Result<(), AttemptError> {
        let Some(key) = pending.submission.key else { return Ok(()) };
        let Some(record) = self.records.get(&key.id) else { return Ok(()) };
        if answers::replaced_by(record, key.fingerprint).is_some() {
            return Ok(());
        }
        let reply = match answers::series_of(record, key.fingerprint) {
            None => answers::from_record(record.clone(), key.fingerprint),
            Some(recorded) => {
                let stored =
                    self.cache.store.log.stream(recorded.room, recorded.after, recorded.events).await?;
                let read = |event: StoredEvent| event.into_raw().and_then(RawEvent::decode);
                match stored.into_iter().map(read).collect::<Result<Vec<_>, _>>() {
                    Ok(events) => {
                        let id = pending.submission.command.id.to_string();
                        answers::from_series(recorded, &events, &id)
                    }
                    Err(_) => Err(Failure::NotUnderstood(recorded.room)),
                }
            }
        };
        self.replies.insert(index, reply);
        Ok(())
    }

    /// The record of a rejection that the outcome of this key replaces.
    pub(super) fn replaces(&self, key: IdempotencyKey) -> Option<ReplacedKey> {
        answers::replaced_by(self.records.get(&key.id)?, key.fingerprint)
    }

    /// What the command with this key made.
    pub(super) fn made_by(&self, key: KeyId) -> Option<Made> {
        self.made.get(&key).copied().or_else(|| {
            let event = self.records.get(&key)?.event.clone()?.into_raw().ok()?;
            Made::by(&event.event().ok()?)
        })
    }

    /// Records an outcome without an event, for imports and roll-backs only. Online, a retry is decided anew.
    pub(super) fn record(
        &mut self,
        submission: &Submission,
        outcome: impl FnOnce() -> RecordedOutcome,
    ) -> Result<(), AttemptError> {
        let Some(key) = submission.key.filter(|_| submission.command.origin != Origin::Request) else {
            return Ok(());
        };
        let outcome = serde_json::to_vec(&outcome())?;
        self.new_keys.insert(key.id);
        self.group.keys.push(NewKey {
            kind: KeyKind::ImportLine,
            id: key.id,
            fingerprint: key.fingerprint,
            event: None,
            other_event: None,
            outcome: Some(outcome),
            replaces: self.replaces(key),
        });
        Ok(())
    }
}

/// The reservation that a command made, of a series the first one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Made {
    room: RoomId,
    reservation: ReservationId,
    series: Option<SeriesId>,
}

impl Made {
    pub(super) fn by(event: &Event) -> Option<Self> {
        let Reservation { room, id, series, .. } = *event.reservation()?;
        Some(Self { room, reservation: id, series })
    }

    /// Sets the reservation or the series to which an import line refers by the key of another line. `false` if that one made no
    /// series.
    pub(super) fn name(self, action: &mut Action) -> bool {
        match action {
            Action::ChangeReservation(action) => action.reservation = self.reservation,
            Action::MoveReservation(action) => action.reservation = self.reservation,
            Action::CancelReservation(action) => action.reservation = self.reservation,
            Action::ChangeSeries(action) => {
                let Some(series) = self.series else { return false };
                (action.room, action.series) = (self.room, series);
            }
            Action::CancelSeries(action) => {
                let Some(series) = self.series else { return false };
                (action.room, action.series) = (self.room, series);
            }
            Action::RegisterRoom(_)
            | Action::ChangeRoom(_)
            | Action::RetireRoom(_)
            | Action::Reserve(_)
            | Action::ReserveKind(_)
            | Action::RestoreReservation(_)
            | Action::ReserveSeries(_)
            | Action::AddClosure(_)
            | Action::LiftClosure(_) => {}
        }
        true
    }
}

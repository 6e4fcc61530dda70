//! What the loaded rooms have forgotten, for one decision.

use shared_events::{Event, RawEvent, ReservationId, RoomId};

use super::{Attempt, AttemptError};
use crate::{
    domain::Recalled,
    writer::{Pending, recall},
};

impl Attempt<'_> {
    /// Adds what a room has forgotten of a reservation, at the room's version. `false` if the command does not bring it.
    pub(super) async fn recall(
        &mut self,
        pending: &Pending,
        room: RoomId,
        reservation: ReservationId,
    ) -> Result<bool, AttemptError> {
        self.touch(&[room]).await?;
        let recalled = match self.changed_in_group(room, reservation)? {
            Some(event) => Recalled::by(room, Some(&event)),
            None => match self.brought(pending, room, reservation).await? {
                Some(recalled) => recalled,
                None => return Ok(false),
            },
        };
        let recalled = match recalled {
            // It was recalled under an earlier list of erased persons.
            Recalled::Here(mut found) => {
                self.cache.erasures.mask_reservation(&mut found);
                Recalled::Here(found)
            }
            other => other,
        };
        self.cache.rooms.recall(room, reservation, recalled);
        Ok(true)
    }

    /// The last event of this group about a reservation in a room.
    fn changed_in_group(
        &self,
        room: RoomId,
        reservation: ReservationId,
    ) -> Result<Option<Event>, AttemptError> {
        let subject = reservation.to_string();
        let mut events = self.group.events.iter().rev();
        let last = events.find(|event| event.room == room && event.metadata.subject == subject);
        last.map(RawEvent::event).transpose().map_err(|_| AttemptError::Permanent)
    }

    /// What the command brings, or for a line of an import what the store has.
    async fn brought(
        &mut self,
        pending: &Pending,
        room: RoomId,
        reservation: ReservationId,
    ) -> Result<Option<Recalled>, AttemptError> {
        let brought = pending.recalled.iter().find(|one| (one.room, one.reservation) == (room, reservation));
        let found = match brought {
            Some(found) => found.clone(),
            // An administrator's, in the order of its lines.
            None if pending.sequence.is_some() => self.cache.memory.recall(room, reservation).await?,
            None => return Ok(None),
        };
        let base = self.base.get(&room).copied().unwrap_or_default();
        if found.version > base {
            self.cache.mark_stale(room);
            return Err(AttemptError::Conflict);
        }
        if found.version < base {
            let mut since = self.cache.store.log.load(&[(room, found.version)]).await?;
            since.retain(|event| event.version <= base);
            if let Some(event) = recall::last_about(reservation, since)? {
                return Ok(Some(Recalled::by(room, Some(&event))));
            }
        }
        Ok(Some(found.recalled))
    }

    /// Whether the store has said, since the command was submitted, that its only room was at the version of its decision.
    pub(super) fn was_seen(&self, pending: &Pending, rooms: &[RoomId]) -> bool {
        let [room] = rooms else { return false };
        let base = self.base.get(room).copied().unwrap_or_default();
        pending.recalled.iter().any(|found| found.room == *room && found.version == base)
    }

    /// Loads the whole stream of a room for the current decision.
    pub(super) async fn take_whole(&mut self, room: RoomId) -> Result<(), AttemptError> {
        self.touch(&[room]).await?;
        let base = self.base.get(&room).copied().unwrap_or_default();
        let Some(mut whole) = self.cache.load_whole(room, base).await? else {
            return Err(AttemptError::Conflict);
        };
        for event in self.group.events.iter().filter(|event| event.room == room) {
            let applied =
                event.event().ok().and_then(|it| whole.apply(event.version, event.metadata.time, &it).ok());
            if applied.is_none() {
                return Err(AttemptError::Permanent);
            }
        }
        self.cache.rooms.insert_whole(whole);
        Ok(())
    }
}

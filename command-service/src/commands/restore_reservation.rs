//! Gives a reservation the values of an earlier revision.

use shared_events::{
    Event, Reservation, ReservationId, RoomId,
    reservation_events::{
        ReservationMovedIn, ReservationMovedOut, ReservationRescheduled, ReservationRestored,
    },
};

use super::{
    Checked, Command, Decision, NewEvent,
    about_reservation::check_owner,
    change_reservation::added,
    room_checks::{check_free, check_revision, open_room},
};
use crate::domain::{Located, Rejection, Rooms};

/// Gives a reservation the room, time and other values of an earlier revision, also when it is cancelled.
///
/// Rules of time and settings held when the revision was made, and don't count again. Only another reservation in the way or a
/// retired room refuses it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreReservation {
    /// The room where the reservation is, or where it was cancelled.
    pub room: RoomId,
    /// The reservation.
    pub reservation: ReservationId,
    /// The revision.
    pub revision: u32,
    /// What the reservation was at that revision. The writer looks it up if it is unknown.
    pub was: Revision,
}

/// What a reservation was at a revision. Later events never change it; an erasure masks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Revision {
    /// There is no such revision.
    Unknown,
    /// It was cancelled.
    Cancelled,
    /// It had these values.
    Live(Box<Reservation>),
}

impl Revision {
    /// What an event leaves of its reservation.
    #[must_use]
    pub fn after(event: &Event) -> Self {
        match event {
            Event::ReservationCancelled(_) => Self::Cancelled,
            _ => event.reservation().map_or(Self::Unknown, |values| Self::Live(Box::new(values.clone()))),
        }
    }
}

impl RestoreReservation {
    /// The rooms that the decision needs.
    pub(super) fn rooms(&self) -> Vec<RoomId> {
        match &self.was {
            Revision::Live(values) if values.room != self.room => vec![self.room, values.room],
            _ => vec![self.room],
        }
    }

    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let (here, _) = open_room(rooms, self.room)?;
        let before = match rooms.locate_in(self.room, self.reservation) {
            Located::Here(_, found) => Some(found),
            Located::NeedsRoom(room) => return Err(Decision::NeedsRoom(room)),
            Located::NeedsRecall(room) => {
                return Err(Decision::NeedsRecall { room, reservation: self.reservation });
            }
            Located::Nowhere => None,
        };
        let last = match before {
            Some(before) => before.revision,
            None => rooms.cancelled_in(self.room, self.reservation).ok_or(Rejection::UnknownReservation)?,
        };
        let known = match &self.was {
            Revision::Live(values) => Some(values.as_ref()),
            Revision::Unknown | Revision::Cancelled => None,
        };
        if let Some(owned) = before.or(known) {
            check_owner(command, owned)?;
        }
        check_revision(command, last)?;
        let values = match &self.was {
            Revision::Live(values) => values.as_ref().clone(),
            Revision::Cancelled => {
                return Err(Rejection::CancelledRevision { revision: self.revision }.into());
            }
            Revision::Unknown => return Err(Rejection::UnknownRevision { revision: self.revision }.into()),
        };
        let after = Reservation { revision: last + 1, ..values };
        let busy = after.busy_interval();
        let Some(before) = before else {
            let (there, _) = open_room(rooms, after.room)?;
            check_free(there, busy, &[busy], None)?;
            return Ok(self.restored(after));
        };
        if after.room != here.id() {
            let (there, _) = open_room(rooms, after.room)?;
            check_free(there, busy, &[busy], None)?;
            let (room, previous) = (after.room, before.place());
            let out = ReservationMovedOut { reservation: after.clone(), previous };
            let into = ReservationMovedIn { reservation: after, previous };
            return Ok(Decision::Events(vec![
                NewEvent { room: here.id(), event: out.into() },
                NewEvent { room, event: into.into() },
            ]));
        }
        let unchanged = Reservation { revision: before.revision, ..after.clone() } == *before;
        if unchanged {
            let (room, reservation, revision) = (here.id(), Some(before.id), before.revision);
            return Ok(Decision::Unchanged { room, reservation, revision });
        }
        check_free(here, busy, &added(before.busy_interval(), busy), Some(before.id))?;
        Ok(Decision::event(
            here.id(),
            ReservationRescheduled { reservation: after, previous: before.place() },
        ))
    }

    /// The event is in the stream of the room in which it was cancelled as well. So of two commands that restore it into
    /// different rooms, one is refused.
    fn restored(&self, reservation: Reservation) -> Decision {
        let room = reservation.room;
        let event = ReservationRestored { reservation, restores: self.revision, cancelled_in: self.room };
        let mut events = vec![NewEvent { room, event: event.clone().into() }];
        if room != self.room {
            events.insert(0, NewEvent { room: self.room, event: event.into() });
        }
        Decision::Events(events)
    }
}

#[cfg(test)]
mod tests;

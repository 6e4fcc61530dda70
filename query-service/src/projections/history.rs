//! History: one document for each event, with the event's id.

use shared_events::{DecodedEvent, Event};

use super::rooms;
use crate::read_models::{Change, HistoryDoc, HistoryKind};

/// The entry of an event. There is nothing to fold: a stored entry is this one.
#[must_use]
pub fn entry(decoded: &DecodedEvent) -> HistoryDoc {
    HistoryDoc {
        room: decoded.room,
        version: decoded.version,
        by: decoded.metadata.actor.clone(),
        at: decoded.metadata.time,
        recorded_at: decoded.recorded_at,
        change: change(decoded),
    }
}

fn change(decoded: &DecodedEvent) -> Change {
    let (what, reservation, previous) = match &decoded.event {
        Event::ReservationMade(e) => (HistoryKind::Made, &e.reservation, None),
        Event::ReservationRescheduled(e) => (HistoryKind::Changed, &e.reservation, Some(e.previous)),
        Event::ReservationMovedOut(e) => (HistoryKind::Moved, &e.reservation, Some(e.previous)),
        Event::ReservationMovedIn(e) => (HistoryKind::Moved, &e.reservation, Some(e.previous)),
        Event::ReservationCancelled(e) => (HistoryKind::Cancelled, &e.reservation, None),
        Event::ReservationRestored(e) => (HistoryKind::Restored, &e.reservation, None),
        Event::ClosureAdded(e) => {
            return Change::Closure { closure: Box::new(e.closure.clone()), lifted: false };
        }
        Event::ClosureLifted(e) => {
            return Change::Closure { closure: Box::new(e.closure.clone()), lifted: true };
        }
        Event::RoomRegistered(e) => return Change::Room(Box::new(rooms::form(decoded, &e.room, false))),
        Event::RoomChanged(e) => return Change::Room(Box::new(rooms::form(decoded, &e.room, false))),
        Event::RoomRetired(e) => return Change::Room(Box::new(rooms::form(decoded, &e.room, true))),
    };
    Change::Reservation { what, reservation: reservation.clone(), previous }
}

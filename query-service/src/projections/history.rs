//! History: one document for each act of a user, with the id of its event.

use shared_events::{DecodedEvent, Event};

use crate::read_models::{HistoryDoc, HistoryKind};

/// The entry that an event makes, if any. Of two events of one command, that in the
/// reservation's room tells. There is nothing to fold: a stored
/// entry is this one.
#[must_use]
pub fn entry(decoded: &DecodedEvent) -> Option<HistoryDoc> {
    let (what, reservation, previous) = match &decoded.event {
        Event::ReservationMade(e) => (HistoryKind::Made, &e.reservation, None),
        Event::ReservationRescheduled(e) => (HistoryKind::Changed, &e.reservation, Some(e.previous)),
        Event::ReservationMovedIn(e) => (HistoryKind::Moved, &e.reservation, Some(e.previous)),
        Event::ReservationCancelled(e) => (HistoryKind::Cancelled, &e.reservation, None),
        Event::ReservationRestored(e) if e.reservation.room == decoded.room => {
            (HistoryKind::Restored, &e.reservation, None)
        }
        Event::ReservationMovedOut(_)
        | Event::ReservationRestored(_)
        | Event::RoomRegistered(_)
        | Event::RoomChanged(_)
        | Event::RoomRetired(_) => return None,
    };
    Some(HistoryDoc {
        room: decoded.room,
        version: decoded.version,
        user: decoded.metadata.actor.clone(),
        at: decoded.metadata.time,
        what,
        reservation: reservation.clone(),
        previous,
    })
}

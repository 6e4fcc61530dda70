//! History: one document for each thing that a user did, named after its event.

use shared_events::{DecodedEvent, Event};

use crate::read_models::{HistoryDoc, HistoryKind};

/// The entry that an event makes, if any. A move is told by the room that was entered. There is nothing to fold: an
/// entry that is already there is this one.
#[must_use]
pub fn entry(decoded: &DecodedEvent) -> Option<HistoryDoc> {
    let (what, reservation, previous) = match &decoded.event {
        Event::ReservationMade(e) => (HistoryKind::Made, &e.reservation, None),
        Event::ReservationRescheduled(e) => (HistoryKind::Changed, &e.reservation, Some(e.previous)),
        Event::ReservationMovedIn(e) => (HistoryKind::Moved, &e.reservation, Some(e.previous)),
        Event::ReservationCancelled(e) => (HistoryKind::Cancelled, &e.reservation, None),
        Event::ReservationMovedOut(_)
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

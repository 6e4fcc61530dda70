//! Reservations: each event makes the whole document, and the form of the highest rank stays.
//!
//! A move is told by two streams that travel apart. Either half makes the document of the reservation in its new
//! room; only the half of the new room knows that room's version, and ranks higher for it.

use shared_events::{Envelope, Event, ReservationId};

use crate::read_models::{ReservationDoc, Status};

/// The reservation whose document an event makes, if any.
#[must_use]
pub fn touches(envelope: &Envelope) -> Option<ReservationId> {
    envelope.event.reservation().map(|reservation| reservation.id)
}

/// The document after the event.
#[must_use]
pub fn fold(stored: Option<ReservationDoc>, envelope: &Envelope) -> Option<ReservationDoc> {
    let Some(reservation) = envelope.event.reservation() else { return stored };
    let status = match &envelope.event {
        Event::ReservationCancelled(_) => Status::Cancelled,
        _ => Status::Live,
    };
    let version = (reservation.room == envelope.room).then_some(envelope.version);
    let made = ReservationDoc { reservation: reservation.clone(), status, version };
    match stored {
        Some(stored) if stored.rank() >= made.rank() => Some(stored),
        _ => Some(made),
    }
}

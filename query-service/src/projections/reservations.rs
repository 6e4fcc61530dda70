//! Reservations: each event carries the whole document, and the form with the highest rank stays.
//!
//! A move writes an event to each of two streams, which arrive in any order. Either event makes the document of the
//! reservation in its new room. Only the new room's event knows that room's version, so it ranks higher.

use shared_events::{DecodedEvent, Event, ReservationId};

use crate::read_models::{ReservationDoc, Status};

/// The reservation that an event changes, if any.
#[must_use]
pub fn touches(decoded: &DecodedEvent) -> Option<ReservationId> {
    decoded.event.reservation().map(|reservation| reservation.id)
}

/// The document after the event.
#[must_use]
pub fn fold(stored: Option<ReservationDoc>, decoded: &DecodedEvent) -> Option<ReservationDoc> {
    let Some(reservation) = decoded.event.reservation() else { return stored };
    let status = match &decoded.event {
        Event::ReservationCancelled(_) => Status::Cancelled,
        _ => Status::Live,
    };
    let version = (reservation.room == decoded.room).then_some(decoded.version);
    let made = ReservationDoc { reservation: reservation.clone(), status, version };
    match stored {
        Some(stored) if stored.rank() >= made.rank() => Some(stored),
        _ => Some(made),
    }
}

#[cfg(test)]
mod tests {
    use shared_events::{
        Minute, Reservation, ReservationId, RoomId, Timestamp, UserId,
        envelope::Metadata,
        reservation_events::{
            ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
            ReservationRescheduled,
        },
    };
    use uuid::Uuid;

    use super::*;

    fn decoded(room: u128, version: u64, event: impl Into<Event>) -> DecodedEvent {
        let at = Timestamp::from_epoch_millis(1);
        DecodedEvent {
            room: RoomId(Uuid::from_u128(room)),
            version: version.into(),
            metadata: Metadata {
                time: at,
                subject: String::new(),
                actor: UserId::new("ann").unwrap(),
                correlation_id: String::new(),
                causation_id: String::new(),
                traceparent: None,
            },
            recorded_at: at,
            event: event.into(),
        }
    }

    fn reservation(room: u128, revision: u32) -> Reservation {
        let at = |minute| Minute::from_epoch_minutes(minute).unwrap();
        Reservation {
            id: ReservationId(Uuid::from_u128(7)),
            revision,
            room: RoomId(Uuid::from_u128(room)),
            time_zone: "UTC".parse().unwrap(),
            from: at(100 + i64::from(revision)),
            to: at(200),
            offsets: None,
            busy: None,
            people: revision,
            title: None,
            reserved_for: None,
            reserved_by: UserId::new("ann").unwrap(),
            booked_by: None,
            series: None,
        }
    }

    /// All orders in which two streams can arrive.
    fn woven<'a>(one: &'a [DecodedEvent], other: &'a [DecodedEvent]) -> Vec<Vec<&'a DecodedEvent>> {
        let after = |event: &'a DecodedEvent, rest: Vec<Vec<&'a DecodedEvent>>| {
            rest.into_iter().map(move |rest| [vec![event], rest].concat()).collect::<Vec<_>>()
        };
        match (one, other) {
            ([], _) => vec![other.iter().collect()],
            (_, []) => vec![one.iter().collect()],
            ([a, one_rest @ ..], [b, other_rest @ ..]) => {
                [after(a, woven(one_rest, other)), after(b, woven(one, other_rest))].concat()
            }
        }
    }

    #[test]
    fn the_two_streams_of_moves_there_and_back_end_in_one_document_however_they_interleave() {
        let made = reservation(1, 1);
        let there = reservation(2, 2);
        let changed = reservation(2, 3);
        let back = reservation(1, 4);
        let (from, to) = (made.place(), changed.place());
        let first = [
            decoded(1, 10, ReservationMade { reservation: made }),
            decoded(1, 11, ReservationMovedOut { reservation: there.clone(), previous: from }),
            decoded(1, 12, ReservationMovedIn { reservation: back.clone(), previous: to }),
            decoded(1, 13, ReservationCancelled { reservation: back.clone() }),
        ];
        let second = [
            decoded(2, 20, ReservationMovedIn { reservation: there.clone(), previous: from }),
            decoded(2, 21, ReservationRescheduled { reservation: changed, previous: there.place() }),
            decoded(2, 22, ReservationMovedOut { reservation: back.clone(), previous: to }),
        ];
        for length in 2..=first.len() {
            let orders = woven(&first[..length], &second);
            assert!(orders.len() > 5);
            let ends: Vec<_> = orders
                .iter()
                .map(|order| order.iter().fold(None, |stored, event| fold(stored, event)).unwrap())
                .collect();
            assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:#?}");
            let (status, version) = match length {
                2 => (Status::Live, None),
                3 => (Status::Live, Some(12.into())),
                _ => (Status::Cancelled, Some(13.into())),
            };
            let expected = ReservationDoc { reservation: back.clone(), status, version };
            assert_eq!(ends[0], expected);
        }
    }

    #[test]
    fn a_cancelled_reservation_stays_cancelled_when_the_other_half_of_its_move_arrives_late() {
        let (made, moved) = (reservation(1, 1), reservation(2, 2));
        let previous = made.place();
        let late = decoded(1, 2, ReservationMovedOut { reservation: moved.clone(), previous });
        let cancelled = decoded(2, 9, ReservationCancelled { reservation: moved });
        let stored = fold(fold(None, &cancelled), &late).unwrap();
        assert_eq!((stored.status, stored.version), (Status::Cancelled, Some(9.into())));
    }
}

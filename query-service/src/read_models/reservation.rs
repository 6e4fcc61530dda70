//! Reservations as queries see them.

use serde::{Deserialize, Serialize};
use shared_events::{Interval, Minute, Reservation, Version, room_events::MOST_BUFFER_MINUTES};

/// The interval in which a stay lies if its buffers may reach into this one.
#[must_use]
pub fn with_buffers(interval: Interval) -> Interval {
    let buffer = i64::from(MOST_BUFFER_MINUTES);
    Interval {
        from: interval.from.plus(-buffer).unwrap_or(Minute::EARLIEST),
        to: interval.to.plus(buffer).unwrap_or(Minute::LATEST),
    }
}

/// Whether a reservation still holds its room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made and not cancelled, ended or not.
    Live,
    /// Given up.
    Cancelled,
}

/// A reservation with the values of its latest event.
///
/// It is made from one event alone, so that the events of two rooms may arrive in any order: of two forms the one of
/// higher [rank](Self::rank) stays.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservationDoc {
    /// Its values; `reservation.room` is the room that it holds, or held when it was cancelled.
    pub reservation: Reservation,
    /// Live or cancelled.
    pub status: Status,
    /// The version of `reservation.room`'s stream that gave it this form. None while of a move only the event of the
    /// room that it left has been seen, which does not know the other room's version.
    pub version: Option<Version>,
}

impl ReservationDoc {
    /// Orders the forms of one reservation: by revision, then cancelled over live (a cancellation need not count as a
    /// revision), then the one that knows its version. Equal ranks are equal documents.
    #[must_use]
    pub fn rank(&self) -> u64 {
        u64::from(self.reservation.revision) * 4
            + u64::from(self.status == Status::Cancelled) * 2
            + u64::from(self.version.is_some())
    }

    /// Whether it is live.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.status == Status::Live
    }
}

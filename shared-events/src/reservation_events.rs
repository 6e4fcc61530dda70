//! Events of reservations, in the stream of the room that they touch.
//!
//! Each carries all values after the change, so that one event alone makes the whole document; where an interval is
//! replaced or given up, the event names it too.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ReservationId, RoomId, UserId},
    time::{Interval, Minute, TimeZone},
};

/// A reservation with all its values after a change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// Which reservation.
    pub id: ReservationId,
    /// Counts the reservation's own changes over all rooms: 1 when made.
    pub revision: u32,
    /// The room that it holds.
    pub room: RoomId,
    /// The zone in which it is counted: that of the room when the interval was last set.
    pub time_zone: TimeZone,
    /// First minute of the stay.
    pub from: Minute,
    /// First minute after the stay.
    pub to: Minute,
    /// How many come, at least 1.
    pub people: u32,
    /// What it is about; at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For whom, where that is not the one who reserved; at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_for: Option<String>,
    /// Whose it is.
    pub reserved_by: UserId,
}

impl Reservation {
    /// `[from, to)`.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        Interval { from: self.from, to: self.to }
    }

    /// Where and when it is, as a later event names it when it leaves there.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place { room: self.room, time_zone: self.time_zone, from: self.from, to: self.to }
    }
}

/// Where and when a reservation was before a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The room that was held.
    pub room: RoomId,
    /// The zone in which that was counted.
    pub time_zone: TimeZone,
    /// First minute.
    pub from: Minute,
    /// First minute after.
    pub to: Minute,
}

impl Place {
    /// `[from, to)`.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        Interval { from: self.from, to: self.to }
    }
}

/// A room was reserved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationMade {
    /// The new reservation, revision 1.
    pub reservation: Reservation,
}

/// A reservation's interval, people, title or guest were changed; it stays in its room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationRescheduled {
    /// The reservation after the change.
    pub reservation: Reservation,
    /// What it held before (the same interval where only other values changed).
    pub previous: Place,
}

/// A reservation left this room for another one. In the stream of the room that it left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationMovedOut {
    /// The reservation after the move: its room is the new one.
    pub reservation: Reservation,
    /// What it held in this room.
    pub previous: Place,
}

/// A reservation came into this room from another one. In the stream of the room that it entered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationMovedIn {
    /// The reservation after the move.
    pub reservation: Reservation,
    /// What it held in the room that it left.
    pub previous: Place,
}

/// A reservation was given up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationCancelled {
    /// The reservation as it was, with its last revision: its interval is free again.
    pub reservation: Reservation,
}

//! Events of reservations, in the stream of their room.
//!
//! Each carries all values after the change, and the interval that it replaced. So one event alone makes the whole document.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ReservationId, RoomId, SeriesId, UserId},
    time::{Interval, Minute},
    time_zone::{TimeZone, UtcOffset},
};

/// A reservation with all its values after a change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// Id of the reservation.
    pub id: ReservationId,
    /// Number of the reservation's changes in all rooms. 1 when made.
    pub revision: u32,
    /// The reserved room.
    pub room: RoomId,
    /// The zone in which its minutes count: the room's zone when the interval was last set.
    pub time_zone: TimeZone,
    /// First minute of the stay.
    pub from: Minute,
    /// First minute after the stay.
    pub to: Minute,
    /// What clocks in its zone showed at both ends, by the rules with which the interval was last set. `None` if it was set before
    /// events had this, or by an older build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Offsets>,
    /// The time in which no other stay fits, if it is more than the stay: with the buffers that the room had when the interval
    /// was last set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<Interval>,
    /// Number of people, at least 1.
    pub people: u32,
    /// Title, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Guest, if it is not the owner; at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_for: Option<String>,
    /// The owner.
    pub reserved_by: UserId,
    /// The user who made it for the owner; `None` if that is the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booked_by: Option<UserId>,
    /// The series with which it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesId>,
}

impl Reservation {
    /// `[from, to)`.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        Interval { from: self.from, to: self.to }
    }

    /// Whether a user without a role may read and change it: its owner, and who made it for the owner.
    #[must_use]
    pub fn is_open_to(&self, user: &str) -> bool {
        self.reserved_by.as_str() == user || self.booked_by.as_ref().is_some_and(|by| by.as_str() == user)
    }

    /// The time in which no other stay fits: the stay and its buffers.
    #[must_use]
    pub fn busy_interval(&self) -> Interval {
        self.busy.unwrap_or(self.interval())
    }

    /// Sets the stay, its busy interval, which holds the stay, and the zone in which its minutes count.
    pub fn set_interval(&mut self, stay: Interval, busy: Interval, time_zone: TimeZone) {
        (self.from, self.to, self.time_zone) = (stay.from, stay.to, time_zone);
        self.offsets = Some(Offsets::of(stay, time_zone));
        self.busy = (busy != stay).then_some(busy);
    }

    /// The reservation's place, for the next event.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place { room: self.room, time_zone: self.time_zone, from: self.from, to: self.to }
    }
}

/// The leads of clocks over UTC at both ends of a stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offsets {
    /// At the first minute.
    pub from: UtcOffset,
    /// At the first minute after the stay.
    pub to: UtcOffset,
}

impl Offsets {
    /// By the rules of this process.
    #[must_use]
    pub fn of(stay: Interval, zone: TimeZone) -> Self {
        let offset = |at: Minute| zone.0.utc_offset(at.to_utc());
        Self { from: offset(stay.from), to: offset(stay.to) }
    }
}

/// Room and interval of a reservation before a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The former room.
    pub room: RoomId,
    /// The zone in which its minutes counted.
    pub time_zone: TimeZone,
    /// First minute of the stay.
    pub from: Minute,
    /// First minute after the stay.
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

/// A reservation's interval, people, title or guest were changed within its room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationRescheduled {
    /// The reservation after the change.
    pub reservation: Reservation,
    /// The interval before, equal if only other values changed.
    pub previous: Place,
}

/// A reservation moved to another room. In the stream of the former room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationMovedOut {
    /// The reservation after the move, with the new room.
    pub reservation: Reservation,
    /// Its place in this room.
    pub previous: Place,
}

/// A reservation moved to this room. In the stream of the new room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationMovedIn {
    /// The reservation after the move.
    pub reservation: Reservation,
    /// Its place in the former room.
    pub previous: Place,
}

/// A cancelled reservation holds time again. In the stream of its room, and of the room in which it was cancelled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservationRestored {
    /// The values of the restored revision, with the next revision.
    pub reservation: Reservation,
    /// The restored revision.
    pub restores: u32,
    /// The room in which it was cancelled.
    pub cancelled_in: RoomId,
}

/// A reservation was cancelled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationCancelled {
    /// The last values, with the next revision. The interval is free again.
    pub reservation: Reservation,
}

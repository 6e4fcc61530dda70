//! Events of closures, in the stream of the closed room.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ClosureId, ReservationId, RoomId},
    time::{Interval, Minute},
};

/// A time in which a room takes no new stays. Of a closure of several rooms, each has its own with the same id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closure {
    /// Id of the closure.
    #[serde(rename = "closure")]
    pub id: ClosureId,
    /// The closed room.
    pub room: RoomId,
    /// First closed minute.
    pub from: Minute,
    /// First minute after the closure.
    pub to: Minute,
    /// Why the room is closed, at most 200 characters.
    pub reason: String,
    /// The kind whose rooms are closed; absent if it is a closure of named rooms or of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether all rooms are closed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Closure {
    /// `[from, to)`.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        Interval { from: self.from, to: self.to }
    }
}

/// A reservation that a closure overlaps. It stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// The reservation.
    pub reservation: ReservationId,
    /// First minute of the stay.
    pub from: Minute,
    /// First minute after the stay.
    pub to: Minute,
}

/// Most reservations that an event names.
pub const MOST_HITS: usize = 100;

/// A room was closed for some time. It takes no new stays then; existing ones stay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosureAdded {
    /// The closure.
    #[serde(flatten)]
    pub closure: Closure,
    /// The first reservations that it overlaps and that had not ended, by `from`: at most [`MOST_HITS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
    /// The number of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_hits: Option<u32>,
}

/// A closure was taken back: the room takes stays in that time again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClosureLifted {
    /// The closure, as it was added.
    #[serde(flatten)]
    pub closure: Closure,
}

//! The ways in which a command can be refused. A refusal writes no event.

use serde::{Deserialize, Serialize};
use shared_events::{Minute, ReservationId, RoomId, Timestamp, room_rules::BrokenRule};

use super::values::{InvalidInterval, InvalidSetting};

/// Why a command is refused, with what stands in its way. Serialised because a refused import line is recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Rejection {
    /// There is no such room, or it was retired.
    #[error("there is no room {room}")]
    UnknownRoom {
        /// Which one was named.
        room: RoomId,
    },
    /// No room has this kind.
    #[error("there is no room of this kind")]
    UnknownKind {
        /// The kind that was named.
        kind: String,
    },
    /// There is no such reservation in that room: never made, cancelled or moved away.
    #[error("there is no such reservation")]
    UnknownReservation,
    /// The reservation is somebody else's.
    #[error("the reservation is somebody else's")]
    NotOwner,
    /// Only administrators register, change and retire rooms.
    #[error("only administrators may do this")]
    NotAdmin,
    /// Another room has this name.
    #[error("another room has this name")]
    NameTaken {
        /// Which room.
        by: RoomId,
    },
    /// The room is reserved for a part of that time.
    #[error("the room is reserved from {from} to {to}")]
    Overlap {
        /// What is in the way.
        reservation: ReservationId,
        /// Its first minute.
        from: Minute,
        /// Its first minute after.
        to: Minute,
    },
    /// Rooms of the kind would do, but all of them are reserved.
    #[error("no room of this kind is free at that time")]
    NoFreeRoom,
    /// A rule of the room, or of every room of the kind.
    #[error("{reason}")]
    Rule {
        /// The rule's name: the setting that it comes from.
        rule: String,
        /// Its limit, where that is a number.
        limit: Option<u32>,
        /// The rule in words.
        reason: String,
    },
    /// The stay would begin, or end, before now.
    #[error("that time has passed")]
    InThePast,
    /// The stay has begun: it can't be cancelled or moved, and only its `to` can change.
    #[error("the stay has begun at {from}")]
    AlreadyStarted {
        /// When it began.
        from: Minute,
    },
    /// The stay has ended: nothing about it can change.
    #[error("the stay has ended at {to}")]
    Ended {
        /// When it ended.
        to: Minute,
    },
    /// An imported command is older than what the room has seen.
    #[error("the room has already seen a command at {horizon}")]
    OutOfOrder {
        /// The latest that it has seen.
        horizon: Timestamp,
    },
    /// The client's copy is not the current one.
    #[error("the current revision is {revision}")]
    Stale {
        /// The current revision.
        revision: u32,
    },
    /// A room with reservations that have not ended can't be retired.
    #[error("{count} reservations have not ended, the first is from {from} to {to}")]
    ReservationsAhead {
        /// How many.
        count: usize,
        /// First minute of the first.
        from: Minute,
        /// First minute after the first.
        to: Minute,
    },
    /// A move within one room.
    #[error("the reservation is in that room already")]
    SameRoom,
    /// A setting of the room has no meaning.
    #[error(transparent)]
    InvalidSetting(InvalidSetting),
    /// The stay has no meaning, or is longer than any stay may be.
    #[error(transparent)]
    InvalidInterval(InvalidInterval),
}

impl From<BrokenRule> for Rejection {
    fn from(rule: BrokenRule) -> Self {
        Self::Rule { rule: rule.name().to_owned(), limit: rule.limit(), reason: rule.to_string() }
    }
}

impl From<InvalidSetting> for Rejection {
    fn from(invalid: InvalidSetting) -> Self {
        Self::InvalidSetting(invalid)
    }
}

impl From<InvalidInterval> for Rejection {
    fn from(invalid: InvalidInterval) -> Self {
        Self::InvalidInterval(invalid)
    }
}

//! Rejections. A rejected command writes no event.

use serde::{Deserialize, Serialize};
use shared_events::{ClosureId, Minute, ReservationId, RoomId, Timestamp, room_rules::BrokenRule};

use super::{
    recurrence::InvalidRecurrence,
    values::{InvalidInterval, InvalidSetting},
};

/// An occurrence of a series that can't be reserved. One that a change leaves without a time has the time that it has now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Misfit {
    /// First minute.
    pub from: Minute,
    /// First minute after it.
    pub to: Minute,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
}

/// Why an occurrence can't be reserved. Short, because the record of a series has them all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "why")]
pub enum Why {
    /// A reservation is in the way.
    Overlap {
        /// The reservation.
        reservation: ReservationId,
    },
    /// It breaks a rule of the room.
    Rule {
        /// Name of the rule: its setting.
        rule: String,
        /// Limit of the rule, if it is a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// The room is closed.
    Closed {
        /// The closure.
        closure: ClosureId,
    },
    /// It lies in the past.
    InThePast,
    /// Clocks skip all of it.
    SkippedByClocks,
    /// A change would let it end when it begins, or before.
    NothingLeft,
    /// A change would move it beyond the year 9999.
    OutOfRange,
}

impl Why {
    /// The reason of a rejection that concerns one occurrence alone.
    pub(crate) fn of(rejection: &Rejection) -> Option<Self> {
        match rejection {
            Rejection::Overlap { reservation, .. } => Some(Self::Overlap { reservation: *reservation }),
            Rejection::Rule { rule, limit, .. } => Some(Self::Rule { rule: rule.clone(), limit: *limit }),
            Rejection::Closed { closure, .. } => Some(Self::Closed { closure: *closure }),
            Rejection::InThePast => Some(Self::InThePast),
            _ => None,
        }
    }
}

/// Why a command is rejected. Serialisable, because the rejection of an import line is recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Rejection {
    /// The room does not exist or is retired.
    #[error("there is no room {room}")]
    UnknownRoom {
        /// The room of the command.
        room: RoomId,
    },
    /// The kind has no room.
    #[error("there is no room of this kind")]
    UnknownKind {
        /// The kind of the command.
        kind: String,
    },
    /// The reservation is not in the room: never made, cancelled or moved away.
    #[error("there is no such reservation")]
    UnknownReservation,
    /// The reservation has no such revision.
    #[error("the reservation has no revision {revision}")]
    UnknownRevision {
        /// The revision of the command.
        revision: u32,
    },
    /// The reservation was cancelled at this revision.
    #[error("at revision {revision} the reservation is cancelled")]
    CancelledRevision {
        /// The revision of the command.
        revision: u32,
    },
    /// The actor is not the owner of the reservation, has not made it for the owner, and is no administrator.
    #[error("the reservation is somebody else's")]
    NotOwner,
    /// Only administrators and delegates reserve for others.
    #[error("only administrators and delegates may reserve for others")]
    NotDelegate,
    /// Only administrators register, change and retire rooms.
    #[error("only administrators may do this")]
    NotAdmin,
    /// Another room has this name, or one that looks alike.
    #[error("another room has this name, or one that looks alike")]
    NameTaken {
        /// The other room.
        by: RoomId,
    },
    /// Another reservation overlaps the stay.
    #[error("the room is reserved from {from} to {to}")]
    Overlap {
        /// The other reservation.
        reservation: ReservationId,
        /// Its first minute.
        from: Minute,
        /// Its first minute after the stay.
        to: Minute,
    },
    /// The room is closed in a part of the stay or of its buffers.
    #[error("the room is closed from {from} to {to}: {reason}")]
    Closed {
        /// The closure.
        closure: ClosureId,
        /// First closed minute.
        from: Minute,
        /// First minute after the closure.
        to: Minute,
        /// Why the room is closed.
        reason: String,
    },
    /// The room has too many closures that have not ended.
    #[error("a room has at most {limit} closures that have not ended")]
    TooManyClosures {
        /// Most closures.
        limit: usize,
    },
    /// All suitable rooms of the kind are reserved or closed.
    #[error("no room of this kind is free at that time")]
    NoFreeRoom,
    /// The stay breaks a rule of the room, or of every room of the kind.
    #[error("{reason}")]
    Rule {
        /// Name of the rule: its setting.
        rule: String,
        /// Limit of the rule, if it is a number.
        limit: Option<u32>,
        /// The rule in words.
        reason: String,
    },
    /// The stay would begin or end before now.
    #[error("that time has passed")]
    InThePast,
    /// The stay has begun. Only its `to` can change.
    #[error("the stay has begun at {from}")]
    AlreadyStarted {
        /// Its first minute.
        from: Minute,
    },
    /// The stay has ended. It cannot change.
    #[error("the stay has ended at {to}")]
    Ended {
        /// Its first minute after the stay.
        to: Minute,
    },
    /// An imported command is older than the last change of its reservation.
    #[error("the reservation was changed at {last}")]
    OutOfOrder {
        /// When it was changed.
        #[serde(rename = "horizon")]
        last: Timestamp,
    },
    /// The client's revision is not the current one.
    #[error("the current revision is {revision}")]
    Stale {
        /// The current revision.
        revision: u32,
    },
    /// Occurrences of the series don't fit.
    #[error("{} of {of} occurrences don't fit", misfits.len())]
    Series {
        /// Number of occurrences.
        of: usize,
        /// Those that don't fit.
        misfits: Vec<Misfit>,
    },
    /// The room has no reservation of the series that has not begun.
    #[error("the room has no reservation of this series that has not begun")]
    UnknownSeries,
    /// The room has reservations that have not ended.
    #[error("{count} reservations have not ended, the first is from {from} to {to}")]
    ReservationsAhead {
        /// Number of these reservations.
        count: usize,
        /// First minute of the first one.
        from: Minute,
        /// First minute after the first one.
        to: Minute,
    },
    /// The reservation is already in the room to which it should move.
    #[error("the reservation is in that room already")]
    SameRoom,
    /// A setting is not valid.
    #[error(transparent)]
    InvalidSetting(InvalidSetting),
    /// The stay is not valid.
    #[error(transparent)]
    InvalidInterval(InvalidInterval),
    /// The recurrence rule is not valid, or not for this stay.
    #[error("the recurrence {0}")]
    InvalidRecurrence(InvalidRecurrence),
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

impl From<InvalidRecurrence> for Rejection {
    fn from(invalid: InvalidRecurrence) -> Self {
        Self::InvalidRecurrence(invalid)
    }
}

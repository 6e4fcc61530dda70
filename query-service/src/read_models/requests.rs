//! Requests of operators to the instance that projects a room, and their outcomes.

use shared_events::{RoomId, Timestamp, Version};
use uuid::Uuid;

/// A request to the owner of a room's partition, which alone knows what it is writing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Its own id.
    pub id: Uuid,
    /// The room in question.
    pub room: RoomId,
    /// What is to be done.
    pub action: RequestedAction,
    /// Who asked.
    pub by: String,
    /// When it was asked.
    pub at: Timestamp,
}

/// What an operator can ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestedAction {
    /// Try the event again that a parked room waits behind, and go on from there.
    Redrive,
    /// Leave out the event of this version, behind which the room waits, and go on after it.
    Drop {
        /// The version of the event.
        version: Version,
        /// Why it may be left out.
        reason: String,
    },
    /// Delete what is stored of the room, and make it again from its events.
    Repair,
}

/// The outcome of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Whether the room is now as the operator wanted it.
    pub done: bool,
    /// What was found or done, for the operator.
    pub text: String,
}

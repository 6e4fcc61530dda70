//! Operators' requests to the instance that projects a room, and their outcomes.

use shared_events::{RoomId, Timestamp, Version};
use uuid::Uuid;

/// A request to the owner of a room's partition. No other instance knows what is being written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The request's id.
    pub id: Uuid,
    /// The room.
    pub room: RoomId,
    /// The requested action.
    pub action: RequestedAction,
    /// The operator.
    pub by: String,
    /// The time of the request.
    pub at: Timestamp,
}

/// An action that an operator can request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestedAction {
    /// Try the event again at which the room is parked, and go on from there.
    Redrive,
    /// Drop the event at which the room is parked, and go on after it.
    Drop {
        /// The version of the event.
        version: Version,
        /// Why it may be left out.
        reason: String,
    },
    /// Delete the room's documents, and fold its events again.
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

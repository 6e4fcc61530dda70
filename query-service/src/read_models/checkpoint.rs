//! How far the read models have come in each room's stream, and what holds a room up.

use shared_events::{RoomId, Timestamp};

/// How far a room has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checkpoint {
    /// All events up to this version are in the documents; 0 for a room of which nothing is.
    pub version: u64,
    /// Set while the room waits behind an event that could not be applied.
    pub parked: Option<Parked>,
}

/// Why a room waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parked {
    /// The version of the event that could not be applied.
    pub version: u64,
    /// What was wrong with it.
    pub reason: String,
}

/// The one message that a room waits behind, as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParkedMessage {
    /// The room that waits.
    pub room: RoomId,
    /// The event's version: the room's checkpoint + 1.
    pub version: u64,
    /// What was wrong with it.
    pub reason: String,
    /// When it was parked.
    pub at: Timestamp,
    /// The message's headers, byte for byte.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The message's payload, byte for byte.
    pub payload: Vec<u8>,
}

/// An event that an operator left out, with what there was of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DroppedEvent {
    /// The message that could not be applied.
    pub message: ParkedMessage,
    /// Why it may be left out.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

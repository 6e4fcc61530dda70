//! History: what users did with reservations.

use serde::{Deserialize, Serialize};
use shared_events::{Place, Reservation, RoomId, Timestamp, UserId, Version};

/// What a user did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryKind {
    /// Reserved a room.
    Made,
    /// Changed a reservation within its room.
    Changed,
    /// Moved it to another room.
    Moved,
    /// Gave it up.
    Cancelled,
}

/// One thing that a user did; only ever inserted. `room` and `version` name its event, and no other entry has them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryDoc {
    /// The stream of the event; for a move the room that was entered.
    pub room: RoomId,
    /// The event's version in that stream.
    pub version: Version,
    /// Who did it.
    pub user: UserId,
    /// When, as the command saw it.
    pub at: Timestamp,
    /// What was done.
    pub what: HistoryKind,
    /// The reservation afterwards.
    pub reservation: Reservation,
    /// Where and when it was before, where the event replaced that.
    pub previous: Option<Place>,
}

impl HistoryDoc {
    /// The document's id: `{room}:{version}`, the id of the event.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.room, self.version)
    }
}

//! History: users' actions on reservations.

use serde::{Deserialize, Serialize};
use shared_events::{Place, Reservation, RoomId, Timestamp, UserId, Version};

/// An action of a user.
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
    /// Took a cancellation back.
    Restored,
}

/// One action of a user. `room` and `version` name its event. Entries change only when a person is erased.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryDoc {
    /// The stream of the event; for a move the room that was entered.
    pub room: RoomId,
    /// The event's version in that stream.
    pub version: Version,
    /// The user.
    pub user: UserId,
    /// The time of the command.
    pub at: Timestamp,
    /// The action.
    pub what: HistoryKind,
    /// The reservation afterwards.
    pub reservation: Reservation,
    /// Its place and time before, if the event changed them.
    pub previous: Option<Place>,
}

impl HistoryDoc {
    /// The document's id: `{room}:{version}`, the id of the event.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.room, self.version)
    }
}

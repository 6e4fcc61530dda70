//! Rooms as queries see them.

use serde::{Deserialize, Serialize};
use shared_events::{RoomId, RoomSettings, Timestamp, Version, names::sort_key};

/// A room: the form that its latest own event gave it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomDoc {
    /// Which room.
    pub room: RoomId,
    /// Counts the changes of the settings. It is in the room's `ETag`.
    pub revision: u32,
    /// What holds for it.
    pub settings: RoomSettings,
    /// Whether it can no longer be booked.
    pub retired: bool,
    /// The version of the room's stream that gave it this form. Later versions changed reservations only.
    pub version: Version,
    /// When that version was recorded.
    pub recorded_at: Timestamp,
}

/// A kind and how many of its rooms are not retired.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KindCount {
    /// The kind.
    pub kind: String,
    /// Rooms that are not retired, at least 1.
    pub rooms: u64,
}

impl KindCount {
    /// Its place in the list of kinds.
    #[must_use]
    pub fn sort_key(&self) -> String {
        sort_key(&self.kind)
    }
}

//! Events of a room itself: registered, changed, retired.

use serde::{Deserialize, Serialize};

use crate::{ids::RoomId, opening_hours::OpeningHours, time_zone::TimeZone};

/// Longest buffer before or after a stay, in minutes.
pub const MOST_BUFFER_MINUTES: u32 = 24 * 60;
/// Most attributes of a room, and most roles that may book it.
pub const MOST_WORDS: usize = 32;

/// A room's settings. [`crate::room_rules`] applies them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomSettings {
    /// Name, unique among rooms that are not retired; 1 to 200 characters.
    pub name: String,
    /// Kind, 1 to 200 characters. Rooms of one kind are interchangeable.
    pub kind: String,
    /// Most people of a reservation, at least 1.
    pub capacity: u32,
    /// The zone of opening hours, slots and days.
    pub time_zone: TimeZone,
    /// Opening hours. Without them, the room is always open.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::opening_hours::with_unknown_fields"
    )]
    pub opening_hours: Option<OpeningHours>,
    /// Slot length in minutes, a divisor of 1440. Stays begin and end on multiples of it after local midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_minutes: Option<u32>,
    /// Shortest stay in elapsed minutes; in local days if it is a multiple of 1440.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_minutes: Option<u32>,
    /// Longest stay in elapsed minutes; in local days if it is a multiple of 1440.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<u32>,
    /// Minutes before a stay in which the room is busy, at most [`MOST_BUFFER_MINUTES`]; absent is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer_before: Option<u32>,
    /// Minutes after a stay in which the room is busy, at most [`MOST_BUFFER_MINUTES`]; absent is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer_after: Option<u32>,
    /// Most local dates ahead of today on which a stay may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_days_ahead: Option<u32>,
    /// The building, 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub building: Option<String>,
    /// The floor, 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<String>,
    /// What it has, such as `projector`, each once and in order of bytes; at most [`MOST_WORDS`] words without commas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
    /// The roles that may book it, each once and in order of bytes; at most [`MOST_WORDS`]. Empty: everybody may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bookable_by: Vec<String>,
    /// What one owner may have ahead in this room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ahead: Option<MaxAhead>,
}

/// What one owner may have ahead in a room: live stays that have not ended, with all their minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MaxAhead {
    /// Most reservations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservations: Option<u32>,
    /// Most minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
}

impl RoomSettings {
    /// Whether events of these settings are of the second version: the first can't say them.
    #[must_use]
    pub fn needs_second_version(&self) -> bool {
        self.opening_hours.as_ref().is_some_and(OpeningHours::are_lists)
            || self.buffer_before.is_some()
            || self.buffer_after.is_some()
            || self.building.is_some()
            || self.floor.is_some()
            || !self.attributes.is_empty()
            || !self.bookable_by.is_empty()
            || self.max_ahead.is_some()
    }
}

/// A room with all its values after a change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Id of the room.
    pub id: RoomId,
    /// Number of changes of the room itself, without its reservations. 1 when registered.
    pub revision: u32,
    /// The settings after the change.
    pub settings: RoomSettings,
}

/// A room was registered and can be booked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomRegistered {
    /// The new room.
    pub room: Room,
}

/// A room's settings were changed. Existing reservations stay as they are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomChanged {
    /// The room after the change.
    pub room: Room,
}

/// A room was retired: it can no longer be booked, and its name is free again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomRetired {
    /// The room with its last settings.
    pub room: Room,
}

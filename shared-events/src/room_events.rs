//! Events of a room itself: registered, changed, retired.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{ids::RoomId, time::TimeZone};

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
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "with_unknown_fields")]
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
    /// Most local dates ahead of today on which a stay may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_days_ahead: Option<u32>,
}

/// Opening hours per weekday. A day without a span is closed.
///
/// In a request, unknown fields are refused: a misspelt day would count as closed. In [`RoomSettings`] of an event they are
/// ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningHours {
    /// Monday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monday: Option<OpeningSpan>,
    /// Tuesday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuesday: Option<OpeningSpan>,
    /// Wednesday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wednesday: Option<OpeningSpan>,
    /// Thursday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thursday: Option<OpeningSpan>,
    /// Friday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friday: Option<OpeningSpan>,
    /// Saturday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturday: Option<OpeningSpan>,
    /// Sunday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sunday: Option<OpeningSpan>,
}

/// Reads the opening hours of an event. A newer service may have written unknown fields.
fn with_unknown_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OpeningHours>, D::Error> {
    #[derive(Deserialize)]
    struct Span {
        opens: String,
        closes: String,
    }
    #[derive(Deserialize)]
    struct Week {
        monday: Option<Span>,
        tuesday: Option<Span>,
        wednesday: Option<Span>,
        thursday: Option<Span>,
        friday: Option<Span>,
        saturday: Option<Span>,
        sunday: Option<Span>,
    }
    let Some(week) = Option::<Week>::deserialize(deserializer)? else { return Ok(None) };
    let span = |span: Option<Span>| {
        span.map(|Span { opens, closes }| OpeningSpan::try_from(SpanText { opens, closes }))
            .transpose()
            .map_err(D::Error::custom)
    };
    Ok(Some(OpeningHours {
        monday: span(week.monday)?,
        tuesday: span(week.tuesday)?,
        wednesday: span(week.wednesday)?,
        thursday: span(week.thursday)?,
        friday: span(week.friday)?,
        saturday: span(week.saturday)?,
        sunday: span(week.sunday)?,
    }))
}

impl OpeningHours {
    /// The span of a weekday.
    #[must_use]
    pub const fn on(&self, weekday: chrono::Weekday) -> Option<OpeningSpan> {
        match weekday {
            chrono::Weekday::Mon => self.monday,
            chrono::Weekday::Tue => self.tuesday,
            chrono::Weekday::Wed => self.wednesday,
            chrono::Weekday::Thu => self.thursday,
            chrono::Weekday::Fri => self.friday,
            chrono::Weekday::Sat => self.saturday,
            chrono::Weekday::Sun => self.sunday,
        }
    }
}

/// The time from `opens` to `closes` of one day, in local time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "SpanText", into = "SpanText")]
pub struct OpeningSpan {
    opens: u16,
    closes: u16,
}

impl OpeningSpan {
    /// A span in minutes after local midnight: `opens < closes <= 1440`.
    ///
    /// # Errors
    /// If the numbers are not of this order.
    pub fn new(opens: u16, closes: u16) -> Result<Self, InvalidSpan> {
        if opens < closes && closes <= 1440 { Ok(Self { opens, closes }) } else { Err(InvalidSpan) }
    }

    /// Minutes after local midnight at which the room opens, 0 to 1439.
    #[must_use]
    pub const fn opens(self) -> u16 {
        self.opens
    }

    /// Minutes after local midnight at which the room closes, 1 to 1440.
    #[must_use]
    pub const fn closes(self) -> u16 {
        self.closes
    }
}

/// The error of a text that is not an opening span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("opening hours need `opens` before `closes`, both as HH:MM from 00:00 to 24:00")]
pub struct InvalidSpan;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpanText {
    opens: String,
    closes: String,
}

impl TryFrom<SpanText> for OpeningSpan {
    type Error = InvalidSpan;
    fn try_from(text: SpanText) -> Result<Self, InvalidSpan> {
        let minutes = |text: &str| -> Result<u16, InvalidSpan> {
            let (hours, minutes) = text.split_once(':').ok_or(InvalidSpan)?;
            let two_digits = |part: &str| {
                if part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()) {
                    part.parse::<u16>().ok()
                } else {
                    None
                }
            };
            let (hours, minutes) =
                (two_digits(hours).ok_or(InvalidSpan)?, two_digits(minutes).ok_or(InvalidSpan)?);
            if minutes < 60 { Ok(hours * 60 + minutes) } else { Err(InvalidSpan) }
        };
        Self::new(minutes(&text.opens)?, minutes(&text.closes)?)
    }
}

impl From<OpeningSpan> for SpanText {
    fn from(span: OpeningSpan) -> Self {
        let text = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Self { opens: text(span.opens), closes: text(span.closes) }
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

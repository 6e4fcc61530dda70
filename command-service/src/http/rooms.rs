//! Commands about rooms, for administrators.

use serde::Deserialize;
use service_kit::http::problem::Problem;
use shared_events::{MaxAhead, OpeningHours, RoomId, RoomSettings, TimeZone};
use utoipa::ToSchema;

use super::{
    answers::CommandAnswer,
    fields::{given, invalid, name, roles, words},
    request::{AdminRequest, Ignored, NoPath, RoomPath},
    schemas::{Changed, Created, Failed, Keyed, KeyedOptionally, Preconditions, opening_hours},
};
use crate::{
    commands::{Action, ChangeAhead, ChangeRoom, RegisterRoom, RetireRoom},
    domain::values::validate_settings,
};

/// A new room. An absent limit does not apply.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RegisterRoom)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewRoom {
    /// Unique among rooms that are not retired. White space at its ends is removed.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Rooms of one kind are interchangeable.
    #[schema(min_length = 1, max_length = 200)]
    kind: String,
    /// Most people of a reservation.
    #[schema(minimum = 1)]
    capacity: u32,
    /// The IANA time zone of opening hours, slots and days.
    #[schema(value_type = String, example = "Europe/Lisbon")]
    time_zone: TimeZone,
    /// Open time per weekday. A missing day is closed; without the object the room is always open.
    #[serde(default)]
    #[schema(schema_with = opening_hours)]
    opening_hours: Option<OpeningHours>,
    /// Stays begin and end on multiples of this many minutes after local midnight. It divides 1440.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1440)]
    slot_minutes: Option<u32>,
    /// Shortest stay in elapsed minutes; in local days if it is a multiple of 1440.
    #[serde(default)]
    #[schema(minimum = 1)]
    min_minutes: Option<u32>,
    /// Longest stay in elapsed minutes; in local days if it is a multiple of 1440.
    #[serde(default)]
    #[schema(minimum = 1)]
    max_minutes: Option<u32>,
    /// Minutes before each stay in which the room is busy. They may lie outside the opening hours, and are no usage.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1440)]
    buffer_before: Option<u32>,
    /// Minutes after each stay in which the room is busy, as those before it.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1440)]
    buffer_after: Option<u32>,
    /// Most local dates between today and the first day of a stay.
    #[serde(default)]
    max_days_ahead: Option<u32>,
    /// The building.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    building: Option<String>,
    /// The floor.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    floor: Option<String>,
    /// What it has, such as `projector`, without commas. Queries find rooms by it.
    #[serde(default)]
    #[schema(max_items = 32)]
    attributes: Option<Vec<String>>,
    /// The roles that may book it, beside administrators; without them, everybody may. They are those of tokens, so lines of an
    /// import and roll-backs may book every room.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 32)]
    bookable_by: Option<Vec<String>>,
    /// What one person may have ahead in this room: stays that have not ended, with all their minutes, counted for their owner.
    /// Rooms count apart.
    #[serde(default)]
    max_ahead: Option<Quota>,
}

/// Limits of what one person may have ahead in a room; at least one of them.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = MaxAhead)]
pub(super) struct Quota {
    /// Most reservations.
    #[serde(default)]
    reservations: Option<u32>,
    /// Most minutes.
    #[serde(default)]
    minutes: Option<u32>,
}

impl From<Quota> for MaxAhead {
    fn from(Quota { reservations, minutes }: Quota) -> Self {
        Self { reservations, minutes }
    }
}

impl NewRoom {
    fn settings(self) -> Result<RoomSettings, Problem> {
        let settings = RoomSettings {
            name: name("/name", &self.name)?,
            kind: name("/kind", &self.kind)?,
            capacity: self.capacity,
            time_zone: self.time_zone,
            opening_hours: self.opening_hours,
            slot_minutes: self.slot_minutes,
            min_minutes: self.min_minutes,
            max_minutes: self.max_minutes,
            buffer_before: self.buffer_before,
            buffer_after: self.buffer_after,
            max_days_ahead: self.max_days_ahead,
            building: self.building.map(|text| name("/building", &text)).transpose()?,
            floor: self.floor.map(|text| name("/floor", &text)).transpose()?,
            attributes: words("/attributes", &self.attributes.unwrap_or_default())?,
            bookable_by: roles("/bookableBy", self.bookable_by.as_deref())?,
            max_ahead: self.max_ahead.map(MaxAhead::from),
        };
        validate_settings(&settings)
            .map_err(|setting| invalid(&format!("/{}", setting.field), &setting.reason))?;
        Ok(settings)
    }
}

/// Changed settings of a room. An absent setting stays; null removes a limit. Opening hours are replaced as a whole: a merge
/// patch (RFC 7396) names all seven days, closed ones with null.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChangeRoom)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RoomPatch {
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    kind: Option<String>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1, nullable = false)]
    capacity: Option<u32>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "Europe/Lisbon", nullable = false)]
    time_zone: Option<TimeZone>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = opening_hours)]
    opening_hours: Option<Option<OpeningHours>>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1440)]
    slot_minutes: Option<Option<u32>>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    min_minutes: Option<Option<u32>>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_minutes: Option<Option<u32>>,
    /// As of a new room. Reservations keep the buffers with which their time was set.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1440)]
    buffer_before: Option<Option<u32>>,
    /// As of a new room. Reservations keep the buffers with which their time was set.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1440)]
    buffer_after: Option<Option<u32>>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    max_days_ahead: Option<Option<u32>>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    building: Option<Option<String>>,
    /// As of a new room.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    floor: Option<Option<String>>,
    /// As of a new room. Null removes them.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, max_items = 32)]
    attributes: Option<Option<Vec<String>>>,
    /// As of a new room. Null lets everybody book it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 32)]
    bookable_by: Option<Option<Vec<String>>>,
    /// As of a new room. A limit that is not named stays; null removes it, or both.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<QuotaPatch>)]
    max_ahead: Option<Option<QuotaPatch>>,
}

/// Changed limits of what one person may have ahead in a room. An absent limit stays; null removes it. One must be left.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ChangeMaxAhead)]
pub(super) struct QuotaPatch {
    /// Most reservations.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    reservations: Option<Option<u32>>,
    /// Most minutes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    minutes: Option<Option<u32>>,
}

impl From<QuotaPatch> for ChangeAhead {
    fn from(QuotaPatch { reservations, minutes }: QuotaPatch) -> Self {
        Self { reservations, minutes }
    }
}

impl RoomPatch {
    fn of(self, room: RoomId) -> Result<ChangeRoom, Problem> {
        Ok(ChangeRoom {
            room,
            name: self.name.map(|text| name("/name", &text)).transpose()?,
            kind: self.kind.map(|text| name("/kind", &text)).transpose()?,
            capacity: self.capacity,
            time_zone: self.time_zone,
            opening_hours: self.opening_hours,
            slot_minutes: self.slot_minutes,
            min_minutes: self.min_minutes,
            max_minutes: self.max_minutes,
            buffer_before: self.buffer_before,
            buffer_after: self.buffer_after,
            max_days_ahead: self.max_days_ahead,
            building: optional_name("/building", self.building)?,
            floor: optional_name("/floor", self.floor)?,
            attributes: self
                .attributes
                .map(|list| words("/attributes", &list.unwrap_or_default()))
                .transpose()?,
            bookable_by: self.bookable_by.map(|list| roles("/bookableBy", list.as_deref())).transpose()?,
            max_ahead: self.max_ahead.map(|quota| quota.map(ChangeAhead::from)),
        })
    }
}

fn optional_name(field: &str, text: Option<Option<String>>) -> Result<Option<Option<String>>, Problem> {
    text.map(|text| text.map(|text| name(field, &text)).transpose()).transpose()
}

pub(super) fn to_register(_: NoPath, body: NewRoom) -> Result<Action, Problem> {
    Ok(Action::RegisterRoom(RegisterRoom::new(body.settings()?)))
}

pub(super) fn to_change(RoomPath { room }: RoomPath, body: RoomPatch) -> Result<Action, Problem> {
    Ok(Action::ChangeRoom(body.of(room)?))
}

#[expect(clippy::unnecessary_wraps, reason = "as of the other commands")]
pub(super) fn to_retire(RoomPath { room }: RoomPath, _: Ignored) -> Result<Action, Problem> {
    Ok(Action::RetireRoom(RetireRoom { room }))
}

/// Registers a room.
#[utoipa::path(
    post, path = "/v1/rooms", tag = "rooms", operation_id = "registerRoom",
    params(Keyed), request_body = NewRoom, responses(Created, Failed)
)]
pub(super) async fn register(request: AdminRequest<NoPath, NewRoom>) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_register).await
}

/// Changes a room's settings. Existing reservations stay as they are.
#[utoipa::path(
    patch, path = "/v1/rooms/{room}", tag = "rooms", operation_id = "changeRoom",
    params(("room" = uuid::Uuid, Path, description = "The room."), KeyedOptionally, Preconditions),
    request_body = RoomPatch, responses(Changed, Failed)
)]
pub(super) async fn change(request: AdminRequest<RoomPath, RoomPatch>) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_change).await
}

/// Retires a room without running or future stays. Its name is free again.
#[utoipa::path(
    delete, path = "/v1/rooms/{room}", tag = "rooms", operation_id = "retireRoom",
    params(("room" = uuid::Uuid, Path, description = "The room."), KeyedOptionally, Preconditions),
    responses(Changed, Failed)
)]
pub(super) async fn retire(request: AdminRequest<RoomPath, Ignored>) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_retire).await
}

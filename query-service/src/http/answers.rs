//! The bodies of answers: read models in the form of the API.

use serde::Serialize;
use shared_events::{
    Closure, ClosureId, Interval, Minute, OpeningHours, ReservationId, RoomId, SeriesId, TimeZone, UserId,
    Version, feed::Page,
};
use utoipa::ToSchema;

use crate::read_models::{KindCount, ReservationDoc, RoomDoc, Status};

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct List<T> {
    /// What is on this page.
    pub(super) items: Vec<T>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

impl<T> List<T> {
    pub(super) fn of<D>(page: Page<D>, show: impl FnMut(D) -> T) -> Self {
        Self { items: page.items.into_iter().map(show).collect(), next: page.next }
    }
}

/// A room.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Room {
    /// Its id.
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// The version of the room's stream that is shown, at least.
    #[schema(value_type = u64)]
    version: Version,
    /// Counts the changes of its settings. It is in the `ETag`.
    revision: u32,
    name: String,
    /// Rooms of one kind are interchangeable.
    kind: String,
    /// Most people.
    capacity: u32,
    /// IANA time zone.
    #[schema(value_type = String)]
    time_zone: TimeZone,
    /// Open time by weekday, as in `{"monday": {"opens": "08:00", "closes": "24:00"}}`; a day that is missing is
    /// closed. Each day is a list if one has several spans, or one that goes past midnight, as in
    /// `{"monday": [{"opens": "18:00", "closes": "26:00"}]}`. Absent where the room is always open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, OpenDay>>)]
    opening_hours: Option<OpeningHours>,
    /// Stays begin and end on multiples of this after local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_minutes: Option<u32>,
    /// Shortest stay in elapsed minutes; in local days if it is a multiple of 1440.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_minutes: Option<u32>,
    /// Longest stay in elapsed minutes; in local days if it is a multiple of 1440.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_minutes: Option<u32>,
    /// Minutes before a stay in which the room is busy.
    #[serde(skip_serializing_if = "Option::is_none")]
    buffer_before: Option<u32>,
    /// Minutes after a stay in which the room is busy.
    #[serde(skip_serializing_if = "Option::is_none")]
    buffer_after: Option<u32>,
    /// Local dates ahead of today on which a stay may begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_days_ahead: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    building: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    floor: Option<String>,
    /// What it has, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    attributes: Vec<String>,
    /// The roles that may book it, beside administrators; absent if everybody may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    bookable_by: Vec<String>,
    /// What one person may have ahead in this room: stays that have not ended, with all their minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MaxAhead>)]
    max_ahead: Option<shared_events::MaxAhead>,
    /// Whether it can no longer be booked.
    retired: bool,
}

/// What one person may have ahead in a room.
#[derive(Serialize, ToSchema)]
pub(super) struct MaxAhead {
    /// Most reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    reservations: Option<u32>,
    /// Most minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<u32>,
}

/// Open time of a day.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what opening hours write")]
pub(super) enum OpenDay {
    One(OpenTime),
    Several(Vec<OpenTime>),
}

/// A span of open time.
#[derive(Serialize, ToSchema)]
pub(super) struct OpenTime {
    /// `HH:MM`, local time.
    opens: String,
    /// `HH:MM`, up to `47:59`: from `24:00` on it is the next day.
    closes: String,
}

impl Room {
    /// The room at this version or later. The version may have changed only reservations.
    pub(super) fn at(doc: RoomDoc, version: Version) -> Self {
        let settings = doc.settings;
        Self {
            room: doc.room,
            version: version.max(doc.version),
            revision: doc.revision,
            name: settings.name,
            kind: settings.kind,
            capacity: settings.capacity,
            time_zone: settings.time_zone,
            opening_hours: settings.opening_hours,
            slot_minutes: settings.slot_minutes,
            min_minutes: settings.min_minutes,
            max_minutes: settings.max_minutes,
            buffer_before: settings.buffer_before,
            buffer_after: settings.buffer_after,
            max_days_ahead: settings.max_days_ahead,
            building: settings.building,
            floor: settings.floor,
            attributes: settings.attributes,
            bookable_by: settings.bookable_by,
            max_ahead: settings.max_ahead,
            retired: doc.retired,
        }
    }
}

/// A room that would accept a stay.
#[derive(Serialize, ToSchema)]
pub(super) struct AvailableRoom {
    #[serde(flatten)]
    pub(super) room: Room,
    /// With a duration: the earliest stay in each free interval, at most 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) times: Option<Vec<Span>>,
}

/// A kind of rooms.
#[derive(Serialize, ToSchema)]
pub(super) struct Kind {
    kind: String,
    /// How many rooms of it can be booked.
    rooms: u64,
}

impl From<KindCount> for Kind {
    fn from(count: KindCount) -> Self {
        Self { kind: count.kind, rooms: count.rooms }
    }
}

/// The caller.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// The name that the caller's reservations have in `reservedBy`.
    pub(super) user: String,
    /// Whether the caller is an administrator.
    pub(super) admin: bool,
    /// Whether the caller has the role of a delegate, who may reserve for others.
    pub(super) delegate: bool,
}

/// A reservation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reservation {
    /// Its id.
    #[schema(value_type = Uuid)]
    reservation: ReservationId,
    /// The room that it holds, or held when it was cancelled.
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// The version of the room's stream that gave it this form. Absent for the moment in which of a move only the
    /// other room's half has been seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    version: Option<Version>,
    /// Counts its changes. It is in the `ETag`.
    revision: u32,
    #[schema(value_type = ReservationStatus)]
    status: Status,
    /// First minute.
    #[schema(value_type = String, format = DateTime)]
    from: Minute,
    /// First minute after it.
    #[schema(value_type = String, format = DateTime)]
    to: Minute,
    /// First minute of the buffer before it; absent where it has no buffers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    busy_from: Option<Minute>,
    /// First minute after the buffer after it; absent where it has no buffers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    busy_to: Option<Minute>,
    /// How many come.
    people: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// For whom, where that is not the one who reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_for: Option<String>,
    /// Whose it is.
    #[schema(value_type = String)]
    reserved_by: UserId,
    /// Who made it for its owner; absent where that is the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    booked_by: Option<UserId>,
    /// The series with which it was made; absent where it was made alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, nullable = false)]
    series: Option<SeriesId>,
}

/// Whether a reservation holds its room.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes another type")]
pub(super) enum ReservationStatus {
    Live,
    Cancelled,
}

impl From<ReservationDoc> for Reservation {
    fn from(doc: ReservationDoc) -> Self {
        let values = doc.reservation;
        Self {
            reservation: values.id,
            room: values.room,
            version: doc.version,
            revision: values.revision,
            status: doc.status,
            from: values.from,
            to: values.to,
            busy_from: values.busy.map(|busy| busy.from),
            busy_to: values.busy.map(|busy| busy.to),
            people: values.people,
            title: values.title,
            reserved_for: values.reserved_for,
            reserved_by: values.reserved_by,
            booked_by: values.booked_by,
            series: values.series,
        }
    }
}

/// What a schedule shows of another's reservation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BusySpan {
    /// First minute.
    #[schema(value_type = String, format = DateTime)]
    from: Minute,
    /// First minute after it.
    #[schema(value_type = String, format = DateTime)]
    to: Minute,
    /// First minute of the buffer before it; absent where it has no buffers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    busy_from: Option<Minute>,
    /// First minute after the buffer after it; absent where it has no buffers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    busy_to: Option<Minute>,
}

impl BusySpan {
    pub(super) fn of(reservation: &shared_events::Reservation) -> Self {
        let (busy_from, busy_to) =
            (reservation.busy.map(|busy| busy.from), reservation.busy.map(|busy| busy.to));
        Self { from: reservation.from, to: reservation.to, busy_from, busy_to }
    }
}

/// A stretch of time.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    /// First minute.
    #[schema(value_type = String, format = DateTime)]
    from: Minute,
    /// First minute after it.
    #[schema(value_type = String, format = DateTime)]
    to: Minute,
}

impl From<Interval> for Span {
    fn from(Interval { from, to }: Interval) -> Self {
        Self { from, to }
    }
}

/// What a schedule shows of a reservation: all of it to its owner and administrators, the time alone to others.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Occupied {
    Reservation(Box<Reservation>),
    Busy(BusySpan),
}

/// A page of what is reserved in a room.
#[derive(Serialize, ToSchema)]
pub(super) struct Schedule {
    #[schema(value_type = Uuid)]
    pub(super) room: RoomId,
    /// The version of the room's stream that is shown, at least.
    #[schema(value_type = u64)]
    pub(super) version: Version,
    /// By `from`.
    pub(super) items: Vec<Occupied>,
    /// All closures in the range, by `from`, on each page. Stays that were there before stay in `items`.
    pub(super) closures: Vec<Closed>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// A room, and what is reserved in it.
#[derive(Serialize, ToSchema)]
pub(super) struct RoomSchedule {
    pub(super) room: Room,
    /// The first minute of the first date on the room's clock.
    #[schema(value_type = String, format = DateTime)]
    pub(super) from: Minute,
    /// The first minute after the last date. The same as `from` if the room's zone skips the date.
    #[schema(value_type = String, format = DateTime)]
    pub(super) to: Minute,
    /// What overlaps these dates, by `from`.
    pub(super) reservations: Vec<Occupied>,
    /// All closures on these dates, by `from`.
    pub(super) closures: Vec<Closed>,
}

/// A time in which a room takes no new stays.
#[derive(Serialize, ToSchema)]
pub(super) struct Closed {
    #[schema(value_type = Uuid)]
    closure: ClosureId,
    /// First closed minute.
    #[schema(value_type = String, format = DateTime)]
    from: Minute,
    /// First minute after it.
    #[schema(value_type = String, format = DateTime)]
    to: Minute,
    /// Why the room is closed.
    reason: String,
}

impl From<Closure> for Closed {
    fn from(Closure { id, from, to, reason, .. }: Closure) -> Self {
        Self { closure: id, from, to, reason }
    }
}

/// A page of what is free in a room.
#[derive(Serialize, ToSchema)]
pub(super) struct Free {
    #[schema(value_type = Uuid)]
    pub(super) room: RoomId,
    /// The version of the room's stream that is shown, at least.
    #[schema(value_type = u64)]
    pub(super) version: Version,
    /// In order of time.
    pub(super) items: Vec<Span>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

//! Commands about reservations, for all users. Only its owner, who made it for the owner, or an administrator changes a
//! reservation.

use serde::Deserialize;
use service_kit::http::problem::Problem;
use shared_events::{Minute, ReservationId, RoomId};
use utoipa::ToSchema;

use super::{
    answers::CommandAnswer,
    fields::{ends, given, invalid, name, people, stay, text},
    request::{CommandRequest, Ignored, RoomPath},
    schemas::{Changed, Created, Failed, Keyed, KeyedOptionally, Preconditions},
};
use crate::commands::{
    Action, CancelReservation, ChangeReservation, MoveReservation, Reserve, ReserveKind, RestoreReservation,
    Revision, Stay,
};

/// A requested stay.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Reserve)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewReservation {
    /// First minute: RFC 3339 with an offset, whole minutes.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    from: Minute,
    /// First minute after the stay, at most 366 days after `from`.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    to: Minute,
    /// Number of people.
    #[schema(minimum = 1)]
    people: u32,
    /// Title.
    #[serde(default)]
    #[schema(max_length = 200)]
    title: Option<String>,
    /// Guest, if not the owner.
    #[serde(default)]
    #[schema(max_length = 200)]
    reserved_for: Option<String>,
    /// The owner, if not the caller. For administrators and the role `delegate`. The caller may change the reservation too.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    reserved_by: Option<String>,
}

impl NewReservation {
    pub(super) fn stay(self) -> Result<Stay, Problem> {
        let Self { from, to, people, title, reserved_for, reserved_by } = self;
        stay(from, to, people, title, reserved_for, reserved_by.as_deref())
    }
}

/// Changed values of a reservation. An absent value stays; null clears title or guest.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChangeReservation)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReservationPatch {
    /// First minute.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
    from: Option<Minute>,
    /// First minute after the stay, which alone can change while the stay runs.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
    to: Option<Minute>,
    /// Number of people.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1, nullable = false)]
    people: Option<u32>,
    /// Title.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    title: Option<Option<String>>,
    /// Guest.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    reserved_for: Option<Option<String>>,
}

impl ReservationPatch {
    /// The change of a reservation.
    pub(super) fn values(
        self,
        room: RoomId,
        reservation: ReservationId,
    ) -> Result<ChangeReservation, Problem> {
        ends(self.from, self.to)?;
        Ok(ChangeReservation {
            room: Some(room),
            reservation,
            from: self.from,
            to: self.to,
            people: self.people.map(people).transpose()?,
            title: self.title.map(|title| text("/title", title)).transpose()?,
            reserved_for: self.reserved_for.map(|guest| text("/reservedFor", guest)).transpose()?,
        })
    }
}

/// The new place of a reservation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Move {
    /// The new room, whose rules the stay must keep.
    #[schema(value_type = uuid::Uuid)]
    to_room: RoomId,
    /// First minute, if it changes too.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
    from: Option<Minute>,
    /// First minute after the stay, if it changes too.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
    to: Option<Minute>,
}

/// The revision of a reservation whose values it has again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Restore {
    /// The revision.
    #[schema(minimum = 1)]
    revision: u32,
}

#[derive(Deserialize)]
pub(super) struct KindPath {
    kind: String,
}

#[derive(Deserialize)]
pub(super) struct ReservationPath {
    room: RoomId,
    reservation: ReservationId,
}

pub(super) fn to_reserve(RoomPath { room }: RoomPath, body: NewReservation) -> Result<Action, Problem> {
    Ok(Action::Reserve(Reserve { room, stay: body.stay()? }))
}

pub(super) fn to_reserve_kind(KindPath { kind }: KindPath, body: NewReservation) -> Result<Action, Problem> {
    let kind = name("kind", &kind)?;
    Ok(Action::ReserveKind(ReserveKind { kind, stay: body.stay()? }))
}

pub(super) fn to_change(path: ReservationPath, body: ReservationPatch) -> Result<Action, Problem> {
    Ok(Action::ChangeReservation(body.values(path.room, path.reservation)?))
}

#[expect(clippy::unnecessary_wraps, reason = "as of the other commands")]
pub(super) fn to_cancel(path: ReservationPath, _: Ignored) -> Result<Action, Problem> {
    let ReservationPath { room, reservation } = path;
    Ok(Action::CancelReservation(CancelReservation { room: Some(room), reservation }))
}

pub(super) fn to_move(path: ReservationPath, body: Move) -> Result<Action, Problem> {
    let (ReservationPath { room, reservation }, Move { to_room, from, to }) = (path, body);
    ends(from, to)?;
    Ok(Action::MoveReservation(MoveReservation { room: Some(room), reservation, to_room, from, to }))
}

pub(super) fn to_restore(path: ReservationPath, body: Restore) -> Result<Action, Problem> {
    let (ReservationPath { room, reservation }, Restore { revision }) = (path, body);
    if revision == 0 {
        return Err(invalid("/revision", "revisions begin at 1"));
    }
    let was = Revision::Unknown;
    Ok(Action::RestoreReservation(RestoreReservation { room, reservation, revision, was }))
}

/// Reserves a room.
#[utoipa::path(
    post, path = "/v1/rooms/{room}/reservations", tag = "reservations", operation_id = "reserve",
    params(("room" = uuid::Uuid, Path, description = "The room."), Keyed),
    request_body = NewReservation, responses(Created, Failed)
)]
pub(super) async fn reserve(
    request: CommandRequest<RoomPath, NewReservation>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_reserve).await
}

/// Reserves the smallest free room of a kind that accepts the stay: of equals, the first registered. The answer names it.
#[utoipa::path(
    post, path = "/v1/kinds/{kind}/reservations", tag = "reservations", operation_id = "reserveKind",
    params(
        ("kind" = String, Path, description = "The kind, percent-encoded.", min_length = 1, max_length = 200,
            pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"),
        Keyed
    ),
    request_body = NewReservation, responses(Created, Failed)
)]
pub(super) async fn reserve_kind(
    request: CommandRequest<KindPath, NewReservation>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_reserve_kind).await
}

/// Changes a reservation within its room.
#[utoipa::path(
    patch, path = "/v1/rooms/{room}/reservations/{reservation}", tag = "reservations",
    operation_id = "changeReservation",
    params(
        ("room" = uuid::Uuid, Path, description = "The room of the reservation."),
        ("reservation" = uuid::Uuid, Path, description = "The reservation."),
        KeyedOptionally, Preconditions
    ),
    request_body = ReservationPatch, responses(Changed, Failed)
)]
pub(super) async fn change(
    request: CommandRequest<ReservationPath, ReservationPatch>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_change).await
}

/// Cancels a reservation that has not begun, or ends a running one with the next full minute.
#[utoipa::path(
    delete, path = "/v1/rooms/{room}/reservations/{reservation}", tag = "reservations",
    operation_id = "cancelReservation",
    params(
        ("room" = uuid::Uuid, Path, description = "The room of the reservation."),
        ("reservation" = uuid::Uuid, Path, description = "The reservation."),
        KeyedOptionally, Preconditions
    ),
    responses(Changed, Failed)
)]
pub(super) async fn cancel(
    request: CommandRequest<ReservationPath, Ignored>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_cancel).await
}

/// Moves a reservation that has not begun to another room. The answer describes the new room.
#[utoipa::path(
    post, path = "/v1/rooms/{room}/reservations/{reservation}/move", tag = "reservations",
    operation_id = "moveReservation",
    params(
        ("room" = uuid::Uuid, Path, description = "The room of the reservation."),
        ("reservation" = uuid::Uuid, Path, description = "The reservation."),
        Keyed, Preconditions
    ),
    request_body = Move, responses(Changed, Failed)
)]
pub(super) async fn move_to_room(
    request: CommandRequest<ReservationPath, Move>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_move).await
}

/// Gives a reservation the room, time and other values of an earlier revision, also when it is cancelled.
///
/// Only a reservation in the way or a retired room refuses it: rules of time and settings held when the revision was made.
#[utoipa::path(
    post, path = "/v1/rooms/{room}/reservations/{reservation}/restore", tag = "reservations",
    operation_id = "restoreReservation",
    params(
        ("room" = uuid::Uuid, Path, description = "The room where the reservation is, or where it was cancelled."),
        ("reservation" = uuid::Uuid, Path, description = "The reservation."),
        Keyed, Preconditions
    ),
    request_body = Restore, responses(Changed, Failed)
)]
pub(super) async fn restore(
    request: CommandRequest<ReservationPath, Restore>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_restore).await
}

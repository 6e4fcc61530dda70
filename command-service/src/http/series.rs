//! Commands about series, for all users.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::Deserialize;
use service_kit::http::problem::Problem;
use shared_events::{Minute, ReservationId, RoomId, SeriesId};
use utoipa::ToSchema;

use super::{
    answers::CommandAnswer,
    fields::{invalid, stay},
    request::{CommandRequest, Ignored, RoomPath},
    reservations::ReservationPatch,
    schemas::{Failed, Keyed, KeyedOptionally, SeriesChanged, SeriesCreated},
};
use crate::{
    commands::{Action, CancelSeries, ChangeSeries, Following, OnConflict, ReserveSeries},
    domain::{MOST_OCCURRENCES, Recurrence},
};

/// Longest rule, in bytes.
const MAX_RULE_BYTES: usize = 500;

/// What becomes of occurrences that don't fit.
#[derive(Clone, Copy, Default, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OnConflict)]
pub(super) enum Conflict {
    /// One refuses the whole series.
    #[default]
    Refuse,
    /// They are left out, unless none fits.
    Skip,
}

/// A requested series: the first occurrence, and the rule by which it repeats.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ReserveSeries)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewSeries {
    /// First minute of the first occurrence: RFC 3339 with an offset, whole minutes.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    from: Minute,
    /// First minute after the first occurrence. The others have the same local times as the first one in the room's zone: of
    /// a time that clocks show twice the earlier one, for a time that they skip the end of the skipped part. An
    /// occurrence of which clocks skip all does not take place.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    to: Minute,
    /// The value of an `RRULE` (RFC 5545), as in `FREQ=WEEKLY;BYDAY=TU;COUNT=10`. `FREQ` is `DAILY`, `WEEKLY` with `BYDAY`, or
    /// `MONTHLY` with `BYMONTHDAY` or with `BYDAY` such as `2TU` and `-1FR`. `INTERVAL` may be there, and one of `COUNT` and
    /// `UNTIL` (a local date, or a time in UTC). The date of `from` is one of its dates. At most 400 occurrences.
    #[schema(min_length = 10, max_length = 500)]
    recurrence: String,
    /// Local dates of occurrences that don't take place. They count for `COUNT`.
    #[serde(default)]
    #[schema(max_items = 400)]
    exceptions: Vec<NaiveDate>,
    /// What becomes of occurrences that overlap a reservation or break a rule of the room.
    #[serde(default)]
    on_conflict: Conflict,
    /// Whether nothing is reserved. The answer says which occurrences would be made, and which don't fit.
    #[serde(default)]
    dry_run: bool,
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
    /// The owner, if not the caller. For administrators and the role `delegate`. The caller may change the series too.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    reserved_by: Option<String>,
}

/// A recurrence and its exceptions.
pub(super) fn recurrence(
    rule: &str,
    exceptions: Vec<NaiveDate>,
) -> Result<(Recurrence, BTreeSet<NaiveDate>), Problem> {
    if rule.len() > MAX_RULE_BYTES {
        return Err(invalid("/recurrence", &format!("has more than {MAX_RULE_BYTES} bytes")));
    }
    let rule = rule.parse().map_err(|error| invalid("/recurrence", &format!("the recurrence {error}")))?;
    if exceptions.len() > MOST_OCCURRENCES {
        return Err(invalid("/exceptions", &format!("more than {MOST_OCCURRENCES}")));
    }
    Ok((rule, exceptions.into_iter().collect()))
}

impl From<Conflict> for OnConflict {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Refuse => Self::Refuse,
            Conflict::Skip => Self::Skip,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct SeriesPath {
    room: RoomId,
    series: SeriesId,
}

#[derive(Deserialize)]
pub(super) struct FollowingPath {
    room: RoomId,
    series: SeriesId,
    reservation: ReservationId,
}

pub(super) fn to_reserve(RoomPath { room }: RoomPath, body: NewSeries) -> Result<Action, Problem> {
    let NewSeries { from, to, exceptions, on_conflict, dry_run, people, title, reserved_for, .. } = body;
    let stay = stay(from, to, people, title, reserved_for, body.reserved_by.as_deref())?;
    let (recurrence, exceptions) = recurrence(&body.recurrence, exceptions)?;
    let on_conflict = on_conflict.into();
    let series = ReserveSeries { room, stay, recurrence, exceptions, on_conflict, dry_run };
    Ok(Action::ReserveSeries(Box::new(series)))
}

pub(super) fn to_change(path: SeriesPath, body: ReservationPatch) -> Result<Action, Problem> {
    let SeriesPath { room, series } = path;
    changed(room, series, None, body)
}

pub(super) fn to_change_following(path: FollowingPath, body: ReservationPatch) -> Result<Action, Problem> {
    let FollowingPath { room, series, reservation } = path;
    changed(room, series, Some(reservation), body)
}

fn changed(
    room: RoomId,
    series: SeriesId,
    following: Option<ReservationId>,
    body: ReservationPatch,
) -> Result<Action, Problem> {
    // The values are of no one reservation.
    let values = body.values(room, following.unwrap_or(ReservationId(series.0)))?;
    let following = following.map(Following::Reservation);
    Ok(Action::ChangeSeries(Box::new(ChangeSeries { room, series, following, values })))
}

#[expect(clippy::unnecessary_wraps, reason = "as of the other commands")]
pub(super) fn to_cancel(path: SeriesPath, _: Ignored) -> Result<Action, Problem> {
    let SeriesPath { room, series } = path;
    Ok(Action::CancelSeries(CancelSeries { room, series, following: None }))
}

#[expect(clippy::unnecessary_wraps, reason = "as of the other commands")]
pub(super) fn to_cancel_following(path: FollowingPath, _: Ignored) -> Result<Action, Problem> {
    let FollowingPath { room, series, reservation } = path;
    Ok(Action::CancelSeries(CancelSeries {
        room,
        series,
        following: Some(Following::Reservation(reservation)),
    }))
}

/// Reserves a room again and again, all occurrences in one transaction.
///
/// An occurrence is a reservation with the id of the series. It changes and is cancelled by itself, or with others of its series.
#[utoipa::path(
    post, path = "/v1/rooms/{room}/series", tag = "series", operation_id = "reserveSeries",
    params(("room" = uuid::Uuid, Path, description = "The room."), Keyed),
    request_body = NewSeries, responses(SeriesCreated, Failed)
)]
pub(super) async fn reserve(request: CommandRequest<RoomPath, NewSeries>) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_reserve).await
}

/// Changes all reservations of a series in this room that have not begun, or none.
///
/// `from` and `to` are the new times of the first of them. By the clock, the others move as far, and keep what was changed of
/// each alone.
#[utoipa::path(
    patch, path = "/v1/rooms/{room}/series/{series}", tag = "series", operation_id = "changeSeries",
    params(
        ("room" = uuid::Uuid, Path, description = "The room."),
        ("series" = uuid::Uuid, Path, description = "The series."),
        KeyedOptionally
    ),
    request_body = ReservationPatch, responses(SeriesChanged, Failed)
)]
pub(super) async fn change(
    request: CommandRequest<SeriesPath, ReservationPatch>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_change).await
}

/// Cancels all reservations of a series in this room that have not begun.
#[utoipa::path(
    delete, path = "/v1/rooms/{room}/series/{series}", tag = "series", operation_id = "cancelSeries",
    params(
        ("room" = uuid::Uuid, Path, description = "The room."),
        ("series" = uuid::Uuid, Path, description = "The series."),
        KeyedOptionally
    ),
    responses(SeriesChanged, Failed)
)]
pub(super) async fn cancel(request: CommandRequest<SeriesPath, Ignored>) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_cancel).await
}

/// Changes a reservation of a series and those that follow it in this room, or none.
///
/// `from` and `to` are the new times of that reservation. By the clock, the others move as far, and keep what was changed of
/// each alone.
#[utoipa::path(
    patch, path = "/v1/rooms/{room}/series/{series}/following/{reservation}", tag = "series",
    operation_id = "changeFollowing",
    params(
        ("room" = uuid::Uuid, Path, description = "The room."),
        ("series" = uuid::Uuid, Path, description = "The series."),
        ("reservation" = uuid::Uuid, Path, description = "The first reservation that changes."),
        KeyedOptionally
    ),
    request_body = ReservationPatch, responses(SeriesChanged, Failed)
)]
pub(super) async fn change_following(
    request: CommandRequest<FollowingPath, ReservationPatch>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_change_following).await
}

/// Cancels a reservation of a series and those that follow it in this room.
#[utoipa::path(
    delete, path = "/v1/rooms/{room}/series/{series}/following/{reservation}", tag = "series",
    operation_id = "cancelFollowing",
    params(
        ("room" = uuid::Uuid, Path, description = "The room."),
        ("series" = uuid::Uuid, Path, description = "The series."),
        ("reservation" = uuid::Uuid, Path, description = "The first reservation that is cancelled."),
        KeyedOptionally
    ),
    responses(SeriesChanged, Failed)
)]
pub(super) async fn cancel_following(
    request: CommandRequest<FollowingPath, Ignored>,
) -> Result<CommandAnswer, Problem> {
    request.carry_out(to_cancel_following).await
}

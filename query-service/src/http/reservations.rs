//! Reservations by id and by user, and users' history.

use actix_web::{HttpResponse, web::Json};
use service_kit::{
    auth::{Caller, Refusal},
    http::problem::{Problem, ProblemType},
};
use shared_events::{ReservationId, UserId};

use super::{
    answers::{List, Me, Reservation},
    histories::{HistoryEntry, RevisionEntry},
    parameters::{
        ListParameters, Nothing, OpenRangeParameters, PastReservationParameters, ReservationPath, UserPath,
    },
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::{
    queries::{self, Page, PastReservation, Remembered},
    read_models::{AsOf, ReservationDoc},
};

/// One reservation, cancelled or not, for its owner and administrators: as it is, or as it was.
#[utoipa::path(get, path = "/v1/reservations/{reservation}", tag = "reservations",
    params(("reservation" = Uuid, Path), PastReservationParameters, QueryHeaders),
    responses(
        (status = 200, body = Reservation, headers(
            ("ETag" = String, description = "Its revision, by which `If-Match` counts, and a digest of the answer."),
            ("Memento-Datetime" = String, description = "Of the past: when this state was recorded, in whole seconds."),
            ("Link" = String, description = "Of the past: the reservation as it is, and its revisions (RFC 7089)."))),
        (status = 304, description = "The client has this answer."),
        (status = 404, description = "There is no such reservation, or was none then.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn reservation(
    ask: QueryRequest<ReservationPath, PastReservationParameters>,
) -> Result<HttpResponse, Problem> {
    let id = ask.path.reservation;
    let at = ask.parameters.as_of(ask.now)?;
    let models = ask.models().await?;
    let Some(at) = at else {
        let found = models.reservation(id).await?.ok_or_else(|| unknown(id))?;
        may_read(&ask, &found)?;
        return ask.tagged(found.reservation.revision, &Reservation::from(found));
    };
    let past = PastReservation { reservation: id, at }.run(models).await?;
    let Remembered { value: found, recorded_at } = past.ok_or_else(|| unknown_then(id, at))?;
    may_read(&ask, &found)?;
    let answer = ask.tagged(found.reservation.revision, &Reservation::from(found))?;
    let timemap = format!("/v1/reservations/{id}/revisions");
    Ok(ask.of_the_past(answer, at, recorded_at, Some(&timemap)))
}

/// Lets owners, who made it for them, and administrators read a reservation, and records that an administrator does.
fn may_read<P, Q>(ask: &QueryRequest<P, Q>, found: &ReservationDoc) -> Result<(), Problem> {
    if !found.reservation.is_open_to(&ask.caller.user) {
        ask.caller.require_owner_or_admin(found.reservation.reserved_by.as_str())?;
        ask.note_reading("read-reservation", &format!("reservation {}", found.reservation.id));
    }
    Ok(())
}

fn unknown(id: ReservationId) -> Problem {
    Problem::new(ProblemType::UnknownReservation, format!("there is no reservation {id}"))
}

fn unknown_then(id: ReservationId, at: AsOf<u32>) -> Problem {
    let detail = match at {
        AsOf::Moment(moment) => format!("there was no reservation {id} at {moment}"),
        AsOf::Number(revision) => format!("there is no revision {revision} of reservation {id}"),
    };
    Problem::new(ProblemType::UnknownReservation, detail)
}

/// The revisions of a reservation, the first one first: each with who did it, when, and what it changed. For its owner and
/// administrators.
#[utoipa::path(get, path = "/v1/reservations/{reservation}/revisions", tag = "reservations",
    params(("reservation" = Uuid, Path), ListParameters, QueryHeaders),
    responses(
        (status = 200, body = List<RevisionEntry>),
        (status = 404, description = "There is no such reservation.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn revisions(
    ask: QueryRequest<ReservationPath, ListParameters>,
) -> Result<Json<List<RevisionEntry>>, Problem> {
    let reservation = ask.path.reservation;
    let page = ask.parameters.page()?;
    let models = ask.models().await?;
    let found = models.reservation(reservation).await?.ok_or_else(|| unknown(reservation))?;
    may_read(&ask, &found)?;
    let revisions = queries::Revisions { reservation }.run(models, &page).await?;
    Ok(Json(List::of(revisions, RevisionEntry::from)))
}

pub(super) fn user_of(caller: &Caller) -> Result<UserId, Problem> {
    Ok(UserId::new(caller.user.as_str()).map_err(|_| Refusal::User)?)
}

/// Who the caller is, as the services see it.
#[utoipa::path(get, path = "/v1/me", tag = "reservations",
    responses((status = 200, body = Me), Refusals))]
pub(super) async fn me(ask: QueryRequest<Nothing, Nothing>) -> Json<Me> {
    let Caller { user, admin, delegate, .. } = ask.caller;
    Json(Me { user, admin, delegate })
}

/// My live reservations, by `from`.
#[utoipa::path(get, path = "/v1/me/reservations", tag = "reservations", params(OpenRangeParameters, QueryHeaders),
    responses((status = 200, body = List<Reservation>), Refusals))]
pub(super) async fn my_reservations(
    ask: QueryRequest<Nothing, OpenRangeParameters>,
) -> Result<Json<List<Reservation>>, Problem> {
    reservations_of(user_of(&ask.caller)?, &ask).await
}

/// A user's live reservations, by `from`. For administrators.
#[utoipa::path(get, path = "/v1/users/{user}/reservations", tag = "reservations",
    params(
        ("user" = String, Path, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"),
        OpenRangeParameters, QueryHeaders
    ),
    responses(
        (status = 200, body = List<Reservation>),
        Refusals))]
pub(super) async fn users_reservations(
    ask: QueryRequest<UserPath, OpenRangeParameters>,
) -> Result<Json<List<Reservation>>, Problem> {
    ask.caller.require_admin()?;
    ask.note_reading("read-users-reservations", "a user");
    reservations_of(ask.path.user()?, &ask).await
}

async fn reservations_of<P>(
    user: UserId,
    ask: &QueryRequest<P, OpenRangeParameters>,
) -> Result<Json<List<Reservation>>, Problem> {
    let (from, to) = ask.parameters.range()?;
    let page = ask.parameters.page()?;
    let query = queries::UserReservations { user, from, to };
    Ok(Json(List::of(query.run(ask.models().await?, &page).await?, Reservation::from)))
}

/// What I did, and what others did to my reservations, newest first.
#[utoipa::path(get, path = "/v1/me/history", tag = "reservations", params(ListParameters, QueryHeaders),
    responses((status = 200, body = List<HistoryEntry>), Refusals))]
pub(super) async fn my_history(
    ask: QueryRequest<Nothing, ListParameters>,
) -> Result<Json<List<HistoryEntry>>, Problem> {
    history_of(user_of(&ask.caller)?, &ask).await
}

/// What a user did, and what others did to the user's reservations, newest first. For administrators.
#[utoipa::path(get, path = "/v1/users/{user}/history", tag = "reservations",
    params(
        ("user" = String, Path, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"),
        ListParameters, QueryHeaders
    ),
    responses(
        (status = 200, body = List<HistoryEntry>),
        Refusals))]
pub(super) async fn users_history(
    ask: QueryRequest<UserPath, ListParameters>,
) -> Result<Json<List<HistoryEntry>>, Problem> {
    ask.caller.require_admin()?;
    ask.note_reading("read-users-history", "a user");
    history_of(ask.path.user()?, &ask).await
}

async fn history_of<P>(
    user: UserId,
    ask: &QueryRequest<P, ListParameters>,
) -> Result<Json<List<HistoryEntry>>, Problem> {
    let page = ask.parameters.page()?;
    let query = queries::UserHistory { user };
    let Page { items, next } = query.run(ask.models().await?, &page).await?;
    let items = items.into_iter().filter_map(|entry| HistoryEntry::of(entry, &query.user)).collect();
    Ok(Json(List { items, next }))
}

//! Reservations by id and by user, and users' history.

use actix_web::{HttpResponse, web::Json};
use service_kit::{
    auth::{Caller, Refusal},
    http::problem::{Problem, ProblemType},
};
use shared_events::UserId;

use super::{
    answers::{HistoryEntry, List, Reservation},
    parameters::{ListParameters, Nothing, OpenRangeParameters, ReservationPath, UserPath},
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::queries;

/// One reservation, cancelled or not, for its owner and administrators.
#[utoipa::path(get, path = "/v1/reservations/{reservation}", tag = "reservations",
    params(("reservation" = Uuid, Path), QueryHeaders),
    responses(
        (status = 200, body = Reservation, headers(("ETag" = String, description = "Its revision."))),
        (status = 304, description = "The client has this revision."),
        (status = 403, description = "It is somebody else's.", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "There is no such reservation.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn reservation(
    ask: QueryRequest<ReservationPath, Nothing>,
) -> Result<HttpResponse, Problem> {
    let id = ask.path.reservation;
    let found = ask.models().await?.reservation(id).await?.ok_or_else(|| {
        Problem::new(ProblemType::UnknownReservation, format!("there is no reservation {id}"))
    })?;
    ask.caller.require_owner_or_admin(found.reservation.reserved_by.as_str())?;
    if ask.caller.user != found.reservation.reserved_by.as_str() {
        ask.note_reading("read-reservation", &format!("reservation {id}"));
    }
    Ok(ask.tagged(found.reservation.revision, &Reservation::from(found)))
}

pub(super) fn user_of(caller: &Caller) -> Result<UserId, Problem> {
    Ok(UserId::new(caller.user.as_str()).map_err(|_| Refusal::User)?)
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
        (status = 403, description = "For administrators only.", content_type = "application/problem+json", body = Problem),
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

/// What I made, changed, moved and cancelled, newest first.
#[utoipa::path(get, path = "/v1/me/history", tag = "reservations", params(ListParameters, QueryHeaders),
    responses((status = 200, body = List<HistoryEntry>), Refusals))]
pub(super) async fn my_history(
    ask: QueryRequest<Nothing, ListParameters>,
) -> Result<Json<List<HistoryEntry>>, Problem> {
    history_of(user_of(&ask.caller)?, &ask).await
}

/// What a user made, changed, moved and cancelled, newest first. For administrators.
#[utoipa::path(get, path = "/v1/users/{user}/history", tag = "reservations",
    params(
        ("user" = String, Path, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"),
        ListParameters, QueryHeaders
    ),
    responses(
        (status = 200, body = List<HistoryEntry>),
        (status = 403, description = "For administrators only.", content_type = "application/problem+json", body = Problem),
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
    Ok(Json(List::of(query.run(ask.models().await?, &page).await?, HistoryEntry::from)))
}

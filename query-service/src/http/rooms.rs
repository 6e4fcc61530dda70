//! Rooms: which there are, what is reserved and what is free.

use actix_web::{HttpResponse, web::Json};
use service_kit::http::problem::{Problem, ProblemType};
use shared_events::{RoomId, Version};

use super::{
    answers::{Free, Kind, List, Occupied, Room, Schedule},
    parameters::{
        AvailabilityParameters, ListParameters, Nothing, RangeParameters, RoomPath, RoomsParameters,
    },
    query_problem,
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::queries;

/// Rooms that can be booked, by name.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", params(RoomsParameters, QueryHeaders),
    responses((status = 200, body = List<Room>), Refusals))]
pub(super) async fn rooms(ask: QueryRequest<Nothing, RoomsParameters>) -> Result<Json<List<Room>>, Problem> {
    let query = queries::Rooms { kind: ask.parameters.kind()?, people: ask.parameters.people()? };
    let page = ask.parameters.page()?;
    let rooms = query.run(ask.models().await?, &page).await.map_err(query_problem)?;
    Ok(Json(List::of(rooms, |room| Room::at(room, Version::NONE))))
}

/// One room, retired or not.
#[utoipa::path(get, path = "/v1/rooms/{room}", tag = "rooms", params(("room" = Uuid, Path), QueryHeaders),
    responses(
        (status = 200, body = Room, headers(("ETag" = String, description = "The revision of its settings."))),
        (status = 304, description = "The client has this revision."),
        (status = 404, description = "There is no such room.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn room(ask: QueryRequest<RoomPath, Nothing>) -> Result<HttpResponse, Problem> {
    let shown = ask.shown().await?;
    let (models, id) = (shown.models.as_ref(), ask.path.room);
    // Read first, so that the document shows at least this version.
    let versions =
        queries::versions_of(models, &shown.generation.progress, &[id]).await.map_err(query_problem)?;
    let room = queries::RoomById { room: id }.run(models).await.map_err(query_problem)?;
    let room = room.ok_or_else(|| unknown(id))?;
    let version = versions.get(&id).copied().unwrap_or_default();
    Ok(ask.tagged(room.revision, &Room::at(room, version)))
}

/// Kinds of rooms, with how many rooms of them can be booked.
#[utoipa::path(get, path = "/v1/kinds", tag = "rooms", params(ListParameters, QueryHeaders),
    responses((status = 200, body = List<Kind>), Refusals))]
pub(super) async fn kinds(ask: QueryRequest<Nothing, ListParameters>) -> Result<Json<List<Kind>>, Problem> {
    let page = ask.parameters.page()?;
    let kinds = queries::Kinds.run(ask.models().await?, &page).await.map_err(query_problem)?;
    Ok(Json(List::of(kinds, Kind::from)))
}

/// What is reserved in a room, by `from`. Of others' reservations the time alone is shown.
#[utoipa::path(get, path = "/v1/rooms/{room}/schedule", tag = "rooms",
    params(("room" = Uuid, Path), RangeParameters, QueryHeaders),
    responses(
        (status = 200, body = Schedule),
        (status = 404, description = "There is no such room.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn schedule(
    ask: QueryRequest<RoomPath, RangeParameters>,
) -> Result<Json<Schedule>, Problem> {
    let query = queries::Schedule { room: ask.path.room, during: ask.parameters.range()? };
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let schedule =
        query.run(shown.models.as_ref(), &shown.generation.progress, &page).await.map_err(query_problem)?;
    let schedule = schedule.ok_or_else(|| unknown(ask.path.room))?;
    let show = |doc: crate::read_models::ReservationDoc| {
        let shown = ask.caller.require_owner_or_admin(doc.reservation.reserved_by.as_str()).is_ok();
        if shown {
            Occupied::Reservation(Box::new(doc.into()))
        } else {
            Occupied::Busy(doc.reservation.interval().into())
        }
    };
    Ok(Json(Schedule {
        room: schedule.room,
        version: schedule.version,
        items: schedule.page.items.into_iter().map(show).collect(),
        next: schedule.page.next,
    }))
}

/// What is free in a room from now on, within its opening hours.
#[utoipa::path(get, path = "/v1/rooms/{room}/free", tag = "rooms",
    params(("room" = Uuid, Path), RangeParameters, QueryHeaders),
    responses(
        (status = 200, body = Free),
        (status = 404, description = "There is no such room.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn free(ask: QueryRequest<RoomPath, RangeParameters>) -> Result<Json<Free>, Problem> {
    let query = queries::FreeTime { room: ask.path.room, during: ask.parameters.range()? };
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let free = query
        .run(shown.models.as_ref(), &shown.generation.progress, ask.of_this_thread.now(), &page)
        .await
        .map_err(query_problem)?;
    let free = free.ok_or_else(|| unknown(ask.path.room))?;
    Ok(Json(Free {
        room: free.room,
        version: free.version,
        items: free.page.items.into_iter().map(Into::into).collect(),
        next: free.page.next,
    }))
}

/// Rooms that would accept such a request now, all their rules included, by name.
#[utoipa::path(get, path = "/v1/availability", tag = "rooms", params(AvailabilityParameters, QueryHeaders),
    responses((status = 200, body = List<Room>), Refusals))]
pub(super) async fn availability(
    ask: QueryRequest<Nothing, AvailabilityParameters>,
) -> Result<Json<List<Room>>, Problem> {
    let query = queries::Availability {
        stay: ask.parameters.range()?,
        people: ask.parameters.people()?,
        kind: ask.parameters.kind()?,
    };
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let rooms = query
        .run(shown.models.as_ref(), &shown.generation.progress, ask.of_this_thread.now(), &page)
        .await
        .map_err(query_problem)?;
    Ok(Json(List::of(rooms, |found| Room::at(found.room, found.version))))
}

fn unknown(room: RoomId) -> Problem {
    Problem::new(ProblemType::UnknownRoom, format!("there is no room {room}"))
}

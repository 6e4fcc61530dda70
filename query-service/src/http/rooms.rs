//! Rooms, their schedules and their free time.

use actix_web::{HttpResponse, web::Json};
use service_kit::http::problem::{Problem, ProblemType};
use shared_events::{RoomId, Version};

use super::{
    answers::{Free, Kind, List, Occupied, Room, Schedule, Span},
    parameters::{
        AvailabilityParameters, ListParameters, Nothing, RangeParameters, RoomPath, RoomsParameters,
    },
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::queries::{self, RoomPage};

/// The weight of a search that may read all rooms to fill a page.
const SEARCH: u32 = 5;

/// Rooms that can be booked, by name.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", params(RoomsParameters, QueryHeaders),
    responses((status = 200, body = List<Room>), Refusals))]
pub(super) async fn rooms(ask: QueryRequest<Nothing, RoomsParameters>) -> Result<Json<List<Room>>, Problem> {
    let query = queries::Rooms { kind: ask.parameters.kind()?, people: ask.parameters.people()? };
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let mut place = None;
    if query.people.is_some() {
        ask.charge(SEARCH)?;
        place = Some(shown.generation.searches.enter(&ask.caller.user).await?);
    }
    let rooms = query.run(shown.models.as_ref(), &page).await?;
    drop(place);
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
    let version = queries::version_of(models, &shown.generation.progress, id).await?;
    let room = models.room(id).await?.ok_or_else(|| unknown(id))?;
    Ok(ask.tagged(room.revision, &Room::at(room, version)))
}

/// Kinds of rooms, with how many rooms of them can be booked. Without a token, the count may be a second old.
#[utoipa::path(get, path = "/v1/kinds", tag = "rooms", params(ListParameters, QueryHeaders),
    responses((status = 200, body = List<Kind>), Refusals))]
pub(super) async fn kinds(ask: QueryRequest<Nothing, ListParameters>) -> Result<Json<List<Kind>>, Problem> {
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let kinds = shown.generation.kinds.since(ask.oldest(), async || shown.models.kinds().await).await?;
    Ok(Json(List::of(queries::Kinds.page(&kinds, &page)?, Kind::from)))
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
    let schedule = query.run(shown.models.as_ref(), &shown.generation.progress, &page).await?;
    let RoomPage { room, version, page } = schedule.ok_or_else(|| unknown(ask.path.room))?;
    let mut shows_others = false;
    let List { items, next } = List::of(page, |doc| {
        let owner = doc.reservation.reserved_by.as_str();
        if ask.caller.require_owner_or_admin(owner).is_ok() {
            shows_others |= ask.caller.user != owner;
            Occupied::Reservation(Box::new(doc.into()))
        } else {
            Occupied::Busy(doc.reservation.interval().into())
        }
    });
    if shows_others {
        ask.note_reading("read-schedule", &format!("room {room}"));
    }
    Ok(Json(Schedule { room, version, items, next }))
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
    let now = ask.of_this_thread.now();
    let free = query.run(shown.models.as_ref(), &shown.generation.progress, now, &page).await?;
    let RoomPage { room, version, page } = free.ok_or_else(|| unknown(ask.path.room))?;
    let List { items, next } = List::of(page, Span::from);
    Ok(Json(Free { room, version, items, next }))
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
    ask.charge(SEARCH)?;
    let shown = ask.shown().await?;
    let _place = shown.generation.searches.enter(&ask.caller.user).await?;
    let now = ask.of_this_thread.now();
    let rooms = query.run(shown.models.as_ref(), &shown.generation.progress, now, &page).await?;
    Ok(Json(List::of(rooms, |found| Room::at(found.room, found.version))))
}

fn unknown(room: RoomId) -> Problem {
    Problem::new(ProblemType::UnknownRoom, format!("there is no room {room}"))
}

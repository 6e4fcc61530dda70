//! Calendars for other programs: who has which, and their texts at secret addresses.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, IF_NONE_MATCH},
    web::{Data, Json},
};
use serde::{Deserialize, Serialize};
use service_kit::{
    auth::Caller,
    http::{
        caller::admit_stranger,
        headers::{joined, names_tag},
        path::Path,
        problem::{Problem, ProblemType},
        query::Query,
    },
    ids::new_id,
};
use shared_events::{RoomId, Timestamp};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    OfThisThread,
    answers::List,
    parameters::{Nothing, RoomPath},
    request::{QueryRequest, digest},
    reservations::user_of,
    rooms::unknown,
    schemas::{QueryHeaders, Refusals, SecretRefusals},
};
use crate::calendars::{Calendar as Kept, MOST_CALENDARS, Secret, text::text_of};

/// The weight of a calendar's text, which may have a thousand reservations.
const TEXT: u32 = 20;

/// A calendar for other programs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calendar {
    /// Its id.
    calendar: Uuid,
    /// The room whose busy times it shows. Absent where it shows the caller's reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    room: Option<RoomId>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Path and query of its address at this service. Shown once: whoever knows it reads the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

impl From<&Kept> for Calendar {
    fn from(kept: &Kept) -> Self {
        Self { calendar: kept.id, room: kept.room, created: kept.created, address: None }
    }
}

/// Makes a calendar of the caller's reservations, with a secret address.
#[utoipa::path(post, path = "/v1/me/calendars", tag = "calendars",
    responses(
        (status = 201, body = Calendar, description = "With its address, this once."),
        (status = 409, description = "The caller has too many calendars.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn create(ask: QueryRequest<Nothing, Nothing>) -> Result<HttpResponse, Problem> {
    created(&ask, None).await
}

/// Makes a calendar of a room's busy times, with a secret address.
#[utoipa::path(post, path = "/v1/rooms/{room}/calendars", tag = "calendars",
    params(("room" = Uuid, Path), QueryHeaders),
    responses(
        (status = 201, body = Calendar, description = "With its address, this once."),
        (status = 404, description = "There is no such room.", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "The caller has too many calendars.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn create_of_room(ask: QueryRequest<RoomPath, Nothing>) -> Result<HttpResponse, Problem> {
    let room = ask.path.room;
    ask.models().await?.room(room).await?.ok_or_else(|| unknown(room))?;
    created(&ask, Some(room)).await
}

async fn created<P>(ask: &QueryRequest<P, Nothing>, room: Option<RoomId>) -> Result<HttpResponse, Problem> {
    let secret = Secret::random(new_id());
    let kept = Kept {
        id: secret.calendar(),
        user: user_of(&ask.caller)?,
        room,
        hash: secret.hash(),
        created: ask.of_this_thread.now(),
    };
    if !ask.of_this_thread.api.calendars.create(&kept).await? {
        let detail = format!("a user has at most {MOST_CALENDARS} calendars");
        return Err(Problem::new(ProblemType::TooManyCalendars, detail).with("limit", MOST_CALENDARS));
    }
    let path = match room {
        None => "/v1/me/calendar.ics".to_owned(),
        Some(room) => format!("/v1/rooms/{room}/calendar.ics"),
    };
    let address = Some(format!("{path}?token={}", secret.reveal()));
    Ok(HttpResponse::Created().json(Calendar { address, ..(&kept).into() }))
}

/// The caller's calendars, without their addresses.
#[utoipa::path(get, path = "/v1/me/calendars", tag = "calendars",
    responses((status = 200, body = List<Calendar>), Refusals))]
pub(super) async fn calendars(ask: QueryRequest<Nothing, Nothing>) -> Result<Json<List<Calendar>>, Problem> {
    let kept = ask.of_this_thread.api.calendars.of_user(&user_of(&ask.caller)?).await?;
    Ok(Json(List { items: kept.iter().map(Calendar::from).collect(), next: None }))
}

#[derive(Deserialize)]
pub(super) struct CalendarPath {
    calendar: Uuid,
}

/// Deletes a calendar. From then on no instance shows anything at its address.
#[utoipa::path(delete, path = "/v1/me/calendars/{calendar}", tag = "calendars",
    params(("calendar" = Uuid, Path)),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such calendar of the caller.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn delete(ask: QueryRequest<CalendarPath, Nothing>) -> Result<HttpResponse, Problem> {
    let user = user_of(&ask.caller)?;
    match ask.of_this_thread.api.calendars.delete(&user, ask.path.calendar).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(no_calendar()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretParameter {
    token: String,
}

/// The reservations of a user, as iCalendar (RFC 5545) with times in UTC. The secret stands for a caller.
///
/// It has the live reservations until 30 days after their end, and cancelled ones for 30 days: at most 1,000 and 500.
#[utoipa::path(get, path = "/v1/me/calendar.ics", tag = "calendars", security(()),
    params(("token" = String, Query, description = "The secret of its address.")),
    responses(
        (status = 200, content_type = "text/calendar", body = String, headers(("ETag" = String, description = "The same as long as nothing changes."))),
        (status = 304, description = "The client has this text."),
        SecretRefusals))]
pub(super) async fn text_of_user(
    request: HttpRequest,
    secret: Query<SecretParameter>,
    thread: Data<OfThisThread>,
) -> Result<HttpResponse, Problem> {
    text(&request, &secret.0.token, &thread, None).await
}

/// The busy times of a room, as iCalendar (RFC 5545) with times in UTC. The secret stands for a caller.
///
/// It has what is reserved from today on, for 366 days: at most 1,000 reservations. Nothing in it tells whose they are.
#[utoipa::path(get, path = "/v1/rooms/{room}/calendar.ics", tag = "calendars", security(()),
    params(("room" = Uuid, Path), ("token" = String, Query, description = "The secret of its address.")),
    responses(
        (status = 200, content_type = "text/calendar", body = String, headers(("ETag" = String, description = "The same for a day, as long as nothing changes."))),
        (status = 304, description = "The client has this text."),
        SecretRefusals))]
pub(super) async fn text_of_room(
    request: HttpRequest,
    path: Path<RoomPath>,
    secret: Query<SecretParameter>,
    thread: Data<OfThisThread>,
) -> Result<HttpResponse, Problem> {
    text(&request, &secret.0.token, &thread, Some(path.0.room)).await
}

/// The text of the calendar that has this secret, if it is of this room, or of a user.
async fn text(
    request: &HttpRequest,
    secret: &str,
    thread: &OfThisThread,
    room: Option<RoomId>,
) -> Result<HttpResponse, Problem> {
    let secret = Secret::read(secret);
    let found = match &secret {
        Some(secret) => thread.api.calendars.find(secret.calendar()).await?,
        None => None,
    };
    // How long a comparison of hashes takes tells nothing of the secret.
    let is_its = |kept: &Kept| secret.is_some_and(|secret| secret.hash() == kept.hash) && kept.room == room;
    let Some(kept) = found.filter(is_its) else {
        admit_stranger(request)?;
        return Err(no_calendar());
    };
    // A calendar counts by itself: whoever has its address can't keep its owner from deleting it.
    Caller::new(&format!("calendar {}", kept.id), [])?.charge(request, TEXT)?;
    let reading = thread
        .reading()
        .ok_or_else(|| Problem::new(ProblemType::Unavailable, "the read models are not there yet"))?;
    let text = text_of(&kept, reading.models.as_ref(), thread.now()).await?.ok_or_else(no_calendar)?;
    let tag = format!("\"{}\"", digest::<16>(text.as_bytes()));
    let known = joined(request.headers(), IF_NONE_MATCH.as_str())?;
    let is_known = known.is_some_and(|tags| names_tag(&tags, &tag));
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((header::ETAG, tag)).insert_header((header::CACHE_CONTROL, "private, no-cache"));
    Ok(match is_known {
        true => answer.finish(),
        false => answer.content_type("text/calendar; charset=utf-8").body(text),
    })
}

fn no_calendar() -> Problem {
    Problem::new(ProblemType::NotFound, "there is no such calendar")
}

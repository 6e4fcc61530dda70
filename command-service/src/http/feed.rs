//! The feed: heads and events from the event store, for administrators and services.

use actix_web::{FromRequest, HttpRequest, HttpResponse, web::Data};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{
        path::Path,
        problem::{Problem, ProblemType},
        query::Query,
    },
};
use shared_events::{
    RoomId, Version,
    feed::{FeedEvent, Head, Page},
};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    Api,
    feed_schemas::{EventsPage, HeadsPage, ReadFailed},
    problems::of_store_error,
};
use crate::event_store::StoredEvent;

/// Largest page.
const MAX_LIMIT: u32 = 500;
/// Default page size.
const DEFAULT_LIMIT: u32 = 100;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HeadsQuery {
    /// Most items of the page.
    #[param(minimum = 1, maximum = 500, default = 100, nullable = false)]
    limit: Option<u32>,
    /// `next` of the previous page.
    #[param(nullable = false)]
    cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Events after this version; 0 means all. `next` of the previous page.
    #[param(default = 0, nullable = false)]
    after: Option<u64>,
    /// Events up to this version; without it, up to the head.
    #[param(minimum = 1, nullable = false)]
    up_to: Option<u64>,
    /// Most items of the page.
    #[param(minimum = 1, maximum = 500, default = 100, nullable = false)]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct StreamPath {
    room: RoomId,
}

/// The latest version of each stream, ordered by room.
#[utoipa::path(
    get,
    path = "/v1/streams",
    tag = "feed",
    operation_id = "heads",
    params(HeadsQuery),
    responses(HeadsPage, ReadFailed)
)]
pub(super) async fn heads(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    reader(&request, "read-feed").await?;
    let Query(query) = Query::<HeadsQuery>::extract(&request).await?;
    let limit = limit(query.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let heads = api.backend()?.log.all_heads(after, limit + 1).await.map_err(of_store_error)?;
    let heads = heads.into_iter().map(|(room, version)| Head { room, version }).collect();
    Ok(page(heads, limit, |last| URL_SAFE_NO_PAD.encode(last.room.0.as_bytes())))
}

/// The events of a stream after a version, and up to another one, in order.
#[utoipa::path(
    get, path = "/v1/streams/{room}/events", tag = "feed", operation_id = "events",
    params(("room" = Uuid, Path, description = "The room of the stream."), EventsQuery),
    responses(EventsPage, ReadFailed)
)]
pub(super) async fn events(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    reader(&request, "read-feed").await?;
    let Path(StreamPath { room }) = Path::extract(&request).await?;
    let Query(query) = Query::<EventsQuery>::extract(&request).await?;
    let limit = limit(query.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let after = after(query.after)?;
    let up_to = up_to("upTo", query.up_to, after)?;
    let log = api.backend()?.log;
    // Versions have no gaps.
    let most = up_to.and_then(|up_to| u32::try_from(up_to.get() - after).ok()).unwrap_or(u32::MAX);
    let events = log.stream(room, after.into(), most.min(limit + 1)).await.map_err(of_store_error)?;
    if events.is_empty() && log.heads(&[room]).await.map_err(of_store_error)?.is_empty() {
        return Err(unknown_stream(room));
    }
    let events = events.into_iter().map(of_feed).collect::<Result<Vec<_>, _>>()?;
    Ok(page(events, limit, |last| last.sequence.clone()))
}

/// The form of an event in the feed.
pub(super) fn of_feed(event: StoredEvent) -> Result<FeedEvent, Problem> {
    event.into_raw().and_then(FeedEvent::from_raw).map_err(|error| Problem::internal(&error))
}

pub(super) fn unknown_stream(room: RoomId) -> Problem {
    Problem::new(ProblemType::UnknownRoom, "there is no such stream").with("room", room)
}

/// Lets administrators and services read. Writes an administrator's access to the audit log: services read the feed and the
/// list of erased persons all the time.
pub(super) async fn reader(request: &HttpRequest, act: &'static str) -> Result<Caller, Problem> {
    let caller = Caller::extract(request).await?;
    caller.require_admin_or_service()?;
    if caller.admin {
        Act::begun(&caller.user, act, request.uri().path(), None).ended("let through");
    }
    Ok(caller)
}

pub(super) fn limit(limit: Option<u32>, default: u32, most: u32) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(default);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("limit: must be from 1 to {most}");
    Err(Problem::new(ProblemType::InvalidValue, detail).field("limit"))
}

pub(super) fn after(after: Option<u64>) -> Result<u64, Problem> {
    let after = after.unwrap_or(0);
    // Databases count in signed numbers.
    if i64::try_from(after).is_err() {
        return Err(Problem::new(ProblemType::InvalidValue, "after: larger than any place").field("after"));
    }
    Ok(after)
}

/// Checks the end of a range that begins after `after`.
pub(super) fn up_to(field: &str, up_to: Option<u64>, after: u64) -> Result<Option<Version>, Problem> {
    let Some(version) = up_to else { return Ok(None) };
    if version > after && i64::try_from(version).is_ok() {
        return Ok(Some(version.into()));
    }
    let detail = format!("{field}: must be larger than `after`, and no larger than any place");
    Err(Problem::new(ProblemType::InvalidValue, detail).field(field))
}

/// A page of what was read: one more than asked for tells that there are more.
fn page<T: Serialize>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> HttpResponse {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(cursor);
    HttpResponse::Ok().json(Page { items, next })
}

fn read_cursor(cursor: &str) -> Result<RoomId, Problem> {
    let room = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok());
    let invalid =
        || Problem::new(ProblemType::InvalidValue, "cursor: not one that a page gave").field("cursor");
    room.map(RoomId).ok_or_else(invalid)
}

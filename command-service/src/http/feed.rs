//! The feed: heads and events straight from the event store, for administrators and other services.

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
    RoomId, Unreadable,
    feed::{FeedEvent, Head, Page},
};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    Api,
    schemas::{EventsPage, HeadsPage, ReadFailed},
};
use crate::event_store::{StoreError, StoredEvent};

/// Most items of a page.
const MAX_LIMIT: u32 = 500;
/// Items of a page where the client does not say.
const DEFAULT_LIMIT: u32 = 100;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HeadsQuery {
    /// Most items of the page.
    #[param(minimum = 1, maximum = 500, default = 100, nullable = false)]
    limit: Option<u32>,
    /// The `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Events after this version; 0 means all. The `next` of the page before.
    #[param(default = 0, nullable = false)]
    after: Option<u64>,
    /// Most items of the page.
    #[param(minimum = 1, maximum = 500, default = 100, nullable = false)]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct StreamPath {
    room: RoomId,
}

/// The latest version of every stream, ordered by room.
#[utoipa::path(
    get,
    path = "/v1/streams",
    tag = "feed",
    operation_id = "heads",
    params(HeadsQuery),
    responses(HeadsPage, ReadFailed)
)]
pub(super) async fn heads(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = Caller::extract(&request).await?;
    caller.require_admin_or_service()?;
    note_reading(&caller, &request);
    let Query(query) = Query::<HeadsQuery>::extract(&request).await?;
    let limit = limit(query.limit)?;
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let heads = api.backend()?.log.all_heads(after, limit + 1).await.map_err(store_problem)?;
    let heads = heads.into_iter().map(|(room, version)| Head { room, version }).collect();
    Ok(page(heads, limit, |last| URL_SAFE_NO_PAD.encode(last.room.0.as_bytes())))
}

/// The events of a stream after a version, in order.
#[utoipa::path(
    get, path = "/v1/streams/{room}/events", tag = "feed", operation_id = "events",
    params(("room" = Uuid, Path, description = "The room whose stream it is."), EventsQuery),
    responses(EventsPage, ReadFailed)
)]
pub(super) async fn events(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = Caller::extract(&request).await?;
    caller.require_admin_or_service()?;
    note_reading(&caller, &request);
    let Path(StreamPath { room }) = Path::extract(&request).await?;
    let Query(query) = Query::<EventsQuery>::extract(&request).await?;
    let limit = limit(query.limit)?;
    let after = query.after.unwrap_or(0);
    // Databases count in signed numbers.
    if i64::try_from(after).is_err() {
        return Err(Problem::new(ProblemType::InvalidValue, "after: no version is so large").field("after"));
    }
    let log = api.backend()?.log;
    let events = log.stream(room, after.into(), limit + 1).await.map_err(store_problem)?;
    if events.is_empty() && log.heads(&[room]).await.map_err(store_problem)?.is_empty() {
        return Err(Problem::new(ProblemType::UnknownRoom, "there is no such stream").with("room", room));
    }
    let read = |event: StoredEvent| event.into_raw().and_then(FeedEvent::from_raw);
    let events = events.into_iter().map(read).collect::<Result<Vec<_>, Unreadable>>();
    let events = events.map_err(|error| Problem::internal(&error))?;
    Ok(page(events, limit, |last| last.sequence.clone()))
}

/// Administrators see everybody's doings here; services do so all the time.
fn note_reading(caller: &Caller, request: &HttpRequest) {
    if caller.admin {
        Act::begun(&caller.user, "read-feed", request.uri().path(), None).ended("let through");
    }
}

fn limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => {
            let detail = format!("limit: must be from 1 to {MAX_LIMIT}");
            Err(Problem::new(ProblemType::InvalidValue, detail).field("limit"))
        }
    }
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

pub(super) fn store_problem(error: StoreError) -> Problem {
    match error {
        StoreError::Unavailable { .. } => {
            Problem::new(ProblemType::Unavailable, "the event store is not available").caused_by(&error)
        }
        StoreError::Inconsistent { .. } | StoreError::Failed { .. } => Problem::internal(&error),
    }
}

//! One event of the feed, with an `ETag` for caches.

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH},
    web::Data,
};
use serde::Deserialize;
use serde_json::Value;
use service_kit::http::{
    headers::{joined, names_tag},
    path::Path,
    problem::{Problem, ProblemType},
};
use shared_events::{RawEvent, RoomId, UserId, Version, feed::FeedEvent};

use super::{
    Api,
    feed::{reader, unknown_stream},
    feed_schemas::{OneEvent, ReadFailed},
    problems::of_store_error,
    request::no_parameters,
};
use crate::event_store::{ErasureList, StoreError};

#[derive(Deserialize)]
struct EventPath {
    room: RoomId,
    version: u64,
}

/// One event of a stream.
///
/// An event never changes, unless a person whom it names is erased: then it has another `ETag`. So a cache must ask each time,
/// and gets 304.
#[utoipa::path(
    get, path = "/v1/streams/{room}/events/{version}", tag = "feed", operation_id = "event",
    params(
        ("room" = Uuid, Path, description = "The room of the stream."),
        ("version" = u64, Path, minimum = 1, description = "The version of the event.")
    ),
    responses(OneEvent, ReadFailed)
)]
pub(super) async fn event(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    reader(&request, "read-feed").await?;
    no_parameters(&request)?;
    let Path(EventPath { room, version }) = Path::extract(&request).await?;
    let known = joined(request.headers(), IF_NONE_MATCH.as_str())?;
    let backend = api.backend()?;
    let events = match Version::from(version).previous() {
        // Databases count in signed numbers.
        Some(before) if i64::try_from(version).is_ok() => backend.log.stream(room, before, 1).await,
        _ => Ok(Vec::new()),
    };
    let stored = events.map_err(of_store_error)?.into_iter().find(|event| event.version == version);
    let Some(stored) = stored else {
        let heads = backend.log.heads(&[room]).await.map_err(of_store_error)?;
        let Some((_, head)) = heads.first() else { return Err(unknown_stream(room)) };
        let detail = format!("the stream has no event of this version; its head is {head}");
        return Err(Problem::new(ProblemType::NotFound, detail).with("head", head));
    };
    let mut event = stored.into_raw().map_err(|error| Problem::internal(&error))?;
    let epoch = mask(backend.erasures.as_ref(), &mut event).await.map_err(of_store_error)?;
    let tag = format!("\"{}:{epoch}\"", event.id());
    let headers = [(ETAG, tag.as_str()), (CACHE_CONTROL, "private, no-cache")];
    let mut answer = HttpResponse::Ok();
    let unchanged = known.is_some_and(|tags| names_tag(&tags, &tag));
    if unchanged {
        answer = HttpResponse::NotModified();
    }
    for header in headers {
        answer.insert_header(header);
    }
    if unchanged {
        return Ok(answer.finish());
    }
    let event = FeedEvent::from_raw(event).map_err(|error| Problem::internal(&error))?;
    Ok(answer.json(event))
}

/// Masks erased persons, and returns the epoch of their list. A stored event is masked some time after its person was listed:
/// without this, both forms would have the same epoch.
async fn mask(list: &dyn ErasureList, event: &mut RawEvent) -> Result<u64, StoreError> {
    let actor = event.metadata.actor.clone();
    let of_actor = list.erasure_of(&actor).await?;
    of_actor.mask_metadata(&mut event.metadata);
    let users = users(&event.payload);
    if users.contains(&actor)
        && let Some(payload) = of_actor.masked_payload(&event.payload)
    {
        event.payload = payload;
    }
    for other in users.iter().filter(|user| **user != actor) {
        if let Some(payload) = list.erasure_of(other).await?.masked_payload(&event.payload) {
            event.payload = payload;
        }
    }
    // The list that was read first is the older one. A newer form than its tag says is no harm: it gets a new tag.
    Ok(of_actor.epoch)
}

/// The owner of the reservation, and who made it for the owner, if the event is about one.
fn users(payload: &[u8]) -> Vec<UserId> {
    let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
    let user = |field: &str| UserId::new(payload.get("reservation")?.get(field)?.as_str()?).ok();
    ["reservedBy", "bookedBy"].into_iter().filter_map(user).collect()
}

//! Events of several streams at once, for readers that were told of new ones.

use std::{collections::HashMap, time::Duration};

use actix_web::{FromRequest, HttpRequest, HttpResponse, web::Data, web::Payload};
use service_kit::{
    http::{
        headers::wait,
        json::Json,
        problem::{Problem, ProblemType},
    },
    retry::Backoff,
};
use shared_events::{
    RoomId, Version,
    feed::{Answer, Part, Question, Range},
};
use tokio::time::Instant;

use super::{
    Api,
    feed::{after, of_feed, reader, unknown_stream, up_to},
    feed_schemas::{EventQuestion, QuestionFailed, SomeEvents, Waits},
    fields::invalid,
    problems::of_store_error,
    request::no_parameters,
};
use crate::event_store::{EventLog, StoreError, StoredEvent};

/// The events of several streams after a version each.
///
/// An answer has at most 1,000 events. Each stream gets its first ones, and an equal share of the places if there are not
/// enough. `QUERY /v1/events` is the same request. A stream of which `upTo` is not visible yet is waited for as long as
/// `Prefer: wait` says, 10 s at most; then its item has a problem of type `not-yet-visible`.
#[utoipa::path(
    post, path = "/v1/events/query", tag = "feed", operation_id = "queryEvents",
    params(Waits),
    request_body = EventQuestion,
    responses(SomeEvents, QuestionFailed)
)]
pub(super) async fn query(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    reader(&request, "read-feed").await?;
    no_parameters(&request)?;
    let wait = wait(request.headers())?.unwrap_or_default();
    let Json { value: question, .. } =
        Json::<Question>::from_request(&request, &mut payload.into_inner()).await?;
    check(&question)?;
    let log = api.backend()?.log;
    let heads = heads(log.as_ref(), &question, wait).await.map_err(of_store_error)?;
    let mut events = read(log.as_ref(), &question, &heads).await.map_err(of_store_error)?;
    let parts = question.items.iter().map(|range| {
        let events = events.remove(&range.room).unwrap_or_default();
        part(range, heads.get(&range.room).copied(), events)
    });
    let items = parts.collect::<Result<Vec<_>, _>>()?;
    Ok(HttpResponse::Ok().json(Answer { items }))
}

fn check(question: &Question) -> Result<(), Problem> {
    let most = Question::MOST_STREAMS;
    if question.items.is_empty() || question.items.len() > most {
        return Err(invalid("/items", &format!("must have 1 to {most} streams")));
    }
    let mut seen = HashMap::new();
    for (index, range) in question.items.iter().enumerate() {
        let named = |problem: Problem, name: &str| problem.field(format!("/items/{index}/{name}"));
        let start = after(Some(range.after.get())).map_err(|problem| named(problem, "after"))?;
        up_to("upTo", range.up_to.map(Version::get), start).map_err(|problem| named(problem, "upTo"))?;
        if let Some(other) = seen.insert(range.room, index) {
            return Err(invalid(&format!("/items/{index}/room"), &format!("is that of item {other} too")));
        }
    }
    Ok(())
}

/// The heads of the streams that exist, once they show each `upTo`, or after the wait.
async fn heads(
    log: &dyn EventLog,
    question: &Question,
    wait: Duration,
) -> Result<HashMap<RoomId, Version>, StoreError> {
    let rooms: Vec<_> = question.items.iter().map(|range| range.room).collect();
    let deadline = Instant::now() + wait;
    let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
    loop {
        let heads: HashMap<_, _> = log.heads(&rooms).await?.into_iter().collect();
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || question.items.iter().all(|range| shows(range, heads.get(&range.room).copied()))
        {
            return Ok(heads);
        }
        tokio::time::sleep(backoff.next_delay().min(left)).await;
    }
}

/// Whether a stream with this head has what is asked for.
fn shows(range: &Range, head: Option<Version>) -> bool {
    range.up_to.is_none_or(|up_to| head.unwrap_or_default() >= up_to)
}

/// The events of each stream, in order: all that are asked for, or the first ones that have a place.
async fn read(
    log: &dyn EventLog,
    question: &Question,
    heads: &HashMap<RoomId, Version>,
) -> Result<HashMap<RoomId, Vec<StoredEvent>>, StoreError> {
    let head = |range: &Range| heads.get(&range.room).copied().unwrap_or_default();
    let asked = question.items.iter().filter(|range| shows(range, heads.get(&range.room).copied()));
    let mut asked: Vec<_> = asked
        .map(|range| (range, range.up_to.unwrap_or_else(|| head(range)).since(range.after)))
        .filter(|(_, wanted)| *wanted > 0)
        .collect();
    let mut found: HashMap<RoomId, Vec<StoredEvent>> = HashMap::new();
    let most = Question::MOST_EVENTS as u64;
    // Also those beyond `upTo`, which the one read of all streams gives too.
    if asked.iter().map(|(range, _)| head(range).since(range.after)).sum::<u64>() <= most {
        let after: Vec<_> = asked.iter().map(|(range, _)| (range.room, range.after)).collect();
        for event in log.load(&after).await? {
            found.entry(event.room).or_default().push(event);
        }
    }
    // Those that want little first, so that what they leave goes to the others.
    asked.sort_by_key(|(_, wanted)| *wanted);
    let (mut left, mut streams) = (most, asked.len() as u64);
    for (range, wanted) in asked {
        let share = wanted.min(left / streams);
        (left, streams) = (left - share, streams - 1);
        let limit = u32::try_from(share).unwrap_or(u32::MAX);
        if let Some(events) = found.get_mut(&range.room) {
            events.truncate(limit as usize);
        } else {
            found.insert(range.room, log.stream(range.room, range.after, limit).await?);
        }
    }
    Ok(found)
}

fn part(range: &Range, head: Option<Version>, events: Vec<StoredEvent>) -> Result<Part, Problem> {
    let room = range.room;
    let problem = match head {
        _ if !shows(range, head) => {
            let at = head.unwrap_or_default();
            let detail = format!("the stream is at version {at}; what was asked for is not visible yet");
            Some(Problem::new(ProblemType::NotYetVisible, detail))
        }
        None => Some(unknown_stream(room)),
        Some(_) => None,
    };
    let problem = problem.map(serde_json::to_value).transpose().map_err(|error| Problem::internal(&error))?;
    let events = events.into_iter().map(of_feed).collect::<Result<Vec<_>, _>>()?;
    Ok(Part { room, events, head, problem })
}

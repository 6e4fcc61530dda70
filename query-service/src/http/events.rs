//! Live: server-sent events about what changes.

use std::{collections::HashSet, convert::Infallible, time::Duration};

use actix_web::{
    HttpResponse,
    http::{Method, header},
    web::Bytes,
};
use futures_util::stream::unfold;
use serde::Deserialize;
use service_kit::{
    auth::Caller,
    clock::Clock,
    http::problem::{Problem, ProblemType},
    retry::Backoff,
};
use shared_events::RoomId;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::{
    parameters::{Nothing, invalid, normal_kind},
    request::{GENERATION, QueryRequest},
    reservations::user_of,
    schemas::{QueryHeaders, Refusals},
};
use crate::{
    live::{NoStream, Stream, Wants},
    queries::seen_of,
};

/// Most rooms of one stream.
const MOST_ROOMS: usize = 128;
/// Time without an event after which a comment is sent, with the present place.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest pause that a client is asked to make before it comes back.
const LONGEST_RETRY: Duration = Duration::from_secs(6);
/// Rooms of a kind in one read.
const ROOMS_AT_ONCE: usize = 500;
/// The weight of a stream.
const STREAM: u32 = 5;

const LAST_EVENT_ID: &str = "Last-Event-ID";

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsParameters {
    /// Up to 128 rooms, separated by commas.
    #[param(value_type = Option<Vec<uuid::Uuid>>, style = Form, explode = false, nullable = false, max_items = 128)]
    room: Option<String>,
    /// Rooms of this kind.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$",
        nullable = false
    )]
    kind: Option<String>,
    /// My reservations, in any room.
    #[param(nullable = false, default = false)]
    mine: Option<bool>,
}

impl EventsParameters {
    fn wants(&self, caller: &Caller) -> Result<Wants, Problem> {
        let ids = self.room.as_deref().map(|text| text.split(',').map(str::parse::<RoomId>));
        let rooms = ids.into_iter().flatten().collect::<Result<HashSet<_>, _>>();
        let rooms = rooms.map_err(|error| invalid("room", &error.to_string()))?;
        if rooms.len() > MOST_ROOMS {
            return Err(invalid("room", &format!("a stream has at most {MOST_ROOMS} rooms")));
        }
        let owner = (self.mine == Some(true)).then(|| user_of(caller)).transpose()?;
        let wants = Wants { rooms, kind: normal_kind(self.kind.as_deref())?, owner };
        if wants.rooms.is_empty() && wants.kind.is_none() && wants.owner.is_none() {
            return Err(invalid("room", "name rooms, a kind, or mine=true"));
        }
        Ok(wants)
    }
}

/// What changes in rooms, in a kind of rooms, or in my reservations, as soon as queries show it (server-sent events).
///
/// Each event is `{type, room, version}`. `type` is the event's name, such as `reservation-made`; for others' reservations it
/// is `busy-changed`. My own have `reservation` and `revision` too. Events come at least once, and in order within a room:
/// drop those whose version you know. After an event `reset`, query again what its `room` shows, or everything if it names
/// none. Send the last `id` as `Last-Event-ID` to go on where a stream was cut, at any instance. The stream ends with its token.
#[utoipa::path(get, path = "/v1/events", tag = "live",
    params(
        EventsParameters,
        ("Last-Event-ID" = Option<String>, Header, description = "The last `id` of a former stream. A `reset` follows if it is not known any more."),
        QueryHeaders
    ),
    responses(
        (status = 200, description = "A stream without end.", content_type = "text/event-stream", body = String),
        Refusals))]
pub(super) async fn events(ask: QueryRequest<Nothing, EventsParameters>) -> Result<HttpResponse, Problem> {
    let wants = ask.parameters.wants(&ask.caller)?;
    ask.charge(STREAM)?;
    let last = ask.header(LAST_EVENT_ID)?;
    let reading = ask.shown().await?;
    if ask.is_frozen {
        return Err(invalid(GENERATION, "a stream tells of the present"));
    }
    let live = &ask.of_this_thread.api.live;
    let unavailable = |_| Problem::new(ProblemType::Unavailable, "the latest events are not read yet");
    timeout(ask.wait, live.ready()).await.map_err(unavailable)?;
    if ask.method() == Method::HEAD {
        return Ok(HttpResponse::Ok().content_type("text/event-stream").finish());
    }
    let kind = wants.kind.clone();
    let entrance = live.enter(&user_of(&ask.caller)?, wants)?;
    let mut after = None;
    while let Some(kind) = &kind {
        let rooms = reading.models.rooms_by_id(Some(kind), after, ROOMS_AT_ONCE).await?;
        after = rooms.last().filter(|_| rooms.len() == ROOMS_AT_ONCE).map(|room| room.room);
        entrance.learn_kind(rooms.into_iter().map(|room| room.room));
        if after.is_none() {
            break;
        }
    }
    let seen = seen_of(reading.models.as_ref(), &reading.generation.progress, &entrance.unverified()).await?;
    let stream = entrance.begin(last.as_deref(), &seen);
    let sending = Sending {
        stream,
        clock: ask.of_this_thread.api.clock.clone(),
        expires_ms: ask.caller.expires_ms,
        stop: ask.of_this_thread.api.stop.clone(),
        greeted: false,
    };
    let body = unfold(sending, |mut sending| async move {
        let text = sending.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), sending))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies that collect answers would hold events back.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(Box::pin(body)))
}

/// The body of an answer.
struct Sending {
    stream: Stream,
    clock: Clock,
    /// When the caller's token ends.
    expires_ms: Option<i64>,
    stop: CancellationToken,
    greeted: bool,
}

impl Sending {
    /// The next text of the stream. `None` at its end.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.greeted, true) {
            // Clients that were cut off together come back one after another.
            let retry = Backoff::new(LONGEST_RETRY, LONGEST_RETRY).next_delay().as_millis();
            return Some(format!("retry: {retry}\n{}\n", self.id()));
        }
        let wake_at = Instant::now() + self.left().map_or(HEARTBEAT, |left| left.min(HEARTBEAT));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = sleep_until(wake_at) => {
                let ended = self.left().is_some_and(|left| left.is_zero());
                (!ended).then(|| format!(":\n{}\n", self.id()))
            }
            text = self.stream.next() => text.filter(|_| self.left().is_none_or(|left| !left.is_zero())),
        }
    }

    /// The time that is left of the caller's token.
    fn left(&self) -> Option<Duration> {
        let left = self.expires_ms?.saturating_sub(self.clock.now_ms());
        Some(Duration::from_millis(u64::try_from(left).unwrap_or_default()))
    }

    fn id(&self) -> String {
        self.stream.place().map_or_else(String::new, |place| format!("id: {place}\n"))
    }
}

impl From<NoStream> for Problem {
    fn from(none: NoStream) -> Self {
        let kind = match none {
            NoStream::Overloaded => ProblemType::Overloaded,
            NoStream::TooManyOfUser => ProblemType::TooManyRequests,
        };
        Self::new(kind, none.to_string())
    }
}

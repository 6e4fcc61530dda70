//! Closures of rooms, for administrators. Each room is closed by a command of its own: the answer has a line for each.

use std::collections::{BTreeMap, HashSet};

use actix_web::{
    HttpResponse,
    http::header::CONTENT_TYPE,
    web::{Bytes, Data},
};
use futures_util::{Stream, StreamExt as _, future::ready, stream};
use serde::{Deserialize, Serialize};
use service_kit::{
    auth::Caller,
    http::{
        context::RequestContext,
        problem::{Problem, ProblemType},
    },
};
use shared_events::{
    Closure, ClosureId, Interval, Minute, ReservationId, RoomId, Version,
    closure_events::{ClosureAdded, Hit},
};
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{RefOr, Response},
};
use uuid::Builder;

use super::{
    Api,
    answers::CommandAnswer,
    conditions::Condition,
    fields::{interval_problem, invalid, name, text},
    lines::{Ended, MEDIA_TYPE, lines_of, push_line},
    problems,
    request::{AdminRequest, Ignored, NoPath, Recorded, Wanted},
    schemas::{Failed, Keyed},
};
use crate::{
    commands::{Action, AddClosure, LiftClosure},
    digest::digest,
    domain::{RoomEntry, values::check_interval},
    event_store::KeyId,
    writer::{ClosureEffect, Failure, IdempotencyKey, Lines, Submission},
};

/// Most rooms that a request names.
const MOST_ROOMS: usize = 1_000;
/// Most rooms of a request that are decided at once.
const AT_ONCE: usize = 100;

/// A new closure: of `rooms`, of the rooms that a `kind` has now, or of `all` rooms that there are now.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewClosure {
    /// The rooms, 1 to 1,000.
    #[serde(default)]
    #[schema(value_type = Option<Vec<uuid::Uuid>>, nullable = false, min_items = 1, max_items = 1000)]
    rooms: Option<Vec<RoomId>>,
    /// The kind.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    kind: Option<String>,
    /// `true` for all rooms.
    #[serde(default)]
    #[schema(nullable = false)]
    all: Option<bool>,
    /// First closed minute.
    #[schema(value_type = String, format = DateTime)]
    from: Minute,
    /// First minute after the closure. At most 366 days later, and not past.
    #[schema(value_type = String, format = DateTime)]
    to: Minute,
    /// Why the rooms are closed. Everybody sees it.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// The rooms of a closure.
enum Target {
    Rooms(Vec<RoomId>),
    Kind(String),
    All,
}

impl NewClosure {
    fn target(&self) -> Result<Target, Problem> {
        match (&self.rooms, &self.kind, self.all) {
            (Some(rooms), None, None) if (1..=MOST_ROOMS).contains(&rooms.len()) => {
                let mut seen = HashSet::new();
                Ok(Target::Rooms(rooms.iter().copied().filter(|room| seen.insert(*room)).collect()))
            }
            (Some(_), None, None) => Err(invalid("/rooms", &format!("must be 1 to {MOST_ROOMS} rooms"))),
            (None, Some(kind), None) => Ok(Target::Kind(name("/kind", kind)?)),
            (None, None, Some(true)) => Ok(Target::All),
            (None, None, Some(false)) => Err(invalid("/all", "must be true; name rooms or a kind instead")),
            _ => Err(invalid("/rooms", "is needed, or `kind`, or `all`: exactly one of them")),
        }
    }
}

/// The path of a closure.
#[derive(Deserialize)]
pub(super) struct ClosurePath {
    closure: ClosureId,
}

/// A reservation in a closed time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HitStay {
    #[schema(value_type = uuid::Uuid)]
    reservation: ReservationId,
    /// First minute of the stay.
    #[schema(value_type = String, format = DateTime)]
    from: Minute,
    /// First minute after the stay.
    #[schema(value_type = String, format = DateTime)]
    to: Minute,
}

/// The outcome in one room: `version`, or `problem`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClosureLine {
    /// The closure, the same in all rooms.
    #[schema(value_type = uuid::Uuid)]
    closure: ClosureId,
    #[schema(value_type = uuid::Uuid)]
    room: RoomId,
    /// 201 where the room is closed now, 200 where it was already or is not any more, or the status of the problem.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// The room's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, nullable = false)]
    version: Option<Version>,
    /// The first 100 reservations in the closed time that had not ended, by `from`. They stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hits: Vec<HitStay>,
    /// The number of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    more_hits: Option<u32>,
    /// A query with this token shows at least this effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    consistency_token: Option<String>,
    /// Whether an earlier request with this key had this effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replayed: Option<bool>,
    /// The reason why it has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem>,
}

impl ClosureLine {
    fn of(closure: ClosureId, room: RoomId, decided: Result<CommandAnswer, Problem>) -> Self {
        let mut line = Self {
            closure,
            room,
            status: 200,
            version: None,
            hits: Vec::new(),
            more_hits: None,
            consistency_token: None,
            replayed: None,
            problem: None,
        };
        match decided {
            Ok(CommandAnswer { done, repeated }) => {
                line.version = Some(done.version);
                line.consistency_token = Some(done.token.to_string());
                line.replayed = Some(repeated);
                if let Some(ClosureEffect::Added(added)) = done.closure {
                    let ClosureAdded { hits, more_hits, .. } = *added;
                    let hit = |Hit { reservation, from, to }| HitStay { reservation, from, to };
                    line.status = 201;
                    line.hits = hits.into_iter().map(hit).collect();
                    line.more_hits = more_hits;
                }
            }
            Err(problem) => {
                line.status = problem.kind().status().as_u16();
                line.problem = Some(problem);
            }
        }
        line
    }
}

/// 200: a line for each room.
pub(super) enum ClosureLines {}

impl IntoResponses for ClosureLines {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        lines_of::<ClosureLine>()
    }
}

/// Closes rooms for some time: they take no new stays in it, nor buffers of such stays. Existing stays stay.
///
/// The answer has a line for each room, which names the reservations in the closed time. The rooms have the same closure, but are
/// closed one after the other: when the answer breaks off, or a line has a problem that passes, send the same request again.
/// Rooms that get the kind later, or are registered later, are open; the query service's `GET /v1/closures/{closure}` names them,
/// and the same request sent again closes them too.
#[utoipa::path(
    post, path = "/v1/closures", tag = "closures", operation_id = "closeRooms",
    params(Keyed), request_body = NewClosure, responses(ClosureLines, Failed)
)]
pub(super) async fn add(request: AdminRequest<NoPath, NewClosure>) -> Result<HttpResponse, Problem> {
    let target = request.body.target()?;
    let closed = Interval { from: request.body.from, to: request.body.to };
    check_interval(closed).map_err(interval_problem)?;
    let reason = text("/reason", Some(request.body.reason.clone()))?.unwrap_or_default();
    if reason.is_empty() {
        return Err(invalid("/reason", "is empty"));
    }
    let key = request.key.ok_or_else(|| Problem::defect("a POST without a key"))?;
    let id = closure_of(key);
    let (kind, all) = match &target {
        Target::Kind(kind) => (Some(kind.clone()), false),
        Target::All => (None, true),
        Target::Rooms(_) => (None, false),
    };
    let rooms = match target {
        Target::Rooms(rooms) => rooms,
        Target::Kind(kind) => {
            let rooms = request.api.backend()?.rooms.rooms_of_kinds(std::slice::from_ref(&kind)).await;
            let rooms = in_use(rooms.map_err(problems::of_store_error)?);
            if rooms.is_empty() {
                let detail = "there is no room of this kind";
                return Err(Problem::new(ProblemType::UnknownKind, detail).with("kind", kind));
            }
            rooms
        }
        Target::All => all_rooms(&request.api).await?,
    };
    let to_action = move |room| {
        let Interval { from, to } = closed;
        let (reason, kind) = (reason.clone(), kind.clone());
        Action::AddClosure(AddClosure { closure: Closure { id, room, from, to, reason, kind, all } })
    };
    let lines = each_room(Requested::of(request), id, rooms, to_action)?;
    Ok(answer(lines))
}

/// Takes a closure back in all rooms that have it. The answer has a line for each of them; sent again, it goes on.
#[utoipa::path(
    delete, path = "/v1/closures/{closure}", tag = "closures", operation_id = "liftClosure",
    params(("closure" = uuid::Uuid, Path, description = "The closure.")),
    responses(ClosureLines, Failed)
)]
pub(super) async fn lift(request: AdminRequest<ClosurePath, Ignored>) -> Result<HttpResponse, Problem> {
    let id = request.path.closure;
    let rooms = all_rooms(&request.api).await?;
    let to_action = move |room| Action::LiftClosure(LiftClosure { room, closure: id });
    // Lifting twice changes nothing: no record is needed.
    let requested = Requested { key: None, ..Requested::of(request) };
    let lines = each_room(requested, id, rooms, to_action)?;
    // Rooms without it have no line.
    let has_line =
        |line: &Decided| line.as_ref().map_or(true, |(line, lifted)| *lifted || line.problem.is_some());
    let mut lines = Box::pin(lines.filter(move |line| ready(has_line(line))));
    match lines.next().await {
        Some(first) => Ok(answer(stream::once(ready(first)).chain(lines))),
        None => Err(Problem::new(ProblemType::UnknownClosure, format!("no room has closure {id}"))),
    }
}

/// The line of a room, and whether its closure was lifted; or why no more rooms are begun.
type Decided = Result<(ClosureLine, bool), Ended>;

/// What the commands of a request share.
struct Requested {
    api: Data<Api>,
    caller: Caller,
    context: RequestContext,
    key: Option<IdempotencyKey>,
    condition: Option<Condition>,
    address: String,
}

impl Requested {
    fn of<P, B>(request: AdminRequest<P, B>) -> Self {
        let AdminRequest { api, caller, context, key, condition, address, .. } = request;
        Self { api, caller, context, key, condition, address }
    }
}

/// Carries out one command for each room, some at once.
fn each_room(
    requested: Requested,
    closure: ClosureId,
    rooms: Vec<RoomId>,
    to_action: impl Fn(RoomId) -> Action + 'static,
) -> Result<impl Stream<Item = Decided> + 'static, Problem> {
    let Requested { api, caller, context, key, condition, address } = requested;
    if let (Some(condition), Some(room)) = (condition, rooms.first()) {
        condition.check(&to_action(*room))?;
    }
    let writer = api.backend()?.writer.lines();
    let stop = api.stop.clone();
    let begin = move |room| {
        let key = key.map(|key| key_of_room(key, room));
        let wanted = Wanted { action: to_action(room), condition: None, key, address: address.clone() };
        let stopping = stop.is_cancelled();
        let (writer, wanted) = (writer.clone(), wanted.of(caller.clone(), context.clone(), api.now()));
        async move {
            if stopping {
                return Err(Ended::Stopping);
            }
            // A task of its own: what has begun ends without the client.
            let decided = actix_web::rt::spawn(decide(writer, wanted)).await;
            let decided = decided.unwrap_or_else(|_| Err(problems::of_failure(Failure::OutcomeUnknown)));
            let lifted = |answer: &CommandAnswer| answer.done.closure == Some(ClosureEffect::Lifted);
            let lifted = decided.as_ref().is_ok_and(lifted);
            Ok((ClosureLine::of(closure, room, decided), lifted))
        }
    };
    Ok(stream::iter(rooms).map(begin).buffered(AT_ONCE))
}

/// Queues a command, and waits for its answer. Writes the audit line.
async fn decide(
    writer: Lines,
    wanted: Result<(Submission, Recorded), Problem>,
) -> Result<CommandAnswer, Problem> {
    let (submission, recorded) = wanted?;
    let reply = match writer.queue(submission).await {
        Ok(reply) => reply.await,
        Err(failure) => Err(failure),
    };
    recorded.end(Ok(reply))
}

/// The answer, a line for each room, until no more rooms are begun.
fn answer(lines: impl Stream<Item = Decided> + 'static) -> HttpResponse {
    let lines = lines.map(|line| {
        let (line, _) = line?;
        let mut bytes = Vec::new();
        push_line(&mut bytes, &line);
        Ok::<_, Ended>(Bytes::from(bytes))
    });
    HttpResponse::Ok().insert_header((CONTENT_TYPE, MEDIA_TYPE)).streaming(lines)
}

/// All rooms that are not retired.
async fn all_rooms(api: &Data<Api>) -> Result<Vec<RoomId>, Problem> {
    let rooms = in_use(api.backend()?.rooms.all_rooms().await.map_err(problems::of_store_error)?);
    if rooms.is_empty() {
        return Err(Problem::new(ProblemType::UnknownRoom, "there is no room"));
    }
    Ok(rooms)
}

fn in_use(rooms: Vec<RoomEntry>) -> Vec<RoomId> {
    rooms.into_iter().filter(|room| !room.retired).map(|room| room.room).collect()
}

/// The id of the closure of a request. The same request has the same one.
fn closure_of(IdempotencyKey { id, fingerprint }: IdempotencyKey) -> ClosureId {
    ClosureId(Builder::from_custom_bytes(digest(&[b"closure", &id.0, &fingerprint])).into_uuid())
}

/// The key of the command for one room.
fn key_of_room(IdempotencyKey { id, fingerprint }: IdempotencyKey, room: RoomId) -> IdempotencyKey {
    IdempotencyKey { id: KeyId(digest(&[b"closure of", &id.0, room.0.as_bytes()])), fingerprint }
}

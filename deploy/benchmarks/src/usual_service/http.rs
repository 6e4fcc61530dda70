//! The endpoint that takes reservations.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ETAG, LOCATION},
    web::{Data, ServiceConfig},
};
use command_service::{
    domain::values::{check_interval, check_text},
    event_store::KeyId,
};
use serde::{Deserialize, Serialize};
use service_kit::{
    auth::Caller,
    clock::Clock,
    http::{
        context::RequestContext,
        endpoint::endpoint,
        json::Json,
        path::Path,
        problem::{Problem, ProblemType},
    },
    ids::new_id,
};
use sha2::{Digest, Sha256};
use shared_events::{
    ConsistencyToken, Event, Interval, Metadata, Minute, RawEvent, ReservationId, RoomId, Timestamp, UserId,
    Version,
    reservation_events::{Reservation, ReservationMade},
};

use super::mysql::Store;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewReservation {
    from: Minute,
    to: Minute,
    people: u32,
    title: Option<String>,
    reserved_for: Option<String>,
}

#[derive(Deserialize)]
struct RoomPath {
    room: RoomId,
}

#[derive(Serialize)]
struct Effect {
    room: RoomId,
    version: u64,
    reservation: ReservationId,
    revision: u32,
}

pub(super) fn configure(store: Store, clock: Clock) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |config: &mut ServiceConfig| {
        config
            .app_data(Data::new((store.clone(), clock.clone())))
            .service(endpoint("/v1/rooms/{room}/reservations").post(reserve));
    }
}

async fn reserve(
    parts: Data<(Store, Clock)>,
    request: HttpRequest,
    caller: Caller,
    context: RequestContext,
    path: Path<RoomPath>,
    body: Json<NewReservation>,
) -> Result<HttpResponse, Problem> {
    let (store, clock) = parts.get_ref();
    let key = request.headers().get(IDEMPOTENCY_KEY).ok_or_else(|| {
        Problem::new(ProblemType::MissingIdempotencyKey, "a POST needs a key").field(IDEMPOTENCY_KEY)
    })?;
    let invalid = |field: &str, reason: &str| {
        Problem::new(ProblemType::InvalidValue, format!("{field}: {reason}")).field(field)
    };
    let room = path.0.room;
    let stay = &body.value;
    check_interval(Interval { from: stay.from, to: stay.to })
        .map_err(|error| invalid("/from", &error.to_string()))?;
    if stay.people == 0 {
        return Err(invalid("/people", "must be at least 1"));
    }
    for (field, text) in [("/title", &stay.title), ("/reservedFor", &stay.reserved_for)] {
        text.as_deref().map_or(Ok(()), check_text).map_err(|reason| invalid(field, reason))?;
    }
    let user = UserId::new(caller.user).map_err(unavailable)?;
    let key_id = KeyId(digest(&[user.as_str().as_bytes(), key.as_bytes()]));
    let fingerprint = digest(&[
        user.as_str().as_bytes(),
        request.method().as_str().as_bytes(),
        request.path().as_bytes(),
        &body.bytes,
    ]);
    let id = new_id();
    let now = Timestamp::from_epoch_millis(clock.now_ms());
    let reservation = Reservation {
        id: ReservationId::made_in(room, id),
        revision: 1,
        room,
        time_zone: "Europe/Lisbon".parse().map_err(unavailable)?,
        from: stay.from,
        to: stay.to,
        offsets: None,
        busy: None,
        people: stay.people,
        title: stay.title.clone(),
        reserved_for: stay.reserved_for.clone(),
        reserved_by: user.clone(),
        booked_by: None,
        series: None,
    };
    let reservation_id = reservation.id;
    let event = Event::from(ReservationMade { reservation });
    let mut event = RawEvent {
        room,
        version: Version::NONE,
        event_type: event.event_type().into(),
        payload: event.to_json().map_err(unavailable)?,
        metadata: Metadata {
            time: now,
            subject: event.subject(),
            actor: user,
            correlation_id: context.correlation_id,
            causation_id: id.to_string(),
            traceparent: context.traceparent,
        },
        recorded_at: now,
    };
    let version = store.commit(&mut event, key_id, fingerprint).await.map_err(unavailable)?;
    let token = ConsistencyToken { rooms: vec![(room, version.into())] };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/v1/reservations/{reservation_id}")))
        .insert_header((ETAG, "\"1\""))
        .insert_header(("Consistency-Token", token.to_string()))
        .json(Effect { room, version, reservation: reservation_id, revision: 1 }))
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemType::Unavailable, error.to_string())
}

/// The first half of a SHA-256 over all parts, each after its length.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut half = [0; 16];
    for (byte, hashed) in half.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    half
}

//! The state of the relay and the rooms that it holds, for administrators.

use actix_web::{FromRequest, HttpRequest, HttpResponse, web::Data};
use serde::Serialize;
use service_kit::{auth::Caller, http::problem::Problem};
use shared_events::{RoomId, Timestamp};
use utoipa::ToSchema;

use super::{Api, problems::of_store_error, request::no_parameters, schemas::ListFailed};
use crate::event_store::{HeldRoom, Mode, Phase, Position, RelayState};

/// How committed events reach Kafka.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Relay)]
#[serde(rename_all = "camelCase")]
pub(super) struct Relay {
    /// The mode that the operator wants: `table`, `log` or `debezium`.
    #[schema(value_type = String)]
    wanted: Mode,
    /// The present phase: `table`, `to_log`, `log`, `to_debezium`, `debezium`, `from_debezium`, `draining` or `refilling`.
    #[schema(value_type = String)]
    phase: Phase,
    /// Number of changes of the phase.
    epoch: u64,
    /// Time of the last change.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Events up to this position were committed before the last barrier in the binary log.
    #[schema(value_type = u64)]
    barrier: Position,
    /// The place in the binary log, if one was ever relayed.
    place: Option<LogPlace>,
    /// Why the wanted mode is not reached, if there is a reason.
    problem: Option<String>,
}

/// A place in MySQL's binary log. Everything before it is acknowledged by Kafka.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogPlace {
    /// The server's `server_uuid`.
    server: String,
    /// The file.
    file: String,
    /// The start of a transaction in it, in bytes.
    file_position: u64,
    /// The set of transactions before it; empty if the server has no GTIDs.
    gtids: String,
    /// Every event up to this position is delivered.
    #[schema(value_type = u64)]
    delivered_to: Position,
}

impl From<RelayState> for Relay {
    fn from(state: RelayState) -> Self {
        let RelayState { wanted, phase, epoch, since, barrier, place, .. } = state;
        let problem = (!place.problem.is_empty()).then_some(place.problem);
        let place = (!place.file.is_empty()).then_some(LogPlace {
            server: place.server_uuid,
            file: place.file,
            file_position: place.file_position,
            gtids: place.gtids,
            delivered_to: place.delivered_to,
        });
        Self { wanted, phase, epoch, since, barrier, place, problem }
    }
}

/// How committed events reach Kafka: the wanted mode, the present phase, and the place in MySQL's binary log.
///
/// The embedded default always has the mode `table`.
#[utoipa::path(
    get,
    path = "/v1/admin/relay",
    tag = "administration",
    operation_id = "relay",
    responses((status = 200, description = "The state of the relay.", body = Relay), ListFailed)
)]
pub(super) async fn relay(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Caller::extract(&request).await?.require_admin()?;
    no_parameters(&request)?;
    let state = api.backend()?.outbox.relay_state().await.map_err(of_store_error)?;
    Ok(HttpResponse::Ok().json(Relay::from(state)))
}

/// Most rooms in an answer.
const MOST_ROOMS: usize = 500;

/// A room whose events are not relayed: Kafka refused one for good.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldRoom)]
pub(super) struct Held {
    #[schema(value_type = uuid::Uuid)]
    room: RoomId,
    /// The position of the refused event.
    #[schema(value_type = u64)]
    position: Position,
    /// Why it was refused.
    reason: String,
    /// When it was refused.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// Held rooms.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldRooms)]
pub(super) struct AllHeld {
    items: Vec<Held>,
}

/// Rooms whose events are not relayed, the longest held first: at most 500. `command-service release-room` releases one.
#[utoipa::path(
    get,
    path = "/v1/admin/held-rooms",
    tag = "administration",
    operation_id = "heldRooms",
    responses((status = 200, description = "The held rooms.", body = AllHeld), ListFailed)
)]
pub(super) async fn held_rooms(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Caller::extract(&request).await?.require_admin()?;
    no_parameters(&request)?;
    let mut held = api.backend()?.outbox.held_rooms().await.map_err(of_store_error)?;
    held.sort_unstable_by_key(|held| (held.held_at, held.position));
    held.truncate(MOST_ROOMS);
    let show = |HeldRoom { room, position, reason, held_at }| Held { room, position, reason, since: held_at };
    Ok(HttpResponse::Ok().json(AllHeld { items: held.into_iter().map(show).collect() }))
}

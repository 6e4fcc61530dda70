//! What waits for an operator, and the generations of read models, for administrators.

use actix_web::web::Json;
use serde::Serialize;
use service_kit::http::problem::Problem;
use shared_events::{RoomId, Timestamp, Version};
use utoipa::ToSchema;

use super::{
    answers::List,
    parameters::Nothing,
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::read_models::{Parked, generation::Registry};

/// The weight of a query that reads the checkpoints of all rooms.
const ALL_ROOMS: u32 = 100;
/// Most rooms in an answer.
const MOST_ROOMS: usize = 500;

/// A room whose next event can't be applied. It shows what was before that event.
#[derive(Serialize, ToSchema)]
pub(super) struct ParkedRoom {
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// The version of the event that can't be applied.
    #[schema(value_type = u64)]
    version: Version,
    /// Why it can't be applied.
    reason: String,
}

/// Parked rooms, by id: at most 500. `query-service parked` shows more of them, and goes on with them.
#[utoipa::path(get, path = "/v1/admin/parked-rooms", tag = "administration", operation_id = "parkedRooms",
    params(QueryHeaders), responses((status = 200, body = List<ParkedRoom>), Refusals))]
pub(super) async fn parked_rooms(
    ask: QueryRequest<Nothing, Nothing>,
) -> Result<Json<List<ParkedRoom>>, Problem> {
    ask.caller.require_admin()?;
    ask.charge(ALL_ROOMS)?;
    let parked = ask.models().await?.parked_rooms().await?.into_iter().take(MOST_ROOMS);
    let items = parked.map(|(room, Parked { version, reason })| ParkedRoom { room, version, reason });
    Ok(Json(List { items: items.collect(), next: None }))
}

/// A generation of read models.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Generation {
    number: u32,
    /// `building`, `frozen`, `following`, `live`, `old`, `dropping` or `dropped`.
    state: &'static str,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
    /// The moment that a frozen one shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    until: Option<Timestamp>,
}

/// The generations of read models by number, as this instance read them last: at most a second ago.
#[utoipa::path(get, path = "/v1/admin/generations", tag = "administration", operation_id = "generations",
    responses((status = 200, body = List<Generation>), Refusals))]
pub(super) async fn generations(
    ask: QueryRequest<Nothing, Nothing>,
) -> Result<Json<List<Generation>>, Problem> {
    ask.caller.require_admin()?;
    let registry: Registry = ask.of_this_thread.api.registry.borrow().clone();
    let items = registry.generations.iter().map(|generation| Generation {
        number: generation.number,
        state: registry.word_of(generation),
        made_at: generation.made_at,
        until: generation.until,
    });
    Ok(Json(List { items: items.collect(), next: None }))
}

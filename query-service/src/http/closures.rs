//! Closures in all their rooms.

use actix_web::web::Json;
use serde::Serialize;
use service_kit::http::problem::{Problem, ProblemType};
use shared_events::{RoomId, Version};
use utoipa::ToSchema;

use super::{
    answers::Closed,
    parameters::{ClosurePath, Nothing},
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::queries::{self, ClosedRooms};

/// The weight of a query that reads all rooms.
const SEARCH: u32 = 5;

/// A closure: the rooms that have it, in which it was lifted, and that lack it.
#[utoipa::path(get, path = "/v1/closures/{closure}", tag = "rooms",
    params(("closure" = Uuid, Path), QueryHeaders),
    responses(
        (status = 200, body = ClosureOfRooms),
        (status = 404, description = "No room has or had such a closure.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn closure(
    ask: QueryRequest<ClosurePath, Nothing>,
) -> Result<Json<ClosureOfRooms>, Problem> {
    let id = ask.path.closure;
    ask.charge(SEARCH)?;
    let found = queries::ClosureOfRooms { closure: id }.run(ask.models().await?).await?;
    let unknown = || Problem::new(ProblemType::UnknownClosure, format!("there is no closure {id}"));
    Ok(Json(found.ok_or_else(unknown)?.into()))
}

/// A closure in all its rooms.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClosureOfRooms {
    #[serde(flatten)]
    closed: Closed,
    /// The kind whose rooms it closes.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// Whether it closes all rooms.
    all: bool,
    /// The rooms that it closes, by id.
    rooms: Vec<ClosedRoom>,
    /// The rooms in which it was lifted, by id.
    #[schema(value_type = Vec<Uuid>)]
    lifted: Vec<RoomId>,
    /// The rooms of the kind, or of all, that never had it, by id: registered or given the kind since, or not reached. The request
    /// that made the closure, sent again, closes them too. Empty for a closure of named rooms.
    #[schema(value_type = Vec<Uuid>)]
    lacking: Vec<RoomId>,
}

/// A room that is closed.
#[derive(Serialize, ToSchema)]
pub(super) struct ClosedRoom {
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// The version of the room's stream that closed it.
    #[schema(value_type = u64)]
    version: Version,
}

impl From<ClosedRooms> for ClosureOfRooms {
    fn from(found: ClosedRooms) -> Self {
        let (kind, all) = (found.closure.kind.clone(), found.closure.all);
        let rooms = found.closed.into_iter().map(|(room, version)| ClosedRoom { room, version }).collect();
        let (lifted, lacking) = (found.lifted, found.lacking);
        Self { closed: found.closure.into(), kind, all, rooms, lifted, lacking }
    }
}

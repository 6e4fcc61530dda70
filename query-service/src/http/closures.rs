//! Closures in all their rooms.

use actix_web::web::Json;
use service_kit::http::problem::{Problem, ProblemType};

use super::{
    answers::ClosureOfRooms,
    parameters::{ClosurePath, Nothing},
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::queries;

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

//! The rooms and hours that are reserved most.

use actix_web::web::Json;
use service_kit::http::problem::{Problem, ProblemType};

use super::{
    answers::{Busy, List, Popular},
    parameters::{BusiestParameters, Nothing, StatisticsParameters},
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::queries::{self, Page};

/// The weight of a statistic, which reads the documents of all rooms.
const STATISTIC: u32 = 100;

/// Rooms by reserved minutes within a range, most first, with their people and occupancy. Reservations count about a second
/// after they are visible. With a consistency token, all that the token names count.
#[utoipa::path(get, path = "/v1/statistics/popular-rooms", tag = "statistics",
    params(StatisticsParameters, QueryHeaders), responses((status = 200, body = List<Popular>), Refusals))]
pub(super) async fn popular_rooms(
    ask: QueryRequest<Nothing, StatisticsParameters>,
) -> Result<Json<List<Popular>>, Problem> {
    let query = queries::PopularRooms { during: ask.parameters.range()?, kind: ask.parameters.kind()? };
    let page = ask.parameters.page()?;
    ask.charge(STATISTIC)?;
    let shown = ask.counted().await?;
    let _place = shown.generation.statistics.enter(&ask.caller.user).await?;
    Ok(Json(List::of(query.run(shown.models.as_ref(), &page).await?, Popular::from)))
}

/// What is reserved within a range, by weekday or date and hour of each room's own zone, on one page. By weekday there are 168
/// rows, by date one for each hour with something reserved. A reservation and its people count once for each date and hour.
/// Reservations count about a second after they are visible. With a consistency token, all that the token names count.
#[utoipa::path(get, path = "/v1/statistics/busiest-times", tag = "statistics",
    params(BusiestParameters, QueryHeaders), responses((status = 200, body = List<Busy>), Refusals))]
pub(super) async fn busiest_times(
    ask: QueryRequest<Nothing, BusiestParameters>,
) -> Result<Json<List<Busy>>, Problem> {
    let query = ask.parameters.query()?;
    if ask.parameters.page()?.cursor.is_some() {
        let detail = "cursor: this list has one page";
        return Err(Problem::new(ProblemType::InvalidValue, detail).field("cursor"));
    }
    ask.charge(STATISTIC)?;
    let shown = ask.counted().await?;
    let _place = shown.generation.statistics.enter(&ask.caller.user).await?;
    let page = Page { items: query.run(shown.models.as_ref()).await?, next: None };
    Ok(Json(List::of(page, |hour| Busy::of(hour, query.measure))))
}

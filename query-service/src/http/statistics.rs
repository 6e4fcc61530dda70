//! The rooms and hours that are reserved most.

use actix_web::web::Json;
use service_kit::http::problem::{Problem, ProblemType};

use super::{
    answers::{Busy, List, Popular},
    parameters::{Nothing, StatisticsParameters},
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::queries::{self, Page};

/// The weight of a statistic, which reads the documents of all rooms.
const STATISTIC: u32 = 100;

/// Rooms by reserved minutes within a range, most first. Reservations count about a second after they are visible. With a
/// consistency token, all that the token names count.
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

/// Reserved minutes within a range by weekday and hour of each room's own zone: 168 rows on one page. Reservations count
/// about a second after they are visible. With a consistency token, all that the token names count.
#[utoipa::path(get, path = "/v1/statistics/busiest-times", tag = "statistics",
    params(StatisticsParameters, QueryHeaders), responses((status = 200, body = List<Busy>), Refusals))]
pub(super) async fn busiest_times(
    ask: QueryRequest<Nothing, StatisticsParameters>,
) -> Result<Json<List<Busy>>, Problem> {
    let query = queries::BusiestTimes { during: ask.parameters.range()?, kind: ask.parameters.kind()? };
    if ask.parameters.page()?.cursor.is_some() {
        let detail = "cursor: this list has one page";
        return Err(Problem::new(ProblemType::InvalidValue, detail).field("cursor"));
    }
    ask.charge(STATISTIC)?;
    let shown = ask.counted().await?;
    let _place = shown.generation.statistics.enter(&ask.caller.user).await?;
    let page = Page { items: query.run(shown.models.as_ref()).await?, next: None };
    Ok(Json(List::of(page, Busy::from)))
}

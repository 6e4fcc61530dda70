//! How rooms are reserved: the rooms and hours that are reserved most, and bookings by kind.

use actix_web::web::Json;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use service_kit::http::problem::{Problem, ProblemType};
use shared_events::{Interval, RoomId};
use utoipa::{IntoParams, ToSchema};

use super::{
    answers::List,
    parameters::{LONGEST_SHORT_RANGE, Nothing, Time, invalid, list_parameters, normal_kind, range},
    request::QueryRequest,
    schemas::{QueryHeaders, Refusals},
};
use crate::queries::{
    self, BusiestTimes, BusyHour, By, Day, KindBookings, Measure, Page, PageRequest, PopularRoom, Reserved,
};

/// The weight of a statistic, which reads the documents of all rooms.
const STATISTIC: u32 = 100;

list_parameters! {
    StatisticsParameters {
        /// First minute, RFC 3339 with an offset.
        #[param(value_type = String, format = DateTime)]
        from: Time,
        /// First minute after it; at most 366 days later.
        #[param(value_type = String, format = DateTime)]
        to: Time,
        /// Rooms of this kind only.
        #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$", nullable = false)]
        kind: Option<String>,
    }
}

list_parameters! {
    BusiestParameters {
        /// First minute, RFC 3339 with an offset.
        #[param(value_type = String, format = DateTime)]
        from: Time,
        /// First minute after it; at most 366 days later, by date 32.
        #[param(value_type = String, format = DateTime)]
        to: Time,
        /// Rooms of this kind only.
        #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$", nullable = false)]
        kind: Option<String>,
        /// The days that make the rows: `weekday` without this.
        #[param(inline, nullable = false)]
        by: Option<Days>,
        /// What is counted: `minutes` without this.
        #[param(inline, nullable = false)]
        measure: Option<Measured>,
    }
}

/// The days that make the rows of a statistic.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Days {
    Weekday,
    Date,
}

/// What a statistic counts.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Measured {
    Minutes,
    Reservations,
    People,
}

impl BusiestParameters {
    /// The query.
    pub(super) fn query(&self) -> Result<BusiestTimes, Problem> {
        let (during, kind) = (range(self.from, self.to)?, normal_kind(self.kind.as_deref())?);
        let by = match self.by {
            None | Some(Days::Weekday) => By::Weekday,
            Some(Days::Date) if during.minutes() > LONGEST_SHORT_RANGE => {
                return Err(invalid("to", "by date, it must be at most 32 days after from"));
            }
            Some(Days::Date) => By::Date,
        };
        let measure = match self.measure {
            None | Some(Measured::Minutes) => Measure::Minutes,
            Some(Measured::Reservations) => Measure::Reservations,
            Some(Measured::People) => Measure::People,
        };
        Ok(BusiestTimes { during, kind, by, measure })
    }
}

impl StatisticsParameters {
    fn range(&self) -> Result<Interval, Problem> {
        range(self.from, self.to)
    }

    fn kind(&self) -> Result<Option<String>, Problem> {
        normal_kind(self.kind.as_deref())
    }
}

/// Bookings of stays that begin within a range, by kind of room: how long before they begin they were made, and how many were
/// cancelled. Reservations count about a second after they are visible. With a consistency token, all that the token names count.
#[utoipa::path(get, path = "/v1/statistics/kinds", tag = "statistics", operation_id = "bookingsByKind",
    params(StatisticsParameters, QueryHeaders), responses((status = 200, body = List<Booked>), Refusals))]
pub(super) async fn kinds(
    ask: QueryRequest<Nothing, StatisticsParameters>,
) -> Result<Json<List<Booked>>, Problem> {
    let query = queries::Bookings { during: ask.parameters.range()?, kind: ask.parameters.kind()? };
    let page = ask.parameters.page()?;
    ask.charge(STATISTIC)?;
    let shown = ask.counted().await?;
    let _place = shown.generation.statistics.enter(&ask.caller.user).await?;
    Ok(Json(List::of(query.run(shown.models.as_ref(), &page).await?, Booked::from)))
}

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

/// How much a room was reserved.
#[derive(Serialize, ToSchema)]
pub(super) struct Popular {
    #[schema(value_type = Uuid)]
    room: RoomId,
    name: String,
    /// Reserved minutes within the range.
    minutes: u64,
    /// Reservations that overlap the range.
    reservations: u64,
    /// The people of these reservations.
    people: u64,
    /// The share of the room's open minutes that is reserved: open by its present opening hours, and not closed. A closure that
    /// was lifted closed the room until then. Above 1 if more is reserved than is open: stays may lie outside of the present
    /// hours, or in a closure that was added after them. Absent if the room is never open in the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    occupancy: Option<f64>,
}

impl From<PopularRoom> for Popular {
    fn from(PopularRoom { room, name, reserved, open_minutes }: PopularRoom) -> Self {
        let Reserved { minutes, reservations, people } = reserved;
        Self { room, name, minutes, reservations, people, occupancy: share(minutes, open_minutes) }
    }
}

/// Bookings of a kind of rooms.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Booked {
    kind: String,
    /// Live reservations that begin in the range.
    reservations: u64,
    /// Cancellations of stays that would begin in the range. One counts even if it was taken back.
    cancelled: u64,
    /// The share of cancellations in both. Absent if there is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cancellation_rate: Option<f64>,
    /// Reservations that were made to begin in the range, whatever became of them.
    made: u64,
    /// The mean number of minutes from making one of them to its begin. Absent if none was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lead_minutes: Option<u64>,
}

impl From<KindBookings> for Booked {
    fn from(KindBookings { kind, reservations, booked }: KindBookings) -> Self {
        let lead_minutes = (booked.lead_ms / 60_000).checked_div(booked.made);
        let cancellation_rate = share(booked.cancelled, reservations + booked.cancelled);
        let (made, cancelled) = (booked.made, booked.cancelled);
        Self { kind, reservations, cancelled, cancellation_rate, made, lead_minutes }
    }
}

/// A share with four digits. `None` of nothing.
fn share(part: u64, of: u64) -> Option<f64> {
    let (part, of) = (u32::try_from(part).ok()?, u32::try_from(of).ok()?);
    (of > 0).then(|| (f64::from(part) / f64::from(of) * 10_000.0).round() / 10_000.0)
}

/// An hour of a weekday or date, with one count: the measure that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Busy {
    /// 1 (Monday) to 7.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 7, nullable = false)]
    weekday: Option<u8>,
    /// By date: the date that the local clock shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    date: Option<NaiveDate>,
    /// What the local clock shows.
    #[schema(maximum = 23)]
    hour: u8,
    /// Reserved minutes of all rooms; by weekday, of all weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    minutes: Option<u64>,
    /// Reservations that hold a room for a part of the hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reservations: Option<u64>,
    /// The people of these reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    people: Option<u64>,
}

impl Busy {
    pub(super) fn of(BusyHour { day, hour, count }: BusyHour, measure: Measure) -> Self {
        let (weekday, date) = match day {
            Day::Weekday(weekday) => (Some(weekday), None),
            Day::Date(date) => (None, Some(date)),
        };
        let only = |of: Measure| (of == measure).then_some(count);
        Self {
            weekday,
            date,
            hour,
            minutes: only(Measure::Minutes),
            reservations: only(Measure::Reservations),
            people: only(Measure::People),
        }
    }
}

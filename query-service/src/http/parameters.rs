//! Parameters and variable parts of paths. They are checked before anything is read.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};
use service_kit::http::problem::{Problem, ProblemType};
use shared_events::{
    ClosureId, Interval, Minute, ReservationId, RoomId, Timestamp, UserId, Version,
    names::{is_blank, normal_form},
};
use utoipa::IntoParams;

use crate::{queries::PageRequest, read_models::AsOf};

const DEFAULT_LIMIT: u32 = 100;
const HIGHEST_LIMIT: u32 = 500;
const LONGEST_RANGE_MINUTES: i64 = 366 * 24 * 60;
const LONGEST_NAME_CHARS: usize = 200;
/// Minutes of 32 days, the longest range of rows by date and of a search for times: a month of 31 days may have an hour more.
pub(super) const LONGEST_SHORT_RANGE: i64 = 32 * 24 * 60;

/// No variable parts or parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
pub(super) struct RoomPath {
    pub(super) room: RoomId,
}

#[derive(Deserialize)]
pub(super) struct ClosurePath {
    pub(super) closure: ClosureId,
}

#[derive(Deserialize)]
pub(super) struct ReservationPath {
    pub(super) reservation: ReservationId,
}

#[derive(Deserialize)]
pub(super) struct UserPath {
    user: String,
}

impl UserPath {
    pub(super) fn user(&self) -> Result<UserId, Problem> {
        UserId::new(self.user.as_str()).map_err(|error| invalid("user", &error.to_string()))
    }
}

/// A time in a query string, where a `+` that was not percent-encoded arrives as a space.
#[derive(Clone, Copy)]
pub(super) struct Time(Minute);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        time(deserializer).map(Self)
    }
}

/// A moment of the past, in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Moment(Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        time(deserializer).map(Self)
    }
}

fn time<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let mut text = String::deserialize(deserializer)?;
    if let Some(sign) = text.len().checked_sub("+00:00".len())
        && text.get(sign..=sign) == Some(" ")
    {
        text.replace_range(sign..=sign, "+");
    }
    text.parse().map_err(de::Error::custom)
}

/// Declares parameters of a list: the given ones, then those of its page.
macro_rules! list_parameters {
    ($name:ident { $($(#[$attribute:meta])* $parameter:ident: $type:ty,)* }) => {
        #[derive(Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(super) struct $name {
            $($(#[$attribute])* $parameter: $type,)*
            /// Most items of a page.
            #[param(minimum = 1, maximum = 500, default = 100, nullable = false)]
            limit: Option<u32>,
            /// `next` of the page before.
            #[param(nullable = false)]
            cursor: Option<String>,
        }

        impl $name {
            pub(super) fn page(&self) -> Result<PageRequest, Problem> {
                $crate::http::parameters::page(self.limit, self.cursor.as_deref())
            }
        }
    };
}

pub(super) use list_parameters;

list_parameters!(ListParameters {});

list_parameters! {
    RangeParameters {
        /// First minute, RFC 3339 with an offset.
        #[param(value_type = String, format = DateTime)]
        from: Time,
        /// First minute after it; at most 366 days later.
        #[param(value_type = String, format = DateTime)]
        to: Time,
    }
}

list_parameters! {
    ScheduleParameters {
        /// First minute, RFC 3339 with an offset.
        #[param(value_type = String, format = DateTime)]
        from: Time,
        /// First minute after it; at most 366 days later.
        #[param(value_type = String, format = DateTime)]
        to: Time,
        /// The schedule as it was at this moment, RFC 3339 with an offset. It is final once it is 30 seconds old.
        #[serde(rename = "asOf")]
        #[param(value_type = Option<String>, format = DateTime, nullable = false)]
        as_of: Option<Moment>,
        /// The schedule as it was at this version of the room's stream.
        #[param(minimum = 1, nullable = false)]
        version: Option<u64>,
    }
}

/// Parameters of a room.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PastRoomParameters {
    /// The room as it was at this moment, RFC 3339 with an offset. It is final once it is 30 seconds old.
    #[serde(rename = "asOf")]
    #[param(value_type = Option<String>, format = DateTime, nullable = false)]
    as_of: Option<Moment>,
    /// The room as it was at this version of its stream.
    #[param(minimum = 1, nullable = false)]
    version: Option<u64>,
}

/// Parameters of a reservation.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PastReservationParameters {
    /// The reservation as it was at this moment, RFC 3339 with an offset. It is final once it is 30 seconds old.
    #[serde(rename = "asOf")]
    #[param(value_type = Option<String>, format = DateTime, nullable = false)]
    as_of: Option<Moment>,
    /// The reservation as it was at this revision.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 4_294_967_295_i64, nullable = false)]
    revision: Option<u32>,
}

impl ScheduleParameters {
    pub(super) fn as_of(&self, now: Timestamp) -> Result<Option<AsOf<Version>>, Problem> {
        as_of(self.as_of, ("version", self.version), now)
    }
}

impl PastRoomParameters {
    pub(super) fn as_of(&self, now: Timestamp) -> Result<Option<AsOf<Version>>, Problem> {
        as_of(self.as_of, ("version", self.version), now)
    }
}

impl PastReservationParameters {
    pub(super) fn as_of(&self, now: Timestamp) -> Result<Option<AsOf<u32>>, Problem> {
        as_of(self.as_of, ("revision", self.revision), now)
    }
}

fn as_of<N: Copy + Default + PartialEq, T: From<N>>(
    moment: Option<Moment>,
    (name, number): (&'static str, Option<N>),
    now: Timestamp,
) -> Result<Option<AsOf<T>>, Problem> {
    match (moment, number) {
        (Some(_), Some(_)) => Err(invalid(name, "it can't be sent with asOf")),
        (Some(Moment(moment)), None) if moment > now => Err(invalid("asOf", "it lies in the future")),
        (Some(Moment(moment)), None) => Ok(Some(AsOf::Moment(moment))),
        (None, Some(number)) if number == N::default() => Err(invalid(name, "it must be at least 1")),
        (None, Some(number)) => Ok(Some(AsOf::Number(number.into()))),
        (None, None) => Ok(None),
    }
}

list_parameters! {
    OpenRangeParameters {
        /// Only reservations that end after this.
        #[param(value_type = Option<String>, format = DateTime, nullable = false)]
        from: Option<Time>,
        /// Only reservations that begin before this; at most 366 days after `from`.
        #[param(value_type = Option<String>, format = DateTime, nullable = false)]
        to: Option<Time>,
    }
}

macro_rules! has_range {
    ($($name:ident),*) => {$(
        impl $name {
            pub(super) fn range(&self) -> Result<Interval, Problem> {
                range(self.from, self.to)
            }
        }
    )*};
}
has_range!(RangeParameters, ScheduleParameters);

impl OpenRangeParameters {
    pub(super) fn range(&self) -> Result<(Option<Minute>, Option<Minute>), Problem> {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            range(from, to)?;
        }
        Ok((self.from.map(|time| time.0), self.to.map(|time| time.0)))
    }
}

/// The page that limit and cursor ask for.
pub(super) fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=HIGHEST_LIMIT).contains(&limit) {
        return Err(invalid("limit", &format!("it must be from 1 to {HIGHEST_LIMIT}")));
    }
    Ok(PageRequest { limit: usize::try_from(limit).unwrap_or(1), cursor: cursor.map(str::to_owned) })
}

/// The interval between two times.
pub(super) fn range(Time(from): Time, Time(to): Time) -> Result<Interval, Problem> {
    let range = Interval { from, to };
    if range.minutes() <= 0 {
        return Err(invalid("from", "it must lie before to"));
    }
    if range.minutes() > LONGEST_RANGE_MINUTES {
        return Err(invalid("to", "it must be at most 366 days after from"));
    }
    Ok(range)
}

/// A kind in the form that the rooms have.
pub(super) fn normal_kind(kind: Option<&str>) -> Result<Option<String>, Problem> {
    normal_name("kind", kind)
}

/// A kind, building, floor or attribute in the form that the rooms have.
pub(super) fn normal_name(parameter: &str, name: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(name) = name else { return Ok(None) };
    if name.chars().nth(LONGEST_NAME_CHARS).is_some() || is_blank(name) {
        return Err(invalid(
            parameter,
            &format!("it must have 1 to {LONGEST_NAME_CHARS} characters, one of them visible"),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(invalid(parameter, "it must have no control characters"));
    }
    Ok(Some(normal_form(name).into_owned()))
}

pub(super) fn invalid(name: &str, reason: &str) -> Problem {
    Problem::new(ProblemType::InvalidValue, format!("{name}: {reason}")).field(name)
}

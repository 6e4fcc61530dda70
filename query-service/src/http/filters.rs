//! Parameters of lists of rooms, and of searches among them.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use serde::Deserialize;
use service_kit::http::problem::Problem;
use shared_events::{Interval, UserId, room_events::MOST_WORDS};
use utoipa::IntoParams;

use super::parameters::{
    LONGEST_SHORT_RANGE, Time, invalid, list_parameters, normal_kind, normal_name, range,
};
use crate::{queries::PageRequest, stores::RoomFilter};

const MOST_DAYS: u8 = 7;
const MOST_KINDS: usize = 16;

/// Parameters of a list with conditions on rooms, after its own parameters.
macro_rules! searched {
    ($name:ident { $($own:tt)* }) => {
        list_parameters! {
            $name {
                $($own)*
                /// Rooms of this kind only.
                #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$", nullable = false)]
                kind: Option<String>,
                /// Rooms of any of these kinds, separated by commas, in place of `kind`. A kind with a comma can be named by `kind` alone.
                #[param(min_length = 1, max_length = 3400, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$", nullable = false)]
                kinds: Option<String>,
                /// Rooms of this building only.
                #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$", nullable = false)]
                building: Option<String>,
                /// Rooms of this floor only.
                #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$", nullable = false)]
                floor: Option<String>,
                /// Rooms with all of these attributes only, separated by commas.
                #[param(min_length = 1, max_length = 6500, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$", nullable = false)]
                attributes: Option<String>,
            }
        }

        impl $name {
            /// The conditions on rooms, but for people.
            fn rooms(&self) -> Result<RoomFilter, Problem> {
                let kind = normal_kind(self.kind.as_deref())?;
                let kinds = words("kinds", self.kinds.as_deref(), MOST_KINDS)?;
                if kind.is_some() && self.kinds.is_some() {
                    return Err(invalid("kinds", "it can't be sent with kind"));
                }
                Ok(RoomFilter {
                    kinds: kind.into_iter().chain(kinds).collect(),
                    people: None,
                    building: normal_name("building", self.building.as_deref())?,
                    floor: normal_name("floor", self.floor.as_deref())?,
                    attributes: words("attributes", self.attributes.as_deref(), MOST_WORDS)?,
                })
            }
        }
    };
}

searched! {
    RoomsParameters {
        /// Rooms that take at least this many people.
        #[param(value_type = Option<i64>, nullable = false, minimum = 1, maximum = 4_294_967_295_i64)]
        people: Option<u32>,
    }
}

searched! {
    SchedulesParameters {
        /// The first date on each room's own calendar, from 1971-01-01 to 9998-12-31.
        #[param(value_type = String, format = Date)]
        date: String,
        /// The number of dates.
        #[param(value_type = Option<i64>, minimum = 1, maximum = 7, default = 1, nullable = false)]
        days: Option<u8>,
    }
}

impl SchedulesParameters {
    /// The first date, and the number of dates.
    pub(super) fn dates(&self) -> Result<(NaiveDate, u8), Problem> {
        let days = self.days.unwrap_or(1);
        if !(1..=MOST_DAYS).contains(&days) {
            return Err(invalid("days", &format!("it must be from 1 to {MOST_DAYS}")));
        }
        Ok((date(&self.date)?, days))
    }
}

/// A date as `YYYY-MM-DD`. The parser of dates takes other forms, too.
fn date(text: &str) -> Result<NaiveDate, Problem> {
    let is_in_form = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    let has_form = text.len() == 10 && text.bytes().enumerate().all(is_in_form);
    let date = text.parse::<NaiveDate>().ok().filter(|date| has_form && (1971..=9998).contains(&date.year()));
    date.ok_or_else(|| invalid("date", "it must be a date from 1971-01-01 to 9998-12-31"))
}

searched! {
    AvailabilityParameters {
        /// First minute of the stay, RFC 3339 with an offset.
        #[param(value_type = String, format = DateTime)]
        from: Time,
        /// First minute after the stay; at most 366 days later. With a duration, the end of the range; at most 32 days later.
        #[param(value_type = String, format = DateTime)]
        to: Time,
        /// Minutes of a stay that lies anywhere in the range. A multiple of 1440 is so many local days.
        #[param(value_type = Option<i64>, minimum = 1, maximum = 46_080, nullable = false)]
        duration: Option<u32>,
        /// How many come.
        #[param(value_type = Option<i64>, nullable = false, minimum = 1, default = 1, maximum = 4_294_967_295_i64)]
        people: Option<u32>,
        /// The owner of the stay, if not the caller. For administrators and the role `delegate`.
        #[serde(rename = "reservedBy")]
        #[param(rename = "reservedBy", min_length = 1, max_length = 200, nullable = false)]
        reserved_by: Option<String>,
    }
}

impl RoomsParameters {
    /// The conditions on rooms.
    pub(super) fn filter(&self) -> Result<RoomFilter, Problem> {
        Ok(RoomFilter { people: people(self.people)?, ..self.rooms()? })
    }
}

impl SchedulesParameters {
    /// The conditions on rooms.
    pub(super) fn filter(&self) -> Result<RoomFilter, Problem> {
        self.rooms()
    }
}

impl AvailabilityParameters {
    /// The stay, or the range of its times.
    pub(super) fn range(&self) -> Result<Interval, Problem> {
        range(self.from, self.to)
    }

    /// The owner of the stay, if it is named.
    pub(super) fn reserved_by(&self) -> Result<Option<UserId>, Problem> {
        let owner = self.reserved_by.as_deref().map(UserId::new).transpose();
        owner.map_err(|error| invalid("reservedBy", &error.to_string()))
    }

    /// The minutes of a stay within the range.
    pub(super) fn duration(&self) -> Result<Option<u32>, Problem> {
        let Some(minutes) = self.duration else { return Ok(None) };
        if self.range()?.minutes() > LONGEST_SHORT_RANGE {
            return Err(invalid("to", "with a duration, it must be at most 32 days after from"));
        }
        if minutes == 0 || i64::from(minutes) > LONGEST_SHORT_RANGE {
            return Err(invalid("duration", &format!("it must be from 1 to {LONGEST_SHORT_RANGE} minutes")));
        }
        Ok(Some(minutes))
    }

    /// The conditions on rooms.
    pub(super) fn filter(&self) -> Result<RoomFilter, Problem> {
        Ok(RoomFilter { people: Some(people(self.people)?.unwrap_or(1)), ..self.rooms()? })
    }
}

/// A list of names, separated by commas. Each is in the list once, in order: two forms of a list are one query.
fn words(parameter: &str, list: Option<&str>, most: usize) -> Result<Vec<String>, Problem> {
    let mut words = BTreeSet::new();
    for word in list.into_iter().flat_map(|list| list.split(',')) {
        words.extend(normal_name(parameter, Some(word))?);
        if words.len() > most {
            return Err(invalid(parameter, &format!("it has more than {most} names")));
        }
    }
    Ok(words.into_iter().collect())
}

fn people(people: Option<u32>) -> Result<Option<u32>, Problem> {
    if people == Some(0) { Err(invalid("people", "it must be at least 1")) } else { Ok(people) }
}

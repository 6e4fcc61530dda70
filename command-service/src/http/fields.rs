//! Fields of bodies: absent and null values, texts, names, intervals.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use service_kit::http::problem::{Problem, ProblemType};
use shared_events::{Interval, Minute, UserId, names::normal_form, room_events::MOST_WORDS};

use crate::{
    commands::Stay,
    domain::{
        InvalidInterval,
        values::{check_interval, check_name, check_text},
    },
};

/// Decodes a present field. With `#[serde(default)]` an absent field is `None`: unchanged. Null clears an optional value
/// and is an error for any other.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    decoder: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(decoder).map(Some)
}

/// Refuses a merge patch (RFC 7396) with some days of a week: it would keep the others, but opening hours are replaced.
pub(super) fn whole_week(patch: &[u8]) -> Result<(), Problem> {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Patch {
        opening_hours: Option<serde_json::Map<String, serde_json::Value>>,
    }
    let hours = serde_json::from_slice(patch).ok().and_then(|Patch { opening_hours }| opening_hours);
    if hours.is_none_or(|hours| DAYS.iter().all(|day| hours.contains_key(*day))) {
        return Ok(());
    }
    let reason =
        "a merge patch names all seven days, closed ones with null; application/json replaces them all";
    Err(invalid("/openingHours", reason))
}

/// The problem of an invalid value in a field.
pub(super) fn invalid(field: &str, reason: &str) -> Problem {
    Problem::new(ProblemType::InvalidValue, format!("{field}: {reason}")).field(field)
}

/// Validates a title or a guest.
pub(super) fn text(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text.as_deref().map(check_text) {
        Some(Err(reason)) => Err(invalid(field, reason)),
        Some(Ok(())) | None => Ok(text),
    }
}

/// Normalises and validates a name or a kind.
pub(super) fn name(field: &str, text: &str) -> Result<String, Problem> {
    // First the length: to normalise a text of many megabytes would take long.
    check_text(text).map_err(|reason| invalid(field, reason))?;
    let name = normal_form(text).into_owned();
    check_name(&name).map_err(|reason| invalid(field, reason))?;
    Ok(name)
}

/// Normalises and validates attributes or roles: each once and in order.
pub(super) fn words(field: &str, words: &[String]) -> Result<Vec<String>, Problem> {
    if words.len() > MOST_WORDS {
        return Err(invalid(field, "has more than 32 words"));
    }
    let word = |(at, text): (usize, &String)| name(&format!("{field}/{at}"), text);
    let words: BTreeSet<String> = words.iter().enumerate().map(word).collect::<Result<_, _>>()?;
    match words.iter().find(|word| word.contains(',')) {
        Some(_) => Err(invalid(field, "has a word with a comma")),
        None => Ok(words.into_iter().collect()),
    }
}

/// Normalises and validates the roles that may book a room. `None` is everybody.
pub(super) fn roles(field: &str, roles: Option<&[String]>) -> Result<Vec<String>, Problem> {
    match roles {
        None => Ok(Vec::new()),
        Some([]) => Err(invalid(field, "names no role: without it, everybody may book the room")),
        Some(roles) => words(field, roles),
    }
}

/// Validates a number of people.
pub(super) fn people(people: u32) -> Result<u32, Problem> {
    if people == 0 { Err(invalid("/people", "must be at least 1")) } else { Ok(people) }
}

/// Validates the values of a stay.
pub(super) fn stay(
    from: Minute,
    to: Minute,
    people: u32,
    title: Option<String>,
    reserved_for: Option<String>,
    reserved_by: Option<&str>,
) -> Result<Stay, Problem> {
    let interval = Interval { from, to };
    check_interval(interval).map_err(interval_problem)?;
    Ok(Stay {
        interval,
        people: self::people(people)?,
        title: text("/title", title)?,
        reserved_for: text("/reservedFor", reserved_for)?,
        reserved_by: reserved_by.map(owner).transpose()?,
    })
}

/// Validates the owner of a reservation.
pub(super) fn owner(user: &str) -> Result<UserId, Problem> {
    UserId::new(user).map_err(|error| invalid("/reservedBy", &error.to_string()))
}

/// Validates an interval with both ends. One end alone is validated by the decision.
pub(super) fn ends(from: Option<Minute>, to: Option<Minute>) -> Result<(), Problem> {
    match (from, to) {
        (Some(from), Some(to)) => check_interval(Interval { from, to }).map_err(interval_problem),
        _ => Ok(()),
    }
}

/// The problem of an invalid interval.
pub(super) fn interval_problem(invalid: InvalidInterval) -> Problem {
    let field = match invalid {
        InvalidInterval::FromNotBeforeTo => "/from",
        InvalidInterval::TooLong => "/to",
    };
    Problem::new(ProblemType::InvalidValue, invalid.to_string()).field(field)
}

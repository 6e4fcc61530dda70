//! What fields of bodies have in common: absent or null, texts that can be kept, intervals.

use serde::{Deserialize, Deserializer};
use service_kit::http::problem::{Problem, ProblemType};
use shared_events::{Interval, Minute};

use crate::{
    commands::Stay,
    domain::{
        InvalidInterval,
        values::{check_interval, check_name, check_text, normalise},
    },
};

/// Reads a field that is there. With `#[serde(default)]` an absent one stays `None`: unchanged. Null is a value of its
/// own, which takes away what may be absent and is an error for all else.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    decoder: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(decoder).map(Some)
}

/// A value that is not possible, at a place in the body.
pub(super) fn invalid(field: &str, reason: &str) -> Problem {
    Problem::new(ProblemType::InvalidValue, format!("{field}: {reason}")).field(field)
}

/// A title or guest.
pub(super) fn text(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text.as_deref().map(check_text) {
        Some(Err(reason)) => Err(invalid(field, reason)),
        Some(Ok(())) | None => Ok(text),
    }
}

/// A name or kind in its one form.
pub(super) fn name(field: &str, text: &str) -> Result<String, Problem> {
    // The length is looked at first: giving a text of many megabytes its form would take long.
    check_text(text).map_err(|reason| invalid(field, reason))?;
    let name = normalise(text).into_owned();
    check_name(&name).map_err(|reason| invalid(field, reason))?;
    Ok(name)
}

/// How many come.
pub(super) fn people(people: u32) -> Result<u32, Problem> {
    if people == 0 { Err(invalid("/people", "must be at least 1")) } else { Ok(people) }
}

/// A stay with all its values.
pub(super) fn stay(
    from: Minute,
    to: Minute,
    people: u32,
    title: Option<String>,
    reserved_for: Option<String>,
) -> Result<Stay, Problem> {
    let interval = Interval { from, to };
    check_interval(interval).map_err(interval_problem)?;
    Ok(Stay {
        interval,
        people: self::people(people)?,
        title: text("/title", title)?,
        reserved_for: text("/reservedFor", reserved_for)?,
    })
}

/// Where both ends of an interval are given, whether it can be a stay. One end alone is checked when it is decided.
pub(super) fn ends(from: Option<Minute>, to: Option<Minute>) -> Result<(), Problem> {
    match (from, to) {
        (Some(from), Some(to)) => check_interval(Interval { from, to }).map_err(interval_problem),
        _ => Ok(()),
    }
}

/// An interval that has no meaning.
pub(super) fn interval_problem(invalid: InvalidInterval) -> Problem {
    let field = match invalid {
        InvalidInterval::FromNotBeforeTo => "/from",
        InvalidInterval::TooLong => "/to",
    };
    Problem::new(ProblemType::InvalidValue, invalid.to_string()).field(field)
}

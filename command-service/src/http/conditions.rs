//! Conditions of a command: `If-Match` and `If-None-Match`. One rule for all commands.
//!
//! A condition that a command can't check is refused. Ignored, it would seem to have held.

use actix_web::http::header::{AsHeaderName, HeaderMap, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use service_kit::http::{
    headers::unknown_condition,
    problem::{Problem, ProblemType},
};

use crate::commands::{Action, IfMatch};

/// The headers' names.
const MATCH: &str = "If-Match";
const NONE_MATCH: &str = "If-None-Match";

/// The condition of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Condition {
    /// The header, or the member of a line.
    field: &'static str,
    if_match: IfMatch,
}

impl Condition {
    /// Reads the headers. `If-None-Match: *` holds for nothing that exists, whatever `If-Match` says.
    pub(super) fn of_headers(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let known = match one(headers, &IF_MATCH) {
            Some(text) => Some(Self::of_text(MATCH, text.unwrap_or_default())?),
            // RFC 9110, 13.1.4: `If-Match` replaces it.
            None if headers.contains_key(IF_UNMODIFIED_SINCE) => {
                return Err(unknown_condition("If-Unmodified-Since"));
            }
            None => None,
        };
        match one(headers, &IF_NONE_MATCH) {
            None => Ok(known),
            Some(Some("*")) => Ok(Some(Self { field: NONE_MATCH, if_match: IfMatch::Nothing })),
            Some(_) => {
                let detail = "If-None-Match must be * in a command; nothing was done";
                Err(Problem::new(ProblemType::InvalidValue, detail).field(NONE_MATCH))
            }
        }
    }

    /// Reads `ifMatch` of a line.
    pub(super) fn of_line(text: &str) -> Result<Self, Problem> {
        Self::of_text("/ifMatch", text)
    }

    fn of_text(field: &'static str, text: &str) -> Result<Self, Problem> {
        let invalid =
            || Problem::new(ProblemType::InvalidValue, "If-Match must be one entity tag such as \"3\", or *");
        let if_match = read(text).ok_or_else(|| invalid().field(field))?;
        Ok(Self { field, if_match })
    }

    /// The revision for which the action must be decided.
    pub(super) fn check(self, action: &Action) -> Result<IfMatch, Problem> {
        match action {
            // These have no revision before: what they make is new.
            Action::RegisterRoom(_)
            | Action::Reserve(_)
            | Action::ReserveKind(_)
            // Nor has a series or a closure one revision.
            | Action::AddClosure(_)
            | Action::LiftClosure(_)
            | Action::ReserveSeries(_)
            | Action::ChangeSeries(_)
            | Action::CancelSeries(_) => Err(unknown_condition(self.field)),
            Action::ChangeRoom(_)
            | Action::RetireRoom(_)
            | Action::ChangeReservation(_)
            | Action::CancelReservation(_)
            | Action::MoveReservation(_)
            | Action::RestoreReservation(_) => Ok(self.if_match),
        }
    }

    /// Names the condition in the problem of one that does not hold. It is `If-Match` without this.
    pub(super) fn name(self, problem: Problem) -> Problem {
        let stale = problem.kind() == ProblemType::Stale && self.field == NONE_MATCH;
        if stale { problem.field(NONE_MATCH) } else { problem }
    }
}

/// The only value of a header without white space around it. `Some(None)`: it has several, or no text.
fn one(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Option<&str>> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    Some(value.to_str().ok().filter(|_| values.next().is_none()).map(str::trim))
}

/// Reads the value of `If-Match`. `None`: it is not one entity tag.
///
/// A tag counts by its revision. Proxies that compress make it weak, and queries add a digest of their answer. A tag that no
/// service gave matches nothing: the answer is 412 with the current revision.
fn read(text: &str) -> Option<IfMatch> {
    let text = text.trim();
    if text == "*" {
        return Some(IfMatch::Any);
    }
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.strip_suffix('"')?;
    if opaque.contains('"') {
        return None;
    }
    let is_digest =
        |text: &str| text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let revision = match opaque.split_once('.') {
        Some((revision, digest)) if is_digest(digest) => revision,
        Some(_) | None => opaque,
    };
    let canonical = |number: &u32| number.to_string() == revision;
    Some(revision.parse().ok().filter(canonical).map_or(IfMatch::Nothing, IfMatch::Revision))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> Result<Option<IfMatch>, (ProblemType, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let condition = Condition::of_headers(&headers);
        let named = |problem: Problem| (problem.kind(), problem.named_field().unwrap_or_default().to_owned());
        condition.map(|condition| condition.map(|condition| condition.if_match)).map_err(named)
    }

    #[test]
    fn a_revision_is_read_and_a_star_matches_any() {
        assert_eq!(of(&[("if-match", "*")]), Ok(Some(IfMatch::Any)));
        assert_eq!(of(&[]), Ok(None));
        for tag in ["\"3\"", "W/\"3\"", "\"3.0123456789abcdef\"", "W/\"3.0123456789abcdef\""] {
            assert_eq!(of(&[("if-match", tag)]), Ok(Some(IfMatch::Revision(3))), "{tag}");
        }
    }

    #[test]
    fn foreign_tags_match_nothing() {
        let tags = [
            "\"abc\"",
            "\"03\"",
            "\"\"",
            "\"99999999999\"",
            "W/\"x\"",
            "\"3.\"",
            "\"3.4\"",
            "\"3.0123456789ABCDEF\"",
        ];
        for tag in tags {
            assert_eq!(of(&[("if-match", tag)]), Ok(Some(IfMatch::Nothing)), "{tag}");
        }
    }

    #[test]
    fn what_is_no_single_entity_tag_is_refused() {
        let refused = Err((ProblemType::InvalidValue, "If-Match".to_owned()));
        for bad in ["3", "\"3", "\"3\", \"4\"", "", "w/\"3\""] {
            assert_eq!(of(&[("if-match", bad)]), refused, "{bad}");
        }
        assert_eq!(of(&[("if-match", "\"3\""), ("if-match", "\"4\"")]), refused);
    }

    #[test]
    fn a_condition_that_commands_do_not_know_is_refused_and_one_without_meaning_is_ignored() {
        for (name, value, field) in [
            ("if-none-match", "\"3\"", "If-None-Match"),
            ("if-none-match", "*, *", "If-None-Match"),
            ("if-none-match", "", "If-None-Match"),
            ("if-unmodified-since", "Mon, 02 Mar 2026 08:00:00 GMT", "If-Unmodified-Since"),
        ] {
            assert_eq!(
                of(&[(name, value)]),
                Err((ProblemType::InvalidValue, field.to_owned())),
                "{name}: {value}"
            );
        }
        let date = "Mon, 02 Mar 2026 08:00:00 GMT";
        assert_eq!(of(&[("if-modified-since", date), ("if-range", date)]), Ok(None));
        let with_tag = of(&[("if-match", "\"3\""), ("if-unmodified-since", date)]);
        assert_eq!(with_tag, Ok(Some(IfMatch::Revision(3))));
    }

    #[test]
    fn nothing_that_exists_passes_if_none_match_with_a_star() {
        assert_eq!(of(&[("if-none-match", "*")]), Ok(Some(IfMatch::Nothing)));
        assert_eq!(of(&[("if-match", "*"), ("if-none-match", " * ")]), Ok(Some(IfMatch::Nothing)));
    }
}

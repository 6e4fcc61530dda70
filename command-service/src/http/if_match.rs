//! `If-Match`: a command applies only to the client's revision.

use actix_web::http::header::{HeaderMap, IF_MATCH};
use service_kit::http::problem::{Problem, ProblemType};

use crate::commands::IfMatch;

/// Reads the header. A weak tag, and a tag that this service never gave, match nothing (RFC 9110, strong comparison): the
/// answer is 412 with the current revision.
pub(super) fn read(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    let mut values = headers.get_all(IF_MATCH);
    let Some(value) = values.next() else { return Ok(IfMatch::Any) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    text.and_then(of_text).ok_or_else(|| invalid().field("If-Match"))
}

/// The problem of a value that is not one entity tag.
pub(super) fn invalid() -> Problem {
    Problem::new(ProblemType::InvalidValue, "If-Match must be one entity tag such as \"3\", or *")
}

/// Reads the header's value. `None`: it is not one entity tag.
pub(super) fn of_text(text: &str) -> Option<IfMatch> {
    let text = text.trim();
    if text == "*" {
        return Some(IfMatch::Any);
    }
    let (weak, tag) = text.strip_prefix("W/").map_or((false, text), |tag| (true, tag));
    let opaque =
        tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).filter(|tag| !tag.contains('"'))?;
    let canonical = |revision: &u32| !weak && revision.to_string() == opaque;
    Some(opaque.parse().ok().filter(canonical).map_or(IfMatch::Nothing, IfMatch::Revision))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn revision(values: &[&str]) -> Result<IfMatch, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        read(&headers)
    }

    #[test]
    fn a_revision_is_read_and_a_star_matches_any() {
        assert_eq!(revision(&["\"3\""]).unwrap(), IfMatch::Revision(3));
        assert_eq!(revision(&["*"]).unwrap(), IfMatch::Any);
        assert_eq!(revision(&[]).unwrap(), IfMatch::Any);
    }

    #[test]
    fn weak_and_foreign_tags_match_nothing() {
        for tag in ["W/\"3\"", "\"abc\"", "\"03\"", "\"\"", "\"99999999999\""] {
            assert_eq!(revision(&[tag]).unwrap(), IfMatch::Nothing, "{tag}");
        }
    }

    #[test]
    fn what_is_no_single_entity_tag_is_refused() {
        for bad in ["3", "\"3", "\"3\", \"4\"", "", "w/\"3\""] {
            assert_eq!(revision(&[bad]).unwrap_err().kind(), ProblemType::InvalidValue, "{bad}");
        }
        assert!(revision(&["\"3\"", "\"4\""]).is_err());
    }
}

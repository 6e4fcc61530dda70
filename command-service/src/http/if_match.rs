//! `If-Match`: a command only counts if the client has the current revision.

use actix_web::http::header::{HeaderMap, IF_MATCH};
use service_kit::http::problem::{Problem, ProblemType};

/// A revision that nothing ever has: revisions count from 1.
const NEVER: u32 = 0;

/// The revision that the client wants to change; none where it does not say, or says `*`.
///
/// A weak tag, and one that this service never gave, match nothing (RFC 9110, strong comparison): the answer is 412
/// with the current revision.
///
/// # Errors
/// `invalid-value` where the header is no entity tag, or more than one.
pub(super) fn revision_of(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let mut values = headers.get_all(IF_MATCH);
    let Some(value) = values.next() else { return Ok(None) };
    let invalid =
        || Problem::new(ProblemType::InvalidValue, "If-Match must be one entity tag such as \"3\", or *");
    let text = value.to_str().map(str::trim).map_err(|_| invalid().field("If-Match"))?;
    if values.next().is_some() {
        return Err(invalid().field("If-Match"));
    }
    if text == "*" {
        return Ok(None);
    }
    let (weak, tag) = text.strip_prefix("W/").map_or((false, text), |tag| (true, tag));
    let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).filter(|tag| !tag.contains('"'));
    let opaque = opaque.ok_or_else(|| invalid().field("If-Match"))?;
    let canonical = |revision: &u32| !weak && revision.to_string() == opaque;
    Ok(Some(opaque.parse().ok().filter(canonical).unwrap_or(NEVER)))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn revision(values: &[&str]) -> Result<Option<u32>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        revision_of(&headers)
    }

    #[test]
    fn a_revision_is_read_and_a_star_matches_any() {
        assert_eq!(revision(&["\"3\""]).unwrap(), Some(3));
        assert_eq!(revision(&["*"]).unwrap(), None);
        assert_eq!(revision(&[]).unwrap(), None);
    }

    #[test]
    fn weak_and_foreign_tags_match_nothing() {
        for tag in ["W/\"3\"", "\"abc\"", "\"03\"", "\"\"", "\"99999999999\""] {
            assert_eq!(revision(&[tag]).unwrap(), Some(NEVER), "{tag}");
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

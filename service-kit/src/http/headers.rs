//! Request headers that both services read.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

use super::problem::{Problem, ProblemType};

/// The header that asks for a wait.
pub const PREFER: &str = "Prefer";
/// `Cache-Control` of an answer whose tag is for `If-Match`. A proxy that compresses would make the tag weak.
pub const TAGGED: &str = "no-store, no-transform";
/// The conditions (RFC 9110, 13.1) that can stop a write.
const CONDITIONS: [&str; 3] = ["If-Match", "If-None-Match", "If-Unmodified-Since"];
/// The most seconds that a request waits.
const LONGEST_WAIT: u64 = 10;

/// All values of a header, separated by commas.
///
/// # Errors
/// `invalid-value` if a value is not ASCII.
pub fn joined(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let values = headers.get_all(name).map(|value| value.to_str());
    let values: Vec<&str> =
        values.collect::<Result<_, _>>().map_err(|_| invalid(name, "it must be ASCII"))?;
    Ok((!values.is_empty()).then(|| values.join(",")))
}

/// The `wait` of [`PREFER`] (RFC 7240), if there is one. Other preferences are ignored.
///
/// # Errors
/// `invalid-value` if it is no number of seconds.
pub fn wait(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let text = joined(headers, PREFER)?.unwrap_or_default();
    let mut waits = text.split(',').filter_map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').to_owned())
    });
    // The first of several counts.
    let Some(digits) = waits.next() else { return Ok(None) };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(PREFER, "wait must be a number of seconds, as in wait=5"));
    }
    let seconds = digits.parse().unwrap_or(LONGEST_WAIT);
    Ok(Some(Duration::from_secs(seconds.min(LONGEST_WAIT))))
}

/// Whether the value of `If-None-Match` names the tag. Weak tags count too (RFC 9110, 13.1.2).
#[must_use]
pub fn names_tag(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// Refuses the conditions of a write to an address without revisions. Ignored, they would seem to have held.
///
/// # Errors
/// `invalid-value` with the header's name.
pub fn no_conditions(request: &HttpRequest) -> Result<(), Problem> {
    let is_safe = request.method().is_safe();
    let sent = CONDITIONS.into_iter().find(|name| !is_safe && request.headers().contains_key(*name));
    sent.map_or(Ok(()), |name| Err(unknown_condition(name)))
}

/// The problem of a condition that the request can't have.
#[must_use]
pub fn unknown_condition(name: &str) -> Problem {
    let detail = format!("{name}: this request has no such condition; nothing was done");
    Problem::new(ProblemType::InvalidValue, detail).field(name)
}

fn invalid(header: &str, reason: &str) -> Problem {
    Problem::new(ProblemType::InvalidValue, format!("{header}: {reason}")).field(header)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use actix_web::test::TestRequest;

    use super::*;

    fn prefer(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(HeaderName::from_static("prefer"), HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn a_wait_is_read_among_other_preferences_and_bounded() {
        let seconds = |text: &str| wait(&prefer(text)).map(|wait| wait.map(|wait| wait.as_secs()));
        assert_eq!(wait(&HeaderMap::new()).unwrap(), None);
        for (text, expected) in [
            ("wait=5", Some(5)),
            ("respond-async, Wait = \"7\" ; x=y, wait=1", Some(7)),
            ("wait=11", Some(10)),
            ("wait=99999999999999999999", Some(10)),
            ("wait=0", Some(0)),
            ("return=minimal", None),
        ] {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
        for text in ["wait", "wait=", "wait=-1", "wait=soon"] {
            assert_eq!(seconds(text).unwrap_err().named_field(), Some(PREFER), "{text}");
        }
    }

    #[test]
    fn a_condition_of_a_write_is_refused_where_nothing_has_a_revision() {
        let refused = |request: TestRequest, name: &'static str| {
            let problem = no_conditions(&request.append_header((name, "*")).to_http_request()).err();
            problem.map(|problem| problem.named_field().unwrap_or_default().to_owned())
        };
        for name in CONDITIONS {
            for request in
                [TestRequest::post(), TestRequest::put(), TestRequest::patch(), TestRequest::delete()]
            {
                assert_eq!(refused(request, name).as_deref(), Some(name));
            }
            assert_eq!(refused(TestRequest::get(), name), None, "{name}");
        }
        // Without meaning for a write: RFC 9110, 13.1.3 and 13.1.5.
        for name in ["If-Modified-Since", "If-Range"] {
            assert_eq!(refused(TestRequest::post(), name), None, "{name}");
        }
    }

    #[test]
    fn a_tag_is_found_among_others_weak_or_not() {
        for (tags, expected) in [
            ("\"3\"", true),
            ("\"2\", W/\"3\"", true),
            ("*", true),
            ("\"33\"", false),
            ("3", false),
            ("", false),
        ] {
            assert_eq!(names_tag(tags, "\"3\""), expected, "{tags}");
        }
    }
}

//! The correlation id and trace context of a request, which go with everything that it causes.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::problem::Problem;
use crate::ids::new_id;

/// The header with the correlation id: optional in requests, always in answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Longest accepted correlation id of a client.
const MAX_REQUEST_ID: usize = 128;

/// Identifies the request in logs, events and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// The client's `X-Request-Id` (1 to 128 visible ASCII characters), or a new id.
    pub correlation_id: String,
    /// The trace context (W3C): the request's own span if it is traced, else the client's if it is well formed.
    pub traceparent: Option<String>,
}

impl RequestContext {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let usable =
            |id: &&str| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        let correlation_id =
            text(&REQUEST_ID).filter(usable).map_or_else(|| new_id().to_string(), str::to_owned);
        let traceparent = text(&TRACEPARENT).filter(|value| is_traceparent(value)).map(str::to_owned);
        Self { correlation_id, traceparent }
    }

    /// The id of the request's trace.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(1)
    }
}

/// Whether the text is `version-trace-parent-flags`, in lower-case hexadecimal, with ids that are not zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |part: &str, length: usize| hex(part, length) && part.bytes().any(|b| b != b'0');
    match parts.as_slice() {
        [version, trace, parent, flags] => {
            hex(version, 2) && *version != "ff" && id(trace, 32) && id(parent, 16) && hex(flags, 2)
        }
        _ => false,
    }
}

impl FromRequest for RequestContext {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = request.extensions().get::<Self>().cloned();
        ready(Ok(known.unwrap_or_else(|| Self::of(request.headers()))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn context(name: HeaderName, value: &str) -> RequestContext {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        RequestContext::of(&headers)
    }

    #[test]
    fn a_usable_request_id_is_kept_and_another_replaced() {
        assert_eq!(context(REQUEST_ID, "abc-1").correlation_id, "abc-1");
        for bad in ["", "with space", &"x".repeat(129)] {
            assert_eq!(context(REQUEST_ID, bad).correlation_id.len(), 36, "{bad}");
        }
    }

    #[test]
    fn a_traceparent_is_kept_if_it_is_one() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(context(TRACEPARENT, good).traceparent.as_deref(), Some(good));
        for bad in
            [&good.replace('4', "g"), &good[1..], &good.replace("00f067aa0ba902b7", "0000000000000000")]
        {
            assert_eq!(context(TRACEPARENT, bad).traceparent, None, "{bad}");
        }
    }
}

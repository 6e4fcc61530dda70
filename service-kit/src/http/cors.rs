//! Lets pages of configured origins use the service from a browser (CORS).
//!
//! actix-cors would not reach the answers that the middleware gives as errors: 503 after the deadline, 414, 431. And it would
//! allow the same methods everywhere.

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Data;

use crate::origins::Origins;

/// Headers that a page may send.
const SENT: &str = "Authorization, Consistency-Token, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, \
    Prefer, traceparent, tracestate, X-Request-Id";
/// The same, where the development headers are trusted.
const SENT_IN_DEVELOPMENT: &str = "Authorization, Consistency-Token, Content-Type, Idempotency-Key, If-Match, If-None-Match, \
    Last-Event-ID, Prefer, traceparent, tracestate, X-Email, X-Request-Id, X-Roles, X-User";
/// Headers that a page may read, beside those that any page may.
const READ: &str = "Accept-Patch, Allow, Consistency-Token, ETag, Idempotency-Replayed, Link, Location, Memento-Datetime, \
    Retry-After, WWW-Authenticate, X-Request-Id";
/// Seconds for which a browser need not ask again.
const MAX_AGE_SECONDS: &str = "600";

/// What an answer tells the browser.
pub(super) enum Cors {
    /// No origin is configured.
    Off,
    /// The request is of no page, or of a page of another origin.
    Unknown,
    /// The page may read the answer.
    Page(HeaderValue),
    /// The browser asks whether the page may send such a request, with these headers.
    Preflight(HeaderValue, &'static str),
}

impl Cors {
    /// Judges a request.
    pub(super) fn of(request: &ServiceRequest, dev_headers: bool) -> Self {
        let Some(origins) = request.app_data::<Data<Origins>>().filter(|origins| !origins.is_empty()) else {
            return Self::Off;
        };
        let mut values = request.headers().get_all(header::ORIGIN);
        let (Some(origin), None) = (values.next(), values.next()) else { return Self::Unknown };
        if !origin.to_str().is_ok_and(|origin| origins.have(origin)) {
            return Self::Unknown;
        }
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        match request.method() == Method::OPTIONS && asks {
            true => Self::Preflight(origin.clone(), if dev_headers { SENT_IN_DEVELOPMENT } else { SENT }),
            false => Self::Page(origin.clone()),
        }
    }

    /// Adds the headers of CORS. A preflight is allowed the methods of `Allow`.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        let (origin, sent) = match self {
            Self::Off => return,
            Self::Unknown => (None, None),
            Self::Page(origin) => (Some(origin), None),
            Self::Preflight(origin, sent) => (Some(origin), Some(*sent)),
        };
        // A cache must not give one page the answer for another.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let Some(sent) = sent else {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
            return;
        };
        if let Some(methods) = headers.get(header::ALLOW).cloned() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(sent));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_SECONDS));
    }
}

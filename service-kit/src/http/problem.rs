//! Errors as `application/problem+json` (RFC 9457), with a closed list of types.
//!
//! `type` is a relative reference, `/problems/{slug}`. Both services describe each type there.

mod schema;

use std::fmt;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder, ResponseError};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::media_types::{ACCEPT_PATCH, accepted_patches};
use crate::telemetry::with_causes;

/// Media type of problems.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// Longest detail, in characters. A detail may quote the request.
const MAX_DETAIL: usize = 400;
/// The default of `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Declares the types of problems with slug, status and title.
macro_rules! problem_types {
    ($($(#[doc = $doc:literal])+ $name:ident $slug:literal $status:ident $title:literal;)+) => {
        /// The closed list of types of problems.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemType {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ProblemType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The last segment of `type`.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)+ }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// The type in a few words, which never change.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

problem_types! {
    /// The request can't be read.
    Malformed "malformed" BAD_REQUEST "The request can't be read";
    /// The body or the query has an unknown field.
    UnknownField "unknown-field" BAD_REQUEST "A field or parameter is unknown";
    /// A field, parameter or id is missing, has the wrong type or an impossible value.
    InvalidValue "invalid-value" BAD_REQUEST "A value is missing or not possible";
    /// A POST without `Idempotency-Key`.
    MissingIdempotencyKey "missing-idempotency-key" BAD_REQUEST "The header Idempotency-Key is missing";
    /// `Idempotency-Key` is not 1 to 255 visible ASCII characters.
    InvalidIdempotencyKey "invalid-idempotency-key" BAD_REQUEST "The header Idempotency-Key can't be used";
    /// The request has no valid token.
    Unauthenticated "unauthenticated" UNAUTHORIZED "Nobody is recognised";
    /// The caller is not the owner, or lacks a role.
    Forbidden "forbidden" FORBIDDEN "This is not allowed to the caller";
    /// No route has this path.
    NotFound "not-found" NOT_FOUND "There is nothing at this address";
    /// No room has this id.
    UnknownRoom "unknown-room" NOT_FOUND "There is no such room";
    /// No room is of this kind.
    UnknownKind "unknown-kind" NOT_FOUND "There is no room of this kind";
    /// No room has a closure with this id.
    UnknownClosure "unknown-closure" NOT_FOUND "There is no such closure";
    /// The room has no such reservation, or it is cancelled or moved.
    UnknownReservation "unknown-reservation" NOT_FOUND "There is no such reservation";
    /// The room has no reservation of this series that has not begun.
    UnknownSeries "unknown-series" NOT_FOUND "There is no such series";
    /// The reservation has no such revision, or is cancelled at it.
    UnknownRevision "unknown-revision" NOT_FOUND "The reservation has no such revision to restore";
    /// The caller has no such subscription.
    UnknownSubscription "unknown-subscription" NOT_FOUND "There is no such subscription";
    /// The subscription has no such delivery.
    UnknownDelivery "unknown-delivery" NOT_FOUND "There is no such delivery";
    /// The path has other methods, which `Allow` names.
    MethodNotAllowed "method-not-allowed" METHOD_NOT_ALLOWED "The method is not allowed here";
    /// `Host` names another machine, and the caller is named by the development headers.
    Misdirected "misdirected" MISDIRECTED_REQUEST "The request was meant for another host";
    /// Another reservation overlaps.
    Overlap "overlap" CONFLICT "Another reservation is in the way";
    /// Occurrences of a series overlap reservations or break rules.
    SeriesConflict "series-conflict" CONFLICT "Occurrences of the series don't fit";
    /// The room is closed in a part of the stay.
    RoomClosed "room-closed" CONFLICT "The room is closed at that time";
    /// The room has as many closures ahead as a room may have.
    TooManyClosures "too-many-closures" CONFLICT "There are too many closures";
    /// Every room of the kind is taken.
    NoFreeRoom "no-free-room" CONFLICT "No room of this kind is free";
    /// Another room has this name.
    NameTaken "name-taken" CONFLICT "Another room has this name";
    /// The room can't be retired because reservations lie ahead.
    ReservationsAhead "reservations-ahead" CONFLICT "Reservations lie ahead";
    /// The same request is in progress.
    InProgress "in-progress" CONFLICT "The same request is in progress";
    /// The caller has as many subscriptions as a user may have.
    TooManySubscriptions "too-many-subscriptions" CONFLICT "There are too many subscriptions";
    /// The subscription is by e-mail, which needs no secret.
    NoSecret "no-secret" CONFLICT "The subscription has no secret";
    /// The caller has as many calendars as a user may have.
    TooManyCalendars "too-many-calendars" CONFLICT "There are too many calendars";
    /// `If-Match` names another revision.
    Stale "stale" PRECONDITION_FAILED "It has changed meanwhile";
    /// The body did not arrive in time. Nothing was done.
    TooSlow "too-slow" REQUEST_TIMEOUT "The request came too slowly";
    /// The body is too large.
    TooLarge "too-large" PAYLOAD_TOO_LARGE "The body is too large";
    /// Path and query are too long.
    UriTooLong "uri-too-long" URI_TOO_LONG "The address is too long";
    /// The headers are too large.
    HeadersTooLarge "headers-too-large" REQUEST_HEADER_FIELDS_TOO_LARGE "The headers are too large";
    /// The body has another media type.
    UnsupportedMediaType "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE "The media type is not supported";
    /// The stay breaks a rule of the room.
    Rule "rule" UNPROCESSABLE_ENTITY "A rule of the room is broken";
    /// The time lies in the past.
    InThePast "in-the-past" UNPROCESSABLE_ENTITY "The time lies in the past";
    /// An imported command is older than the room's last event.
    OutOfOrder "out-of-order" UNPROCESSABLE_ENTITY "The command comes too late for its time";
    /// The idempotency key was used for another request.
    KeyReused "key-reused" UNPROCESSABLE_ENTITY "The idempotency key was used for another request";
    /// The caller sends too many requests.
    TooManyRequests "too-many-requests" TOO_MANY_REQUESTS "Too many requests";
    /// The service's queue is full.
    Overloaded "overloaded" SERVICE_UNAVAILABLE "The service is overloaded";
    /// The read model has not yet reached the requested version.
    NotYetVisible "not-yet-visible" SERVICE_UNAVAILABLE "What was asked for is not visible yet";
    /// The room's read models wait for an operator.
    Parked "parked" SERVICE_UNAVAILABLE "The room's queries wait for an operator";
    /// The service, or a server that it needs, can't answer now. Nothing was done.
    Unavailable "unavailable" SERVICE_UNAVAILABLE "The service is not available";
    /// The command may have taken effect. The same request with the same key tells.
    OutcomeUnknown "outcome-unknown" SERVICE_UNAVAILABLE "The outcome is not known";
    /// A defect of the service.
    Internal "internal" INTERNAL_SERVER_ERROR "The service failed";
}

impl ProblemType {
    /// The reference in `type`.
    #[must_use]
    pub fn uri(self) -> String {
        format!("/problems/{}", self.slug())
    }

    /// The type with the given slug.
    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }

    /// Whether a later try may succeed.
    const fn is_temporary(self) -> bool {
        matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
            || matches!(self, Self::InProgress)
    }
}

/// A problem as an answer. 503, 429 and `in-progress` have `Retry-After`, 401 has `WWW-Authenticate`.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<ProblemFields>);

/// The fields of a problem. Boxed, to keep results small.
#[derive(Debug, Clone, PartialEq)]
struct ProblemFields {
    kind: ProblemType,
    detail: String,
    field: Option<String>,
    extensions: Map<String, Value>,
    retry_after: Option<Duration>,
    /// `Allow` or `Accept-Patch`.
    accepted: Option<(HeaderName, String)>,
    cause: Option<String>,
}

/// The fields of an answered problem for the request's log line, which takes them from the response.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) kind: ProblemType,
    pub(crate) field: Option<String>,
    pub(crate) cause: Option<String>,
}

impl Problem {
    /// A problem. The client reads `detail`.
    #[must_use]
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
            detail.push_str("...");
        }
        Self(Box::new(ProblemFields {
            kind,
            detail,
            field: None,
            extensions: Map::new(),
            retry_after: kind.is_temporary().then_some(RETRY_AFTER),
            accepted: None,
            cause: None,
        }))
    }

    /// A defect. The request's log line has `cause` and its causes; the client learns nothing of them.
    #[must_use]
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(ProblemType::Internal, "the cause is in the service's log").caused_by(cause)
    }

    /// A defect without an error value.
    #[must_use]
    pub fn defect(cause: impl Into<String>) -> Self {
        let mut problem = Self::new(ProblemType::Internal, "the cause is in the service's log");
        problem.0.cause = Some(cause.into());
        problem
    }

    /// Adds a cause for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        self.0.cause = Some(with_causes(cause));
        self
    }

    /// Sets the field: a JSON pointer (`/openingHours/monday`) into the body, or the name of a parameter, part of the path or
    /// header.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Adds a member, such as the overlapping reservation. Leaves out a value that is not JSON.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.extensions.insert(name.to_owned(), value);
        }
        self
    }

    /// Sets `Retry-After`, rounded up to whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Sets the methods that are allowed.
    #[must_use]
    pub(crate) fn allow(mut self, methods: String) -> Self {
        self.0.accepted = Some((header::ALLOW, methods));
        self
    }

    /// Names the media types of a PATCH.
    #[must_use]
    pub(crate) fn accept_patch(mut self) -> Self {
        self.0.accepted = Some((ACCEPT_PATCH, accepted_patches()));
        self
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> ProblemType {
        self.0.kind
    }

    /// The field, if there is one.
    #[must_use]
    pub fn named_field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The problem for a status of the framework's own answer.
    pub(crate) fn for_status(status: StatusCode, detail: String) -> Self {
        let kind = match status {
            StatusCode::UNAUTHORIZED => ProblemType::Unauthenticated,
            StatusCode::FORBIDDEN => ProblemType::Forbidden,
            StatusCode::NOT_FOUND => ProblemType::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => ProblemType::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => ProblemType::TooSlow,
            StatusCode::URI_TOO_LONG => ProblemType::UriTooLong,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ProblemType::HeadersTooLarge,
            StatusCode::PAYLOAD_TOO_LARGE => ProblemType::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemType::UnsupportedMediaType,
            StatusCode::TOO_MANY_REQUESTS => ProblemType::TooManyRequests,
            status if status.is_client_error() => ProblemType::Malformed,
            StatusCode::SERVICE_UNAVAILABLE => ProblemType::Unavailable,
            _ => return Self::defect(detail),
        };
        Self::new(kind, detail)
    }

    fn respond(&self) -> HttpResponse {
        let mut builder = HttpResponseBuilder::new(self.0.kind.status());
        builder.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)));
        if let Some(after) = self.0.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            builder.insert_header((header::RETRY_AFTER, seconds.max(1)));
        }
        if let Some((name, accepted)) = &self.0.accepted {
            builder.insert_header((name.clone(), accepted.as_str()));
        }
        if self.0.kind == ProblemType::Unauthenticated {
            builder.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        let mut response = builder.json(self);
        response.extensions_mut().insert(Answered {
            kind: self.0.kind,
            field: self.0.field.clone(),
            cause: self.0.cause.clone(),
        });
        response
    }
}

/// The members of the JSON object. Further members never replace the standard ones.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.0.kind.uri())?;
        map.serialize_entry("title", self.0.kind.title())?;
        map.serialize_entry("status", &self.0.kind.status().as_u16())?;
        map.serialize_entry("detail", &self.0.detail)?;
        if let Some(field) = &self.0.field {
            map.serialize_entry("field", field)?;
        }
        for (name, value) in &self.0.extensions {
            if !matches!(name.as_str(), "type" | "title" | "status" | "detail" | "field" | "instance") {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.slug(), self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.respond()
    }
}

impl Responder for Problem {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.respond()
    }
}

#[cfg(test)]
mod tests;

//! Errors as `application/problem+json` (RFC 9457), with a closed list of types.
//!
//! `type` is a relative reference, `/problems/{slug}`, which either service answers with a description.

use std::fmt;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder, ResponseError};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// Media type of problems.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// Longest detail, in characters: it may quote what was sent.
const MAX_DETAIL: usize = 400;
/// When to come back where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Declares the closed list once: type, slug, status, title.
macro_rules! problem_types {
    ($($(#[doc = $doc:literal])+ $name:ident $slug:literal $status:ident $title:literal;)+) => {
        /// The closed list of problems.
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

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// What it is, in few words that never change.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

problem_types! {
    /// The body or the request can't be read at all.
    Malformed "malformed" BAD_REQUEST "The request can't be read";
    /// The body or the query has a field that is not known.
    UnknownField "unknown-field" BAD_REQUEST "A field or parameter is unknown";
    /// A field, parameter or id is missing, has the wrong type or an impossible value.
    InvalidValue "invalid-value" BAD_REQUEST "A value is missing or not possible";
    /// A POST without `Idempotency-Key`.
    MissingIdempotencyKey "missing-idempotency-key" BAD_REQUEST "The header Idempotency-Key is missing";
    /// `Idempotency-Key` is not 1 to 255 visible ASCII characters.
    InvalidIdempotencyKey "invalid-idempotency-key" BAD_REQUEST "The header Idempotency-Key can't be used";
    /// Nobody is recognised.
    Unauthenticated "unauthenticated" UNAUTHORIZED "Nobody is recognised";
    /// Not the owner, or not the role.
    Forbidden "forbidden" FORBIDDEN "This is not allowed to the caller";
    /// There is no such route.
    NotFound "not-found" NOT_FOUND "There is nothing at this address";
    /// There is no such room.
    UnknownRoom "unknown-room" NOT_FOUND "There is no such room";
    /// There is no room of this kind.
    UnknownKind "unknown-kind" NOT_FOUND "There is no room of this kind";
    /// There is no such reservation here, or it is cancelled or moved away.
    UnknownReservation "unknown-reservation" NOT_FOUND "There is no such reservation";
    /// The route knows other methods; `Allow` names them.
    MethodNotAllowed "method-not-allowed" METHOD_NOT_ALLOWED "The method is not allowed here";
    /// Another reservation is in the way.
    Overlap "overlap" CONFLICT "Another reservation is in the way";
    /// Every room of the kind is taken.
    NoFreeRoom "no-free-room" CONFLICT "No room of this kind is free";
    /// Another room has this name.
    NameTaken "name-taken" CONFLICT "Another room has this name";
    /// A room can't be retired while reservations lie ahead.
    ReservationsAhead "reservations-ahead" CONFLICT "Reservations lie ahead";
    /// The same request is being answered at this time.
    InProgress "in-progress" CONFLICT "The same request is in progress";
    /// `If-Match` names another revision.
    Stale "stale" PRECONDITION_FAILED "It has changed meanwhile";
    /// The body did not arrive in time; nothing was done.
    TooSlow "too-slow" REQUEST_TIMEOUT "The request came too slowly";
    /// The body is too large.
    TooLarge "too-large" PAYLOAD_TOO_LARGE "The body is too large";
    /// Path and query are too long.
    UriTooLong "uri-too-long" URI_TOO_LONG "The address is too long";
    /// The headers are too large.
    HeadersTooLarge "headers-too-large" REQUEST_HEADER_FIELDS_TOO_LARGE "The headers are too large";
    /// The body is not of a media type that is understood.
    UnsupportedMediaType "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE "The media type is not supported";
    /// A rule of the room is broken.
    Rule "rule" UNPROCESSABLE_ENTITY "A rule of the room is broken";
    /// The time lies in the past.
    InThePast "in-the-past" UNPROCESSABLE_ENTITY "The time lies in the past";
    /// An imported command is older than what the room has seen.
    OutOfOrder "out-of-order" UNPROCESSABLE_ENTITY "The command comes too late for its time";
    /// The idempotency key was used for another request.
    KeyReused "key-reused" UNPROCESSABLE_ENTITY "The idempotency key was used for another request";
    /// The caller sends too much.
    TooManyRequests "too-many-requests" TOO_MANY_REQUESTS "Too many requests";
    /// The service has more to do than it can take.
    Overloaded "overloaded" SERVICE_UNAVAILABLE "The service is overloaded";
    /// The read model has not yet reached the version that was asked for.
    NotYetVisible "not-yet-visible" SERVICE_UNAVAILABLE "What was asked for is not visible yet";
    /// The room's read models wait for an operator.
    Parked "parked" SERVICE_UNAVAILABLE "The room's queries wait for an operator";
    /// The service, or what it needs, can't answer now; nothing was done.
    Unavailable "unavailable" SERVICE_UNAVAILABLE "The service is not available";
    /// Whether the command took effect is not known; the same request with the same key tells.
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

    /// Whether its status promises that coming back later may help.
    const fn is_temporary(self) -> bool {
        matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
            || matches!(self, Self::InProgress)
    }
}

/// A problem that is answered. 503, 429 and `in-progress` have a `Retry-After`, 401 a `WWW-Authenticate`.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<ProblemFields>);

/// Boxed, because a problem is the rare case of many results.
#[derive(Debug, Clone, PartialEq)]
struct ProblemFields {
    kind: ProblemType,
    detail: String,
    field: Option<String>,
    extensions: Map<String, Value>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    cause: Option<String>,
}

/// What is known of an answered problem beside its status; the request's log line takes it from the response.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) kind: ProblemType,
    pub(crate) field: Option<String>,
    pub(crate) cause: Option<String>,
}

impl Problem {
    /// A problem; `detail` tells the client what is wrong this time.
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
            allow: None,
            cause: None,
        }))
    }

    /// A defect. The client learns nothing of `cause`; it is logged, with its own causes, when the request is.
    #[must_use]
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(ProblemType::Internal, "the cause is in the service's log").caused_by(cause)
    }

    /// A defect that is no error value.
    #[must_use]
    pub fn defect(cause: impl Into<String>) -> Self {
        let mut problem = Self::new(ProblemType::Internal, "the cause is in the service's log");
        problem.0.cause = Some(cause.into());
        problem
    }

    /// Adds a cause for the log alone.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = cause.to_string();
        let mut next = cause.source();
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        self.0.cause = Some(text);
        self
    }

    /// Names what is wrong: a JSON pointer (`/openingHours/monday`) into the body, or the name of a parameter,
    /// of a part of the path, or of a header.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Adds a member, such as the reservation in the way. A value that can't be written is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.extensions.insert(name.to_owned(), value);
        }
        self
    }

    /// Sets when to come back, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Sets the methods that are allowed.
    #[must_use]
    pub(crate) fn allow(mut self, methods: String) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> ProblemType {
        self.0.kind
    }

    /// What is wrong this time.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What `field` names.
    #[must_use]
    pub fn named_field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The cause for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The nearest problem for a status that the framework answered by itself.
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
        if let Some(allow) = &self.0.allow {
            builder.insert_header((header::ALLOW, allow.as_str()));
        }
        if self.0.kind == ProblemType::Unauthenticated {
            builder.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        let mut response = builder.body(serde_json::to_vec(self).unwrap_or_default());
        response.extensions_mut().insert(Answered {
            kind: self.0.kind,
            field: self.0.field.clone(),
            cause: self.0.cause.clone(),
        });
        response
    }
}

/// The members of the JSON object; extensions never replace the standard ones.
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

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text =
            |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
        let kinds = ProblemType::ALL.iter().map(|kind| kind.uri());
        let status = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .description(Some("The HTTP status."));
        ObjectBuilder::new()
            .description(Some("An error (RFC 9457). Other members say more, such as what stands in the way."))
            .property("type", text("Which problem it is.").enum_values(Some(kinds)))
            .required("type")
            .property("title", text("The same in words, always the same for a type."))
            .required("title")
            .property("status", status)
            .required("status")
            .property("detail", text("What is wrong this time."))
            .required("detail")
            .property(
                "field",
                text("JSON pointer into the body, or name of a parameter, part of the path or header."),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for Problem {}

#[cfg(test)]
mod tests;

//! The description of this API (OpenAPI 3.1), made from the handlers.

use service_kit::http::{log_level, problem::Problem};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr,
        schema::Schema,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    answers::Effect,
    erasures, feed,
    import::{self, ImportOutcome},
    reservations, rooms,
};

mod parts;

/// A text without control characters.
pub(super) const TEXT: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// The same with a character that is no white space.
pub(super) const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

pub(super) use parts::{
    Changed, Created, EraseFailed, ErasuresList, EventsPage, Failed, HeadsPage, ImportAnswer, ImportFailed,
    Keyed, KeyedOptionally, ListFailed, Preconditions, ReadFailed, cancel_command, move_command,
    opening_hours, reschedule_command, reserve_command,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Room reservations: commands",
        description = "Registers rooms and reserves them. Queries are another service's; a command's \
            `Consistency-Token`, sent with a query, makes it show at least the command's effect."
    ),
    paths(
        rooms::register,
        rooms::change,
        rooms::retire,
        reservations::reserve,
        reservations::reserve_kind,
        reservations::change,
        reservations::cancel,
        reservations::move_to_room,
        import::import,
        erasures::list,
        erasures::add,
        feed::heads,
        feed::events,
        log_level::show,
        log_level::change,
        live,
        ready,
        metrics,
        description,
        problem_types
    ),
    components(schemas(
        Problem,
        Effect,
        ImportOutcome,
        import::ReserveLine,
        import::RescheduleLine,
        import::MoveLine,
        import::CancelLine
    )),
    tags(
        (name = "rooms", description = "For administrators."),
        (name = "reservations", description = "A reservation is changed by its owner or an administrator."),
        (name = "import", description = "Historic bookings, for administrators."),
        (name = "feed", description = "The events themselves, for administrators and other services."),
        (name = "erasure", description = "The erasure of persons, for administrators and other services."),
        (name = "administration", description = "For administrators: what this process does, not what is in the system."),
        (name = "operation", description = "For operators and machines; nobody needs to be recognised.")
    ),
    modifiers(&Callers, &Texts)
)]
struct Description;

/// The description as JSON, as it is committed and served.
///
/// # Errors
/// When it can't be written, which is a defect.
pub fn document() -> Result<String, serde_json::Error> {
    Description::openapi().to_pretty_json().map(|json| json + "\n")
}

/// What a text may hold: no control characters, and in the name of something one character that is seen.
struct Texts;

impl Modify for Texts {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let schemas = openapi.components.iter_mut().flat_map(|components| components.schemas.values_mut());
        for schema in schemas {
            let RefOr::T(Schema::Object(object)) = schema else { continue };
            for (name, property) in &mut object.properties {
                if let RefOr::T(Schema::Object(text)) = property
                    && text.max_length.is_some()
                    && text.pattern.is_none()
                {
                    let pattern = if matches!(name.as_str(), "name" | "kind") { NAME } else { TEXT };
                    text.pattern = Some(pattern.to_owned());
                }
            }
        }
    }
}

/// Who is asking: a token, or on loopback and where it is switched on, headers.
struct Callers;

impl Modify for Callers {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("Claims `sub`, `exp` and, for roles, `roles`: `admin`, `service`."));
        components.add_security_scheme("token", SecurityScheme::Http(token.build()));
        let header = |name: &str, description: &str| {
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
        };
        let user =
            header("X-User", "Who is asking. For development: on loopback and where it is switched on.");
        components.add_security_scheme("user", user);
        components.add_security_scheme("roles", header("X-Roles", "Roles of `X-User`, comma-separated."));
        let none: [&str; 0] = [];
        let by_token = SecurityRequirement::new("token", none);
        let by_headers = SecurityRequirement::new("user", none).add("roles", none);
        openapi.security = Some(vec![by_token, SecurityRequirement::new("user", none), by_headers]);
        for path in openapi.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.patch, &mut path.delete];
            for operation in operations.into_iter().flatten() {
                if operation.tags.as_ref().is_some_and(|tags| tags.iter().any(|tag| tag == "operation")) {
                    operation.security = Some(Vec::new());
                }
            }
        }
    }
}

macro_rules! common {
    ($($(#[$doc:meta])* $name:ident $path:literal ($(($status:literal, $description:literal, $media_type:literal)),+);)+) => {$(
        $(#[$doc])*
        #[utoipa::path(get, path = $path, tag = "operation", responses(
            $((status = $status, description = $description, content_type = $media_type, body = Object)),+
        ))]
        #[expect(dead_code, reason = "describes an endpoint that both services have")]
        fn $name() {}
    )+};
}

common! {
    /// Whether the process serves requests.
    live "/health/live" ((200, "It does.", "application/json"));
    /// Whether all that the service needs is there.
    ready "/health/ready" (
        (200, "It is.", "application/json"),
        (503, "It is not; `components` tells what is missing.", "application/json")
    );
    /// Metrics in the text format of Prometheus.
    metrics "/metrics" ((200, "The metrics.", "text/plain"));
    /// This description.
    description "/openapi.json" ((200, "OpenAPI 3.1.", "application/json"));
    /// The closed list of problems; `/problems/{slug}` is one of them.
    problem_types "/problems" ((200, "All types with title and status.", "application/json"));
}

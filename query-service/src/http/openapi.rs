//! The API's description, generated from the handlers.

use std::{collections::BTreeMap, sync::LazyLock};

use service_kit::http::{
    log_level,
    problem::{MEDIA_TYPE, Problem},
};
use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi,
    openapi::{
        Content, ContentBuilder, HttpMethod, PathItem, Ref, RefOr, ResponseBuilder,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        response::Response,
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    request::{PREFER, TOKEN},
    reservations, rooms, statistics,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Room reservations: queries",
        description = "What is reserved, free and popular. Commands are the command service's.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        rooms::rooms,
        rooms::room,
        rooms::kinds,
        rooms::schedule,
        rooms::free,
        rooms::availability,
        reservations::reservation,
        reservations::my_reservations,
        reservations::my_history,
        reservations::users_reservations,
        reservations::users_history,
        statistics::popular_rooms,
        statistics::busiest_times,
        log_level::show,
        log_level::change,
    ),
    components(schemas(Problem)),
    security(("token" = [])),
    modifiers(&Token, &Operations)
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// What operators ask, which is the same in both services and needs no token.
struct Operations;

impl Modify for Operations {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let nobody: Vec<SecurityRequirement> = vec![SecurityRequirement::default()];
        for (path, id, summary, media_type, refusal) in [
            ("/health/live", "live", "Whether the process serves requests.", "application/json", None),
            (
                "/health/ready",
                "ready",
                "Whether everything that the service needs is there.",
                "application/json",
                Some("What is missing."),
            ),
            ("/metrics", "metrics", "Metrics for Prometheus.", "text/plain", None),
            ("/openapi.json", "openapi", "This description.", "application/json", None),
        ] {
            let content = ContentBuilder::new().build();
            let answer =
                ResponseBuilder::new().description("The answer.").content(media_type, content.clone());
            let mut operation = OperationBuilder::new()
                .operation_id(Some(id))
                .summary(Some(summary))
                .tag("operations")
                .securities(Some(nobody.clone()))
                .response("200", answer.build());
            if let Some(refusal) = refusal {
                let answer = ResponseBuilder::new().description(refusal).content(media_type, content);
                operation = operation.response("503", answer.build());
            }
            document.paths.paths.insert(path.to_owned(), PathItem::new(HttpMethod::Get, operation.build()));
        }
    }
}

/// The API's description as OpenAPI 3.1, in JSON.
#[must_use]
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
        text.push('\n');
        text
    });
    &DOCUMENT
}

/// The headers that every query may have.
pub(super) struct QueryHeaders;

impl IntoParams for QueryHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let header = |name: &str, description: &str| {
            let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[\t -~]*$"));
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Header)
                .description(Some(description))
                .schema(Some(text))
                .build()
        };
        vec![
            header(
                TOKEN,
                "What the answer has to show: `Consistency-Token` of a command's answer, or several, separated by commas.",
            ),
            header(
                PREFER,
                "`wait=n`: wait up to so many seconds until the token's versions are visible; 2, at most 10.",
            ),
        ]
    }
}

/// What every query may be refused with.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refusal = |description: &str| {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            ResponseBuilder::new().description(description).content(MEDIA_TYPE, problem).build().into()
        };
        [
            ("400", "A parameter or header is missing, unknown or not possible."),
            ("401", "Nobody is recognised."),
            ("405", "The address knows GET and HEAD."),
            ("500", "A defect of the service."),
            (
                "429",
                "The caller, or the address of one who is not recognised, asks too often; see `Retry-After`.",
            ),
            ("503", "Not visible yet, parked, or not available; see `type` and `Retry-After`."),
        ]
        .into_iter()
        .map(|(status, description)| (status.to_owned(), refusal(description)))
        .collect()
    }
}

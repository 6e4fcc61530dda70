//! The common parts of both services' OpenAPI documents.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{
        Components, Content, Header, HttpMethod, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder,
        Server,
        header::HeaderBuilder,
        path::{Operation, OperationBuilder},
        schema::{ArrayItems, ObjectBuilder, Schema, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

use super::media_types::{JSON, MERGE_PATCH};
use super::problem::{self, Problem};

/// Completes a document with the default address, the security schemes, the common endpoints, and a component for the items of
/// each list.
pub fn complete(document: &mut OpenApi, address: &str) {
    let mut server = Server::new(format!("http://{address}"));
    server.description = Some("The default address; `LISTEN` sets another one.".to_owned());
    document.servers = Some(vec![server]);
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    name_items(components);
    name_callers(document);
    take_merge_patches(document);
    document.tags.get_or_insert_default().push(
        TagBuilder::new()
            .name("operation")
            .description(Some("For operators and machines; needs no token."))
            .build(),
    );
    for (path, operation) in operations() {
        document.paths.paths.insert(path.to_owned(), PathItem::new(HttpMethod::Get, operation));
    }
}

/// Each list refers to the component of its items, so that generated clients have a type for them.
fn name_items(components: &mut Components) {
    let mut items = BTreeMap::new();
    for (name, schema) in &mut components.schemas {
        let (Some(item), RefOr::T(Schema::Object(list))) = (name.strip_prefix("List_"), schema) else {
            continue;
        };
        if let Some(RefOr::T(Schema::Array(array))) = list.properties.get_mut("items")
            && let ArrayItems::RefOrSchema(inline) = &mut array.items
            && matches!(**inline, RefOr::T(_))
        {
            let component = std::mem::replace(&mut **inline, Ref::from_schema_name(item).into());
            items.insert(item.to_owned(), component);
        }
    }
    components.schemas.extend(items);
}

/// A PATCH takes both media types.
fn take_merge_patches(document: &mut OpenApi) {
    for path in document.paths.paths.values_mut() {
        let body = path.patch.as_mut().and_then(|operation| operation.request_body.as_mut());
        let Some(body) = body else { continue };
        if let Some(content) = body.content.get(JSON).cloned() {
            body.content.insert(MERGE_PATCH.to_owned(), content);
        }
    }
}

/// Adds the security schemes: a token, or the development headers.
fn name_callers(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("Claims `sub`, `exp` and, for roles, `roles`: `admin`, `service`, `eraser`, `delegate`. The service can be told other names of claims."));
    components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    let header = |name: &str, description: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
    };
    let user = header(
        "X-User",
        "The caller. For development: on loopback, where it is switched on, and not from another site's page or through a proxy.",
    );
    components.add_security_scheme("user", user);
    components.add_security_scheme("roles", header("X-Roles", "Roles of `X-User`, comma-separated."));
    let none: [&str; 0] = [];
    let by_token = SecurityRequirement::new("token", none);
    let by_headers = SecurityRequirement::new("user", none).add("roles", none);
    document.security = Some(vec![by_token, SecurityRequirement::new("user", none), by_headers]);
}

/// The common endpoints. None needs a token.
fn operations() -> [(&'static str, Operation); 5] {
    let operation = |id: &str, summary: &str, media_type: &str| {
        let schema = ObjectBuilder::new().schema_type(match media_type {
            "text/plain" => Type::String,
            _ => Type::Object,
        });
        let answer = ResponseBuilder::new()
            .description("The answer.")
            .content(media_type, Content::new(Some(Schema::from(schema))));
        let wrong = problems(&[("400", "The request is malformed."), METHOD]);
        let operation = OperationBuilder::new()
            .operation_id(Some(id))
            .summary(Some(summary))
            .tag("operation")
            .securities(Some(Vec::new()))
            .response("200", answer.build());
        wrong.into_iter().fold(operation, |operation, (status, problem)| operation.response(status, problem))
    };
    let json = "application/json";
    let missing = ResponseBuilder::new()
        .description("Not ready; `components` tells what is missing.")
        .content(json, Content::new(Some(Schema::from(ObjectBuilder::new().schema_type(Type::Object)))));
    [
        ("/health/live", operation("live", "Whether the process serves requests.", json).build()),
        (
            "/health/ready",
            operation("ready", "Whether the service has everything that it needs.", json)
                .response("503", missing.build())
                .build(),
        ),
        ("/metrics", operation("metrics", "Metrics in the text format of Prometheus.", "text/plain").build()),
        ("/openapi.json", operation("description", "This description.", json).build()),
        (
            "/problems",
            operation("problemTypes", "All types of problems; `/problems/{slug}` is one of them.", json)
                .build(),
        ),
    ]
}

/// The problem of a method that the address doesn't have.
pub const METHOD: (&str, &str) = ("405", "The address has other methods.");
/// The problem of every address where callers are recognised: the token or the headers.
pub const NOBODY: (&str, &str) = ("401", "The caller is not recognised.");
/// The problem of a caller that asks too often.
pub const TOO_MANY: (&str, &str) =
    ("429", "Too many requests of the caller, or of the address of an unknown caller; see `Retry-After`.");
/// The problem of a service with a defect.
pub const DEFECT: (&str, &str) = ("500", "A defect of the service.");

/// The problems of what this crate answers administrators.
pub(crate) enum AdminFailed {}

impl IntoResponses for AdminFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            NOBODY,
            ("403", "Not an administrator."),
            METHOD,
            ("429", "Too many requests of an unknown caller."),
            DEFECT,
            ("503", "Not available, or the process has no logs of its own."),
        ])
    }
}

/// Responses with problems, from status and description, with their headers.
#[must_use]
pub fn problems(problems: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let response = |(status, description): &(&str, &str)| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new().description(*description).content(problem::MEDIA_TYPE, content);
        let response = match *status {
            "401" => response.header("WWW-Authenticate", header("`Bearer`.")),
            "405" => response.header("Allow", header("The methods of the address.")),
            "409" => response.header("Retry-After", header("Seconds, where the same request still runs.")),
            "415" => response.header("Accept-Patch", header("Of a PATCH: the media types of its body.")),
            "429" | "503" => response.header("Retry-After", header("Seconds after which to come back.")),
            _ => response,
        };
        ((*status).to_owned(), response.build().into())
    };
    problems.iter().map(response).collect()
}

/// A response header that is a text.
#[must_use]
pub fn header(description: &str) -> Header {
    HeaderBuilder::new()
        .schema(ObjectBuilder::new().schema_type(Type::String))
        .description(Some(description))
        .build()
}

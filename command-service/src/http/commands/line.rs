//! From a line to its command: the line stands for the request with its method, path and body.

use std::sync::LazyLock;

use actix_web::{
    dev::{Path, ResourceDef, Url},
    http::Uri,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use service_kit::{
    auth::Caller,
    http::{
        decode, path,
        problem::{Problem, ProblemType},
    },
};
use utoipa::ToSchema;

use super::super::{
    conditions::Condition,
    idempotency,
    lines::{Line, key_at_least, whole},
    request::{Body, Wanted, no_query},
    reservations, rooms, series,
};
use crate::commands::Action;

/// A command: the parts of the request that would carry it alone.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in super::super) struct CommandLine {
    /// The `Idempotency-Key`. A POST needs one. The line and the single request with the same key are the same request, if
    /// method, path and the bytes of the body are.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    key: Option<String>,
    /// The method.
    method: Method,
    /// The path of a command, such as `/v1/rooms`.
    path: String,
    /// The `If-Match`, for a command that takes one.
    #[serde(default)]
    if_match: Option<String>,
    /// The body; a DELETE needs none.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    body: Option<Box<RawValue>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = CommandMethod)]
pub(super) enum Method {
    Post,
    Patch,
    Delete,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A command at a path.
struct Route {
    method: Method,
    /// Whether it is for administrators alone.
    admin: bool,
    action: fn(&Path<Url>, &[u8]) -> Result<Action, Problem>,
}

const fn everybody(method: Method, action: fn(&Path<Url>, &[u8]) -> Result<Action, Problem>) -> Route {
    Route { method, admin: false, action }
}

const fn administrators(method: Method, action: fn(&Path<Url>, &[u8]) -> Result<Action, Problem>) -> Route {
    Route { method, admin: true, action }
}

fn read<P: DeserializeOwned, B: Body>(
    path: &Path<Url>,
    body: &[u8],
    action: fn(P, B) -> Result<Action, Problem>,
) -> Result<Action, Problem> {
    action(path::read(path)?, B::decode(body)?)
}

/// The commands by their paths.
const COMMANDS: [(&str, &[Route]); 10] = [
    ("/v1/rooms", &[administrators(Method::Post, |path, body| read(path, body, rooms::to_register))]),
    (
        "/v1/rooms/{room}",
        &[
            administrators(Method::Patch, |path, body| read(path, body, rooms::to_change)),
            administrators(Method::Delete, |path, body| read(path, body, rooms::to_retire)),
        ],
    ),
    (
        "/v1/rooms/{room}/reservations",
        &[everybody(Method::Post, |path, body| read(path, body, reservations::to_reserve))],
    ),
    (
        "/v1/kinds/{kind}/reservations",
        &[everybody(Method::Post, |path, body| read(path, body, reservations::to_reserve_kind))],
    ),
    (
        "/v1/rooms/{room}/reservations/{reservation}",
        &[
            everybody(Method::Patch, |path, body| read(path, body, reservations::to_change)),
            everybody(Method::Delete, |path, body| read(path, body, reservations::to_cancel)),
        ],
    ),
    (
        "/v1/rooms/{room}/reservations/{reservation}/move",
        &[everybody(Method::Post, |path, body| read(path, body, reservations::to_move))],
    ),
    (
        "/v1/rooms/{room}/reservations/{reservation}/restore",
        &[everybody(Method::Post, |path, body| read(path, body, reservations::to_restore))],
    ),
    (
        "/v1/rooms/{room}/series",
        &[everybody(Method::Post, |path, body| read(path, body, series::to_reserve))],
    ),
    (
        "/v1/rooms/{room}/series/{series}",
        &[
            everybody(Method::Patch, |path, body| read(path, body, series::to_change)),
            everybody(Method::Delete, |path, body| read(path, body, series::to_cancel)),
        ],
    ),
    (
        "/v1/rooms/{room}/series/{series}/following/{reservation}",
        &[
            everybody(Method::Patch, |path, body| read(path, body, series::to_change_following)),
            everybody(Method::Delete, |path, body| read(path, body, series::to_cancel_following)),
        ],
    ),
];

/// The same, to find a path.
static ROUTES: LazyLock<[(ResourceDef, &[Route]); 10]> =
    LazyLock::new(|| COMMANDS.map(|(pattern, routes)| (ResourceDef::new(pattern), routes)));

/// A line with its key, if it can be read, and its command or the problem with it.
pub(super) fn of_line(line: &Line, caller: &Caller) -> (Option<String>, Result<Wanted, Problem>) {
    let bytes = match whole(line) {
        Ok(bytes) => bytes,
        Err(problem) => return (None, Err(problem)),
    };
    match decode::json::<CommandLine>(bytes) {
        Ok(line) => (line.key.clone(), line.wanted(caller)),
        Err(problem) => (key_at_least(bytes), Err(problem)),
    }
}

impl CommandLine {
    /// Checks in the order of a single request.
    fn wanted(self, caller: &Caller) -> Result<Wanted, Problem> {
        let Self { key, method, path, if_match, body } = self;
        let not_found = || Problem::new(ProblemType::NotFound, "no command has this path").field("/path");
        let uri: Uri = path.parse().ok().filter(|_| path.starts_with('/')).ok_or_else(not_found)?;
        let mut parts = Path::new(Url::new(uri.clone()));
        let (_, routes) = ROUTES
            .iter()
            .find(|(pattern, _)| pattern.capture_match_info(&mut parts))
            .ok_or_else(not_found)?;
        let route = routes.iter().find(|route| route.method == method).ok_or_else(|| {
            let methods: Vec<_> = routes.iter().map(|route| route.method.name()).collect();
            let detail = format!("this path knows {}", methods.join(", "));
            Problem::new(ProblemType::MethodNotAllowed, detail).field("/method")
        })?;
        if route.admin {
            caller.require_admin()?;
        }
        no_query(uri.query().unwrap_or_default())?;
        match &key {
            None if method == Method::Post => return Err(idempotency::missing().field("/key")),
            Some(key) if !idempotency::is_usable(key) => {
                let detail = "a key has 1 to 255 visible ASCII characters";
                return Err(Problem::new(ProblemType::InvalidIdempotencyKey, detail).field("/key"));
            }
            None | Some(_) => {}
        }
        let condition = if_match.as_deref().map(Condition::of_line).transpose()?;
        let body = body.as_deref().map_or("", RawValue::get).as_bytes();
        let action = (route.action)(&parts, body)?;
        let key = key.map(|key| idempotency::of_request(&caller.user, &key, method.name(), uri.path(), body));
        Ok(Wanted { action, condition, key, address: uri.path().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::OPENAPI;

    fn wanted(line: &Value, roles: &[&str]) -> Result<Wanted, Problem> {
        let caller = Caller::new("ann", roles.iter().copied()).unwrap();
        of_line(&Line::Whole(line.to_string().into_bytes().into()), &caller).1
    }

    #[test]
    fn each_command_of_the_description_can_be_a_line_for_the_same_callers() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut commands = 0;
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let tag = operation["tags"][0].as_str().unwrap();
                if !matches!(tag, "rooms" | "reservations" | "series") {
                    continue;
                }
                commands += 1;
                let id = "0190a5b0-0000-7000-8000-000000000001";
                let path = path
                    .replace("{room}", id)
                    .replace("{reservation}", id)
                    .replace("{series}", id)
                    .replace("{kind}", "a%20kind");
                let line =
                    json!({"key": "k", "method": method.to_uppercase(), "path": path, "body": {"no": 1}});
                // The body is read last.
                let problem = wanted(&line, &["admin"]).err().map(|problem| problem.kind());
                let expected = (method != "delete").then_some(ProblemType::UnknownField);
                assert_eq!(problem, expected, "{line}");
                let problem = wanted(&line, &[]).err().map(|problem| problem.kind());
                let expected = if tag == "rooms" { Some(ProblemType::Forbidden) } else { expected };
                assert_eq!(problem, expected, "{line}");
            }
        }
        assert_eq!(commands, 14);
    }

    #[test]
    fn what_is_no_command_is_named() {
        let post = |path: &str| json!({"key": "k", "method": "POST", "path": path, "body": {}});
        for path in
            ["/v1/rooms/", "/v1/import", "/v1/commands", "v1/rooms", "http://a/v1/rooms", "", "//v1/rooms"]
        {
            let problem = wanted(&post(path), &["admin"]).err().unwrap();
            assert_eq!(
                (problem.kind(), problem.named_field()),
                (ProblemType::NotFound, Some("/path")),
                "{path}"
            );
        }
        let path = "/v1/kinds/a/reservations";
        for (line, kind, field) in [
            (json!({"method": "PUT", "path": path}), ProblemType::InvalidValue, "/method"),
            (json!({"method": "DELETE", "path": path}), ProblemType::MethodNotAllowed, "/method"),
            (json!({"method": "POST", "path": path}), ProblemType::MissingIdempotencyKey, "/key"),
            (
                json!({"method": "POST", "path": path, "key": "a b"}),
                ProblemType::InvalidIdempotencyKey,
                "/key",
            ),
            (post("/v1/kinds/a/reservations?x=1"), ProblemType::UnknownField, "x"),
            (
                json!({"method": "POST", "path": path, "key": "k", "ifMatch": "3"}),
                ProblemType::InvalidValue,
                "/ifMatch",
            ),
            (
                json!({"method": "POST", "path": path, "key": "k", "roles": []}),
                ProblemType::UnknownField,
                "/roles",
            ),
            (post("/v1/rooms/seven/reservations"), ProblemType::InvalidValue, "room"),
            (post(path), ProblemType::InvalidValue, "/from"),
        ] {
            let problem = wanted(&line, &[]).err().unwrap();
            assert_eq!((problem.kind(), problem.named_field()), (kind, Some(field)), "{line}");
        }
    }
}

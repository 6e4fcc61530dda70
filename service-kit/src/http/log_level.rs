//! Shows and changes the level of log lines at run time, for administrators.

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::context::RequestContext;
use super::description::AdminFailed;
use super::endpoint::endpoint;
use super::headers::no_conditions;
use super::json::Json;
use super::parts::HttpParts;
use super::problem::{Problem, ProblemType};
use crate::audit::Act;
use crate::auth::Caller;
use crate::telemetry::{LogLevel, RunningLogs};

const PATH: &str = "/v1/admin/log-level";

/// Adds the endpoint.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(endpoint(PATH).get(show).put(change));
}

/// The level of log lines.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LogLevel)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Least level (`error`, `warn`, `info`, `debug`, `trace` or `off`), or a filter like
    /// `info,http.request=warn`.
    #[schema(min_length = 1, max_length = 1000, pattern = "^[ -~]*[!-~][ -~]*$")]
    level: String,
}

/// Returns this process's log level.
///
/// With `ADMIN_LISTEN`, only that address has it.
#[utoipa::path(
    get, path = "/v1/admin/log-level", tag = "administration", operation_id = "logLevel",
    responses(
        (status = 200, description = "The level in force.", body = Shown),
        AdminFailed,
    )
)]
pub async fn show(caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require_admin()?;
    Ok(answer(&logs()?.level()))
}

/// Sets this process's log level, until the next change or the end of the process.
///
/// With `ADMIN_LISTEN`, only that address has it.
#[utoipa::path(
    put, path = "/v1/admin/log-level", tag = "administration", operation_id = "changeLogLevel",
    request_body = Shown,
    responses(
        (status = 200, description = "The new level.", body = Shown),
        AdminFailed,
        (status = 400, description = "The level is invalid, or the body can't be read.", content_type = "application/problem+json", body = Problem),
        (status = 413, description = "The body has more than 65536 bytes.", content_type = "application/problem+json", body = Problem),
        (status = 415, description = "The body is not of the media type.", content_type = "application/problem+json", body = Problem),
    )
)]
pub async fn change(
    caller: Caller,
    parts: Data<HttpParts>,
    context: RequestContext,
    request: actix_web::HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    caller.require_admin()?;
    no_conditions(&request)?;
    let act = Act::begun(caller.user, "change-log-level", parts.service, Some(&context.correlation_id));
    let change = async {
        let asked =
            <Json<Shown> as actix_web::FromRequest>::from_request(&request, &mut payload.into_inner());
        let level: LogLevel = asked.await?.value.level.parse().map_err(|error| {
            Problem::new(ProblemType::InvalidValue, format!("/level: {error}")).field("/level")
        })?;
        let logs = logs()?;
        let before = logs.change(level).map_err(|error| Problem::internal(&error))?;
        Ok::<_, Problem>((before, logs.level()))
    };
    match change.await {
        Ok((before, now)) => {
            act.ended(format!("{now} in place of {before}"));
            Ok(answer(&now))
        }
        Err(problem) => {
            act.ended(problem.kind().slug());
            Err(problem)
        }
    }
}

fn logs() -> Result<&'static RunningLogs, Problem> {
    let none = || Problem::new(ProblemType::Unavailable, "this process has no logs of its own");
    RunningLogs::of_process().ok_or_else(none)
}

fn answer(level: &LogLevel) -> HttpResponse {
    HttpResponse::Ok().json(Shown { level: level.to_string() })
}

//! The metrics for administrators, on the address of everybody: the page reads lag there.

use actix_web::{
    HttpResponse,
    http::header::CONTENT_TYPE,
    web::{Data, ServiceConfig},
};

use super::{endpoint::endpoint, parts::HttpParts, problem::Problem};
use crate::auth::Caller;

/// Adds the endpoint.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(endpoint("/v1/admin/metrics").get(metrics));
}

/// Returns the metrics of this process, as `/metrics` does for programs.
///
/// With `ADMIN_LISTEN`, `/metrics` is on that address, which browsers do not reach.
#[utoipa::path(
    get, path = "/v1/admin/metrics", tag = "administration", operation_id = "adminMetrics",
    responses(
        (status = 200, description = "The metrics, in the text format of Prometheus.", content_type = "text/plain", body = String),
        (status = 401, description = "The request has no valid token.", content_type = "application/problem+json", body = Problem),
        (status = 403, description = "Not an administrator.", content_type = "application/problem+json", body = Problem),
        (status = 429, description = "Too many requests of an unknown caller.", content_type = "application/problem+json", body = Problem),
        (status = 500, description = "A defect of the service.", content_type = "application/problem+json", body = Problem),
        (status = 503, description = "Not available.", content_type = "application/problem+json", body = Problem),
    )
)]
pub async fn metrics(caller: Caller, parts: Data<HttpParts>) -> Result<HttpResponse, Problem> {
    caller.require_admin()?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4"))
        .body(parts.metrics.render()))
}

//! The metrics for administrators, on the address of everybody: the page reads lag there.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};

use super::{description::AdminFailed, endpoint::endpoint, health, parts::HttpParts, problem::Problem};
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
        AdminFailed,
    )
)]
pub async fn metrics(caller: Caller, parts: Data<HttpParts>) -> Result<HttpResponse, Problem> {
    caller.require_admin()?;
    Ok(health::metrics(parts).await)
}

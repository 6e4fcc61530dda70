//! What the common endpoints and the middleware of a service work with.

use std::time::Duration;

use crate::{auth::Authenticator, readiness::Readiness, telemetry::Metrics};

/// What the common endpoints and the middleware of a service work with.
#[derive(Debug, Clone)]
pub struct HttpParts {
    /// Name of the service in logs and metrics.
    pub service: &'static str,
    /// Recognises callers.
    pub authenticator: Authenticator,
    /// Answers `/health/ready`.
    pub readiness: Readiness,
    /// Answers `/metrics`.
    pub metrics: Metrics,
    /// Answers `/openapi.json`.
    pub openapi: &'static str,
    /// In which a request is answered.
    pub request_timeout: Duration,
}

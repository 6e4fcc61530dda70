//! The parts of a service that the middleware and the common endpoints need.

use std::time::Duration;

use crate::{auth::Authenticator, readiness::Readiness, telemetry::Metrics};

/// The parts of a service that the middleware and the common endpoints need.
#[derive(Debug, Clone)]
pub struct HttpParts {
    /// Name of the service in logs and metrics.
    pub service: &'static str,
    /// Authenticates callers.
    pub authenticator: Authenticator,
    /// Answers `/health/ready`.
    pub readiness: Readiness,
    /// Answers `/metrics`.
    pub metrics: Metrics,
    /// Answers `/openapi.json`.
    pub openapi: &'static str,
    /// Deadline of a request.
    pub request_timeout: Duration,
}

//! Starts the common tasks of every service: HTTP, fresh keys of tokens, and metrics.

use std::{net::SocketAddr, time::Duration};

use actix_web::web::ServiceConfig;
use anyhow::Context;

use super::server::{HttpParts, HttpService};
use crate::{kit_settings::ServerSettings, shutdown::Lifecycle};

/// Interval at which histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// Listens, and starts the common tasks in `lifecycle`. Returns the address, whose port is never 0.
///
/// HTTP answers at once. It takes no new requests once `lifecycle` ends, and calls `ended` after the last answer.
///
/// # Errors
/// If it can't listen.
pub fn start(
    parts: HttpParts,
    settings: &ServerSettings,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    lifecycle: &Lifecycle,
    ended: impl FnOnce() + Send + 'static,
) -> anyhow::Result<SocketAddr> {
    let (jwks, metrics, service) =
        (parts.authenticator.jwks().cloned(), parts.metrics.clone(), parts.service);
    let component = jwks.as_ref().map(|_| parts.readiness.component("jwks"));
    let http = HttpService::bind(parts, settings, configure)?;
    let address = http.address;
    tracing::info!(%address, admin = ?http.admin_address, service, "listening");
    let stop = lifecycle.soft();
    lifecycle.spawn("http", async move {
        let outcome = http.run(stop).await;
        ended();
        outcome.context("serving HTTP")
    });
    if let (Some(jwks), Some(component)) = (jwks, component) {
        lifecycle.spawn_infallible("jwks", jwks.keep_fresh(component, lifecycle.soft()));
    }
    let stop = lifecycle.soft();
    lifecycle.spawn_infallible("metrics", async move {
        while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
            metrics.upkeep();
        }
    });
    Ok(address)
}

//! What every service runs beside its own work: HTTP, fresh keys for tokens, metrics.

use std::{net::SocketAddr, time::Duration};

use actix_web::web::ServiceConfig;
use anyhow::Context;

use super::server::{HttpParts, HttpService};
use crate::{kit_settings::ServerSettings, shutdown::Lifecycle};

/// How often histograms are folded, so that they don't grow between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Listens, and starts the tasks of `lifecycle` that every service has. Returns the address; its port is never 0.
///
/// HTTP answers from now on. It takes no new requests once `lifecycle` ends, and calls `ended` after the last answer.
///
/// # Errors
/// When an address can't be listened on.
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
    tracing::info!(%address, metrics = ?http.admin_address, service, "listening");
    let stop = lifecycle.soft();
    lifecycle.spawn("http", async move {
        let outcome = http.run(stop).await;
        ended();
        outcome.context("serving HTTP")
    });
    if let (Some(jwks), Some(component)) = (jwks, component) {
        let stop = lifecycle.soft();
        lifecycle.spawn("jwks", async move {
            jwks.keep_fresh(component, stop).await;
            Ok(())
        });
    }
    let stop = lifecycle.soft();
    lifecycle.spawn("metrics", async move {
        while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
            metrics.upkeep();
        }
        Ok(())
    });
    Ok(address)
}

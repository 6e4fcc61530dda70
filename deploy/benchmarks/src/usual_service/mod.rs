//! The usual service: one transaction for each command. It has our framework, driver, validation, authentication, logs,
//! metrics, tables and rows. It does not even check for overlaps.

mod http;
mod mysql;

use std::time::Duration;

use anyhow::Result;
use command_service::config::{self, Config};
use service_kit::{
    clock::Clock,
    config::Settings,
    http::server::{HttpParts, HttpService},
    readiness::Readiness,
    shutdown::Lifecycle,
    telemetry::{Metrics, start_logs},
};
use shared_events::RoomId;

use crate::{command_target::CommandTarget, rig::Rig};

/// Name of the subcommand that runs [`serve`].
pub(crate) const SUBCOMMAND: &str = "usual-service";

/// Starts a usual service with a number of connections to its database.
pub(crate) async fn target(rig: &Rig, pool: usize, rooms: &[RoomId]) -> Result<CommandTarget> {
    let namespace = rig.namespace("usual").await?;
    command_service::operate::migrate(&namespace.database_url()).await?;
    let settings = [
        ("MYSQL_URL", namespace.database_url()),
        ("KAFKA_BROKERS", rig.servers.brokers.clone()),
        ("MYSQL_CONNECTIONS", pool.to_string()),
    ];
    let mut service = rig.start(crate::rig::program()?, &[SUBCOMMAND], &settings, &[])?;
    service.until_ready().await?;
    CommandTarget::with(rig, namespace, service, rooms.to_vec())
}

/// Serves until a signal. Takes the settings of the command service.
#[tokio::main]
pub(crate) async fn serve() -> Result<()> {
    let config = Config::read(Settings::load(config::keys()))?;
    start_logs(config.kit.log_format, &config.kit.log_level);
    let clock = Clock::system();
    let lifecycle = Lifecycle::new(config.kit.shutdown_timeout);
    let readiness = Readiness::new(clock.clone());
    let metrics = Metrics::install()?;
    let authenticator = config.kit.auth.authenticator(clock.clone())?;
    if let Some(jwks) = authenticator.jwks().cloned() {
        let (component, stop) = (readiness.component("jwks"), lifecycle.soft());
        lifecycle.spawn("jwks", async move {
            jwks.keep_fresh(component, stop).await;
            Ok(())
        });
    }
    let parts = HttpParts {
        service: "usual-service",
        authenticator,
        readiness,
        metrics: metrics.clone(),
        openapi: "{}",
        request_timeout: config.kit.server.request_timeout,
    };
    let store = mysql::Store::open(&config)?;
    let http = HttpService::bind(parts, &config.kit.server, http::configure(store, clock))?;
    let stop = lifecycle.soft();
    lifecycle.spawn("http", async move { Ok(http.run(stop).await?) });
    let stop = lifecycle.soft();
    lifecycle.spawn("metrics", async move {
        while tokio::time::timeout(Duration::from_secs(5), stop.cancelled()).await.is_err() {
            metrics.upkeep();
        }
        Ok(())
    });
    lifecycle.run().await;
    Ok(())
}

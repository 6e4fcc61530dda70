//! The usual service: one transaction for each command. It has our framework, driver, validation, authentication, logs,
//! metrics, tables and rows. It does not even check for overlaps.

mod http;
mod mysql;

use std::process::ExitCode;

use anyhow::Result;
use command_service::config::{self, Config};
use service_kit::{
    config::Settings,
    http::{server::HttpParts, service},
    process::{self, Process},
    readiness::Readiness,
};
use shared_events::RoomId;

use crate::{command_target::CommandTarget, rig::Rig};

/// Name of the subcommand that runs [`serve`].
pub(crate) const SUBCOMMAND: &str = "usual-service";

/// Starts a usual service with a number of connections to its database.
pub(crate) async fn target(rig: &Rig, pool: usize, rooms: &[RoomId]) -> Result<CommandTarget> {
    let namespace = rig.namespace("usual").await?;
    command_service::operate::migrate(namespace.database_url()).await?;
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
pub(crate) async fn serve() -> Result<ExitCode> {
    let config = Config::read(Settings::load(config::keys()))?;
    let start = async |process: Process| {
        let parts = HttpParts {
            service: SUBCOMMAND,
            authenticator: process.authenticator,
            readiness: Readiness::new(process.clock.clone()),
            metrics: process.metrics,
            openapi: "{}",
            request_timeout: process.server.request_timeout,
        };
        let configure = http::configure(mysql::Store::open(&config)?, process.clock);
        service::start(parts, &process.server, configure, &process.lifecycle, || {}).map(drop)
    };
    process::serve(SUBCOMMAND, config.kit.clone(), start).await
}

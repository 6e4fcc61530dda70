//! Runs a service's program: logs, traces and tasks around the service's own start.

use std::process::ExitCode;

use crate::{
    auth::Authenticator,
    clock::Clock,
    kit_settings::{KitSettings, ServerSettings},
    shutdown::Lifecycle,
    telemetry::{Metrics, start_logs},
    traces::Traces,
};

/// The parts of a process from which its services start.
pub struct Process {
    /// The tasks of the process.
    pub lifecycle: Lifecycle,
    /// The clock of the process.
    pub clock: Clock,
    /// Authenticates callers.
    pub authenticator: Authenticator,
    /// Settings of the HTTP server.
    pub server: ServerSettings,
    /// Metrics of the process.
    pub metrics: Metrics,
}

/// Calls `start`, and serves until the process is asked to end or one of its tasks ends by itself.
///
/// # Errors
/// When a setting can't be used, or `start` fails.
pub async fn serve(
    name: &'static str,
    settings: KitSettings,
    start: impl AsyncFnOnce(Process) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    start_logs(settings.log_format, &settings.log_level);
    let traces = Traces::start(name, settings.traces.as_ref())?;
    let lifecycle = Lifecycle::new(settings.server.shutdown_timeout);
    let clock = Clock::with_offset(settings.clock_offset_seconds);
    let process = Process {
        lifecycle: lifecycle.clone(),
        authenticator: settings.auth.authenticator(clock.clone())?,
        clock,
        server: settings.server,
        metrics: Metrics::install()?,
    };
    start(process).await?;
    let end = lifecycle.run().await;
    traces.finish().await;
    Ok(end.into())
}

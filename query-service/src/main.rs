//! `query-service serve|health|openapi`, and operators' commands.

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use query_service::{
    config::{Config, keys},
    http,
    operate::{self, Operate},
    service::{Service, Source},
};
use service_kit::{
    clock::Clock,
    config::Settings,
    probe,
    shutdown::{End, Lifecycle},
    telemetry::{self, Metrics},
    traces::Traces,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answers queries over read models that it makes of events. Settings are environment variables; the README lists
/// them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Consumes events and answers queries.
    Serve,
    /// Asks the service on this machine whether it is ready.
    Health,
    /// Prints the description of the API.
    Openapi,
    #[command(flatten)]
    Operate(Operate),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve => serve().await,
        Command::Health => health().await,
        Command::Openapi => {
            print!("{}", http::document());
            Ok(ExitCode::SUCCESS)
        }
        // 1 tells a script that something is not as it was wanted, 2 that it could not be found out.
        Command::Operate(command) => match operate::run(command).await {
            Ok(true) => Ok(ExitCode::SUCCESS),
            Ok(false) => Ok(ExitCode::FAILURE),
            Err(error) => {
                eprintln!("query-service: {error:#}");
                Ok(ExitCode::from(2))
            }
        },
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("query-service: {error:#}");
        ExitCode::FAILURE
    })
}

async fn health() -> anyhow::Result<ExitCode> {
    probe::ready_by(Settings::load(&keys())).await?;
    Ok(ExitCode::SUCCESS)
}

async fn serve() -> anyhow::Result<ExitCode> {
    let config = Config::load()?;
    telemetry::start_logs(config.kit.log_format, &config.kit.log_level);
    let clock = Clock::with_offset(config.kit.clock_offset_seconds);
    let metrics = Metrics::install()?;
    let traces = Traces::start("query-service", config.kit.traces.as_ref())?;
    let lifecycle = Lifecycle::new(config.kit.shutdown_timeout);
    let feed = config.feed(clock.clone())?;
    config.kafka.brokers.warn_if_open();
    let service = Service {
        feed: Arc::new(feed),
        source: Source::Kafka(Box::new(config.kafka), config.mongo),
        authenticator: config.kit.auth.authenticator(clock.clone())?,
        server: config.kit.server,
        clock,
        metrics,
        limits: config.limits,
        watchdog: config.watchdog,
    };
    service.start(&lifecycle)?;
    let end = lifecycle.run().await;
    traces.finish().await;
    Ok(End::into(end))
}

//! The embedded default: both services in one process on loopback, to try, develop and test.
//!
//! SQLite replaces MySQL, a bounded channel replaces Kafka, and read models in memory replace MongoDB. Domain, writer, relay,
//! projector, folds and HTTP are those of the real stack.

mod config;
mod feed;
mod welcome;

use std::{fs, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Parser, Subcommand};
use command_service::{
    event_store::{EventStore, sqlite::SqliteStore},
    in_process::InProcessLog,
    outbox::RelayOptions,
    service::Stack,
    writer,
};
use query_service::projector::Limits;
use service_kit::{
    clock::Clock,
    shutdown::{End, Lifecycle},
    telemetry::{Metrics, start_logs},
    traces::Traces,
};

use crate::config::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Room reservations, the embedded default: both services in one process on this machine. Without a command it serves.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Replays 14,938 real hotel bookings, with their changes and cancellations, through running services, and prints results.
    ///
    /// A second replay changes nothing.
    Demo(demo::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        None => serve().await.map(ExitCode::from),
        Some(Command::Demo(arguments)) => demo::run(arguments).await.map(|()| ExitCode::SUCCESS),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<End> {
    let config = Config::load()?;
    start_logs(config.kit.log_format, &config.kit.log_level);
    fs::create_dir_all(&config.data).with_context(|| format!("{} can't be made", config.data.display()))?;
    let data = fs::canonicalize(&config.data)?;
    let lock = fs::File::create(data.join("lock"))?;
    lock.try_lock().with_context(|| format!("another process works in {}", data.display()))?;

    let clock = Clock::with_offset(config.kit.clock_offset_seconds);
    let lifecycle = Lifecycle::new(config.kit.shutdown_timeout);
    let metrics = Metrics::install()?;
    let traces = Traces::start("room-reservations", config.kit.traces.as_ref())?;
    let authenticator = config.kit.auth.authenticator(clock.clone())?;
    let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(&data.join("events.sqlite"), None).await?);

    let (log, events) = InProcessLog::new();
    let command = command_service::service::Service {
        stack: Stack::InProcess(Arc::clone(&store), log),
        authenticator: authenticator.clone(),
        server: config.kit.server,
        clock: clock.clone(),
        metrics: metrics.clone(),
        writer: writer::Options::default(),
        relay: RelayOptions::default(),
        keys_kept: config.keys_kept,
    };
    let command_address = command.start(&lifecycle)?;
    let query = query_service::service::Service {
        stack: query_service::service::Stack::InProcess(events),
        feed: Arc::new(feed::StoreFeed(store)),
        authenticator,
        server: config.query_server,
        clock: clock.clone(),
        metrics,
        limits: Limits::default(),
        watchdog: config.watchdog,
    };
    let query_address = query.start(&lifecycle)?;
    println!("{}", welcome::text(command_address, query_address, &data, clock.now()));
    let end = lifecycle.run().await;
    traces.finish().await;
    Ok(end)
}

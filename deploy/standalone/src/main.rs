//! The embedded default: both services in one process on loopback, to try, develop and test.
//!
//! SQLite replaces MySQL, a bounded channel replaces Kafka, and read models in memory replace MongoDB. Domain, writer, relay,
//! projector, folds and HTTP are those of the real stack.

mod config;
mod feed;
mod welcome;

use std::{fs, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Parser, Subcommand};
use command_service::{
    event_store::{EventStore, sqlite::SqliteStore},
    in_process::InProcessLog,
    outbox::RelayOptions,
    roll_back,
    service::Stack,
    writer,
};
use query_service::{
    calendars::memory::MemoryCalendars,
    notifications::{Notifications, memory::MemoryNotifications},
    page::Page,
    projector::Limits,
};
use service_kit::{
    clock::Clock,
    process::{self, Process},
    report::exit_code,
    telemetry::start_logs,
};
use shared_events::time_zone::Database;

use crate::config::Config;

/// Name of the program in messages and traces.
const NAME: &str = "room-reservations";

/// Most clients with a live stream.
const LIVE_STREAMS: usize = 256;

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
    /// Takes back what a user, an import or anyone in a room did since a time. The program must not serve meanwhile.
    ///
    /// Every change is taken back by a command, newest first; no event is deleted. A change is left if somebody else has changed
    /// the reservation since, or if another reservation is in the way; the table says which. The same command is the same run.
    ///
    /// Exit status: 0 when everything is taken back, 1 when something is left or on an error.
    RollBack(roll_back::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        None => serve().await,
        Some(Command::Demo(arguments)) => demo::run(arguments).await.map(|()| ExitCode::SUCCESS),
        Some(Command::RollBack(arguments)) => roll_back(arguments).await,
    };
    exit_code(NAME, outcome, 1)
}

/// The settings, and the rules of time zones that they choose.
fn configured() -> anyhow::Result<Config> {
    let config = Config::load()?;
    if let Some(folder) = &config.time_zones {
        Database::use_system(folder).with_context(|| format!("TIME_ZONES: {}", folder.display()))?;
    }
    Ok(config)
}

/// The folder of the data, for this process alone as long as the file is open.
fn data(config: &Config) -> anyhow::Result<(PathBuf, fs::File)> {
    fs::create_dir_all(&config.data).with_context(|| format!("{} can't be made", config.data.display()))?;
    let data = fs::canonicalize(&config.data)?;
    let lock = fs::File::create(data.join("lock"))?;
    lock.try_lock().with_context(|| format!("another process works in {}", data.display()))?;
    Ok((data, lock))
}

async fn roll_back(arguments: roll_back::Arguments) -> anyhow::Result<ExitCode> {
    let config = configured()?;
    let (data, _lock) = data(&config)?;
    start_logs(config.kit.log_format, &config.kit.log_level);
    let store = SqliteStore::open(&data.join("events.sqlite"), None).await?;
    Ok(arguments.run(Arc::new(store), Clock::system()).await?.into())
}

async fn serve() -> anyhow::Result<ExitCode> {
    let config = configured()?;
    let (data, _lock) = data(&config)?;
    let settings = config.kit.clone();
    let start = async |process: Process| {
        let store: Arc<dyn EventStore> =
            Arc::new(SqliteStore::open(&data.join("events.sqlite"), None).await?);
        let (log, events) = InProcessLog::new();
        let command = command_service::service::Service {
            stack: Stack::InProcess(Arc::clone(&store), log),
            authenticator: process.authenticator.clone(),
            server: process.server,
            clock: process.clock.clone(),
            metrics: process.metrics.clone(),
            writer: writer::Options::default(),
            relay: RelayOptions::default(),
            keys_kept: config.keys_kept,
        };
        let command_address = command.start(&process.lifecycle)?;
        let now = process.clock.now();
        let commands = format!("http://{command_address}").parse()?;
        let sign_in = config.sign_in;
        let subscriptions = Arc::new(MemoryNotifications::default());
        let query = query_service::service::Service {
            // Endpoints of developers are on this machine.
            notifications: Some(Notifications::over(
                subscriptions,
                process.clock.clone(),
                true,
                config.post.is_some(),
            )),
            post: config.post,
            page: Some(Page { commands, sign_in }),
            calendars: Arc::new(MemoryCalendars::default()),
            stack: query_service::service::Stack::InProcess(events),
            feed: Arc::new(feed::StoreFeed(store)),
            authenticator: process.authenticator,
            server: config.query_server,
            clock: process.clock,
            metrics: process.metrics,
            limits: Limits::default(),
            watchdog: config.watchdog,
            streams: LIVE_STREAMS,
        };
        let query_address = query.start(&process.lifecycle)?;
        println!("{}", welcome::text(command_address, query_address, &data, now));
        Ok(())
    };
    process::serve(NAME, settings, start).await
}

//! The embedded default: both services in one process on loopback, with SQLite in place of MySQL, a bounded in-process
//! log in place of Kafka and read models in memory in place of MongoDB. For trying, developing and testing.
//!
//! Domain, writer, relay, projector, folds and HTTP are those of the real stack.

mod config;
mod feed;
mod log;
mod welcome;

use std::{fs, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Parser, Subcommand};
use command_service::{
    event_store::{Buckets, EventStore, sqlite::SqliteStore},
    http::{Api, Backend, Gate, configure},
    outbox::{Relay, RelayOptions, allotment, handoff},
    writer::{Options, writer},
};
use query_service::{
    projector::Limits,
    service::{Service, Source},
};
use service_kit::{
    clock::Clock,
    http::server::{HttpParts, HttpService},
    readiness::Readiness,
    shutdown::{End, Lifecycle},
    telemetry::{Metrics, start_logs},
    traces::Traces,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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
    /// Replays 14,938 real hotel bookings through services that run, and prints what came of them.
    ///
    /// Changes and cancellations come in the order of time. A second replay changes nothing.
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

    let readiness = Readiness::new(clock.clone());
    let sqlite = readiness.component("sqlite");
    let gate = Gate::default();
    let parts = HttpParts {
        service: "command-service",
        authenticator: authenticator.clone(),
        readiness,
        metrics: metrics.clone(),
        openapi: command_service::http::OPENAPI,
        request_timeout: config.kit.server.request_timeout,
    };
    let api = Api::new(gate.clone(), clock.clone(), lifecycle.soft());
    let http = HttpService::bind(parts, &config.kit.server, configure(api))?;
    let command_address = http.address;

    let (log, events) = mpsc::channel(log::CAPACITY);
    let query = Service {
        feed: Arc::new(feed::StoreFeed(Arc::clone(&store))),
        source: Source::InProcess(events),
        authenticator,
        server: config.query_server.clone(),
        clock: clock.clone(),
        metrics,
        limits: Limits::default(),
        watchdog: config.watchdog,
    };
    let query_address = query.start(&lifecycle)?;

    // At the end HTTP takes no more, the writer finishes what waits, and the relay hands on what is left.
    let (committed, handed) = handoff();
    let (writer, writing) = writer(Arc::clone(&store).into(), clock.clone(), committed, &Options::default());
    gate.open(Backend { writer, log: Arc::clone(&store) as _, erasures: Arc::clone(&store) as _ });
    sqlite.ok();
    let stop = lifecycle.soft();
    lifecycle.spawn("http", async move {
        let outcome = http.run(stop).await;
        gate.close();
        outcome.context("serving HTTP")
    });
    let written = CancellationToken::new();
    let ended = written.clone();
    lifecycle.spawn("writer", async move {
        let _ended = ended.drop_guard();
        writing.await;
        Ok(())
    });
    let relay = Relay::new(
        Arc::clone(&store) as _,
        Arc::clone(&store) as _,
        log::InProcessLog::new(log),
        clock.clone(),
        RelayOptions::default(),
    );
    lifecycle.spawn("relay", async move {
        // One process, one relay: there is nobody to share the buckets with.
        let (_allotter, allotted) = allotment(Buckets::ALL);
        relay.run(allotted, handed, written).await;
        Ok(())
    });
    let (stop, kept) = (lifecycle.soft(), config.keys_kept);
    lifecycle.spawn("sweep", async move {
        command_service::housekeeping::sweep_keys(store, kept, stop).await;
        Ok(())
    });
    println!("{}", welcome::text(command_address, query_address, &data, clock.now()));
    let end = lifecycle.run().await;
    traces.finish().await;
    Ok(end)
}

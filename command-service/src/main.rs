//! The command service's program.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use command_service::{
    config::{self, Config, mysql_url},
    http, operate,
    service::{NAME, Servers, Service, Stack},
};
use secrecy::ExposeSecret;
use service_kit::{
    clock::Clock,
    config::Settings,
    dev_key::{DevKey, DevKeyArgs, TokenArgs},
    probe,
    report::Format,
    shutdown::{End, Lifecycle},
    telemetry::{Metrics, start_logs},
    traces::Traces,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes commands over HTTP, commits their events to MySQL and relays them to Kafka. Settings: see the README.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Serves until it is asked to end (SIGTERM, SIGINT).
    Serve,
    /// Brings the event store's tables up to date, and ends.
    Migrate,
    /// Shows what waits for Kafka, which instance relays it, and which rooms are held back.
    ///
    /// For when events are late: how many wait and how long, in which buckets, and which instance holds each of them. A
    /// bucket that nobody holds for longer than LEASE_SECONDS, or one whose events don't get fewer, is where to look. A
    /// room is held back when Kafka refused one of its events for good; `release-room` lets it go on.
    ///
    /// Reads the database that MYSQL_URL names, and changes nothing. Ends with 0, with 1 when the database does not answer
    /// or is not this service's.
    Outbox(Format),
    /// Lets a room go on that is held back, after the cause is gone.
    ///
    /// The relay then sends the room's events again, in order, from the one that was refused; if Kafka refuses it again,
    /// the room is held back again. Needs no restart.
    ///
    /// Ends with 0 when the room was released, with 1 when it is not held back or the database does not answer.
    ReleaseRoom(operate::ReleaseRoomArgs),
    /// Prints a token for a user, signed with the development key.
    Token(TokenArgs),
    /// Makes the development key where it is missing.
    DevKey(DevKeyArgs),
    /// Prints the description of the API (OpenAPI 3.1).
    Openapi,
    /// Asks the service on this machine whether it is ready.
    Health,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("command-service: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(task: Task) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::load(&config::keys());
    match task {
        Task::Serve => {
            return serve(Config::read(settings)?).await.map(ExitCode::from);
        }
        Task::Migrate => {
            let (url, format, level) =
                (mysql_url(&mut settings), settings.get("LOG_FORMAT"), settings.get("LOG_LEVEL"));
            let (url, format, level) = settings.finish(|| Some((url?, format?, level?)))?;
            start_logs(format, &level);
            operate::migrate(url.expose_secret()).await?;
        }
        Task::Outbox(format) => {
            let url = mysql_url(&mut settings);
            print!("{}", operate::outbox(&settings.finish(|| url)?, format, &Clock::system()).await?);
        }
        Task::ReleaseRoom(arguments) => {
            let (url, format, level) =
                (mysql_url(&mut settings), settings.get("LOG_FORMAT"), settings.get("LOG_LEVEL"));
            let (url, format, level) = settings.finish(|| Some((url?, format?, level?)))?;
            start_logs(format, &level);
            print!("{}", operate::release_room(&url, arguments).await?);
        }
        Task::Token(arguments) => println!("{}", arguments.token(&Clock::system())?),
        Task::DevKey(arguments) => {
            DevKey::ensure(&arguments.dir)?;
            println!("{}", arguments.dir.display());
        }
        Task::Openapi => print!("{}", http::document()?),
        Task::Health => probe::ready_by(settings).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves until the process is asked to end, or one of its parts ends by itself.
async fn serve(config: Config) -> anyhow::Result<End> {
    start_logs(config.kit.log_format, &config.kit.log_level);
    let clock = Clock::with_offset(config.kit.clock_offset_seconds);
    let lifecycle = Lifecycle::new(config.kit.shutdown_timeout);
    let traces = Traces::start(NAME, config.kit.traces.as_ref())?;
    let service = Service {
        stack: Stack::Servers(Box::new(Servers::new(&config)?)),
        authenticator: config.kit.auth.authenticator(clock.clone())?,
        server: config.kit.server,
        clock,
        metrics: Metrics::install()?,
        writer: config.writer,
        relay: config.relay,
        keys_kept: config.keys_kept,
    };
    service.start(&lifecycle)?;
    let end = lifecycle.run().await;
    traces.finish().await;
    Ok(end)
}

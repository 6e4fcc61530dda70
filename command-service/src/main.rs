//! The command service's program.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use command_service::{
    config::{self, Config},
    http,
    operate::Operate,
    service::{NAME, Servers, Service, Stack},
};
use service_kit::{
    clock::Clock,
    config::Settings,
    dev_key::{DevKey, DevKeyArgs, TokenArgs},
    probe,
    report::exit_code,
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
    /// Prints a token for a user, signed with the development key.
    Token(TokenArgs),
    /// Makes the development key where it is missing.
    DevKey(DevKeyArgs),
    /// Prints the description of the API (OpenAPI 3.1).
    Openapi,
    /// Asks the service on this machine whether it is ready.
    Health,
    #[command(flatten)]
    Operate(Operate),
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Arguments::parse().task).await.unwrap_or_else(|error| {
        eprintln!("{NAME}: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(task: Task) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(config::keys());
    match task {
        Task::Serve => return serve(Config::read(settings)?).await.map(ExitCode::from),
        Task::Operate(command) => return Ok(exit_code(NAME, command.run(settings).await)),
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

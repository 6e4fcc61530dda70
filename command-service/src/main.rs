//! The command service's program.

use std::process::ExitCode;

use anyhow::Context;
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
    kit_settings::TIME_ZONES,
    probe,
    process::{self, Process},
    report::exit_code,
};
use shared_events::time_zone::Database;

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
    let task = Arguments::parse().task;
    let on_error = if matches!(task, Task::Operate(_)) { 2 } else { 1 };
    exit_code(NAME, run(task).await, on_error)
}

async fn run(task: Task) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::load(config::keys());
    if let Some(folder) = settings.read(&TIME_ZONES) {
        Database::use_system(&folder).with_context(|| format!("TIME_ZONES: {}", folder.display()))?;
    }
    match task {
        Task::Serve => return serve(Config::read(settings)?).await,
        Task::Operate(command) => return Ok(command.run(settings).await?.into()),
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

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let settings = config.kit.clone();
    let start = async |process: Process| {
        let service = Service {
            stack: Stack::Servers(Box::new(Servers::new(&config)?)),
            authenticator: process.authenticator,
            server: process.server,
            clock: process.clock,
            metrics: process.metrics,
            writer: config.writer,
            relay: config.relay,
            keys_kept: config.keys_kept,
        };
        service.start(&process.lifecycle).map(drop)
    };
    process::serve(NAME, settings, start).await
}

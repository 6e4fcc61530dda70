//! The command service's program.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use command_service::{
    config::{self, Config, MYSQL_URL},
    http, serve,
};
use secrecy::ExposeSecret;
use service_kit::{
    clock::Clock,
    config::Settings,
    dev_key::{DevKey, DevKeyArgs, TokenArgs},
    kit_settings::LISTEN,
    probe,
    telemetry::start_logs,
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
            let config = Config::read(settings)?;
            start_logs(config.kit.log_format, &config.kit.log_level);
            return serve::serve(config).await.map(ExitCode::from);
        }
        Task::Migrate => {
            let url = settings.secret(MYSQL_URL);
            serve::migrate(settings.finish(|| url)?.expose_secret()).await?;
        }
        Task::Token(arguments) => println!("{}", arguments.token(&Clock::system())?),
        Task::DevKey(arguments) => {
            DevKey::ensure(&arguments.dir)?;
            println!("{}", arguments.dir.display());
        }
        Task::Openapi => print!("{}", http::document()?),
        Task::Health => {
            let listen = settings.get(LISTEN).context("LISTEN can't be read")?;
            probe::ready(listen).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

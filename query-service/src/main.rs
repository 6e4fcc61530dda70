//! The query service's program.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Parser, Subcommand};
use query_service::{
    config::{self, Config, NotifySettings},
    http,
    notifications::Notifications,
    notify::Notifier,
    operate::Operate,
    service::{NAME, Service, Stack},
};
use service_kit::{
    config::Settings,
    kit_settings::TIME_ZONES,
    probe,
    process::{self, Process},
    report::exit_code,
};
use shared_events::time_zone::Database;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answers queries over read models that it makes of events. Settings: see the README.
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
    /// Notifies subscriptions of events, until it is asked to end. It is scaled by itself.
    Notify,
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
        Task::Notify => return notify(Config::read(settings)?).await,
        Task::Operate(command) => return Ok(command.run(settings).await?.into()),
        Task::Openapi => print!("{}", http::document()?),
        Task::Health => probe::ready_by(settings).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let settings = config.kit.clone();
    let start = async |process: Process| {
        config.kafka.brokers.warn_if_open();
        let (subscriptions, calendars) = config.notify_database().await?;
        let NotifySettings { keys, loopback, sender, .. } = &config.notify;
        let notifications = keys.is_some().then(|| {
            let clock = process.clock.clone();
            Notifications::over(Arc::new(subscriptions), clock, *loopback, sender.is_some())
        });
        let service = Service {
            calendars: Arc::new(calendars),
            notifications,
            post: None,
            feed: Arc::new(config.feed()?),
            stack: Stack::Servers(Box::new(config.kafka), config.mongo),
            authenticator: process.authenticator,
            server: process.server,
            clock: process.clock,
            metrics: process.metrics,
            limits: config.limits,
            watchdog: config.watchdog,
            streams: config.streams,
            page: config.page,
        };
        service.start(&process.lifecycle).map(drop)
    };
    process::serve(NAME, settings, start).await
}

async fn notify(config: Config) -> anyhow::Result<ExitCode> {
    let settings = config.kit.clone();
    anyhow::ensure!(config.notify.keys.is_some(), "NOTIFY_KEY: required by notify");
    let ((store, _), post) = (config.notify_database().await?, config.post()?);
    let start = async |process: Process| {
        config.kafka.brokers.warn_if_open();
        let notifier = Notifier {
            kafka: config.notify_kafka(),
            store,
            models: config.mongo.clone(),
            post,
            loopback: config.notify.loopback,
            timeout: config.notify.timeout,
            authenticator: process.authenticator,
            server: process.server,
            clock: process.clock,
            metrics: process.metrics,
            abort_at: config.limits.abort_at,
        };
        notifier.start(&process.lifecycle).map(drop)
    };
    process::serve(NAME, settings, start).await
}

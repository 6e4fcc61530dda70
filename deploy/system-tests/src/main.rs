//! Trials of the whole system that take longer than a test: a campaign of faults, and a probe of the HTTP APIs.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use system_tests::{Server, Stack, campaign, kafka, openapi};
use tokio::signal::unix::{SignalKind, signal};

/// Trials of the whole system that take longer than a test.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Debug, Subcommand)]
enum Trial {
    /// Inflict faults on its own services and servers under load, and check every answer. Fails on any violation, and
    /// on a takeover that takes longer than ten seconds.
    Campaign {
        /// The seed of the faults.
        #[arg(long)]
        seed: u64,
        /// Minutes of faults.
        #[arg(long)]
        minutes: u64,
        /// Clients that send commands.
        #[arg(long, default_value_t = 32)]
        callers: u64,
        /// Folder with the services' binaries of an earlier build. The second instance of each service runs them.
        #[arg(long)]
        older: Option<PathBuf>,
        /// File for the result as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Folder for the services' logs, and for all records after a violation.
        #[arg(long)]
        logs: Option<PathBuf>,
    },
    /// Send both services requests that their OpenAPI documents allow or forbid. Fails on any answer that the documents
    /// do not describe.
    Openapi {
        /// The program `schemathesis`.
        #[arg(long)]
        schemathesis: PathBuf,
        /// The seed of the cases.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Most random cases per operation, besides those of the other phases.
        #[arg(long, default_value_t = 100)]
        cases: u32,
    },
    /// Start one of each service on the servers that the environment names, print their addresses as JSON, and end with
    /// standard input. A line there is a command, which is printed when it is done. Tests of the page use it.
    ///
    /// - `stop` and `start` both services.
    /// - `command-service ARGUMENTS` and `query-service ARGUMENTS`: an operator's command.
    /// - `limit-messages BYTES`: Kafka refuses larger messages.
    /// - `garble ROOM VERSION`: sends what looks like this event of the room and can't be read.
    Serve,
}

/// Runs a command of the first of these services.
async fn operate(services: &[Server], arguments: &[&str]) -> anyhow::Result<()> {
    let service = services.first().context("there is no such service")?;
    let output = service.command(arguments).output().await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Serves until standard input ends.
async fn serve() -> anyhow::Result<bool> {
    let mut stack = Stack::real(1).await;
    let (commands, page) = stack.urls();
    println!("{}", serde_json::json!({"commands": commands, "page": page}));
    let (sent, mut lines) = tokio::sync::mpsc::unbounded_channel();
    // A task that blocks would keep the process from ending by a signal.
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| sent.send(line))
    });
    while let Some(line) = lines.recv().await {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["stop"] => stack.stop().await,
            ["start"] => stack.start().await,
            ["command-service", arguments @ ..] => operate(&stack.commands, arguments).await?,
            ["query-service", arguments @ ..] => operate(&stack.queries, arguments).await?,
            ["limit-messages", bytes] => {
                let (brokers, topic) = stack.topic();
                kafka::limit_messages(brokers, topic, bytes.parse()?).await?;
            }
            ["garble", room, version] => {
                let (brokers, topic) = stack.topic();
                kafka::send_garbled(brokers, topic, room, version.parse()?).await?;
            }
            _ => anyhow::bail!("{line:?} is no command"),
        }
        println!("{line}");
    }
    Ok(true)
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let trial = async {
        match Arguments::parse().trial {
            Trial::Campaign { seed, minutes, callers, older, json, logs } => {
                let lasts = Duration::from_mins(minutes);
                run_campaign(campaign::Options { seed, lasts, callers, older, logs, verbose: true }, json)
                    .await
            }
            Trial::Openapi { schemathesis, seed, cases } => {
                let outcome = openapi::run(&openapi::Options { schemathesis, seed, cases }).await?;
                println!("\n{} requests were answered", outcome.answered);
                Ok(outcome.as_described)
            }
            Trial::Serve => serve().await,
        }
    };
    let passed = tokio::select! {
        passed = trial => passed?,
        // The dropped trial ends its servers.
        () = until_signal() => anyhow::bail!("ended by a signal"),
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns whether there was no violation and no late takeover.
async fn run_campaign(options: campaign::Options, json: Option<PathBuf>) -> anyhow::Result<bool> {
    let report = campaign::run(options).await;
    println!("\n{report}");
    if let Some(path) = json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(report.violations.is_empty() && report.late.is_empty())
}

/// Waits for SIGINT or SIGTERM.
async fn until_signal() {
    let of = |kind| signal(kind).map_err(|error| eprintln!("signals can't be handled: {error}"));
    let (Ok(mut interrupt), Ok(mut terminate)) = (of(SignalKind::interrupt()), of(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

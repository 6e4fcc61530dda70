//! Trials of the whole system that take longer than a test: a campaign of faults, and a probe of both HTTP sides.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use system_tests::{campaign, openapi};
use tokio::signal::unix::{SignalKind, signal};

/// Trials of the whole system that take longer than a test.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Debug, Subcommand)]
enum Trial {
    /// Inflicts faults on services and servers of its own under load, and checks every answer. Fails on any
    /// violation, and on a takeover that takes longer than ten seconds.
    Campaign {
        /// From which the faults follow.
        #[arg(long)]
        seed: u64,
        /// For how long faults are inflicted.
        #[arg(long)]
        minutes: u64,
        /// Clients that send commands at the same time.
        #[arg(long, default_value_t = 32)]
        callers: u64,
        /// Folder with the services' binaries of an earlier build: the second instance of each is one of them.
        #[arg(long)]
        older: Option<PathBuf>,
        /// Where the result is written as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Folder for the services' logs, and for all that was recorded if there are violations.
        #[arg(long)]
        logs: Option<PathBuf>,
    },
    /// Sends both services what their OpenAPI documents allow, and what they don't. Fails on any answer that is not as
    /// the documents say.
    Openapi {
        /// Where Schemathesis is.
        #[arg(long)]
        schemathesis: PathBuf,
        /// From which the cases follow.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Most random cases of each operation; those of other phases come on top.
        #[arg(long, default_value_t = 100)]
        cases: u32,
    },
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
        }
    };
    let passed = tokio::select! {
        passed = trial => passed?,
        // What is dropped then takes the servers with it.
        () = told_to_end() => anyhow::bail!("told to end"),
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether nothing was violated and no takeover was late.
async fn run_campaign(options: campaign::Options, json: Option<PathBuf>) -> anyhow::Result<bool> {
    let report = campaign::run(options).await;
    println!("\n{report}");
    if let Some(path) = json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(report.violations.is_empty() && report.late.is_empty())
}

/// Until SIGINT or SIGTERM comes.
async fn told_to_end() {
    let of = |kind| signal(kind).map_err(|error| eprintln!("signals can't be received: {error}"));
    let (Ok(mut interrupt), Ok(mut terminate)) = (of(SignalKind::interrupt()), of(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

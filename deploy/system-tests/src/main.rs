//! Runs a campaign of faults against the whole system, and judges what is left.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use system_tests::campaign::{self, Options};
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
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Trial::Campaign { seed, minutes, callers, older, json, logs } = Arguments::parse().trial;
    let lasts = Duration::from_mins(minutes);
    let report = tokio::select! {
        report = campaign::run(Options { seed, lasts, callers, older, logs, verbose: true }) => report,
        // What is dropped then takes the servers with it.
        () = told_to_end() => anyhow::bail!("told to end"),
    };
    println!("\n{report}");
    if let Some(path) = json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(if report.violations.is_empty() && report.late.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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

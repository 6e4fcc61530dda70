//! Measures the system against its limits and against what people use today.
//!
//! Every figure is a ratio taken in one run: both sides in turns, in several rounds, with their minimum, median and
//! maximum. Each benchmark ends by checking that what it wrote is complete, in order and without overlap.

mod backlog;
mod benchmarks;
mod command_target;
mod connect;
mod drain;
mod event_generator;
mod figures;
mod kafka;
mod load;
mod machine;
mod mongo;
mod mysql;
mod publish;
mod report;
mod rig;
mod rounds;
mod usual_service;
mod visibility_probe;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::{benchmarks::BENCHMARKS, report::Report, rig::Rig};

/// Measures the system on the servers named by MYSQL_URL, KAFKA_BROKERS and MONGODB_URL.
#[derive(Parser, Debug)]
struct Arguments {
    /// Which benchmarks: names, `all`, or `list`.
    #[arg(required = true)]
    names: Vec<String>,
    /// Less of everything and three rounds: to see that it runs, not to quote.
    #[arg(long)]
    short: bool,
    /// Rounds, where they should be others.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: Option<u8>,
    /// Also writes what was found as JSON: a list, one entry for each comparison. What is in the file of other
    /// benchmarks stays.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fails when a ratio falls under half of its target: a guard for machines that do other things meanwhile.
    #[arg(long)]
    guard: bool,
}

fn main() -> Result<ExitCode> {
    // Processes of their own, started by the benchmarks.
    match std::env::args().nth(1).as_deref() {
        Some(load::SUBCOMMAND) => return load::generate().map(|()| ExitCode::SUCCESS),
        Some(usual_service::SUBCOMMAND) => return usual_service::serve().map(|()| ExitCode::SUCCESS),
        Some(publish::SUBCOMMAND) => return publish::publish().map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    run(Arguments::parse())
}

/// Waits until the process is asked to end.
async fn asked_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<ExitCode> {
    rig::program()?;
    if arguments.names.iter().any(|name| name == "list") {
        for benchmark in BENCHMARKS {
            println!("{:18} {}", benchmark.name, benchmark.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let all = arguments.names.iter().any(|name| name == "all");
    for name in &arguments.names {
        if !all && !BENCHMARKS.iter().any(|benchmark| benchmark.name == name) {
            bail!("there is no benchmark {name}: see `list`");
        }
    }
    let rounds = arguments.rounds.map_or(if arguments.short { 3 } else { 5 }, usize::from);
    let rig = Rig::new(arguments.short, rounds)?;
    let machine = machine::describe(&rig).await?;
    let mut report = Report::new(machine);
    let mut failed = Vec::new();
    for benchmark in BENCHMARKS {
        if all || arguments.names.iter().any(|name| name == benchmark.name) {
            eprintln!("{}: {}", benchmark.name, benchmark.about);
            // Dropped, a benchmark ends its processes and takes away what it made on the servers.
            let found = tokio::select! {
                found = (benchmark.run)(&rig) => found,
                signal = asked_to_end() => return signal.and_then(|()| bail!("ended by a signal")),
            };
            match found {
                Ok(findings) => report.add(findings),
                Err(error) => {
                    eprintln!("{} FAILED: {error:#}", benchmark.name);
                    failed.push(benchmark.name);
                }
            }
            if let Some(path) = &arguments.json {
                report.save(path)?;
            }
        }
    }
    print!("{}", report.table());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    if arguments.guard {
        let far_off = report.far_off();
        if !far_off.is_empty() {
            bail!("under half of the target: {}", far_off.join(", "));
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! Measures the system against its limits and against the tools that people use today.
//!
//! Each result is a ratio of two sides that one run measures in turns, with its minimum, median and maximum over the
//! rounds. Each benchmark ends with a check that its data are complete, in order and without overlap.

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
mod peer_documents;
mod processor;
mod publish;
mod report;
mod rig;
mod rounds;
mod usual_service;
mod visibility_probe;
mod wall_clock;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::{benchmarks::BENCHMARKS, report::Report, rig::Rig};

/// Measures the system on the servers named by MYSQL_URL, KAFKA_BROKERS and MONGODB_URL.
#[derive(Parser, Debug)]
struct Arguments {
    /// Names of benchmarks, `all`, or `list`.
    #[arg(required = true)]
    names: Vec<String>,
    /// Measure less, in three rounds. The figures are not to be quoted.
    #[arg(long)]
    short: bool,
    /// The number of rounds: 5 by default, 3 with --short.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: Option<u8>,
    /// Also write the findings to a JSON list. Its entries of other benchmarks stay.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fail if a ratio reaches less than half of its target. For machines that do other work at the same time.
    #[arg(long)]
    guard: bool,
}

fn main() -> Result<ExitCode> {
    // Benchmarks start this program again for these roles.
    match std::env::args().nth(1).as_deref() {
        Some(load::SUBCOMMAND) => return load::generate().map(|()| ExitCode::SUCCESS),
        Some(usual_service::SUBCOMMAND) => return usual_service::serve(),
        Some(publish::SUBCOMMAND) => return publish::publish().map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    run(Arguments::parse())
}

/// Waits for SIGINT or SIGTERM.
async fn until_signal() -> Result<()> {
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
            // A benchmark that is dropped ends its processes and removes its data from the servers.
            let findings = tokio::select! {
                findings = (benchmark.run)(&rig) => findings,
                signal = until_signal() => return signal.and_then(|()| bail!("ended by a signal")),
            };
            match findings {
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

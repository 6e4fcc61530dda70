//! The load generator: HTTP requests from a process of its own, so that it does not measure itself.
//!
//! In the closed loop each connection sends its next request after the answer to its last one. That finds the highest
//! rate. In the open loop requests are due at fixed times, and latency counts from the due time. So a stall also counts
//! for the requests that it delays (no coordinated omission).

mod connection;
mod run;

use std::{collections::BTreeMap, process::Stdio};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use shared_events::RoomId;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::figures::number;

pub(crate) use run::generate;

/// Name of the subcommand that runs [`generate`].
pub(crate) const SUBCOMMAND: &str = "load";

/// One run of the load generator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Host and port.
    pub(crate) address: String,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// Seconds before the counted ones.
    pub(crate) warm_up_seconds: f64,
    /// Counted seconds.
    pub(crate) seconds: f64,
    pub(crate) requests: Requests,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// Each request follows the answer to the one before.
    Closed,
    /// Requests per second.
    Open(f64),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Requests {
    /// Reservations that never overlap. Number n is in room n modulo the number of rooms, after the room's last one.
    Reserve {
        rooms: Vec<RoomId>,
        /// Tokens of callers, used in turn.
        tokens: Vec<String>,
        /// Number of the first one. Each run continues where the last one ended.
        first: u64,
        /// Reservations in one request; more than one are lines of `/v1/commands`.
        lines: u64,
    },
    /// Queries, used in turn.
    Get { paths: Vec<String>, token: String },
}

/// The result of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Requests with their answers, those of the warm-up included.
    pub(crate) sent: u64,
    /// The number of answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Successes per counted second.
    pub(crate) rate: f64,
    /// Open loop only: number of the request and time of its answer in microseconds since 1970.
    pub(crate) answered_at: Vec<(u64, i64)>,
    /// Counted latencies in microseconds, with their frequencies.
    latencies: Vec<(u64, u64)>,
}

impl Outcome {
    /// A percentile of the latency in milliseconds.
    pub(crate) fn latency_ms(&self, percentile: f64) -> Result<f64> {
        let mut histogram = new_histogram()?;
        for (value, count) in &self.latencies {
            histogram.record_n(*value, *count)?;
        }
        Ok(number(histogram.value_at_percentile(percentile)) / 1000.0)
    }

    /// Fails if a request failed.
    pub(crate) fn all_succeeded(&self) -> Result<()> {
        let good: u64 = self.statuses.range(200..300).map(|(_, count)| count).sum();
        ensure!(good == self.sent, "not all requests succeeded: {:?}", self.statuses);
        Ok(())
    }
}

/// A histogram of microseconds up to ten minutes with three significant digits.
pub(crate) fn new_histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

impl Load {
    /// Runs the load generator in a process of its own.
    pub(crate) async fn run(&self) -> Result<Outcome> {
        let mut child = Command::new(crate::rig::program()?)
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = child.stdin.take().context("a pipe was asked for")?;
        input.write_all(&serde_json::to_vec(self)?).await?;
        drop(input);
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "the load generator ended with {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

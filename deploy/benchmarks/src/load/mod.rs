//! Load over HTTP, from a process of its own so that it measures the service and not itself.
//!
//! Closed loop: each connection sends its next request when it has the answer to the last one; that finds out what the
//! service can do. Open loop: requests are due at fixed times whether or not answers come, and latency counts from when
//! a request was due, so that a stall is not hidden by the requests that were not sent meanwhile (coordinated omission).

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

/// What to send where, and how fast.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Host and port.
    pub(crate) address: String,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// Seconds at the beginning whose answers are not counted.
    pub(crate) warm_up_seconds: f64,
    /// Seconds that are counted.
    pub(crate) seconds: f64,
    pub(crate) requests: Requests,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// The next one when the last one was answered.
    Closed,
    /// So many a second.
    Open(f64),
}

/// What is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Requests {
    /// Reservations that all fit: the n-th one is in room n modulo the rooms, an hour after the one before it there.
    Reserve {
        rooms: Vec<RoomId>,
        /// Callers, one after the other.
        tokens: Vec<String>,
        /// Number of the first one: nothing is reserved twice if each run goes on where the one before it ended.
        first: u64,
    },
    /// Queries, one after the other, from the first again.
    Get { paths: Vec<String>, token: String },
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Requests that were sent, the warm-up's too; each was answered.
    pub(crate) sent: u64,
    /// How many of all got which status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Successes within the counted time, each second.
    pub(crate) rate: f64,
    /// In the open loop, when each was answered, by its number in this run: microseconds since 1970.
    pub(crate) answered_at: Vec<(u64, i64)>,
    /// Latencies of the counted time in microseconds: how often each.
    latencies: Vec<(u64, u64)>,
}

impl Outcome {
    /// Latencies in microseconds.
    pub(crate) fn histogram(&self) -> Result<Histogram<u64>> {
        let mut histogram = new_histogram()?;
        for (value, count) in &self.latencies {
            histogram.record_n(*value, *count)?;
        }
        Ok(histogram)
    }

    /// A percentile of the latency in milliseconds.
    pub(crate) fn latency_ms(&self, percentile: f64) -> Result<f64> {
        Ok(number(self.histogram()?.value_at_percentile(percentile)) / 1000.0)
    }

    /// Makes sure that all were answered with a success.
    pub(crate) fn all_succeeded(&self) -> Result<()> {
        let good: u64 = self.statuses.range(200..300).map(|(_, count)| count).sum();
        ensure!(good == self.sent, "not all requests succeeded: {:?}", self.statuses);
        Ok(())
    }
}

/// A histogram of microseconds up to ten minutes, exact to three digits.
pub(crate) fn new_histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

impl Load {
    /// Runs it in a process of its own.
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

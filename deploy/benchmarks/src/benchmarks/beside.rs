//! The latency of commands beside other work.

use anyhow::Result;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    command_target::CommandTarget,
    figures::{Finding, Series, Target},
    load::Pace,
    rig::Rig,
    rounds::alternate,
};

/// Commands per second.
const RATE: f64 = 500.0;
const CONNECTIONS: usize = 32;

/// Commands at a steady rate, whose latency other work may raise.
pub(super) struct Bystander {
    target: Mutex<CommandTarget>,
    /// The length of a measurement.
    pub(super) seconds: f64,
}

impl Bystander {
    pub(super) fn new(rig: &Rig, target: CommandTarget) -> Self {
        Self { target: Mutex::new(target), seconds: if rig.short { 2.0 } else { 8.0 } }
    }

    /// Measures the commands' p99 in milliseconds while this work runs, which ends soon after its token is cancelled.
    pub(super) async fn beside<T>(
        &self,
        work: impl AsyncFnOnce(&CancellationToken) -> Result<T>,
    ) -> Result<(f64, T)> {
        let stop = CancellationToken::new();
        let measured = async {
            let p99 = self.p99().await;
            stop.cancel();
            p99
        };
        let (p99, outcome) = tokio::join!(measured, work(&stop));
        Ok((p99?, outcome?))
    }

    /// Compares rounds, each of which measures [beside](Self::beside) some work, with rounds without. Checks what was stored.
    pub(super) async fn compare(
        self,
        rig: &Rig,
        benchmark: &str,
        work: &str,
        mut round: impl AsyncFnMut(&Self) -> Result<f64>,
    ) -> Result<Finding> {
        let (with, without) =
            alternate(rig.rounds, async |_| round(&self).await, async |_| self.p99().await).await?;
        self.target.into_inner().check().await?;
        Ok(Finding::new(
            benchmark,
            "the same commands alone",
            Target::AtMost(1.5),
            1.1,
            Series::new(&format!("{RATE} commands/s while {work}, p99"), "ms", with),
            Series::new(&format!("{RATE} commands/s, p99"), "ms", without),
        ))
    }

    async fn p99(&self) -> Result<f64> {
        let mut target = self.target.lock().await;
        target.reserve(CONNECTIONS, Pace::Open(RATE), 0.3, self.seconds).await?.latency_ms(99.0)
    }
}

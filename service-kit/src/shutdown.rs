//! The tasks of a process, and its graceful shutdown.
//!
//! Shutdown has two stages. First `soft` is cancelled: tasks take no new work and finish the rest. After a bound `hard` is
//! cancelled: tasks that still run are dropped.
//!
//! A task that ends by itself shuts the process down with a failure, because a service without one of its parts must restart.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest wait for tasks after `hard` is cancelled.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// The tasks of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
    bound: Duration,
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The process was asked to end, and all tasks finished.
    Orderly,
    /// A task ended by itself, failed, or did not finish in time.
    Failed,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Orderly => Self::SUCCESS,
            End::Failed => Self::FAILURE,
        }
    }
}

impl Lifecycle {
    /// A process whose tasks have `bound` to finish.
    #[must_use]
    pub fn new(bound: Duration) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tasks: TaskTracker::new(),
            failed: Arc::default(),
            bound,
        }
    }

    /// Cancelled when the process is to end: tasks finish their work and take no more.
    #[must_use]
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Asks the process to end, like a signal.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// [`Lifecycle::spawn`] for a task that can't fail.
    pub fn spawn_infallible(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(name, async {
            task.await;
            Ok(())
        });
    }

    /// Runs a task until `soft` is cancelled. Drops the task when `hard` is.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let (soft, hard, failed) = (self.soft(), self.hard.clone(), Arc::clone(&self.failed));
        let running = tokio::spawn(async move {
            tokio::select! {
                outcome = task => outcome,
                () = hard.cancelled() => Err(anyhow::anyhow!("did not finish in time")),
            }
        });
        self.tasks.spawn(async move {
            // The outer task outlives a panic of the inner one.
            let outcome = running.await.unwrap_or_else(|panic| Err(panic.into()));
            match outcome {
                Ok(()) if soft.is_cancelled() => tracing::debug!(task = name, "task ended"),
                Ok(()) => {
                    tracing::error!(task = name, "task ended by itself");
                    failed.store(true, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::error!(task = name, error = format!("{error:#}"), "task failed");
                    failed.store(true, Ordering::Relaxed);
                }
            }
            soft.cancel();
        });
    }

    /// Waits for SIGTERM, SIGINT, [`Lifecycle::stop`] or the end of a task, then for all tasks. The bound or a second signal
    /// ends the wait.
    pub async fn run(self) -> End {
        tokio::select! {
            () = self.soft.cancelled() => {}
            () = signalled() => tracing::info!("asked to end"),
        }
        self.soft.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {}
            () = tokio::time::sleep(self.bound) => tracing::warn!("time to finish is over"),
            () = signalled() => tracing::warn!("asked to end at once"),
        }
        self.hard.cancel();
        let finished = tokio::time::timeout(LAST_MOMENT, self.tasks.wait()).await.is_ok();
        if finished && !self.failed.load(Ordering::Relaxed) { End::Orderly } else { End::Failed }
    }
}

/// Waits for SIGTERM or SIGINT.
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            // Without handlers, a signal kills the process.
            tracing::error!(%error, "can't listen for signals");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn tasks_that_finish_when_asked_make_an_orderly_end() {
        let lifecycle = Lifecycle::new(BOUND);
        let soft = lifecycle.soft();
        lifecycle.spawn("writer", async move {
            soft.cancelled().await;
            Ok(())
        });
        lifecycle.stop();
        assert_eq!(lifecycle.run().await, End::Orderly);
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_takes_the_process_down() {
        let lifecycle = Lifecycle::new(BOUND);
        let soft = lifecycle.soft();
        lifecycle.spawn("server", async move {
            soft.cancelled().await;
            Ok(())
        });
        lifecycle.spawn("relay", async { Ok(()) });
        assert_eq!(lifecycle.run().await, End::Failed);
    }

    #[tokio::test]
    async fn a_task_that_fails_while_the_process_ends_is_a_failure() {
        let lifecycle = Lifecycle::new(BOUND);
        let soft = lifecycle.soft();
        lifecycle.spawn("relay", async move {
            soft.cancelled().await;
            anyhow::bail!("rows are left")
        });
        lifecycle.stop();
        assert_eq!(lifecycle.run().await, End::Failed);
    }

    #[tokio::test]
    async fn a_panic_takes_the_process_down() {
        let lifecycle = Lifecycle::new(BOUND);
        lifecycle.spawn("relay", async { panic!("a defect") });
        assert_eq!(lifecycle.run().await, End::Failed);
    }

    #[tokio::test]
    async fn a_task_that_does_not_finish_is_dropped_after_the_bound() {
        let lifecycle = Lifecycle::new(Duration::from_millis(10));
        lifecycle.spawn("relay", std::future::pending());
        lifecycle.stop();
        assert_eq!(lifecycle.run().await, End::Failed);
    }
}

//! Whether the runtime on which all of the service but HTTP works still turns.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

use super::upkeep::while_it_lives;

/// How often it beats, as a part of the time after which it counts as stuck.
const BEATS: u32 = 10;

/// Beats on the runtime that it was started on, and is looked at from threads of their own.
#[derive(Debug)]
pub(super) struct Heartbeat {
    started: Instant,
    /// When it last beat: milliseconds since it was started.
    last: AtomicU64,
    stuck_after: Duration,
}

impl Heartbeat {
    /// Beats as long as it is not dropped. Must be called within a tokio runtime.
    pub(super) fn start(stuck_after: Duration) -> Arc<Self> {
        let heart = Arc::new(Self { started: Instant::now(), last: AtomicU64::new(0), stuck_after });
        while_it_lives(&heart, stuck_after / BEATS, Self::beat);
        heart
    }

    fn beat(&self) {
        self.last.store(self.age(), Ordering::Relaxed);
    }

    /// Whether it has not beaten for too long: something blocks the runtime, and only a restart helps.
    pub(super) fn is_stuck(&self) -> bool {
        let silent = self.age().saturating_sub(self.last.load(Ordering::Relaxed));
        u128::from(silent) > self.stuck_after.as_millis()
    }

    fn age(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_blocked_is_stuck_until_it_turns_again() {
        const STUCK: Duration = Duration::from_millis(200);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let heart = runtime.block_on(async { Heartbeat::start(STUCK) });
        // Nothing runs on the runtime while nobody blocks on it.
        while !heart.is_stuck() {
            std::thread::yield_now();
        }
        runtime.block_on(async {
            while heart.is_stuck() {
                tokio::task::yield_now().await;
            }
        });
    }
}

//! Detects a blocked runtime. HTTP has threads of its own; everything else runs on this runtime.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

use super::upkeep::{millis, while_it_lives};

/// Beats in the time after which the runtime counts as stuck.
const BEATS: u32 = 10;

/// Beats on the runtime that started it. Other threads read it.
#[derive(Debug)]
pub(super) struct Heartbeat {
    started: Instant,
    /// Time of the last beat, in milliseconds since `started`.
    last: AtomicU64,
    stuck_after: Duration,
}

impl Heartbeat {
    /// Beats until it is dropped. Must be called within a tokio runtime.
    pub(super) fn start(stuck_after: Duration) -> Arc<Self> {
        let heart = Arc::new(Self { started: Instant::now(), last: AtomicU64::new(0), stuck_after });
        while_it_lives(&heart, stuck_after / BEATS, Self::beat);
        heart
    }

    fn beat(&self) {
        self.last.store(millis(self.started), Ordering::Relaxed);
    }

    /// Whether the last beat is too long ago: something blocks the runtime, and only a restart helps.
    pub(super) fn is_stuck(&self) -> bool {
        let silent = millis(self.started).saturating_sub(self.last.load(Ordering::Relaxed));
        u128::from(silent) > self.stuck_after.as_millis()
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
        // The runtime runs only inside `block_on`.
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

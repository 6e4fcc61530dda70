//! Repeats work for an object until it is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Does `work` at once and after each `pause`, until all others have dropped `thing`. Must be called within a tokio runtime.
pub(super) fn while_it_lives<T: Send + Sync + 'static>(thing: &Arc<T>, pause: Duration, work: fn(&T)) {
    let weak = Arc::downgrade(thing);
    tokio::spawn(async move {
        while let Some(thing) = weak.upgrade() {
            work(&thing);
            drop(thing);
            tokio::time::sleep(pause).await;
        }
    });
}

/// Milliseconds since `start`.
pub(super) fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

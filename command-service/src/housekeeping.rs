//! What goes on beside commands: old idempotency keys are swept, the outbox is measured.

use std::{sync::Arc, time::Duration};

use service_kit::{clock::Clock, readiness::Component};
use tokio_util::sync::CancellationToken;

use crate::event_store::{IdempotencyKeys, Outbox, StoreError};

/// How often old keys are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Keys deleted in one statement: so few that commands hardly notice (`benchmarks sweep`).
const SWEEP_ROWS: u32 = 200;
/// Between two such statements. Some 4,000 keys a second are swept then: 300 million a day.
const SWEEP_PAUSE: Duration = Duration::from_millis(50);
/// How often the outbox is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// Deletes idempotency keys that are older than `kept`, a few at a time, until `stop` is cancelled.
pub async fn sweep_keys(keys: Arc<dyn IdempotencyKeys>, kept: Duration, stop: CancellationToken) {
    while !stopped(&stop, SWEEP_EVERY).await {
        if let Err(error) = sweep(&*keys, kept, &stop).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "old keys could not be swept");
        }
    }
}

/// Deletes what is older than `kept` now.
///
/// # Errors
/// When the store does not answer; a part may be deleted.
pub async fn sweep(
    keys: &dyn IdempotencyKeys,
    kept: Duration,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    loop {
        let swept = keys.sweep_keys(kept, SWEEP_ROWS).await?;
        metrics::counter!("idempotency_keys_swept_total").increment(swept);
        if swept < u64::from(SWEEP_ROWS) || stopped(stop, SWEEP_PAUSE).await {
            return Ok(());
        }
    }
}

/// Measures the outbox, and shows in `component` whether the store answers, until `stop` is cancelled.
pub async fn measure_outbox(
    outbox: Arc<dyn Outbox>,
    clock: Clock,
    component: Component,
    stop: CancellationToken,
) {
    metrics::describe_gauge!("outbox_events", "Events that are committed and not yet delivered.");
    metrics::describe_gauge!("outbox_oldest_age_seconds", "How long the oldest of them has waited.");
    loop {
        match outbox.backlog().await {
            Ok((events, oldest)) => {
                component.ok();
                let age = oldest.map_or(0, |oldest| (clock.now_ms() - oldest.epoch_millis()).max(0));
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                let (events, age) = (events as f64, age as f64 / 1000.0);
                metrics::gauge!("outbox_events").set(events);
                metrics::gauge!("outbox_oldest_age_seconds").set(age);
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the outbox could not be measured");
                component.failing(error.to_string());
            }
        }
        if stopped(&stop, MEASURE_EVERY).await {
            return;
        }
    }
}

/// Waits, and tells whether `stop` was cancelled meanwhile.
async fn stopped(stop: &CancellationToken, time: Duration) -> bool {
    tokio::time::timeout(time, stop.cancelled()).await.is_ok()
}

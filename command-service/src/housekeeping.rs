//! Work beside commands: old idempotency keys are swept, the outbox and the writer's queue are measured.

use std::{sync::Arc, time::Duration};

use service_kit::{
    clock::Clock,
    config::{Key, Settings},
    declare,
    readiness::Component,
    telemetry::with_causes,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    event_store::{Backlog, IdempotencyKeys, KeyKind, Outbox, StoreError},
    http::Gate,
};

declare! {
    /// The settings of housekeeping.
    pub KEYS:
    /// Days for which idempotency keys are kept.
    IDEMPOTENCY_DAYS: Duration = Key::days("7").within(1, 3650);
    /// Days for which keys of import lines are kept. Without it, for ever.
    IMPORT_KEY_DAYS: Duration = Key::optional_days().within(1, 36_500);
}

/// Ages at which keys are deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeysKept {
    /// Keys of requests.
    pub requests: Duration,
    /// Keys of import lines; `None` for never.
    pub import_lines: Option<Duration>,
}

impl KeysKept {
    /// The ages in the settings. `None` is a recorded mistake.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let (requests, import_lines) = (settings.read(&IDEMPOTENCY_DAYS), settings.read(&IMPORT_KEY_DAYS));
        Some(Self { requests: requests?, import_lines })
    }
}

/// Interval between sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Keys in one statement: so few that commands hardly notice (`benchmarks sweep`).
const SWEEP_ROWS: u32 = 200;
/// Pause between two statements. Sweeps some 4,000 keys a second: 300 million a day.
const SWEEP_PAUSE: Duration = Duration::from_millis(50);
/// Interval between measurements.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// Deletes old keys, a few at a time, until `stop`.
pub async fn sweep_keys(keys: Arc<dyn IdempotencyKeys>, kept: KeysKept, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(SWEEP_EVERY)).await.is_some() {
        if let Err(error) = sweep(&*keys, kept, &stop).await {
            tracing::warn!(error = with_causes(&error), "old keys could not be swept");
        }
    }
}

/// Deletes the keys that are old now.
///
/// # Errors
/// If the store does not answer. Some keys may be deleted.
pub async fn sweep(
    keys: &dyn IdempotencyKeys,
    kept: KeysKept,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let ages = [(KeyKind::Request, Some(kept.requests)), (KeyKind::ImportLine, kept.import_lines)];
    for (kind, age) in ages {
        let Some(age) = age else { continue };
        loop {
            let swept = keys.sweep_keys(kind, age, SWEEP_ROWS).await?;
            metrics::counter!("idempotency_keys_swept_total").increment(swept);
            if swept < u64::from(SWEEP_ROWS) {
                break;
            }
            if stop.run_until_cancelled(sleep(SWEEP_PAUSE)).await.is_none() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Measures the outbox until `stop`. Shows in `component` whether the store takes writes.
pub async fn measure_outbox(
    outbox: Arc<dyn Outbox>,
    clock: Clock,
    component: Component,
    stop: CancellationToken,
) {
    metrics::describe_gauge!("outbox_events", "Events that are committed and not yet delivered.");
    metrics::describe_gauge!("outbox_oldest_age_seconds", "Age of the oldest of them.");
    loop {
        let measured = async {
            outbox.check_writable().await?;
            outbox.backlog().await
        };
        match measured.await {
            Ok(Backlog { events, oldest }) => {
                component.ok();
                let age = oldest.map_or(0, |oldest| (clock.now_ms() - oldest.epoch_millis()).max(0));
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                let (events, age) = (events as f64, age as f64 / 1000.0);
                metrics::gauge!("outbox_events").set(events);
                metrics::gauge!("outbox_oldest_age_seconds").set(age);
            }
            Err(error) => {
                tracing::debug!(error = with_causes(&error), "the outbox could not be measured");
                component.failing(error.to_string());
            }
        }
        if stop.run_until_cancelled(sleep(MEASURE_EVERY)).await.is_none() {
            return;
        }
    }
}

/// Measures the writer's queue until `stop`.
pub async fn measure_queue(gate: Gate, stop: CancellationToken) {
    metrics::describe_gauge!("command_queue_commands", "Commands that wait for the writer.");
    loop {
        metrics::gauge!("command_queue_commands").set(u32::try_from(gate.waiting()).unwrap_or(u32::MAX));
        if stop.run_until_cancelled(sleep(MEASURE_EVERY)).await.is_none() {
            return;
        }
    }
}

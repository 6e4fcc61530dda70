//! Usage, which is written behind the events.

use std::time::Duration;

use service_kit::telemetry::with_causes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Projector;
use crate::stores::in_time;

/// The pause between two looks for usage that is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The pause between two comparisons of usage positions with checkpoints.
const CATCH_UP_EVERY: Duration = Duration::from_secs(30);

/// Gauge: seconds for which usage could not be written.
pub const USAGE_BEHIND: &str = "projector_usage_behind_seconds";

/// Writes usage until it is stopped, and folds again what an earlier owner has not written, or has counted by other rules of time
/// zones. The projector writes the last
/// usage of a partition before it gives the partition away.
pub async fn write_usage(projector: &Projector, stop: CancellationToken) {
    let (mut partitions, mut compared) = (Vec::new(), Instant::now());
    let mut failing_since: Option<Instant> = None;
    while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        let mut owned = projector.partitions();
        owned.sort_unstable();
        let compares = owned != partitions || compared.elapsed() > CATCH_UP_EVERY;
        let store = &projector.dependencies().store;
        let written = in_time(async {
            if compares {
                let owns =
                    |room| projector.partition_of(room).is_some_and(|partition| owned.contains(&partition));
                if owned != partitions {
                    let rooms = store.forget_outdated_usage(&owns).await?;
                    if rooms > 0 {
                        tracing::info!(
                            rooms,
                            "usage that was counted by other rules of time zones is folded again"
                        );
                    }
                }
                let rooms = store.catch_up_usage(&owns).await?;
                if rooms > 0 {
                    tracing::info!(rooms, "usage that was not written is folded again");
                }
            }
            store.write_due_usage().await
        });
        let behind = match written.await {
            Ok(()) => {
                if compares {
                    (partitions, compared) = (owned, Instant::now());
                }
                failing_since = None;
                Duration::ZERO
            }
            Err(error) => {
                // Once: it is tried again at each look.
                if failing_since.is_none() {
                    tracing::warn!(error = with_causes(&error), "usage can't be written now");
                }
                failing_since.get_or_insert_with(Instant::now).elapsed()
            }
        };
        projector.metrics.handles().usage_behind.set(behind.as_secs_f64());
    }
}

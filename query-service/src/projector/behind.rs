//! Usage, which is written behind the events.

use std::time::Duration;

use service_kit::telemetry::with_causes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Projector;
use crate::stores::in_time;

/// Usage waits this long to be written, so that one write has the usage of many events. A statistic with a token waits for
/// it.
pub const WRITE_EVERY: Duration = Duration::from_millis(250);
/// The pause between two comparisons of usage positions with checkpoints.
const CATCH_UP_EVERY: Duration = Duration::from_secs(30);

/// Gauge: seconds for which usage could not be written.
pub const USAGE_BEHIND: &str = "projector_usage_behind_seconds";

/// Writes usage until it is stopped, and folds again what an earlier owner has not written. The projector writes the last
/// usage of a partition before it gives the partition away.
pub async fn write_usage(projector: &Projector, stop: CancellationToken) {
    let (mut partitions, mut compared) = (Vec::new(), Instant::now());
    let mut failing_since: Option<Instant> = None;
    while stop.run_until_cancelled(tokio::time::sleep(WRITE_EVERY)).await.is_some() {
        let mut owned = projector.partitions();
        owned.sort_unstable();
        let compares = owned != partitions || compared.elapsed() > CATCH_UP_EVERY;
        let store = &projector.dependencies().store;
        let written = in_time(async {
            if compares {
                let owns =
                    |room| projector.partition_of(room).is_some_and(|partition| owned.contains(&partition));
                let rooms = store.catch_up_usage(&owns).await?;
                if rooms > 0 {
                    tracing::info!(rooms, "usage that was not written is folded again");
                }
            }
            store.write_usage().await
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
                // Once: it is tried again four times a second.
                if failing_since.is_none() {
                    tracing::warn!(error = with_causes(&error), "usage can't be written now");
                }
                failing_since.get_or_insert_with(Instant::now).elapsed()
            }
        };
        projector.metrics.handles().usage_behind.set(behind.as_secs_f64());
    }
}

//! What the projector counts.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Histogram: seconds from an event's commit to its being visible to queries.
pub const VISIBLE_SECONDS: &str = "projector_commit_to_visible_seconds";
/// Gauge: messages that are in the topic but not processed yet, by `partition`.
pub const LAG: &str = "projector_lag_messages";

/// Handles, so that counting costs no look-up.
#[derive(Clone)]
pub(super) struct ProjectorMetrics {
    visible: Histogram,
    applied: Counter,
    duplicates: Counter,
    gaps: Counter,
    parked: Counter,
    foreign: Counter,
    conflicts: Counter,
    feed_failures: Counter,
    batch: Histogram,
    behind: Gauge,
}

impl Default for ProjectorMetrics {
    fn default() -> Self {
        Self {
            visible: histogram!(VISIBLE_SECONDS),
            applied: counter!("projector_events_applied_total"),
            duplicates: counter!("projector_duplicates_total"),
            gaps: counter!("projector_gaps_total"),
            parked: counter!("projector_rooms_parked_total"),
            foreign: counter!("projector_foreign_messages_total"),
            conflicts: counter!("projector_checkpoint_conflicts_total"),
            feed_failures: counter!("projector_feed_failures_total"),
            batch: histogram!("projector_batch_rows"),
            behind: gauge!("projector_rooms_behind"),
        }
    }
}

impl ProjectorMetrics {
    pub(super) fn visible(&self, millis: i64) {
        #[expect(clippy::cast_precision_loss, reason = "a lag fits into 53 bits of milliseconds")]
        self.visible.record(millis.max(0) as f64 / 1000.0);
    }

    pub(super) fn applied(&self, events: usize) {
        self.applied.increment(u64::try_from(events).unwrap_or_default());
    }

    pub(super) fn batch(&self, rows: usize) {
        self.batch.record(u32::try_from(rows).unwrap_or(u32::MAX));
    }

    pub(super) fn behind(&self, rooms: usize) {
        self.behind.set(u32::try_from(rooms).unwrap_or(u32::MAX));
    }

    pub(super) fn duplicate(&self) {
        self.duplicates.increment(1);
    }

    pub(super) fn gap(&self) {
        self.gaps.increment(1);
    }

    pub(super) fn parked(&self) {
        self.parked.increment(1);
    }

    pub(super) fn foreign(&self) {
        self.foreign.increment(1);
    }

    pub(super) fn conflict(&self) {
        self.conflicts.increment(1);
    }

    pub(super) fn feed_failed(&self) {
        self.feed_failures.increment(1);
    }
}

//! Metrics of the projector.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};

/// Histogram: seconds from an event's commit to its being visible to queries.
pub const VISIBLE_SECONDS: &str = "projector_commit_to_visible_seconds";
/// Gauge: messages that are in the topic but not processed yet, by `partition`.
pub const LAG: &str = "projector_lag_messages";

/// Metrics of one projector. A generation that is not shown has the label `generation`, so that filling it does not look
/// like a backlog of the shown one.
#[derive(Clone, Default)]
pub(super) struct ProjectorMetrics {
    shown: Handles,
    apart: Option<Apart>,
}

#[derive(Clone)]
struct Apart {
    label: Label,
    handles: Handles,
    is_shown: Arc<AtomicBool>,
}

/// Handles, which save a look-up for each count.
#[derive(Clone)]
struct Handles {
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
    waiting: Gauge,
}

impl Default for Handles {
    fn default() -> Self {
        Self::labelled(Vec::new())
    }
}

impl Handles {
    fn labelled(labels: Vec<Label>) -> Self {
        Self {
            visible: histogram!(VISIBLE_SECONDS, labels.clone()),
            applied: counter!("projector_events_applied_total", labels.clone()),
            duplicates: counter!("projector_duplicates_total", labels.clone()),
            gaps: counter!("projector_gaps_total", labels.clone()),
            parked: counter!("projector_rooms_parked_total", labels.clone()),
            foreign: counter!("projector_foreign_messages_total", labels.clone()),
            conflicts: counter!("projector_checkpoint_conflicts_total", labels.clone()),
            feed_failures: counter!("projector_feed_failures_total", labels.clone()),
            batch: histogram!("projector_batch_rows", labels.clone()),
            behind: gauge!("projector_rooms_behind", labels.clone()),
            waiting: gauge!("projector_rooms_parked", labels),
        }
    }
}

impl ProjectorMetrics {
    /// The metrics of a generation.
    pub(super) fn of_generation(number: u32, is_shown: Arc<AtomicBool>) -> Self {
        let label = Label::new("generation", number.to_string());
        let handles = Handles::labelled(vec![label.clone()]);
        Self { shown: Handles::default(), apart: Some(Apart { label, handles, is_shown }) }
    }

    fn apart(&self) -> Option<&Apart> {
        self.apart.as_ref().filter(|apart| !apart.is_shown.load(Ordering::Relaxed))
    }

    fn handles(&self) -> &Handles {
        self.apart().map_or(&self.shown, |apart| &apart.handles)
    }

    /// How many messages of a partition are not processed yet.
    pub(super) fn lag(&self, partition: i32, messages: i64) {
        let mut labels = vec![Label::new("partition", partition.to_string())];
        labels.extend(self.apart().map(|apart| apart.label.clone()));
        #[expect(clippy::cast_precision_loss, reason = "a lag fits into 53 bits")]
        gauge!(LAG, labels).set(messages.max(0) as f64);
    }

    pub(super) fn visible(&self, millis: i64) {
        #[expect(clippy::cast_precision_loss, reason = "a lag fits into 53 bits of milliseconds")]
        self.handles().visible.record(millis.max(0) as f64 / 1000.0);
    }

    pub(super) fn applied(&self, events: usize) {
        self.handles().applied.increment(u64::try_from(events).unwrap_or_default());
    }

    pub(super) fn batch(&self, rows: usize) {
        self.handles().batch.record(u32::try_from(rows).unwrap_or(u32::MAX));
    }

    pub(super) fn behind(&self, rooms: usize) {
        self.handles().behind.set(u32::try_from(rooms).unwrap_or(u32::MAX));
    }

    /// How many rooms are parked.
    pub(super) fn waiting(&self, rooms: usize) {
        self.handles().waiting.set(u32::try_from(rooms).unwrap_or(u32::MAX));
    }

    pub(super) fn duplicate(&self) {
        self.handles().duplicates.increment(1);
    }

    pub(super) fn gap(&self) {
        self.handles().gaps.increment(1);
    }

    pub(super) fn parked(&self) {
        self.handles().parked.increment(1);
    }

    pub(super) fn foreign(&self) {
        self.handles().foreign.increment(1);
    }

    pub(super) fn conflict(&self) {
        self.handles().conflicts.increment(1);
    }

    pub(super) fn feed_failed(&self) {
        self.handles().feed_failures.increment(1);
    }
}

//! Metrics of the projector.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};

use super::behind::USAGE_BEHIND;

/// Histogram: seconds from an event's commit until queries see it.
pub const VISIBLE_SECONDS: &str = "projector_commit_to_visible_seconds";
/// Gauge: messages of the topic that are not processed yet, by `partition`.
pub const LAG: &str = "projector_lag_messages";

/// Metrics of one projector. While its generation is not shown, they have the label `generation`: filling one is no
/// backlog of the shown one.
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

/// The handles of all metrics. They save a look-up for each count.
#[derive(Clone)]
pub(super) struct Handles {
    visible: Histogram,
    pub(super) applied: Counter,
    pub(super) duplicates: Counter,
    pub(super) gaps: Counter,
    pub(super) parked: Counter,
    pub(super) foreign: Counter,
    pub(super) conflicts: Counter,
    pub(super) feed_failures: Counter,
    pub(super) batch: Histogram,
    pub(super) behind: Gauge,
    pub(super) usage_behind: Gauge,
    /// Rooms that are parked now.
    pub(super) waiting: Gauge,
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
            usage_behind: gauge!(USAGE_BEHIND, labels.clone()),
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

    /// The handles to count with now.
    pub(super) fn handles(&self) -> &Handles {
        self.apart().map_or(&self.shown, |apart| &apart.handles)
    }

    /// Sets the number of a partition's messages that are not processed yet.
    pub(super) fn lag(&self, partition: i32, messages: i64) {
        let mut labels = vec![Label::new("partition", partition.to_string())];
        labels.extend(self.apart().map(|apart| apart.label.clone()));
        #[expect(clippy::cast_precision_loss, reason = "a lag fits into 53 bits")]
        gauge!(LAG, labels).set(messages.max(0) as f64);
    }

    pub(super) fn visible(&self, after: Duration) {
        self.handles().visible.record(after.as_secs_f64());
    }
}

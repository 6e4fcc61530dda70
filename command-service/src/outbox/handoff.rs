//! From the writer to the relay in memory: what was just committed need not be read back.
//!
//! It is a short cut only. What does not fit, or may not go ahead of what the table still holds, is left to the table.

use std::sync::Arc;

use shared_events::RecordedEvent;
use tokio::sync::{Notify, mpsc};

/// Groups that may wait for the relay: more means that it is behind, and reads the table anyway.
const GROUPS: usize = 16;

/// The writer's end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Committed {
    groups: mpsc::Sender<Vec<(u64, RecordedEvent)>>,
    left_out: Arc<Notify>,
}

/// The relay's end.
#[derive(Debug)]
pub struct Handed {
    groups: mpsc::Receiver<Vec<(u64, RecordedEvent)>>,
    left_out: Arc<Notify>,
}

/// Makes the way from a writer to a relay.
#[must_use]
pub fn handoff() -> (Committed, Handed) {
    let (sender, groups) = mpsc::channel(GROUPS);
    let left_out = Arc::new(Notify::new());
    (Committed { groups: sender, left_out: Arc::clone(&left_out) }, Handed { groups, left_out })
}

impl Committed {
    /// Hands over events with their positions, after their commit and in the order in which they were committed.
    pub fn hand_over(&self, events: Vec<(u64, RecordedEvent)>) {
        if self.groups.try_send(events).is_err() {
            self.left_out.notify_one();
        }
    }
}

impl Handed {
    /// Waits for what was committed next. `None`: something was committed that has to be read from the table.
    pub async fn next(&mut self) -> Option<Vec<(u64, RecordedEvent)>> {
        tokio::select! {
            Some(events) = self.groups.recv() => Some(events),
            () = self.left_out.notified() => None,
        }
    }
}

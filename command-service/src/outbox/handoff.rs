//! From the writer to the relay in memory: what was just committed need not be read back.
//!
//! It is a short cut only. What does not fit, or may not go ahead of what the table still holds, is left to the table.

use std::sync::Arc;

use shared_events::RawEvent;
use tokio::sync::{Notify, mpsc};

/// Groups that may wait for the relay: more means that it is behind, and reads the table anyway.
const GROUPS: usize = 16;

/// The writer's end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HandoffSender {
    groups: mpsc::Sender<Vec<(u64, RawEvent)>>,
    left_out: Arc<Notify>,
}

/// The relay's end.
#[derive(Debug)]
pub struct HandoffReceiver {
    groups: mpsc::Receiver<Vec<(u64, RawEvent)>>,
    left_out: Arc<Notify>,
}

/// Makes the way from a writer to a relay.
#[must_use]
pub fn handoff() -> (HandoffSender, HandoffReceiver) {
    let (sender, groups) = mpsc::channel(GROUPS);
    let left_out = Arc::new(Notify::new());
    (HandoffSender { groups: sender, left_out: Arc::clone(&left_out) }, HandoffReceiver { groups, left_out })
}

impl HandoffSender {
    /// Hands over events with their positions, after their commit and in the order in which they were committed.
    pub fn hand_over(&self, events: Vec<(u64, RawEvent)>) {
        if self.groups.try_send(events).is_err() {
            self.left_out.notify_one();
        }
    }
}

impl HandoffReceiver {
    /// Waits for what was committed next. `None`: something was committed that has to be read from the table.
    pub async fn next(&mut self) -> Option<Vec<(u64, RawEvent)>> {
        tokio::select! {
            Some(events) = self.groups.recv() => Some(events),
            () = self.left_out.notified() => None,
        }
    }
}

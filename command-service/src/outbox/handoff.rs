//! From the writer to the relay in memory: events that were just committed need not be read back.
//!
//! This is only a short cut. The table has every event too.

use std::sync::Arc;

use shared_events::RawEvent;
use tokio::sync::{Notify, mpsc};

use crate::event_store::Position;

/// Most groups that wait for the relay. With more it is behind and reads the table anyway.
const GROUPS: usize = 16;

/// The writer's end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HandoffSender {
    groups: mpsc::Sender<Vec<(Position, RawEvent)>>,
    left_out: Arc<Notify>,
}

/// The relay's end.
#[derive(Debug)]
pub struct HandoffReceiver {
    groups: mpsc::Receiver<Vec<(Position, RawEvent)>>,
    left_out: Arc<Notify>,
}

/// Committed events, as the relay learns of them.
pub(super) enum Handed {
    /// These.
    Events(Vec<(Position, RawEvent)>),
    /// Some that only the table has.
    LeftOut,
}

/// Connects a writer and a relay.
#[must_use]
pub fn handoff() -> (HandoffSender, HandoffReceiver) {
    let (sender, groups) = mpsc::channel(GROUPS);
    let left_out = Arc::new(Notify::new());
    (HandoffSender { groups: sender, left_out: Arc::clone(&left_out) }, HandoffReceiver { groups, left_out })
}

impl HandoffSender {
    /// Sends committed events in the order of their commits.
    pub fn send(&self, events: Vec<(Position, RawEvent)>) {
        if self.groups.try_send(events).is_err() {
            self.left_out.notify_one();
        }
    }
}

impl HandoffReceiver {
    /// Waits for the next committed events.
    pub(super) async fn next(&mut self) -> Handed {
        tokio::select! {
            Some(events) = self.groups.recv() => Handed::Events(events),
            () = self.left_out.notified() => Handed::LeftOut,
        }
    }
}

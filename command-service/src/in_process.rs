//! The log of the embedded default: a bounded channel from the relay to the projector, in place of Kafka.

use std::future::pending;

use shared_events::RawEvent;
use tokio::sync::mpsc;

use crate::{
    event_store::Position,
    outbox::{Publisher, Report, Undelivered},
};

/// Most events that wait for the projector. The relay waits when the channel is full.
const CAPACITY: usize = 4096;

/// The relay's end of the channel.
///
/// Events in it are lost when the process dies. The read models are rebuilt from the store at the next start.
#[derive(Debug)]
pub struct InProcessLog {
    events: mpsc::Sender<RawEvent>,
    reports: Vec<Report>,
}

impl InProcessLog {
    /// A log, and the end from which the projector reads.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<RawEvent>) {
        let (events, read) = mpsc::channel(CAPACITY);
        (Self { events, reports: Vec::new() }, read)
    }
}

impl Publisher for InProcessLog {
    async fn send(&mut self, position: Position, event: RawEvent) -> Result<(), Undelivered> {
        let sent = self.events.send(event).await;
        sent.map_err(|_| Undelivered::Failed("the projector has ended".to_owned()))?;
        self.reports.push(Report::Delivered(position));
        Ok(())
    }

    async fn reports(&mut self) -> Vec<Report> {
        if self.reports.is_empty() {
            return pending().await;
        }
        std::mem::take(&mut self.reports)
    }

    async fn reset(&mut self) {
        self.reports.clear();
    }
}

//! The log of the embedded default: a bounded channel from the relay to the projector, in place of Kafka.

use std::future::pending;

use command_service::outbox::{Publisher, Report, Undelivered};
use shared_events::RawEvent;
use tokio::sync::mpsc;

/// Most events that wait for the projector; the relay waits when there are as many.
pub(crate) const CAPACITY: usize = 4096;

/// The relay's end. What is in it when the process dies is lost, and made anew: at the next start the read models are
/// rebuilt from the store.
pub(crate) struct InProcessLog {
    events: mpsc::Sender<RawEvent>,
    reports: Vec<Report>,
}

impl InProcessLog {
    pub(crate) const fn new(events: mpsc::Sender<RawEvent>) -> Self {
        Self { events, reports: Vec::new() }
    }
}

impl Publisher for InProcessLog {
    async fn send(&mut self, position: u64, event: RawEvent) -> Result<(), Undelivered> {
        let sent = self.events.send(event).await;
        sent.map_err(|_| Undelivered::Failed("the projector has ended".to_owned()))?;
        self.reports.push((position, Ok(())));
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

//! The log of the embedded default: a bounded channel from the relay to the projector, in place of Kafka.

use async_trait::async_trait;
use command_service::outbox::{Delivery, Publisher};
use shared_events::RecordedEvent;
use tokio::sync::mpsc;

/// Most events that wait for the projector; the relay waits when there are as many.
pub(crate) const CAPACITY: usize = 4096;

/// The relay's end. What is in it when the process dies is lost, and made anew: at the next start the read models are
/// rebuilt from the store.
pub(crate) struct InProcessLog(pub(crate) mpsc::Sender<RecordedEvent>);

#[async_trait]
impl Publisher for InProcessLog {
    async fn publish(&mut self, events: &[RecordedEvent]) -> Vec<Delivery> {
        let mut deliveries = Vec::with_capacity(events.len());
        for event in events {
            deliveries.push(match self.0.send(event.clone()).await {
                Ok(()) => Delivery::Delivered,
                Err(_) => Delivery::Failed("the projector has ended".to_owned()),
            });
        }
        deliveries
    }

    async fn reset(&mut self) {}
}

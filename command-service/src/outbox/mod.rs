//! From the outbox to the log: every committed event is delivered at least once, a room's events in order.

mod lease;
mod relay;

use async_trait::async_trait;
pub use lease::{Lease, LeaseOptions, keep_lease};
pub use relay::{AbortPoint, Relay, RelayOptions, Step};
use shared_events::RecordedEvent;

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// The log has it for good.
    Delivered,
    /// The log will never take it, however often it is sent.
    Refused(String),
    /// It may or may not arrive: it has to be sent again by a new sender.
    Failed(String),
}

/// Sends events to the log. Two adapters: Kafka, and the bounded in-process log of the embedded default.
#[async_trait]
pub trait Publisher: Send {
    /// Sends the events in this order, all at once, and waits for what became of each. After a [`Delivery::Failed`] or
    /// [`Delivery::Refused`] of an event, later ones of its room may have been delivered or not.
    async fn publish(&mut self, events: &[RecordedEvent]) -> Vec<Delivery>;

    /// Gives up what is still under way and starts afresh; late deliveries are duplicates.
    async fn reset(&mut self);
}

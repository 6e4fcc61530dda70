//! From the outbox to the log: every committed event is delivered at least once, a room's events in order.

mod allotment;
mod flight;
mod handoff;
mod lease;
mod options;
mod relay;
mod shares;
mod sweep;

pub use allotment::{Allotted, Allotter, allotment};
pub use handoff::{HandoffReceiver, HandoffSender, handoff};
pub use lease::{LeaseOptions, keep_leases};
pub use options::{AbortPoint, RelayOptions};
pub use relay::{Relay, Step};
use shared_events::RawEvent;

/// Why a message is not in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undelivered {
    /// The log will never take it, however often it is sent.
    Refused(String),
    /// It may or may not arrive: it has to be sent again by a new sender.
    Failed(String),
}

/// What became of the event at a position.
pub type Report = (u64, Result<(), Undelivered>);

/// Sends events to the log. Two adapters: Kafka, and the bounded in-process log of the embedded default.
pub trait Publisher: Send {
    /// Hands an event to the log and doesn't wait for its delivery, only, when the log's queue is full, for room in it.
    /// Events are sent in the order of these calls.
    ///
    /// # Errors
    /// When it was not sent; there is no report of it.
    fn send(
        &mut self,
        position: u64,
        event: RawEvent,
    ) -> impl Future<Output = Result<(), Undelivered>> + Send;

    /// Waits until there are reports of events that were sent, and returns all that there are. Of an event whose delivery
    /// failed, later ones of its room may have been delivered or not. Nothing is lost when the wait is given up.
    fn reports(&mut self) -> impl Future<Output = Vec<Report>> + Send;

    /// Gives up what is still under way and starts afresh; late deliveries are duplicates, and are not reported.
    fn reset(&mut self) -> impl Future<Output = ()> + Send;
}

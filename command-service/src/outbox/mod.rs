//! The relay: from the outbox to the log. Every committed event is delivered at least once, a room's events in order.

mod assignment;
mod flight;
mod handoff;
mod lease;
mod options;
mod relay;
mod shares;
mod sweep;

use std::future::ready;

#[cfg(feature = "binlog")]
pub use assignment::Leadership;
pub use assignment::{AssignedBuckets, BucketAssigner, assignment};
pub use handoff::{HandoffReceiver, HandoffSender, handoff};
pub use lease::{LeaseOptions, keep_leases};
pub use options::{ABORT_POINTS, RelayOptions};
pub use relay::{Relay, Step};
use shared_events::RawEvent;

use crate::event_store::Position;

/// The reason why an event is not in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undelivered {
    /// The log will never take it.
    Refused(String),
    /// It may arrive or not. It has to be sent again after a reset.
    Failed(String),
}

impl Undelivered {
    /// The report about the event at a position.
    #[must_use]
    pub fn report(self, position: Position) -> Report {
        match self {
            Self::Refused(reason) => Report::Refused(position, reason),
            Self::Failed(reason) => Report::Failed(reason),
        }
    }
}

/// The outcome of sending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// The log has the event.
    Delivered(Position),
    /// The log will never take the event.
    Refused(Position, String),
    /// Events may be lost. Everything that is not reported has to be sent again after a reset.
    Failed(String),
}

/// Sends events to the log: to Kafka, or to the in-process log of the embedded default.
pub trait Publisher: Send {
    /// Hands an event to the log, which sends events in the order of these calls. Waits for room in the log's queue, not for
    /// delivery.
    ///
    /// # Errors
    /// If it was not sent. No report follows.
    fn send(
        &mut self,
        position: Position,
        event: RawEvent,
    ) -> impl Future<Output = Result<(), Undelivered>> + Send;

    /// Waits for reports, and returns all available ones. After a failed event, later ones of its room may be delivered or not.
    /// A cancelled wait loses nothing.
    fn reports(&mut self) -> impl Future<Output = Vec<Report>> + Send;

    /// Gives up everything in flight and connects anew. Later deliveries are duplicates and are not reported.
    fn reset(&mut self) -> impl Future<Output = ()> + Send;

    /// Keeps a text about the events up to a position beside the log, in the place of the one before. A log that ends with the
    /// process keeps none.
    ///
    /// # Errors
    /// If it may not be kept.
    fn note(
        &mut self,
        _up_to: Position,
        _text: String,
    ) -> impl Future<Output = Result<(), Undelivered>> + Send {
        ready(Ok(()))
    }

    /// The text that was kept last.
    ///
    /// # Errors
    /// If it is not known.
    fn noted(&mut self) -> impl Future<Output = Result<Option<String>, Undelivered>> + Send {
        ready(Ok(None))
    }
}

//! Settings of the relay, and abort points for tests.

use std::time::Duration;

use service_kit::abort_point::AbortPoint;

/// Settings of the relay.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Most events that are read from the table at once.
    pub batch: u32,
    /// Interval between reads of the outbox. It bounds the latency of other instances' commits.
    pub poll: Duration,
    /// Where the process aborts, in tests.
    pub abort_at: Option<AbortPoint>,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self { batch: 2000, poll: Duration::from_millis(25), abort_at: None }
    }
}

/// Events are committed, none is sent.
pub(super) const BEFORE_SEND: AbortPoint = AbortPoint::named("after-commit-before-relay");
/// Events are delivered, their rows are not deleted.
pub(super) const BEFORE_DELETE: AbortPoint = AbortPoint::named("after-send-before-delete");
/// The abort points of the relay.
pub const ABORT_POINTS: [AbortPoint; 2] = [BEFORE_SEND, BEFORE_DELETE];

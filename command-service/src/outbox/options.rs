//! Settings of the relay, and abort points for tests.

use std::time::Duration;

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

/// A place at which the process aborts, as by `kill -9`. Tests see what a crash there leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AbortPoint {
    /// Events are committed, none is sent.
    BeforeSend,
    /// Events are delivered, their rows are not deleted.
    BeforeDelete,
}

impl RelayOptions {
    /// Aborts the process if it is at its abort point.
    pub(super) fn abort_at(&self, point: AbortPoint) {
        if self.abort_at == Some(point) {
            tracing::error!(?point, "the process aborts at its abort point");
            std::process::abort();
        }
    }
}

impl std::str::FromStr for AbortPoint {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "after-commit-before-relay" => Ok(Self::BeforeSend),
            "after-send-before-delete" => Ok(Self::BeforeDelete),
            _ => Err("neither after-commit-before-relay nor after-send-before-delete"),
        }
    }
}

//! How the relay works, and where it dies in tests.

use std::time::Duration;

/// Settings of the relay.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Most events that are read from the table together.
    pub batch: u32,
    /// How often the outbox is read without a wake-up: the latency of what another instance committed.
    pub poll: Duration,
    /// Where the process ends itself, in tests.
    pub abort_at: Option<AbortPoint>,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self { batch: 2000, poll: Duration::from_millis(25), abort_at: None }
    }
}

/// A place at which the process ends itself as by kill -9, so that tests see what a crash there leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AbortPoint {
    /// Events are committed, nothing is sent.
    BeforeSend,
    /// Events are delivered, their rows are not deleted.
    BeforeDelete,
}

impl RelayOptions {
    /// Ends the process where that is asked for.
    pub(super) fn abort_at(&self, point: AbortPoint) {
        if self.abort_at == Some(point) {
            tracing::error!(?point, "the process ends itself at its abort point");
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

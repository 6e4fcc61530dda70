//! The rate at which a backlog drains.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::figures::number;

/// Times a counter from the first increase to its final value. Both sides of a comparison are timed in this way.
#[derive(Debug)]
pub(crate) struct Drain {
    before: u64,
    more: u64,
    started: Instant,
    patience: Duration,
    first: Option<(Instant, u64)>,
}

/// The first increase that was seen, and the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    first_at: Instant,
    /// The count at the first increase.
    first: u64,
    ended_at: Instant,
    end: u64,
}

impl Drained {
    /// Moves the end to the present.
    pub(crate) fn until_now(self) -> Self {
        Self { ended_at: Instant::now(), ..self }
    }

    /// The time since the end.
    pub(crate) fn since(&self) -> Duration {
        self.ended_at.elapsed()
    }

    /// Increase per second.
    pub(crate) fn rate(&self) -> f64 {
        number(self.end.saturating_sub(self.first)) / (self.ended_at - self.first_at).as_secs_f64()
    }
}

impl Drain {
    /// Expects the counter to go from `before` to `before + more`.
    pub(crate) fn new(before: u64, more: u64, patience: Duration) -> Self {
        Self { before, more, started: Instant::now(), patience, first: None }
    }

    /// Takes a count. Returns the result once the final value is reached; fails if that takes too long.
    pub(crate) fn saw(&mut self, count: u64) -> Result<Option<Drained>> {
        let now = Instant::now();
        if count > self.before {
            let (first_at, first) = *self.first.get_or_insert((now, count));
            let end = self.before + self.more;
            if count >= end {
                return Ok(Some(Drained { first_at, first, ended_at: now, end }));
            }
        }
        let done = count.saturating_sub(self.before);
        ensure!(self.started.elapsed() < self.patience, "only {done} of {} came", self.more);
        Ok(None)
    }
}

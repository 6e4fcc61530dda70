//! How fast something is emptied into something that is counted.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::figures::number;

/// Times something that is counted up. Both sides of a comparison are timed in this way.
#[derive(Debug)]
pub(crate) struct Drain {
    before: u64,
    more: u64,
    started: Instant,
    patience: Duration,
    first: Option<(Instant, u64)>,
}

/// When the first ones were seen, and when the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    first_at: Instant,
    /// How many there were when the first ones were seen.
    first: u64,
    reached_at: Instant,
    reached: u64,
}

impl Drained {
    /// The same, but that the end is now.
    pub(crate) fn until_now(self) -> Self {
        Self { reached_at: Instant::now(), ..self }
    }

    /// Time since the end.
    pub(crate) fn since(&self) -> Duration {
        self.reached_at.elapsed()
    }

    /// How many a second came between the two.
    pub(crate) fn rate(&self) -> f64 {
        number(self.reached.saturating_sub(self.first)) / (self.reached_at - self.first_at).as_secs_f64()
    }
}

impl Drain {
    /// From `before` to `before + more`.
    pub(crate) fn new(before: u64, more: u64, patience: Duration) -> Self {
        Self { before, more, started: Instant::now(), patience, first: None }
    }

    /// Takes a count, and tells how it went once the last one was counted.
    pub(crate) fn saw(&mut self, count: u64) -> Result<Option<Drained>> {
        let now = Instant::now();
        if count <= self.before {
            ensure!(self.started.elapsed() < self.patience, "nothing comes");
            return Ok(None);
        }
        let (first_at, first) = *self.first.get_or_insert((now, count));
        let reached = self.before + self.more;
        if count < reached {
            let come = count - self.before;
            ensure!(self.started.elapsed() < self.patience, "only {come} of {} came", self.more);
            return Ok(None);
        }
        Ok(Some(Drained { first_at, first, reached_at: now, reached }))
    }
}

//! Samples events and notes when each becomes visible in MongoDB.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    connect::mongo::{Documents, Id},
    figures::number as as_float,
    wall_clock::clock_micros,
};

/// Documents in one query: more than are in flight at a time.
const AT_ONCE: u64 = 4;
/// The pause between two queries, which must not disturb the measurement. Both sides' figures include it.
const PAUSE: Duration = Duration::from_micros(700);
/// Sampled events per second.
const SAMPLED: u64 = 25;
/// The probe queries from this long before the earliest expected time.
const MARGIN: Duration = Duration::from_millis(3);
const PATIENCE: Duration = Duration::from_secs(30);

/// The `_id` of a document by its number.
pub(crate) type Ids = Box<dyn Fn(u64) -> Id + Send>;

/// Which events are sampled, and when they are due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// One of this many events is sampled.
    stride: u64,
    /// The time between two sampled events.
    interval: Duration,
}

impl Schedule {
    /// For events at a steady rate per second.
    pub(crate) fn of(rate: u64) -> Self {
        let stride = (rate / SAMPLED).max(1);
        Self { stride, interval: Duration::from_secs_f64(as_float(stride) / as_float(rate)) }
    }
}

/// A thread that queries until it has seen every sampled event.
pub(crate) struct VisibilityProbe {
    end: Arc<AtomicU64>,
    thread: JoinHandle<Result<HashMap<u64, i64>>>,
}

impl VisibilityProbe {
    /// Samples events from number `first` on. Events come at a steady rate, so the fastest one so far gives the earliest
    /// time of the next one. The thread sleeps until then: constant querying would use most of a processor.
    pub(crate) fn begin(documents: Documents, ids: Ids, first: u64, schedule: Schedule) -> Self {
        let Schedule { stride, interval } = schedule;
        let end = Arc::new(AtomicU64::new(u64::MAX));
        let until = Arc::clone(&end);
        let runtime = Handle::current();
        let thread = spawn_blocking(move || {
            let mut seen = HashMap::new();
            let mut next = first;
            let mut last_seen = Instant::now();
            // When event `first` would have become visible at the speed of the fastest one.
            let mut soonest: Option<Instant> = None;
            let after_first = |number: u64| interval.mul_f64(as_float(number - first) / as_float(stride));
            loop {
                let end = until.load(Ordering::Relaxed);
                while seen.contains_key(&next) {
                    next += stride;
                }
                if next >= end {
                    return Ok(seen);
                }
                if let Some(soonest) = soonest {
                    let due = (soonest + after_first(next)).checked_sub(MARGIN);
                    std::thread::sleep(due.map_or(Duration::ZERO, |due| due.duration_since(Instant::now())));
                }
                let missing: Vec<u64> = (0..AT_ONCE)
                    .map(|ahead| next + ahead * stride)
                    .filter(|number| *number < end && !seen.contains_key(number))
                    .collect();
                let missing_ids: Vec<Id> = missing.iter().map(|number| ids(*number)).collect();
                let present = runtime.block_on(documents.present(&missing_ids))?;
                let now = clock_micros();
                if !present.is_empty() {
                    last_seen = Instant::now();
                }
                for (number, _) in missing.iter().zip(&missing_ids).filter(|(_, id)| present.contains(id)) {
                    seen.insert(*number, now);
                    let as_quick = Instant::now().checked_sub(after_first(*number));
                    soonest = soonest.min(as_quick).or(as_quick);
                }
                ensure!(last_seen.elapsed() < PATIENCE, "number {next} does not become visible");
                std::thread::sleep(PAUSE);
            }
        });
        Self { end, thread }
    }

    /// Waits until all sampled events below `end` are visible. Returns when each became so.
    pub(crate) async fn end(self, end: u64) -> Result<HashMap<u64, i64>> {
        self.end.store(end, Ordering::Relaxed);
        self.thread.await?
    }
}

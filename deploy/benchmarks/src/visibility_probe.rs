//! Looks for what becomes visible in MongoDB, some events of all, and notes when each was first seen.

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
};

/// So many are looked for in one query: more than are on their way at a time.
const AT_ONCE: u64 = 4;
/// Between two looks, which must not take much from what is measured. It is in all figures, on both sides.
const PAUSE: Duration = Duration::from_micros(700);
/// Events a second that are looked for.
const LOOKED_FOR: u64 = 25;
/// Looking begins so long before the earliest time that is to be expected.
const MARGIN: Duration = Duration::from_millis(3);
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The `_id` of a document by its number.
pub(crate) type Ids = Box<dyn Fn(u64) -> Id + Send>;

/// The clock by which commits and probe are compared: microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the services' clock counts in milliseconds")]
pub(crate) fn clock_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or_default()
}

/// Which events are looked for, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Every how many events one is looked for.
    stride: u64,
    /// The time between two of them.
    interval: Duration,
}

impl Schedule {
    /// For so many events a second, at even distances.
    pub(crate) fn of(rate: u64) -> Self {
        let stride = (rate / LOOKED_FOR).max(1);
        Self { stride, interval: Duration::from_secs_f64(as_float(stride) / as_float(rate)) }
    }
}

/// A thread that looks.
pub(crate) struct VisibilityProbe {
    end: Arc<AtomicU64>,
    thread: JoinHandle<Result<HashMap<u64, i64>>>,
}

impl VisibilityProbe {
    /// Looks for some from `first` on. Not before the earliest time at which the next one may be there: events come at even
    /// distances, so the one that was seen soonest tells it. Looking all the time would take most of a processor.
    pub(crate) fn begin(documents: Documents, ids: Ids, first: u64, schedule: Schedule) -> Self {
        let Schedule { stride, interval } = schedule;
        let end = Arc::new(AtomicU64::new(u64::MAX));
        let until = Arc::clone(&end);
        let runtime = Handle::current();
        let thread = spawn_blocking(move || {
            let mut seen = HashMap::new();
            let mut next = first;
            let mut last_seen = Instant::now();
            // When the first would have been seen if it had been as quick as the quickest.
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

    /// Waits until all below `end` were seen, and tells when, in microseconds since 1970.
    pub(crate) async fn end(self, end: u64) -> Result<HashMap<u64, i64>> {
        self.end.store(end, Ordering::Relaxed);
        self.thread.await?
    }
}

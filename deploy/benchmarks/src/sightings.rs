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

use crate::connect::mongo::{Documents, Id};

/// So many are looked for in one query: more than are on their way at a time.
const AT_ONCE: u64 = 4;
/// Between two looks, which must not take much from what is measured. It is in all figures, on both sides.
const PAUSE: Duration = Duration::from_micros(700);
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The `_id` of a document by its number.
pub(crate) type Ids = Box<dyn Fn(u64) -> Id + Send>;

/// The clock by which commits and sightings are compared: microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the services' clock counts in milliseconds")]
pub(crate) fn clock_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or_default()
}

/// A thread that looks.
pub(crate) struct Sightings {
    end: Arc<AtomicU64>,
    thread: JoinHandle<Result<HashMap<u64, i64>>>,
}

impl Sightings {
    /// Looks for every `stride`-th from `first` on.
    pub(crate) fn begin(documents: Documents, ids: Ids, first: u64, stride: u64) -> Self {
        let end = Arc::new(AtomicU64::new(u64::MAX));
        let until = Arc::clone(&end);
        let runtime = Handle::current();
        let thread = spawn_blocking(move || {
            let mut seen = HashMap::new();
            let mut next = first;
            let mut last_seen = Instant::now();
            loop {
                let end = until.load(Ordering::Relaxed);
                while seen.contains_key(&next) {
                    next += stride;
                }
                if next >= end {
                    return Ok(seen);
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
                let found = missing.iter().zip(&missing_ids).filter(|(_, id)| present.contains(id));
                seen.extend(found.map(|(number, _)| (*number, now)));
                ensure!(last_seen.elapsed() < PATIENCE, "number {next} does not become visible");
                std::thread::sleep(PAUSE);
            }
        });
        Self { end, thread }
    }

    /// Waits until all below `end` were seen, and tells when, in microseconds since 1970.
    ///
    /// # Errors
    /// When one is not seen.
    pub(crate) async fn end(self, end: u64) -> Result<HashMap<u64, i64>> {
        self.end.store(end, Ordering::Relaxed);
        self.thread.await?
    }
}

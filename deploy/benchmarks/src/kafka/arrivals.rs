//! The time from an event's record to its arrival at a consumer of the topic.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};
use shared_events::{RoomId, topics};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::wall_clock::clock_micros;

/// Nothing more comes after a silence of this length.
const QUIET: Duration = Duration::from_millis(300);
/// The longest wait for the last message.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches a topic from its end.
pub(crate) struct Arrivals<T> {
    /// What was read out of each message, with the time in microseconds since 1970; and the time of the last one.
    seen: Seen<T>,
    stop: Arc<AtomicBool>,
}

type Seen<T> = Arc<Mutex<(Vec<(T, i64)>, Instant)>>;

/// Latencies in milliseconds.
pub(crate) struct Latencies(Vec<f64>);

impl Latencies {
    /// Of pairs of a beginning and an end, in microseconds since 1970.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (i64, i64)>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let mut sorted: Vec<f64> =
            pairs.into_iter().map(|(begin, end)| (end - begin).max(0) as f64 / 1000.0).collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }

    pub(crate) fn at(&self, quantile: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let at = (quantile * (self.0.len().saturating_sub(1)) as f64) as usize;
        self.0.get(at).copied().unwrap_or_default()
    }
}

/// The time of an event's record in microseconds since 1970. It is in whole milliseconds, of this machine's clock.
pub(crate) fn recorded(message: &BorrowedMessage<'_>) -> Option<i64> {
    let header = message.headers()?.iter().find(|header| header.key == "ce_recordedtime")?;
    let text = std::str::from_utf8(header.value?).ok()?;
    Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())
}

/// The room and version of an event.
pub(crate) fn event(message: &BorrowedMessage<'_>) -> Option<(RoomId, u64)> {
    let header = message.headers()?.iter().find(|header| header.key == "ce_id")?;
    let (room, version) = std::str::from_utf8(header.value?).ok()?.split_once(':')?;
    Some((room.parse().ok()?, version.parse().ok()?))
}

/// The `_id` of a peer's document.
pub(crate) fn document(message: &BorrowedMessage<'_>) -> Option<Uuid> {
    let text = std::str::from_utf8(message.payload()?).ok()?;
    let (_, behind) = text.split_once("_id")?;
    let id = behind.get(behind.find(|c: char| c.is_ascii_hexdigit())?..)?;
    id.get(..36)?.parse().ok()
}

impl<T: Send + 'static> Arrivals<T> {
    /// Watches the messages out of which `read` makes something.
    pub(crate) async fn watch(
        brokers: &str,
        topic: &str,
        patience: Duration,
        read: fn(&BorrowedMessage<'_>) -> Option<T>,
    ) -> Result<Self> {
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        let seen: Seen<T> = Arc::new(Mutex::new((Vec::new(), Instant::now())));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen_by, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let consumer = spawn_blocking(move || consumer(&brokers, &topic, patience)).await??;
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) else { continue };
                let now = clock_micros();
                let Some(of_message) = read(&message) else { continue };
                let mut seen = seen_by.lock().unwrap_or_else(PoisonError::into_inner);
                seen.0.push((of_message, now));
                seen.1 = Instant::now();
            }
        });
        Ok(Self { seen, stop })
    }

    /// Forgets what was seen.
    pub(crate) fn begin(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (Vec::new(), Instant::now());
    }

    /// Waits until this many messages came, and nothing more comes. Returns what was read, and when.
    pub(crate) async fn end(&self, expected: u64) -> Result<Vec<(T, i64)>> {
        let begun = Instant::now();
        loop {
            tokio::time::sleep(QUIET / 3).await;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let came = u64::try_from(seen.0.len())?;
            if came >= expected && seen.1.elapsed() > QUIET {
                return Ok(std::mem::take(&mut seen.0));
            }
            ensure!(begun.elapsed() < PATIENCE, "{came} of {expected} events arrived");
        }
    }
}

impl<T> Drop for Arrivals<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A consumer at the end of all partitions.
fn consumer(brokers: &str, topic: &str, patience: Duration) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("{topic}-arrivals"))
        .set("enable.auto.commit", "false")
        .set("fetch.min.bytes", "1")
        .set("socket.nagle.disable", "true")
        .create()
        .context("a consumer")?;
    let mut ends = TopicPartitionList::new();
    for partition in 0..topics::DEFAULT_PARTITIONS {
        let (_, end) = consumer.fetch_watermarks(topic, partition, patience)?;
        ends.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    consumer.assign(&ends)?;
    Ok(consumer)
}

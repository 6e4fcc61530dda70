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
    message::Headers,
};
use shared_events::topics;
use tokio::task::spawn_blocking;

use crate::wall_clock::clock_micros;

/// Nothing more comes after a silence of this length.
const QUIET: Duration = Duration::from_millis(300);

/// Watches a topic from its end. `recordedtime` is in whole milliseconds, of this machine's clock.
pub(crate) struct Arrivals {
    /// Milliseconds of each event since the last beginning, and the time of the last one.
    seen: Arc<Mutex<(Vec<f64>, Instant)>>,
    stop: Arc<AtomicBool>,
}

/// Latencies in milliseconds.
pub(crate) struct Latencies(Vec<f64>);

impl Latencies {
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

impl Arrivals {
    pub(crate) async fn watch(brokers: &str, topic: &str, patience: Duration) -> Result<Self> {
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        let seen = Arc::new(Mutex::new((Vec::new(), Instant::now())));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen_by, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let consumer = spawn_blocking(move || consumer(&brokers, &topic, patience)).await??;
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) else { continue };
                let now = clock_micros();
                let recorded = message.headers().and_then(|headers| {
                    let header = headers.iter().find(|header| header.key == "ce_recordedtime")?;
                    let text = std::str::from_utf8(header.value?).ok()?;
                    chrono::DateTime::parse_from_rfc3339(text).ok()
                });
                let Some(recorded) = recorded else { continue };
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let ms = (now - recorded.timestamp_micros()).max(0) as f64 / 1000.0;
                let mut seen = seen_by.lock().unwrap_or_else(PoisonError::into_inner);
                seen.0.push(ms);
                seen.1 = Instant::now();
            }
        });
        Ok(Self { seen, stop })
    }

    /// Forgets what was seen.
    pub(crate) fn begin(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (Vec::new(), Instant::now());
    }

    /// Waits until nothing more comes.
    pub(crate) async fn end(&self) -> Result<Latencies> {
        loop {
            tokio::time::sleep(QUIET / 3).await;
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.1.elapsed() > QUIET {
                ensure!(!seen.0.is_empty(), "no event arrived");
                let mut sorted = seen.0.clone();
                drop(seen);
                sorted.sort_by(f64::total_cmp);
                return Ok(Latencies(sorted));
            }
        }
    }
}

impl Drop for Arrivals {
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

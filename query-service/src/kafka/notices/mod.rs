//! Writes notices: for each room with new events one message to a compacted topic, which names its latest version.
//!
//! A consumer of its own reads the events, so the projector does not wait for notices, and a generation that comes or goes does
//! not change them. Each partition has a transactional producer, whose transactions hold the notices and the offsets:
//!
//! - The producer of a partition's next owner fences the one before, which then can write nothing more.
//! - The next owner reads the partition of the notices to its end, and writes only higher versions. So the last notice of a room,
//!   which compaction keeps, names its highest version, though events come twice and consumers start over.

mod topic;
mod writer;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
};
use service_kit::{clock::Clock, retry::Backoff};
use shared_events::{RoomId, Timestamp, notice::Notice};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::writer::Writer;
use super::{
    ConsumerError, KafkaSettings,
    client::headers,
    consumer::consumer_config,
    threads::{on_a_thread, pause},
};

/// Counter: notices that were written.
const WRITTEN: &str = "notices_written_total";
/// Histogram: seconds from the commit of an event until its notice is in the topic.
const SECONDS: &str = "notices_commit_to_written_seconds";
/// Gauge: 1 while notices can't be written.
const FAILING: &str = "notices_failing";

/// The most messages of a batch.
const BATCH: usize = 10_000;
/// The longest wait for the first message of a batch.
const IDLE: Duration = Duration::from_millis(100);
/// The longest time for which one call of the client may block.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Writes notices to `topic` until it is stopped. It tries again after every error.
///
/// # Errors
/// When its thread ends by itself.
pub async fn write_notices(
    settings: KafkaSettings,
    topic: String,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), ConsumerError> {
    metrics::describe_counter!(WRITTEN, "Notices that were written.");
    metrics::describe_histogram!(
        SECONDS,
        "Seconds from the commit of an event until its notice is in the topic."
    );
    metrics::describe_gauge!(FAILING, "1 while notices can't be written.");
    on_a_thread("notices", move |runtime| {
        let mut backoff = Backoff::for_server();
        while !stop.is_cancelled() {
            let began = Instant::now();
            if let Err(error) = run(&settings, &topic, &clock, runtime, &stop) {
                tracing::warn!(%error, "notices wait; they are tried again");
                metrics::gauge!(FAILING).set(1);
                if began.elapsed() > TIMEOUT {
                    backoff.reset();
                }
                pause(runtime, &stop, backoff.next_delay());
            }
        }
    })
    .await
}

fn run(
    settings: &KafkaSettings,
    topic: &str,
    clock: &Clock,
    runtime: &Handle,
    stop: &CancellationToken,
) -> Result<(), NoticeError> {
    runtime.block_on(topic::ensure(settings, topic))?;
    let login = settings.brokers.properties();
    let consumer: BaseConsumer<Assigned> = config(settings).create_with_context(Assigned::default())?;
    consumer.subscribe(&[&settings.topic])?;
    let mut writers: BTreeMap<i32, Writer> = BTreeMap::new();
    while !stop.is_cancelled() {
        let mut batches = collect(&consumer, || login != settings.brokers.properties())?;
        // A lost partition's writer would know too little when the partition comes back.
        let assigned = consumer.context().partitions();
        writers.retain(|partition, _| assigned.contains(partition));
        batches.retain(|partition, _| assigned.contains(partition));
        for partition in batches.keys() {
            if !writers.contains_key(partition) {
                writers.insert(*partition, Writer::open(settings, topic, *partition)?);
            }
        }
        let Some(group) = consumer.group_metadata() else { continue };
        // The transactions of several partitions side by side: each waits for the brokers several times.
        thread::scope(|scope| {
            let running: Vec<_> = writers
                .iter_mut()
                .filter_map(|(partition, writer)| Some((writer, batches.remove(partition)?)))
                .map(|(writer, batch)| scope.spawn(|| writer.write(&settings.topic, batch, &group, clock)))
                .collect();
            let outcomes = running.into_iter().map(|one| one.join().unwrap_or(Err(NoticeError::Thread)));
            outcomes.collect::<Result<Vec<()>, _>>()
        })?;
        metrics::gauge!(FAILING).set(0);
    }
    Ok(())
}

/// The rooms that messages of a partition name, each with its highest version, and the offset after them.
#[derive(Default)]
struct Batch {
    rooms: HashMap<RoomId, (Notice, Timestamp)>,
    next_offset: i64,
}

impl Batch {
    fn add(&mut self, message: &impl rdkafka::Message) {
        self.next_offset = message.offset() + 1;
        // A message without a readable id has no version that a reader could be told of. The projector parks its room.
        let Ok(notice) = Notice::from_headers(headers(message)) else { return };
        let recorded = headers(message).find(|(name, _)| *name == "ce_recordedtime");
        let recorded = recorded.and_then(|(_, time)| std::str::from_utf8(time).ok()?.parse().ok());
        let recorded = recorded.unwrap_or(Timestamp::EARLIEST);
        let highest = self.rooms.entry(notice.room).or_insert((notice, recorded));
        if notice.version > highest.0.version {
            *highest = (notice, recorded);
        }
    }
}

/// The next messages of each partition. Empty if none come for a while. An error ends it if the login `is_old`.
fn collect(
    consumer: &BaseConsumer<Assigned>,
    is_old: impl Fn() -> bool,
) -> Result<HashMap<i32, Batch>, KafkaError> {
    let mut batches: HashMap<i32, Batch> = HashMap::new();
    let mut count = 0;
    while count < BATCH {
        // Then those that are there already.
        let wait = if count == 0 { IDLE } else { Duration::ZERO };
        match consumer.poll(wait) {
            Some(Ok(message)) => {
                batches.entry(message.partition()).or_default().add(&message);
                count += 1;
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
            Some(Err(error)) if is_old() => return Err(error),
            Some(Err(error)) => {
                tracing::debug!(%error, "consuming for notices goes on");
                break;
            }
            None => break,
        }
    }
    Ok(batches)
}

fn config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = consumer_config(settings);
    config
        .set("group.id", group(settings))
        // Offsets are committed by the producers' transactions.
        .set("enable.auto.commit", "false")
        // Opening writers takes longer than a poll.
        .set("max.poll.interval.ms", "300000")
        // Its context counts no lag.
        .set("statistics.interval.ms", "0");
    config
}

/// The consumer group, and the prefix of the producers' transactional ids. It has the prefix of the setting, and so its rights.
fn group(settings: &KafkaSettings) -> String {
    format!("{}-notices", settings.group)
}

/// The partitions that the consumer has.
#[derive(Default)]
struct Assigned(Mutex<Vec<i32>>);

impl Assigned {
    fn partitions(&self) -> Vec<i32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Assigned {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client of notices");
    }
}

impl ConsumerContext for Assigned {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let listed = |list: &TopicPartitionList| {
            list.elements()
                .iter()
                .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
                .collect()
        };
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match rebalance {
            Rebalance::Assign(list) => *partitions = listed(list),
            Rebalance::Revoke(_) => partitions.clear(),
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance of notices failed"),
        }
    }
}

/// Why notices wait.
#[derive(Debug, thiserror::Error)]
enum NoticeError {
    /// The client, or a broker, failed.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A broker refused the topic.
    #[error("the topic {topic} can't be made: {reason}")]
    Topic { topic: String, reason: String },
    /// The topic has another number of partitions than the events are in.
    #[error("the topic {topic} has {found} of {needed} partitions")]
    Partitions { topic: String, found: usize, needed: i32 },
    /// The end of the topic did not come.
    #[error("the notices of partition {0} can't be read to their end")]
    Unread(i32),
    /// A thread is gone.
    #[error("a thread ended by itself")]
    Thread,
}

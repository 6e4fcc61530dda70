//! What benchmarks ask Kafka for: how far a topic has come, messages sent from memory, and the check of a topic.

pub(crate) mod fill;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    message::{DeliveryResult, Header, Headers, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use shared_events::{RecordedEvent, RoomId, envelope::parse_id, topics::PARTITIONER};

/// Partitions of the topics.
pub(crate) const PARTITIONS: i32 = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(120);

/// When the first messages were seen in a topic, and when so many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    pub(crate) first_at: Instant,
    /// How many there were when the first ones were seen.
    pub(crate) first: u64,
    pub(crate) reached_at: Instant,
    pub(crate) reached: u64,
}

impl Passage {
    /// Messages per second between the two.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        (self.reached - self.first) as f64 / (self.reached_at - self.first_at).as_secs_f64()
    }
}

/// Watches a topic until it has so many messages. Blocks.
///
/// # Errors
/// When it does not get them.
pub(crate) fn watch(brokers: &str, topic: &str, messages: u64) -> Result<Passage> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let started = Instant::now();
    let mut first = None;
    while started.elapsed() < PATIENCE {
        let mut count = 0;
        for partition in 0..PARTITIONS {
            let (_, end) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
            count += u64::try_from(end)?;
        }
        let now = Instant::now();
        if count > 0 {
            let (first_at, first) = *first.get_or_insert((now, count));
            if count >= messages {
                return Ok(Passage { first_at, first, reached_at: now, reached: count });
            }
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    bail!("{topic} does not get {messages} messages")
}

/// A message that is ready to be sent.
struct Ready {
    key: String,
    payload: Vec<u8>,
    headers: OwnedHeaders,
}

/// Counts what the broker has acknowledged.
struct Acknowledged(Arc<AtomicU64>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends messages that lie ready in memory, pipelined, and waits until all are acknowledged: the limit of the client.
/// Gives messages per second. Blocks.
///
/// # Errors
/// When not all are acknowledged.
pub(crate) fn send_from_memory(
    brokers: &str,
    topic: &str,
    events: impl Iterator<Item = RecordedEvent>,
) -> Result<f64> {
    let ready: Vec<Ready> = events.map(ready).collect();
    let count = Arc::new(AtomicU64::new(0));
    let producer: ThreadedProducer<Acknowledged> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", PARTITIONER)
        .set("linger.ms", "5")
        .create_with_context(Acknowledged(Arc::clone(&count)))?;
    // Connected, as the relay is when it begins.
    producer.client().fetch_metadata(Some(topic), PATIENCE)?;
    let messages = ready.len();
    let started = Instant::now();
    for Ready { key, payload, headers } in ready {
        let mut record = BaseRecord::to(topic).key(&key).payload(&payload).headers(headers);
        while let Err((error, unsent)) = producer.send(record) {
            ensure!(error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull), error);
            record = unsent;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    while count.load(Ordering::Relaxed) < u64::try_from(messages)? {
        ensure!(started.elapsed() < PATIENCE, "not all messages were acknowledged");
        std::thread::sleep(Duration::from_millis(1));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(messages as f64 / started.elapsed().as_secs_f64())
}

fn ready(event: RecordedEvent) -> Ready {
    let rendered = event.headers();
    let mut headers = OwnedHeaders::new_with_capacity(rendered.len());
    for (name, value) in &rendered {
        headers = headers.insert(Header { key: name, value: Some(value.as_bytes()) });
    }
    Ready { key: event.room.to_string(), payload: event.payload, headers }
}

/// Reads a topic from its start and checks it: so many different events of so many rooms, the first occurrences of each
/// room's versions in order, each with its room as key. Gives the number of duplicates. Blocks.
///
/// # Errors
/// When one of that does not hold.
pub(crate) fn check(brokers: &str, topic: &str, rooms: usize, events: u64) -> Result<u64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", topic).create()?;
    let mut assignment = TopicPartitionList::new();
    let mut ends = HashMap::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
        let (_, end) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
        ends.insert(partition, end);
    }
    consumer.assign(&assignment)?;
    let total = u64::try_from(ends.values().sum::<i64>())?;
    let (mut read, mut duplicates) = (0, 0);
    let mut last: HashMap<RoomId, u64> = HashMap::new();
    let started = Instant::now();
    while read < total {
        ensure!(started.elapsed() < PATIENCE, "{topic}: {read} of {total} messages can be read");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        read += 1;
        let headers = message.headers().context("a message without headers")?;
        let id = headers.iter().find(|header| header.key == "ce_id").and_then(|header| header.value);
        let id = std::str::from_utf8(id.context("a message without ce_id")?)?;
        ensure!(
            id.as_bytes().starts_with(message.key().context("a message without key")?),
            "{id} has another key"
        );
        let (room, version) = parse_id(id).context("a ce_id of another form")?;
        let seen = last.entry(room).or_default();
        ensure!(version <= *seen + 1, "room {room}: version {version} comes after {seen}");
        duplicates += u64::from(version <= *seen);
        *seen = version.max(*seen);
    }
    ensure!(last.len() == rooms, "{} rooms in place of {rooms}", last.len());
    let found: u64 = last.values().sum();
    ensure!(found == events, "{found} events in place of {events}");
    Ok(duplicates)
}

//! Topics as both sides see them: made, filled, watched and read again.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use serde_json::Value;
use shared_events::{RecordedEvent, topics::PARTITIONER};
use tokio::task::spawn_blocking;

use super::documents::Document;

/// Partitions of every topic of events.
pub(crate) const PARTITIONS: i32 = 4;
const TIMEOUT: Duration = Duration::from_secs(20);
/// How exactly the end of a drain is known.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", brokers).create()?)
}

/// Makes a topic of events.
///
/// # Errors
/// When the broker refuses.
pub(crate) async fn create_topic(brokers: &str, topic: &str) -> Result<()> {
    let topic = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    for outcome in admin(brokers)?.create_topics([&topic], &AdminOptions::new()).await? {
        outcome.map_err(|(topic, error)| anyhow!("{topic} was not made: {error}"))?;
    }
    Ok(())
}

/// Removes topics and groups. That some were never made is no mistake.
///
/// # Errors
/// When the broker does not answer.
pub(super) async fn remove(brokers: &str, topics: &[String], groups: &[String]) -> Result<()> {
    let (admin, options) = (admin(brokers)?, AdminOptions::new());
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    admin.delete_topics(&topics, &options).await?;
    admin.delete_groups(&groups, &options).await?;
    Ok(())
}

/// A topic of events that is there.
#[derive(Clone)]
pub(crate) struct Topic {
    consumer: Arc<BaseConsumer>,
    name: String,
}

impl Topic {
    /// # Errors
    /// When the client can't be made.
    pub(crate) fn open(brokers: &str, name: &str) -> Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            // Nothing is committed to it, the client insists on a name.
            .set("group.id", format!("{name}-watch"))
            .set("enable.auto.commit", "false")
            .set("socket.nagle.disable", "true")
            .create()?;
        Ok(Self { consumer: Arc::new(consumer), name: name.to_owned() })
    }

    fn count(&self) -> Result<u64> {
        (0..PARTITIONS)
            .map(|partition| {
                let (_, high) = self.consumer.fetch_watermarks(&self.name, partition, TIMEOUT)?;
                Ok(u64::try_from(high)?)
            })
            .sum()
    }

    /// The number of messages that were ever written to it.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(crate) async fn messages(&self) -> Result<u64> {
        let topic = self.clone();
        spawn_blocking(move || topic.count()).await?
    }

    /// Waits until nothing has come for half a second, and gives the number of messages.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(crate) async fn until_quiet(&self) -> Result<u64> {
        let mut before = self.messages().await?;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.messages().await?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Waits until it has so many messages more than before, and gives the rate from the first of them that is seen to
    /// the last. Both sides are timed in this way.
    ///
    /// # Errors
    /// When they don't come in time.
    pub(crate) async fn rate_until(&self, before: u64, more: u64, patience: Duration) -> Result<f64> {
        let topic = self.clone();
        spawn_blocking(move || {
            let mut drain = Drain::new(before, more, patience);
            loop {
                if let Some(rate) = drain.saw(topic.count()?)? {
                    return Ok(rate);
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        })
        .await?
    }

    /// Makes sure that it has so many different messages, numbered 1, 2, 3, ... for each key where they first occur.
    ///
    /// # Errors
    /// When it has not.
    pub(crate) async fn verify(&self, messages: u64, read: ReadMessage) -> Result<()> {
        let topic = self.clone();
        spawn_blocking(move || topic.verify_now(messages, read)).await?
    }

    fn verify_now(&self, messages: u64, read: ReadMessage) -> Result<()> {
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            all.add_partition_offset(&self.name, partition, Offset::Beginning)?;
        }
        self.consumer.assign(&all)?;
        let mut heads: HashMap<String, u64> = HashMap::new();
        let mut different = 0;
        for _ in 0..self.count()? {
            let message = self.consumer.poll(TIMEOUT).context("a message does not come")??;
            let Some((key, number)) = read(&message)? else { continue };
            let head = heads.entry(key).or_default();
            if number > *head {
                ensure!(
                    number == *head + 1,
                    "in {} a message of a room follows {head} as {number}",
                    self.name
                );
                *head = number;
                different += 1;
            }
        }
        self.consumer.unassign()?;
        ensure!(
            different == messages,
            "{different} different messages instead of {messages} in {}",
            self.name
        );
        Ok(())
    }
}

/// The key of a message and its number within that key; none for a message that does not count.
type ReadMessage = fn(&BorrowedMessage<'_>) -> Result<Option<(String, u64)>>;

/// Reads one of our events.
///
/// # Errors
/// When it is none.
pub(crate) fn of_events(message: &BorrowedMessage<'_>) -> Result<Option<(String, u64)>> {
    let headers = message.headers().context("no headers")?;
    let id = headers.iter().find(|header| header.key == "ce_id").and_then(|header| header.value);
    let (room, version) =
        shared_events::envelope::parse_id(std::str::from_utf8(id.context("no ce_id")?)?).context("no id")?;
    Ok(Some((room.to_string(), version)))
}

/// Reads a document of the peers.
///
/// # Errors
/// When it is none.
pub(crate) fn of_documents(message: &BorrowedMessage<'_>) -> Result<Option<(String, u64)>> {
    let value: Value = serde_json::from_slice(message.payload().unwrap_or_default())?;
    let room = value.get("room").and_then(Value::as_str);
    Ok(room.map(str::to_owned).zip(value.get("version").and_then(Value::as_u64)))
}

/// Times something that is counted up.
pub(crate) struct Drain {
    before: u64,
    more: u64,
    started: Instant,
    patience: Duration,
    first: Option<(Instant, u64)>,
}

impl Drain {
    /// From `before` to `before + more`.
    pub(crate) fn new(before: u64, more: u64, patience: Duration) -> Self {
        Self { before, more, started: Instant::now(), patience, first: None }
    }

    /// Takes a count, and gives the rate from the first one that was counted to the last, once that was reached.
    ///
    /// # Errors
    /// When it takes too long.
    pub(crate) fn saw(&mut self, count: u64) -> Result<Option<f64>> {
        let now = Instant::now();
        if count <= self.before {
            ensure!(self.started.elapsed() < self.patience, "nothing comes");
            return Ok(None);
        }
        let (since, already) = *self.first.get_or_insert((now, count));
        if count < self.before + self.more {
            let come = count - self.before;
            ensure!(self.started.elapsed() < self.patience, "only {come} of {} came", self.more);
            return Ok(None);
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of a few minutes")]
        let counted = (self.before + self.more).saturating_sub(already) as f64;
        Ok(Some(counted / now.duration_since(since).as_secs_f64()))
    }
}

/// Fills topics, durably, as fast as it goes.
pub(crate) struct Filler(ThreadedProducer<DefaultProducerContext>);

impl Filler {
    /// # Errors
    /// When the client can't be made.
    pub(crate) fn new(brokers: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", PARTITIONER)
            .set("linger.ms", "5")
            .create()?;
        Ok(Self(producer))
    }

    fn send(&self, topic: &str, key: &str, payload: &[u8], headers: OwnedHeaders) -> Result<()> {
        let mut record = BaseRecord::to(topic).key(key).payload(payload).headers(headers);
        loop {
            match self.0.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Writes events as the relay does. Blocks.
    ///
    /// # Errors
    /// When the broker refuses.
    pub(crate) fn events(&self, topic: &str, events: impl Iterator<Item = RecordedEvent>) -> Result<()> {
        for event in events {
            let headers = event.headers();
            let mut owned = OwnedHeaders::new_with_capacity(headers.len());
            for (name, value) in &headers {
                owned = owned.insert(Header { key: name, value: Some(value.as_bytes()) });
            }
            self.send(topic, &event.room.to_string(), &event.payload, owned)?;
        }
        Ok(self.0.flush(TIMEOUT)?)
    }

    /// Writes documents as Debezium does. Blocks.
    ///
    /// # Errors
    /// When the broker refuses.
    pub(crate) fn documents(&self, topic: &str, documents: impl Iterator<Item = Document>) -> Result<()> {
        for document in documents {
            let id = document.id();
            let headers = OwnedHeaders::new()
                .insert(Header { key: "id", value: Some(id.as_bytes()) })
                .insert(Header { key: "eventType", value: Some("reservation-made") });
            self.send(topic, &document.key(), document.json().as_bytes(), headers)?;
        }
        Ok(self.0.flush(TIMEOUT)?)
    }
}

//! Watches how a topic fills, and verifies its messages. Both sides of a comparison use it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};
use serde_json::Value;
use shared_events::topics;
use tokio::task::spawn_blocking;

use crate::drain::{Drain, Drained};

const TIMEOUT: Duration = Duration::from_secs(20);
/// The precision of the end of a drain.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// An existing topic. Clones share the client.
#[derive(Clone)]
pub(crate) struct Topic {
    consumer: Arc<BaseConsumer>,
    name: String,
}

/// The contents of a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// Distinct keys.
    pub(crate) keys: usize,
    /// Repeated messages.
    pub(crate) duplicates: u64,
}

/// Reads the key of a message and its number within the key; none for a message to skip.
type ReadMessage = fn(&BorrowedMessage<'_>) -> Result<Option<(String, u64)>>;

impl Topic {
    pub(crate) fn open(brokers: &str, name: &str) -> Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            // Required by the client, though nothing is committed.
            .set("group.id", format!("{name}-watch"))
            .set("enable.auto.commit", "false")
            .set("socket.nagle.disable", "true")
            .create()?;
        Ok(Self { consumer: Arc::new(consumer), name: name.to_owned() })
    }

    fn count(&self) -> Result<u64> {
        (0..topics::DEFAULT_PARTITIONS)
            .map(|partition| {
                let (_, high) = self.consumer.fetch_watermarks(&self.name, partition, TIMEOUT)?;
                Ok(u64::try_from(high)?)
            })
            .sum()
    }

    /// The number of messages ever written.
    pub(crate) async fn messages(&self) -> Result<u64> {
        let topic = self.clone();
        spawn_blocking(move || topic.count()).await?
    }

    /// Waits until no message has come for half a second. Returns the number of messages.
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

    /// Waits for a number of messages after the first `before`.
    pub(crate) async fn until(&self, before: u64, more: u64, patience: Duration) -> Result<Drained> {
        let topic = self.clone();
        spawn_blocking(move || {
            let mut drain = Drain::new(before, more, patience);
            loop {
                if let Some(drained) = drain.saw(topic.count()?)? {
                    return Ok(drained);
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        })
        .await?
    }

    /// Reads the whole topic and checks the number of distinct messages. The first occurrences of each key must be
    /// numbered 1, 2, 3, ...
    pub(crate) async fn verify(&self, messages: u64, read: ReadMessage) -> Result<Found> {
        let topic = self.clone();
        spawn_blocking(move || topic.verify_now(messages, read)).await?
    }

    fn verify_now(&self, messages: u64, read: ReadMessage) -> Result<Found> {
        let mut all = TopicPartitionList::new();
        for partition in 0..topics::DEFAULT_PARTITIONS {
            all.add_partition_offset(&self.name, partition, Offset::Beginning)?;
        }
        self.consumer.assign(&all)?;
        let mut heads: HashMap<String, u64> = HashMap::new();
        let (mut different, mut duplicates) = (0, 0);
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
            } else {
                duplicates += 1;
            }
        }
        self.consumer.unassign()?;
        ensure!(
            different == messages,
            "{different} different messages instead of {messages} in {}",
            self.name
        );
        Ok(Found { keys: heads.len(), duplicates })
    }
}

/// Reads an event. Its key must be its room.
pub(crate) fn of_events(message: &BorrowedMessage<'_>) -> Result<Option<(String, u64)>> {
    let headers = message.headers().context("a message without headers")?;
    let id = headers.iter().find(|header| header.key == "ce_id").and_then(|header| header.value);
    let id = std::str::from_utf8(id.context("a message without ce_id")?)?;
    let (room, version) = shared_events::envelope::parse_id(id).context("a ce_id of another form")?;
    let room = room.to_string();
    ensure!(message.key() == Some(room.as_bytes()), "{id} has another key");
    Ok(Some((room, version.get())))
}

/// Reads a document of the peers.
pub(crate) fn of_documents(message: &BorrowedMessage<'_>) -> Result<Option<(String, u64)>> {
    let value: Value = serde_json::from_slice(message.payload().unwrap_or_default())?;
    let room = value.get("room").and_then(Value::as_str);
    Ok(room.map(str::to_owned).zip(value.get("version").and_then(Value::as_u64)))
}

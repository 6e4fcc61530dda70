//! Reads a topic from the broker.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedHeaders, BorrowedMessage, Headers},
    types::RDKafkaErrorCode,
};

/// A message of a topic.
#[derive(Debug, Clone)]
pub struct MessageRow {
    /// The partition.
    pub partition: i32,
    /// The key.
    pub key: Vec<u8>,
    /// `ce_id`.
    pub id: String,
    /// `ce_type`.
    pub event_type: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// All headers, ordered by name. A header may have no value.
    pub headers: Vec<(String, Option<String>)>,
}

const TIMEOUT: Duration = Duration::from_secs(30);

/// All messages up to the present end of a topic, partition by partition, without those of transactions that were given up.
pub async fn messages(brokers: &str, topic: &str) -> Result<Vec<MessageRow>> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read(&brokers, &topic)).await?
}

fn read(brokers: &str, topic: &str) -> Result<Vec<MessageRow>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", crate::unique("reader"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let mut messages = Vec::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|part| part.id()) {
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, partition, Offset::Beginning)?;
        consumer.assign(&from)?;
        loop {
            match consumer.poll(TIMEOUT).context("a message does not come")? {
                Ok(message) => messages.push(row(&message)),
                Err(KafkaError::PartitionEOF(_)) => break,
                // It says that no connection stands at the moment. The client goes on by itself.
                Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(messages)
}

fn row(message: &BorrowedMessage<'_>) -> MessageRow {
    let all = message.headers().into_iter().flat_map(BorrowedHeaders::iter);
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut headers: Vec<_> = all.map(|header| (header.key.to_owned(), header.value.map(text))).collect();
    headers.sort();
    let header = |name: &str| {
        let found = headers.iter().find(|(it, _)| it == name);
        found.and_then(|(_, value)| value.clone()).unwrap_or_default()
    };
    MessageRow {
        partition: message.partition(),
        key: message.key().unwrap_or_default().to_owned(),
        id: header("ce_id"),
        event_type: header("ce_type"),
        payload: message.payload().unwrap_or_default().to_owned(),
        headers,
    }
}

//! A topic as it lies on the broker.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::{BorrowedHeaders, BorrowedMessage, Headers},
};

/// A topic that can be read from its start.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) brokers: String,
    pub(crate) name: String,
}

/// A message, as it lies in the topic.
#[derive(Debug, Clone)]
pub(crate) struct MessageRow {
    pub(crate) partition: i32,
    pub(crate) key: Vec<u8>,
    /// `ce_id`.
    pub(crate) id: String,
    /// `ce_type`.
    pub(crate) event_type: String,
    pub(crate) payload: Vec<u8>,
}

const TIMEOUT: Duration = Duration::from_secs(30);

impl Topic {
    /// All messages that are in the topic now, partition by partition. It blocks.
    pub(crate) fn read(&self) -> KafkaResult<Vec<MessageRow>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", "campaign-checker")
            .set("enable.auto.commit", "false")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(&self.name), TIMEOUT)?;
        let partitions: Vec<i32> =
            metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|part| part.id()).collect();
        let mut messages = Vec::new();
        for partition in partitions {
            let (first, end) = consumer.fetch_watermarks(&self.name, partition, TIMEOUT)?;
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(&self.name, partition, Offset::Offset(first))?;
            consumer.assign(&from)?;
            let mut next = first;
            while next < end {
                let message = consumer.poll(TIMEOUT).unwrap_or(Err(KafkaError::NoMessageReceived))?;
                next = message.offset() + 1;
                messages.push(row(&message));
            }
        }
        Ok(messages)
    }
}

fn row(message: &BorrowedMessage<'_>) -> MessageRow {
    let header = |name: &str| {
        let all = message.headers().into_iter().flat_map(BorrowedHeaders::iter);
        let value = all.filter(|header| header.key == name).find_map(|header| header.value);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    MessageRow {
        partition: message.partition(),
        key: message.key().unwrap_or_default().to_owned(),
        id: header("ce_id"),
        event_type: header("ce_type"),
        payload: message.payload().unwrap_or_default().to_owned(),
    }
}

//! Topics and consumer groups of tests, and messages that no service sent.

use std::time::Duration;

mod topic;

use anyhow::Result;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

pub use self::topic::{MessageRow, messages};

const PATIENCE: Duration = Duration::from_secs(30);
/// Generations of read models for which a test may have made a group.
const GENERATIONS: std::ops::RangeInclusive<u32> = 3..=6;

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", brokers).create()?)
}

/// Deletes topics and consumer groups. Unknown ones are no error.
pub async fn delete(brokers: &str, topics: &[String], groups: &[String]) -> Result<()> {
    let admin = admin(brokers)?;
    let options = AdminOptions::new();
    admin.delete_groups(&groups.iter().map(String::as_str).collect::<Vec<_>>(), &options).await?;
    admin.delete_topics(&topics.iter().map(String::as_str).collect::<Vec<_>>(), &options).await?;
    Ok(())
}

/// Deletes the topic and the consumer group of one name, with the groups of further generations and those of notices.
pub async fn remove(brokers: &str, name: &str) -> Result<()> {
    let generations = GENERATIONS.map(|number| format!("{name}-g{number}"));
    let notices = format!("{name}-notices");
    let groups: Vec<String> = generations.chain([name.to_owned(), notices.clone()]).collect();
    delete(brokers, &[name.to_owned(), notices], &groups).await
}

/// Deletes a topic.
pub async fn delete_topic(brokers: &str, topic: &str) -> Result<()> {
    for deleted in admin(brokers)?.delete_topics(&[topic], &AdminOptions::new()).await? {
        deleted.map_err(|(_, code)| anyhow::anyhow!("{topic} is not deleted: {code}"))?;
    }
    Ok(())
}

/// Gives a topic this number of partitions, more than it has, like `kafka-topics.sh --alter`.
pub async fn add_partitions(brokers: &str, topic: &str, number: usize) -> Result<()> {
    let partitions = NewPartitions::new(topic, number);
    for made in admin(brokers)?.create_partitions(&[partitions], &AdminOptions::new()).await? {
        made.map_err(|(_, code)| anyhow::anyhow!("{topic} gets no partitions: {code}"))?;
    }
    Ok(())
}

/// Limits the size of a topic's messages. All other settings become those of the broker.
pub async fn limit_messages(brokers: &str, topic: &str, bytes: usize) -> Result<()> {
    let bytes = bytes.to_string();
    let limit = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", &bytes);
    for altered in admin(brokers)?.alter_configs(&[limit], &AdminOptions::new()).await? {
        altered.map_err(|(_, code)| anyhow::anyhow!("{topic} gets no limit: {code}"))?;
    }
    Ok(())
}

/// The number of a topic's partitions; 0 if it does not exist. With `may_create`, the broker may make the topic.
pub async fn partitions(brokers: &str, topic: &str, may_create: bool) -> Result<usize> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers).set("group.id", "foreign");
    client.set("allow.auto.create.topics", may_create.to_string());
    let (consumer, topic): (BaseConsumer, _) = (client.create()?, topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let metadata = consumer.fetch_metadata(Some(&topic), PATIENCE)?;
        Ok(metadata.topics().iter().map(|topic| topic.partitions().len()).sum())
    })
    .await?
}

/// Sends a message of a foreign producer into the partition of its key.
pub async fn send(
    brokers: &str,
    topic: &str,
    key: &str,
    headers: &[(&str, &str)],
    payload: &[u8],
) -> Result<()> {
    let mut producer = ClientConfig::new();
    producer.set("bootstrap.servers", brokers).set("partitioner", "murmur2_random");
    let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    });
    send_record(&producer, FutureRecord::to(topic).key(key).payload(payload).headers(headers)).await
}

/// Sends what looks like an event of a room and can't be read.
pub async fn send_garbled(brokers: &str, topic: &str, room: &str, version: u64) -> Result<()> {
    let id = format!("{room}:{version}");
    let headers = [("ce_id", id.as_str()), ("ce_type", "reservations.reservation-made.v1")];
    send(brokers, topic, room, &headers, b"{not json").await
}

/// Sends a message over TLS with a user's name and password. The authority is in a file.
pub async fn send_as(
    brokers: &str,
    authority: &str,
    (user, password): (&str, &str),
    topic: &str,
) -> Result<()> {
    let mut producer = ClientConfig::new();
    producer
        .set("bootstrap.servers", brokers)
        .set("security.protocol", "sasl_ssl")
        .set("ssl.ca.location", authority)
        .set("sasl.mechanism", "SCRAM-SHA-512")
        .set("sasl.username", user)
        .set("sasl.password", password)
        .set("message.timeout.ms", "30000");
    send_record(&producer, FutureRecord::to(topic).key("key").payload(b"{}".as_slice())).await
}

async fn send_record(producer: &ClientConfig, record: FutureRecord<'_, str, [u8]>) -> Result<()> {
    let producer: FutureProducer = producer.create()?;
    producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
    Ok(())
}

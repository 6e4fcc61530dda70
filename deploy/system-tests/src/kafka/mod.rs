//! Topics and consumer groups of tests, and messages that no service sent.

use std::time::Duration;

mod topic;

use anyhow::Result;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

pub use self::topic::{MessageRow, messages};

const PATIENCE: Duration = Duration::from_secs(30);
/// Generations of read models for which a test may have made a group.
const GENERATIONS: std::ops::RangeInclusive<u32> = 3..=6;

/// Deletes topics and consumer groups. Unknown ones are no error.
pub async fn delete(brokers: &str, topics: &[String], groups: &[String]) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let options = AdminOptions::new();
    admin.delete_groups(&groups.iter().map(String::as_str).collect::<Vec<_>>(), &options).await?;
    admin.delete_topics(&topics.iter().map(String::as_str).collect::<Vec<_>>(), &options).await?;
    Ok(())
}

/// Deletes the topic and the consumer group of one name, with the groups of further generations.
pub async fn remove(brokers: &str, name: &str) -> Result<()> {
    let generations = GENERATIONS.map(|number| format!("{name}-g{number}"));
    let groups: Vec<String> = generations.chain([name.to_owned()]).collect();
    delete(brokers, &[name.to_owned()], &groups).await
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

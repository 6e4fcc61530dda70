//! A topic and a consumer group of one's own, what is in the topic, and messages that none of the services sent.

use std::time::{Duration, Instant};

mod topic;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

pub(crate) use self::topic::{MessageRow, Topic};

/// The generations of read models that tests make at most.
const GENERATIONS: std::ops::RangeInclusive<u32> = 3..=6;

/// Removes a topic and a consumer group, with the groups of further generations. That one of them was never made is no
/// mistake.
pub async fn remove(brokers: &str, topic: &str, group: &str) -> KafkaResult<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let options = AdminOptions::new();
    let of_generations: Vec<String> = GENERATIONS.map(|number| format!("{group}-g{number}")).collect();
    let groups: Vec<&str> = of_generations.iter().map(String::as_str).chain([group]).collect();
    admin.delete_groups(&groups, &options).await?;
    admin.delete_topics(&[topic], &options).await?;
    Ok(())
}

/// Sends a message as somebody else might, into the partition of its key.
pub async fn send(
    brokers: &str,
    topic: &str,
    key: &str,
    headers: &[(&str, &str)],
    payload: &[u8],
) -> KafkaResult<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("partitioner", "murmur2_random")
        .create()?;
    let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    });
    let record = FutureRecord::to(topic).key(key).payload(payload).headers(headers);
    let sent = producer.send(record, Duration::from_secs(30)).await;
    sent.map(drop).map_err(|(error, _)| error)
}

/// Sends a message over TLS, whose authority is in a file, with a name and a password.
pub async fn send_as(
    brokers: &str,
    authority: &str,
    (user, password): (&str, &str),
    topic: &str,
) -> KafkaResult<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("security.protocol", "sasl_ssl")
        .set("ssl.ca.location", authority)
        .set("sasl.mechanism", "SCRAM-SHA-512")
        .set("sasl.username", user)
        .set("sasl.password", password)
        .set("message.timeout.ms", "30000")
        .create()?;
    let sent = producer.send(FutureRecord::to(topic).key("key").payload("{}"), Duration::from_secs(30)).await;
    sent.map(drop).map_err(|(error, _)| error)
}

/// Reads a topic from its start: the ids of events (`ROOM:VERSION`), a room's in the order of the topic, until `done` has
/// seen enough. Blocks.
pub fn event_ids(
    brokers: &str,
    topic: &str,
    mut done: impl FnMut(&str) -> bool,
) -> anyhow::Result<Vec<String>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", crate::unique("reader"))
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    let (mut ids, start) = (Vec::new(), Instant::now());
    loop {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(60), "after {} events none came", ids.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        let mut headers = message.headers().into_iter().flat_map(Headers::iter);
        let id = headers.find(|header| header.key == "ce_id").and_then(|header| header.value);
        ids.push(String::from_utf8(id.unwrap_or_default().to_vec())?);
        if ids.last().is_some_and(|id| done(id)) {
            return Ok(ids);
        }
    }
}

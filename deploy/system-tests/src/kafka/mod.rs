//! A topic and a consumer group of one's own, and messages that none of the services sent.

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    error::KafkaResult,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

/// Removes a topic and a consumer group. That one of them was never made is no mistake.
///
/// # Errors
/// When the broker can't be reached.
pub async fn remove(brokers: &str, topic: &str, group: &str) -> KafkaResult<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let options = AdminOptions::new();
    admin.delete_groups(&[group], &options).await?;
    admin.delete_topics(&[topic], &options).await?;
    Ok(())
}

/// Sends a message as somebody else might, into the partition of its key.
///
/// # Errors
/// When the broker does not take it.
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
    let sent = producer.send(record, std::time::Duration::from_secs(30)).await;
    sent.map(drop).map_err(|(error, _)| error)
}

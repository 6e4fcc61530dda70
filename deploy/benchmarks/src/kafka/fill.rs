//! A topic that holds given events.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use shared_events::{Envelope, topics};

/// Makes a topic like that of events and sends events to it, as the relay does.
///
/// # Errors
/// When the broker refuses, or does not take all of them.
pub(crate) async fn fill(brokers: &str, topic: &str, events: &[Envelope]) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let new = NewTopic::new(topic, topics::DEFAULT_PARTITIONS, TopicReplication::Fixed(1));
    for made in admin.create_topics([&new], &AdminOptions::new()).await? {
        made.map_err(|(name, code)| anyhow::anyhow!("{name} was not made: {code}"))?;
    }
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "5")
        .set("partitioner", topics::PARTITIONER)
        .set("queue.buffering.max.messages", "100000")
        .create()?;
    for envelope in events {
        let event = envelope.record();
        let key = event.room.to_string();
        let headers = event.headers().into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_bytes()) })
        });
        let mut record = BaseRecord::to(topic).key(&key).payload(&event.payload).headers(headers);
        while let Err((error, refused)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            ensure!(error == full, "an event was not taken: {error}");
            producer.poll(Duration::from_millis(5));
            record = refused;
        }
    }
    producer.flush(Duration::from_secs(60)).context("not all events were acknowledged")?;
    Ok(())
}

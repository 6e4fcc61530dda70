//! A message that is sent, acknowledged and read before the next one.

use std::time::Duration;

use anyhow::Result;
use rdkafka::{
    ClientConfig,
    consumer::{Consumer, StreamConsumer},
    producer::{FutureProducer, FutureRecord},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A producer and a consumer of a topic.
pub(crate) struct Echo {
    topic: String,
    producer: FutureProducer,
    consumer: StreamConsumer,
}

impl Echo {
    pub(crate) fn of(brokers: &str, topic: &str) -> Result<Self> {
        let mut quick = ClientConfig::new();
        quick.set("bootstrap.servers", brokers).set("socket.nagle.disable", "true");
        let mut producer = quick.clone();
        producer.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "0");
        quick.set("group.id", format!("{topic}-echo")).set("enable.auto.commit", "false");
        quick.set("fetch.min.bytes", "1").set("auto.offset.reset", "earliest");
        let consumer: StreamConsumer = quick.create()?;
        consumer.subscribe(&[topic])?;
        Ok(Self { topic: topic.to_owned(), producer: producer.create()?, consumer })
    }

    /// Sends a message durably and waits until it is read.
    pub(crate) async fn send(&self, key: &str, payload: &[u8]) -> Result<()> {
        let record = FutureRecord::to(&self.topic).key(key).payload(payload);
        self.producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        tokio::time::timeout(PATIENCE, self.consumer.recv()).await??;
        Ok(())
    }
}

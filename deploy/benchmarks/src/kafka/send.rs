//! Sends messages: to fill a topic, and to find the limit of the client.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rdkafka::{
    ClientConfig, ClientContext,
    error::RDKafkaErrorCode,
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use shared_events::{RawEvent, topics::PARTITIONER};

use super::headers_of;
use crate::{figures::number, peer_documents::Document};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Counts acknowledged messages.
struct Acknowledged(Arc<AtomicU64>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends durably and pipelined.
pub(crate) struct Filler {
    producer: ThreadedProducer<Acknowledged>,
    sent: u64,
    acknowledged: Arc<AtomicU64>,
}

impl Filler {
    pub(crate) fn new(brokers: &str) -> Result<Self> {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", PARTITIONER)
            .set("linger.ms", "5")
            .create_with_context(Acknowledged(Arc::clone(&acknowledged)))?;
        Ok(Self { producer, sent: 0, acknowledged })
    }

    fn send(&mut self, topic: &str, key: &str, payload: &[u8], headers: OwnedHeaders) -> Result<()> {
        let mut record = BaseRecord::to(topic).key(key).payload(payload).headers(headers);
        while let Err((error, unsent)) = self.producer.send(record) {
            ensure!(error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull), error);
            record = unsent;
            std::thread::sleep(LOOK_AGAIN);
        }
        self.sent += 1;
        Ok(())
    }

    fn until_acknowledged(&self) -> Result<()> {
        let started = Instant::now();
        while self.acknowledged.load(Ordering::Relaxed) < self.sent {
            ensure!(started.elapsed() < PATIENCE, "not all messages were acknowledged");
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Sends events like the relay. Blocks.
    pub(crate) fn events(&mut self, topic: &str, events: impl Iterator<Item = RawEvent>) -> Result<()> {
        for event in events {
            self.send(topic, &event.room.to_string(), &event.payload, headers_of(&event))?;
        }
        self.until_acknowledged()
    }

    /// Sends documents like Debezium. Blocks.
    pub(crate) fn documents(&mut self, topic: &str, documents: impl Iterator<Item = Document>) -> Result<()> {
        for document in documents {
            let id = document.id();
            let headers = OwnedHeaders::new()
                .insert(Header { key: "id", value: Some(id.as_bytes()) })
                .insert(Header { key: "eventType", value: Some("reservation-made") });
            self.send(topic, &document.key(), document.json().as_bytes(), headers)?;
        }
        self.until_acknowledged()
    }
}

/// The limit of the client: sends prepared messages and waits for all acknowledgements. Returns messages per second.
/// Blocks.
pub(crate) fn send_from_memory(
    brokers: &str,
    topic: &str,
    events: impl Iterator<Item = RawEvent>,
) -> Result<f64> {
    let ready: Vec<_> =
        events.map(|event| (event.room.to_string(), headers_of(&event), event.payload)).collect();
    let mut filler = Filler::new(brokers)?;
    // Connects first, like the relay.
    filler.producer.client().fetch_metadata(Some(topic), PATIENCE)?;
    let started = Instant::now();
    for (key, headers, payload) in ready {
        filler.send(topic, &key, &payload, headers)?;
    }
    filler.until_acknowledged()?;
    Ok(number(filler.sent) / started.elapsed().as_secs_f64())
}

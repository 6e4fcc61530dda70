//! The sender: an idempotent producer that waits for every delivery report.
//!
//! librdkafka's own message time-out is switched off, because it makes gaps: a message that is given up while a later one
//! of its room is delivered. A stall is noticed by a timer here, and then the whole producer is dropped.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
};
use shared_events::{RecordedEvent, topics::PARTITIONER};
use tokio::sync::mpsc;

use super::{Error, KafkaOptions};
use crate::outbox::{Delivery, Publisher};

/// How long nothing may be reported before the producer is dropped.
const STALL: Duration = Duration::from_secs(30);

/// Passes each delivery report on, with the message's place in its batch.
struct Reports(mpsc::UnboundedSender<(usize, Result<(), KafkaError>)>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let result = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        // Nobody listens any more when the producer was dropped: its batch is sent again.
        drop(self.0.send((index, result)));
    }
}

struct Connection {
    producer: ThreadedProducer<Reports>,
    reports: mpsc::UnboundedReceiver<(usize, Result<(), KafkaError>)>,
}

/// Sends events to the topic.
pub struct KafkaPublisher {
    options: KafkaOptions,
    stall: Duration,
    connection: Option<Connection>,
}

impl KafkaPublisher {
    /// A sender; it connects when it first sends.
    #[must_use]
    pub const fn new(options: KafkaOptions) -> Self {
        Self::with_stall(options, STALL)
    }

    /// A sender that gives a batch up when nothing is reported for so long.
    #[must_use]
    pub const fn with_stall(options: KafkaOptions, stall: Duration) -> Self {
        Self { options, stall, connection: None }
    }

    fn connect(options: &KafkaOptions) -> Result<Connection, Error> {
        let (sender, reports) = mpsc::unbounded_channel();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &options.brokers)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", PARTITIONER)
            .set("message.timeout.ms", "0")
            .set("linger.ms", "0")
            .set("socket.nagle.disable", "true")
            .set("compression.type", "none")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .create_with_context(Reports(sender))
            .map_err(|source| Error::Client { operation: "creating a producer", source })?;
        Ok(Connection { producer, reports })
    }
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&mut self, events: &[RecordedEvent]) -> Vec<Delivery> {
        let mut deliveries = vec![Delivery::Failed("not reported".to_owned()); events.len()];
        if self.connection.is_none() {
            match Self::connect(&self.options) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    deliveries.fill(Delivery::Failed(error.to_string()));
                    return deliveries;
                }
            }
        }
        let Some(connection) = &mut self.connection else { return deliveries };
        let mut waiting = 0usize;
        for (index, event) in events.iter().enumerate() {
            match connection.send(&self.options.topic, index, event) {
                Ok(()) => waiting += 1,
                Err(error) => {
                    let refused = is_refused_for_good(&error);
                    if let Some(delivery) = deliveries.get_mut(index) {
                        let reason = error.to_string();
                        *delivery =
                            if refused { Delivery::Refused(reason) } else { Delivery::Failed(reason) };
                    }
                    // Later messages of this room must not overtake it, so nothing more is sent in this batch.
                    break;
                }
            }
        }
        while waiting > 0 {
            let Ok(Some((index, result))) = tokio::time::timeout(self.stall, connection.reports.recv()).await
            else {
                break;
            };
            waiting -= 1;
            if let Some(delivery) = deliveries.get_mut(index) {
                *delivery = match result {
                    Ok(()) => Delivery::Delivered,
                    Err(error) if is_refused_for_good(&error) => Delivery::Refused(error.to_string()),
                    Err(error) => Delivery::Failed(error.to_string()),
                };
            }
        }
        deliveries
    }

    async fn reset(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Dropping it purges its queues and waits for the reports of that, up to half a second.
            drop(tokio::task::spawn_blocking(move || drop(connection)).await);
        }
    }
}

impl Connection {
    fn send(&self, topic: &str, index: usize, event: &RecordedEvent) -> Result<(), KafkaError> {
        let key = event.room.to_string();
        let headers = event.headers();
        let mut owned = OwnedHeaders::new_with_capacity(headers.len());
        for (name, value) in &headers {
            owned = owned.insert(Header { key: name, value: Some(value.as_bytes()) });
        }
        let record =
            BaseRecord::with_opaque_to(topic, index).key(&key).payload(&event.payload).headers(owned);
        self.producer.send(record).map_err(|(error, _)| error)
    }
}

/// Whether sending the message again can't help.
fn is_refused_for_good(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord
        )
    )
}

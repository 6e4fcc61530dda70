//! The sender: an idempotent producer that passes every delivery report on.
//!
//! librdkafka's own message time-out is switched off, because it makes gaps: a message that is given up while a later one
//! of its room is delivered. A stall is noticed by a timer here, and then the whole producer is dropped.

use std::{future::pending, time::Duration};

use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
};
use shared_events::{RecordedEvent, topics::PARTITIONER};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{KafkaOptions, client_config};
use crate::outbox::{Publisher, Report, Undelivered};

/// How long nothing may be reported before the producer is dropped.
const STALL: Duration = Duration::from_secs(30);
/// How long is waited for room in the producer's queue before it is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(1);
/// Most reports that are taken together.
const MOST_REPORTS: usize = 10_000;

/// Passes each delivery report on, with the event's position.
struct Reports(mpsc::UnboundedSender<Report>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        let result = result.as_ref().map(|_| ()).map_err(|(error, _)| undelivered(error));
        // Nobody listens any more when the producer was dropped: its events are sent again.
        drop(self.0.send((position as u64, result)));
    }
}

struct Connection {
    producer: ThreadedProducer<Reports>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// How many messages were sent and not reported.
    under_way: usize,
    /// When something was reported last, or sent while nothing was under way.
    moved: Instant,
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

    /// A sender that gives up when nothing is reported for so long.
    #[must_use]
    pub const fn with_stall(options: KafkaOptions, stall: Duration) -> Self {
        Self { options, stall, connection: None }
    }

    fn connect(options: &KafkaOptions) -> Result<Connection, KafkaError> {
        let (sender, reports) = mpsc::unbounded_channel();
        let producer = client_config(options)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", PARTITIONER)
            .set("message.timeout.ms", "0")
            .set("linger.ms", "0")
            .set("socket.nagle.disable", "true")
            .set("compression.type", "none")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .create_with_context(Reports(sender))?;
        Ok(Connection { producer, reports, under_way: 0, moved: Instant::now() })
    }
}

impl Publisher for KafkaPublisher {
    async fn send(&mut self, position: u64, event: RecordedEvent) -> Result<(), Undelivered> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let connected = Self::connect(&self.options);
                self.connection.insert(connected.map_err(|error| undelivered(&error))?)
            }
        };
        let key = event.room.to_string();
        let index = usize::try_from(position).map_err(|error| Undelivered::Refused(error.to_string()))?;
        let mut record = BaseRecord::with_opaque_to(&self.options.topic, index)
            .key(&key)
            .payload(&event.payload)
            .headers(headers(&event));
        while let Err((error, unsent)) = connection.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(undelivered(&error));
            }
            if connection.moved.elapsed() > self.stall && connection.reports.is_empty() {
                return Err(stalled(self.stall));
            }
            tokio::time::sleep(FULL_PAUSE).await;
            record = unsent;
        }
        if connection.under_way == 0 {
            connection.moved = Instant::now();
        }
        connection.under_way += 1;
        Ok(())
    }

    async fn reports(&mut self) -> Vec<Report> {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.under_way > 0) else {
            return pending().await;
        };
        let mut reports = Vec::new();
        let received = connection.reports.recv_many(&mut reports, MOST_REPORTS);
        if timeout_at(connection.moved + self.stall, received).await.is_err() {
            return vec![(0, Err(stalled(self.stall)))];
        }
        connection.moved = Instant::now();
        connection.under_way = connection.under_way.saturating_sub(reports.len());
        reports
    }

    async fn reset(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Dropping it purges its queues and waits for the reports of that, up to half a second.
            drop(tokio::task::spawn_blocking(move || drop(connection)).await);
        }
    }
}

fn headers(event: &RecordedEvent) -> OwnedHeaders {
    let headers = event.headers();
    let mut owned = OwnedHeaders::new_with_capacity(headers.len());
    for (name, value) in &headers {
        owned = owned.insert(Header { key: name, value: Some(value.as_bytes()) });
    }
    owned
}

fn stalled(after: Duration) -> Undelivered {
    Undelivered::Failed(format!("the broker has reported nothing for {after:?}"))
}

fn undelivered(error: &KafkaError) -> Undelivered {
    if is_refused_for_good(error) {
        Undelivered::Refused(error.to_string())
    } else {
        Undelivered::Failed(error.to_string())
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

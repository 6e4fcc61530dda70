//! The sender: an idempotent producer that passes every delivery report on, and gets what has gathered meanwhile.
//!
//! librdkafka's own message time-out is switched off, because it makes gaps: a message that is given up while a later one
//! of its room is delivered. A stall is noticed by a timer here, and then the whole producer is dropped.

use std::{collections::VecDeque, future::pending, time::Duration};

use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
};
use shared_events::{RawEvent, RoomId, topics::PARTITIONER};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{KafkaOptions, client_config};
use crate::outbox::{Publisher, Report, Undelivered};

/// How long nothing may be reported before the producer is dropped.
const STALL: Duration = Duration::from_secs(30);
/// With so many messages of a partition under way librdkafka (2.12, idempotent) sends no more of it, and while some wait it
/// asks its socket without a pause, which takes a processor to itself. So they wait here, and are handed over together when
/// all but a few are reported: the slower the broker, the larger its requests.
const WINDOW: usize = 5;
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

/// An event in the form in which it is sent.
struct Message {
    position: usize,
    room: RoomId,
    key: String,
    payload: Vec<u8>,
    headers: OwnedHeaders,
}

struct Connection {
    producer: ThreadedProducer<Reports>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// What is handed over when few enough are under way.
    waiting: VecDeque<Message>,
    /// What the producer did not take, and why, until that is reported.
    not_taken: Vec<(RoomId, Report)>,
    /// How many messages were handed over and not reported.
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
        Ok(Connection {
            producer,
            reports,
            waiting: VecDeque::new(),
            not_taken: Vec::new(),
            under_way: 0,
            moved: Instant::now(),
        })
    }
}

impl Connection {
    /// Hands over what waits, if few enough are under way.
    fn hand_over(&mut self, topic: &str) {
        if self.under_way >= WINDOW {
            return;
        }
        if self.under_way == 0 {
            self.moved = Instant::now();
        }
        while let Some(message) = self.waiting.pop_front() {
            let Message { position, room, key, payload, headers } = message;
            // Nothing of a room overtakes what was not taken before it. The relay does the same as soon as it is told.
            if let Some((_, why)) =
                self.not_taken.iter().find_map(|(of, report)| (*of == room).then_some(report))
            {
                let why = why.clone();
                self.not_taken.push((room, (position as u64, why)));
                continue;
            }
            let record =
                BaseRecord::with_opaque_to(topic, position).key(&key).payload(&payload).headers(headers);
            match self.producer.send(record) {
                Ok(()) => self.under_way += 1,
                // What is under way will make room.
                Err((error, BaseRecord { headers: Some(headers), .. }))
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) =>
                {
                    self.waiting.push_front(Message { position, room, key, payload, headers });
                    return;
                }
                Err((error, _)) => {
                    self.not_taken.push((room, (position as u64, Err(undelivered(&error)))));
                }
            }
        }
    }

    /// Reports of what was not taken. Not before everything was handed over: among what waits may be more of its rooms.
    fn report_not_taken(&mut self, reports: &mut Vec<Report>) {
        if self.waiting.is_empty() {
            reports.extend(self.not_taken.drain(..).map(|(_, report)| report));
        }
    }
}

impl Publisher for KafkaPublisher {
    async fn send(&mut self, position: u64, event: RawEvent) -> Result<(), Undelivered> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let connected = Self::connect(&self.options);
                self.connection.insert(connected.map_err(|error| undelivered(&error))?)
            }
        };
        connection.waiting.push_back(Message {
            position: usize::try_from(position).map_err(|error| Undelivered::Refused(error.to_string()))?,
            room: event.room,
            key: event.room.to_string(),
            headers: headers(&event),
            payload: event.payload,
        });
        connection.hand_over(&self.options.topic);
        Ok(())
    }

    async fn reports(&mut self) -> Vec<Report> {
        let Some(connection) = &mut self.connection else { return pending().await };
        let mut reports = Vec::new();
        connection.report_not_taken(&mut reports);
        if !reports.is_empty() {
            return reports;
        }
        if connection.under_way == 0 {
            return pending().await;
        }
        let received = connection.reports.recv_many(&mut reports, MOST_REPORTS);
        if timeout_at(connection.moved + self.stall, received).await.is_err() {
            return vec![(0, Err(stalled(self.stall)))];
        }
        connection.moved = Instant::now();
        connection.under_way = connection.under_way.saturating_sub(reports.len());
        connection.hand_over(&self.options.topic);
        connection.report_not_taken(&mut reports);
        reports
    }

    async fn reset(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Dropping it purges its queues and waits for the reports of that, up to half a second.
            drop(tokio::task::spawn_blocking(move || drop(connection)).await);
        }
    }
}

fn headers(event: &RawEvent) -> OwnedHeaders {
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

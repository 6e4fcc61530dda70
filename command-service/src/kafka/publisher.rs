//! The publisher: an idempotent producer whose delivery reports all reach the relay.
//!
//! librdkafka's message time-out is switched off, because it makes gaps: it gives up a message while a later one of its room
//! is delivered. A timer here notices a stall, and then the whole producer is dropped.

use std::{collections::VecDeque, future::pending, time::Duration};

use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
};
use shared_events::{RawEvent, RoomId, partition_of};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{KafkaOptions, client_config, note::Note};
use crate::{
    event_store::Position,
    outbox::{Publisher, Report, Undelivered},
};

/// The producer is dropped if nothing is reported for this long.
const STALL: Duration = Duration::from_secs(30);
/// With five messages of a partition in flight, librdkafka (2.12, idempotent) sends no more of it. While others wait, it polls
/// its socket without a pause, which takes a whole processor. So messages wait here, and are handed over together when all
/// but a few are acknowledged: the slower the broker, the larger its requests.
const WINDOW: usize = 5;
/// Most reports that are taken at once.
const MOST_REPORTS: usize = 10_000;

/// Passes on each delivery report with the event's position.
struct Reports(mpsc::UnboundedSender<Report>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        let position = Position::from(position as u64);
        let report = match result {
            Ok(_) => Report::Delivered(position),
            Err((error, _)) => undelivered(error).report(position),
        };
        // Fails if the producer was dropped: its events are sent again.
        drop(self.0.send(report));
    }
}

/// A message to send.
struct Message {
    position: usize,
    room: RoomId,
    /// By the configured number of partitions, whatever the topic has: added partitions change no room's partition.
    partition: i32,
    key: String,
    payload: Vec<u8>,
    headers: OwnedHeaders,
}

struct Connection {
    producer: ThreadedProducer<Reports>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// Messages to hand over when few enough are in flight.
    waiting: VecDeque<Message>,
    /// Messages that the producer did not take, until they are reported.
    not_taken: Vec<(RoomId, Position, Undelivered)>,
    /// Messages that were handed over and not reported.
    in_flight: usize,
    /// The room of the message in flight, if there is one alone. The broker refuses a batch as a whole.
    alone: Option<RoomId>,
    /// Time of the last report, or of the first message after a quiet time.
    moved: Instant,
}

/// Sends events to the topic.
pub struct KafkaPublisher {
    options: KafkaOptions,
    stall: Duration,
    connection: Option<Connection>,
    /// Messages to send one at a time: a batch was refused that may have been theirs.
    one_by_one: usize,
    note: Option<Note>,
}

impl KafkaPublisher {
    /// A publisher that connects when it first sends.
    #[must_use]
    pub const fn new(options: KafkaOptions) -> Self {
        Self::with_stall(options, STALL)
    }

    /// A publisher that gives up if nothing is reported for `stall`.
    #[must_use]
    pub const fn with_stall(options: KafkaOptions, stall: Duration) -> Self {
        Self { options, stall, connection: None, one_by_one: 0, note: None }
    }

    /// The note beside the topic.
    fn open_note(&mut self) -> Result<Note, Undelivered> {
        if let Some(note) = &self.note {
            return Ok(note.clone());
        }
        let note = Note::new(&self.options).map_err(|error| undelivered(&error))?;
        Ok(self.note.insert(note).clone())
    }

    /// A client reports a missing right once. Only a new one does it again.
    async fn close_note_after<T: Sync>(&mut self, outcome: &Result<T, Undelivered>) {
        if outcome.is_err() {
            let note = self.note.take();
            drop(tokio::task::spawn_blocking(move || drop(note)).await);
        }
    }

    fn connect(options: &KafkaOptions) -> Result<Connection, KafkaError> {
        let (sender, reports) = mpsc::unbounded_channel();
        let producer = client_config(options)
            .set("enable.idempotence", "true")
            .set("acks", "all")
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
            in_flight: 0,
            alone: None,
            moved: Instant::now(),
        })
    }
}

impl Connection {
    /// Hands over waiting messages if few enough are in flight. `one` of them, if no other is in flight, or all.
    fn hand_over(&mut self, topic: &str, one: bool) {
        if self.in_flight >= if one { 1 } else { WINDOW } {
            return;
        }
        if self.in_flight == 0 {
            self.moved = Instant::now();
        }
        while let Some(message) = self.waiting.pop_front() {
            let Message { position, room, partition, key, payload, headers } = message;
            let at = Position::from(position as u64);
            // Nothing of a room overtakes a message that was not taken. The relay does the same once it knows.
            if let Some((.., why)) = self.not_taken.iter().find(|(of, ..)| *of == room) {
                self.not_taken.push((room, at, why.clone()));
                continue;
            }
            let record = BaseRecord::with_opaque_to(topic, position)
                .partition(partition)
                .key(&key)
                .payload(&payload)
                .headers(headers);
            match self.producer.send(record) {
                Ok(()) => {
                    self.in_flight += 1;
                    self.alone = (self.in_flight == 1).then_some(room);
                    if one {
                        return;
                    }
                }
                // Messages in flight will make room.
                Err((error, BaseRecord { headers: Some(headers), .. }))
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) =>
                {
                    self.waiting.push_front(Message { position, room, partition, key, payload, headers });
                    return;
                }
                Err((error, _)) => self.not_taken.push((room, at, undelivered(&error))),
            }
        }
    }

    /// Reports messages that were not taken, once none waits: waiting ones may be of the same rooms.
    fn report_not_taken(&mut self, reports: &mut Vec<Report>) {
        if self.waiting.is_empty() {
            reports.extend(self.not_taken.drain(..).map(|(_, position, why)| why.report(position)));
        }
    }
}

impl Publisher for KafkaPublisher {
    async fn send(&mut self, position: Position, event: RawEvent) -> Result<(), Undelivered> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let connected = Self::connect(&self.options);
                self.connection.insert(connected.map_err(|error| undelivered(&error))?)
            }
        };
        connection.waiting.push_back(Message {
            position: usize::try_from(position.get())
                .map_err(|error| Undelivered::Refused(error.to_string()))?,
            room: event.room,
            partition: partition_of(event.room, self.options.partitions),
            key: event.room.to_string(),
            headers: headers(&event),
            payload: event.payload,
        });
        connection.hand_over(&self.options.topic, self.one_by_one > 0);
        Ok(())
    }

    async fn reports(&mut self) -> Vec<Report> {
        let Some(connection) = &mut self.connection else { return pending().await };
        let mut reports = Vec::new();
        connection.report_not_taken(&mut reports);
        if !reports.is_empty() {
            return reports;
        }
        if connection.in_flight == 0 {
            return pending().await;
        }
        let received = connection.reports.recv_many(&mut reports, MOST_REPORTS);
        if timeout_at(connection.moved + self.stall, received).await.is_err() {
            let stall = self.stall;
            return vec![Report::Failed(format!("the broker has reported nothing for {stall:?}"))];
        }
        connection.moved = Instant::now();
        let reported = reports.len();
        let refusals = reports.extract_if(.., |report| matches!(report, Report::Refused(..)));
        let refused: Vec<Report> = refusals.collect();
        match (refused.as_slice(), connection.alone) {
            ([], _) => {}
            ([Report::Refused(position, reason)], Some(room)) => {
                // Waiting messages of the room must not overtake it.
                connection.not_taken.push((room, *position, Undelivered::Refused(reason.clone())));
            }
            _ => {
                // Which message is refused shows when each is sent by itself.
                self.one_by_one = connection.in_flight + connection.waiting.len();
                reports.push(Report::Failed("the broker has refused a batch".to_owned()));
                return reports;
            }
        }
        self.one_by_one = self.one_by_one.saturating_sub(reported);
        connection.in_flight = connection.in_flight.saturating_sub(reported);
        connection.hand_over(&self.options.topic, self.one_by_one > 0);
        connection.report_not_taken(&mut reports);
        reports
    }

    async fn reset(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Dropping it purges its queues, and waits up to half a second for the reports of that.
            drop(tokio::task::spawn_blocking(move || drop(connection)).await);
        }
    }

    async fn note(&mut self, up_to: Position, text: String) -> Result<(), Undelivered> {
        let written = self.open_note()?.write(up_to, text).await;
        self.close_note_after(&written).await;
        written
    }

    async fn noted(&mut self) -> Result<Option<String>, Undelivered> {
        let read = self.open_note()?.read().await;
        self.close_note_after(&read).await;
        read
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

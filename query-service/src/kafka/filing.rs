//! The consumer of notifications: a group of its own, whose offsets follow the filed deliveries.

use std::{collections::HashMap, time::Duration};

use futures_util::{FutureExt, StreamExt};
use rdkafka::{
    Offset, Statistics, TopicPartitionList,
    client::ClientContext,
    config::RDKafkaLogLevel,
    consumer::{CommitMode, Consumer, ConsumerContext, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Message as _},
};
use service_kit::{
    abort_point::AbortPoint,
    readiness::Component,
    retry::{Backoff, until_it_succeeds},
};
use shared_events::RawEvent;
use tokio_util::sync::CancellationToken;

use super::{
    KafkaSettings,
    consumer::{consumer_config, read},
};
use crate::{
    notifications::{FILED, Teller},
    projector::Content,
};

/// Gauge: events of this process's partitions that are not told yet.
const LAG: &str = "notifications_lag_messages";
/// Most events that are told at once.
const AT_ONCE: usize = 500;
/// The longest wait for the brokers without a sign of life from them.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// What the consumer of notifications needs.
pub struct Filing {
    /// The topic, and the group.
    pub settings: KafkaSettings,
    /// Files the deliveries.
    pub teller: Teller,
    /// Shows whether brokers answer.
    pub kafka: Component,
    /// Shows whether deliveries can be filed.
    pub store: Component,
    /// The place where the process aborts, in tests.
    pub abort_at: Option<AbortPoint>,
}

impl Filing {
    /// Tells all events of the topic until it is stopped.
    ///
    /// # Errors
    /// When the consumer can't go on.
    pub async fn run(self, stop: CancellationToken) -> Result<(), KafkaError> {
        metrics::describe_gauge!(LAG, "Events of this process's partitions that are not told yet.");
        while !stop.is_cancelled() {
            let login = self.settings.brokers.properties();
            let consumer: StreamConsumer<Lag> = consumer_config(&self.settings)
                .create_with_context(Lag { topic: self.settings.topic.clone() })?;
            consumer.subscribe(&[&self.settings.topic])?;
            let consumed = self.consume(&consumer, &stop, || login != self.settings.brokers.properties());
            let outcome = consumed.await;
            commit(&consumer);
            outcome?;
        }
        Ok(())
    }

    /// Consumes until it is stopped, or until no broker answers and the login `is_old`.
    async fn consume(
        &self,
        consumer: &StreamConsumer<Lag>,
        stop: &CancellationToken,
        is_old: impl Fn() -> bool,
    ) -> Result<(), KafkaError> {
        let mut messages = consumer.stream().ready_chunks(AT_ONCE);
        loop {
            let next = tokio::time::timeout(LOOK, messages.next());
            match stop.run_until_cancelled(next).await {
                None | Some(Ok(None)) => return Ok(()),
                Some(Ok(Some(chunk))) => self.tell(consumer, chunk, stop).await?,
                Some(Err(_)) if self.answers(consumer) => {}
                Some(Err(_)) if is_old() => return Ok(()),
                Some(Err(_)) => {}
            }
        }
    }

    /// Whether the topic can be looked at.
    fn answers(&self, consumer: &StreamConsumer<Lag>) -> bool {
        let topic = &self.settings.topic;
        let looked = tokio::task::block_in_place(|| consumer.fetch_metadata(Some(topic), LOOK_TIMEOUT));
        let found = looked.as_ref().is_ok_and(|metadata| {
            metadata.topics().iter().any(|found| found.error().is_none() && !found.partitions().is_empty())
        });
        match (looked.is_ok(), found) {
            (true, true) => self.kafka.ok(),
            (true, false) => self.kafka.failing(format!("the topic {topic} does not exist yet")),
            (false, _) => self.kafka.failing("no broker answers"),
        }
        found
    }

    async fn tell(
        &self,
        consumer: &StreamConsumer<Lag>,
        chunk: Vec<Result<BorrowedMessage<'_>, KafkaError>>,
        stop: &CancellationToken,
    ) -> Result<(), KafkaError> {
        let (mut events, mut offsets) = (Vec::new(), HashMap::new());
        for message in chunk {
            match message {
                Ok(message) => {
                    offsets.insert(message.partition(), message.offset() + 1);
                    events.extend(event_of(&message));
                }
                Err(KafkaError::MessageConsumptionFatal(code)) => {
                    return Err(KafkaError::MessageConsumptionFatal(code));
                }
                Err(error) => {
                    tracing::warn!(%error, "consuming goes on");
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
                        self.kafka.failing("no broker answers");
                    }
                }
            }
        }
        if offsets.is_empty() {
            return Ok(());
        }
        self.kafka.ok();
        let told =
            until_it_succeeds(&self.store, stop, Backoff::for_server(), || self.teller.tell(&events).boxed());
        if told.await.is_err() {
            return Ok(());
        }
        if !events.is_empty() {
            FILED.reached(self.abort_at);
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.settings.topic, partition, Offset::Offset(offset))?;
        }
        // Refused for a partition that was lost meanwhile: its next owner tells these events again.
        if let Err(error) = consumer.store_offsets(&list) {
            tracing::warn!(%error, "offsets were not stored");
        }
        Ok(())
    }
}

fn event_of(message: &BorrowedMessage<'_>) -> Option<RawEvent> {
    match read(message).content {
        Content::Event(event) => Some(event),
        Content::Unreadable(message) => {
            tracing::warn!(why = %message.why, "a message that can't be read notifies nobody");
            None
        }
    }
}

fn commit(consumer: &StreamConsumer<Lag>) {
    let committed = tokio::task::block_in_place(|| consumer.commit_consumer_state(CommitMode::Sync));
    if let Err(error) = committed
        && error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
    {
        tracing::warn!(%error, "the last offsets were not committed");
    }
}

/// Shows the lag, and logs errors of the client.
struct Lag {
    topic: String,
}

impl ConsumerContext for Lag {}

impl ClientContext for Lag {
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
        // -1: of another member.
        let lag: i64 = topic.partitions.values().map(|partition| partition.consumer_lag_stored.max(0)).sum();
        metrics::gauge!(LAG).set(u32::try_from(lag).unwrap_or(u32::MAX));
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka client");
    }
}

//! The thread that polls Kafka. It makes all calls of librdkafka, callbacks included.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use service_kit::{brokers::Brokers, readiness::Component};
use shared_events::partition_of;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    assignment::{Assignment, Held},
    client::{headers, reader_config},
    threads::on_a_thread,
    topic::Topic,
};
use crate::{
    projector::{Message, PipelineEnded, Projector},
    read_models::generation::FIRST,
};

/// The time of delivering messages, before offsets and paused partitions are looked at again.
const TURN: Duration = Duration::from_millis(50);
/// The pause between two searches for a lost broker.
const LOOK_FOR_BROKER: Duration = Duration::from_secs(1);
/// The pause between two looks at the topic's partitions.
const LOOK_AT_TOPIC: Duration = Duration::from_secs(5);
/// The longest look at the topic. Nothing is consumed meanwhile.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// The source of events.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// The brokers, and how to reach them.
    pub brokers: Brokers,
    /// The topic of events.
    pub topic: String,
    /// Partitions that events are in. The topic must have at least as many.
    pub partitions: i32,
    /// The consumer group, whose members share the partitions.
    pub group: String,
    /// After this time without a heartbeat another member takes over an instance's partitions.
    pub session_timeout: Duration,
    /// The topic of notices, if this service writes them.
    pub notices: Option<String>,
}

impl KafkaSettings {
    /// The same for the consumer group of a generation. The first one has the group of the settings.
    #[must_use]
    pub fn of_generation(&self, number: u32) -> Self {
        let group = if number == FIRST { self.group.clone() } else { format!("{}-g{number}", self.group) };
        Self { group, ..self.clone() }
    }
}

/// Why consuming ended. Restart the process.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The client can't go on.
    #[error("the Kafka consumer failed")]
    Kafka(#[from] KafkaError),
    /// A pipeline is gone.
    #[error(transparent)]
    Pipeline(#[from] PipelineEnded),
    /// The thread is gone.
    #[error("the Kafka thread ended by itself")]
    Thread,
}

/// Feeds the projector from Kafka until it is stopped. It waits for a missing broker or topic, and shows that in
/// `component`.
pub async fn consume(
    settings: KafkaSettings,
    projector: Arc<Projector>,
    component: Component,
    stop: CancellationToken,
) -> Result<(), ConsumerError> {
    on_a_thread("kafka", move |runtime| poll_thread(&settings, projector, &component, &stop, runtime)).await?
}

fn poll_thread(
    settings: &KafkaSettings,
    projector: Arc<Projector>,
    component: &Component,
    stop: &CancellationToken,
    runtime: &Handle,
) -> Result<(), ConsumerError> {
    let partitions = settings.partitions;
    projector.route_by(Box::new(move |room| partition_of(room, partitions)));
    let mut topic = Topic::new(settings, component);
    while topic.wait(stop, runtime)? {
        let assignment = Assignment {
            projector: Arc::clone(&projector),
            topic: settings.topic.clone(),
            partitions,
            runtime: runtime.clone(),
            held: Mutex::new(Held::default()),
            brokers_gone: AtomicBool::new(false),
        };
        let login = settings.brokers.properties();
        let consumer: BaseConsumer<Assignment> = consumer_config(settings).create_with_context(assignment)?;
        consumer.subscribe(&[&settings.topic])?;
        // Ends without a stop if the consumer's password is no longer that of the settings.
        let outcome = poll(&consumer, &projector, &mut topic, component, stop, || {
            login != settings.brokers.properties()
        });
        // Finishes the running batches, commits their offsets and leaves the group at once.
        consumer.context().stop(&consumer, &projector.partitions());
        if let Err(error) = consumer.commit_consumer_state(CommitMode::Sync)
            && error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
        {
            tracing::warn!(%error, "the last offsets were not committed");
        }
        drop(consumer);
        outcome?;
    }
    Ok(())
}

pub(super) fn consumer_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = reader_config(settings);
    let session = settings.session_timeout.as_millis();
    config
        .set("group.id", &settings.group)
        // The offset is stored after the write and committed in the background.
        .set("enable.auto.offset.store", "false")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("auto.offset.reset", "earliest")
        // Partitions that come, or come back, are assigned soon.
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("session.timeout.ms", session.to_string())
        // Also how long a group waits for a member with heartbeats that does not rejoin, while all partitions stand
        // still: seen after a broker's crash. This thread polls all the time.
        .set("max.poll.interval.ms", (session * 3).to_string())
        .set("heartbeat.interval.ms", (session / 4).to_string())
        .set("partition.assignment.strategy", "range")
        .set("statistics.interval.ms", "5000");
    config
}

/// Consumes until it is stopped, or until no broker answers and the login `is_old`.
fn poll(
    consumer: &BaseConsumer<Assignment>,
    projector: &Projector,
    topic: &mut Topic<'_>,
    component: &Component,
    stop: &CancellationToken,
    is_old: impl Fn() -> bool,
) -> Result<(), ConsumerError> {
    let assignment = consumer.context();
    let mut asked = Instant::now();
    while !stop.is_cancelled() {
        projector.check()?;
        assignment.store(consumer, projector.processed());
        let paused = assignment.resume(consumer)?;
        let turn_ends = Instant::now() + if paused { TURN / 5 } else { TURN };
        loop {
            let left = turn_ends.saturating_duration_since(Instant::now());
            match consumer.poll(left) {
                Some(Ok(message)) => assignment.deliver(consumer, message.partition(), read(&message))?,
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(KafkaError::MessageConsumptionFatal(code).into());
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "consuming goes on");
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
                        assignment.brokers_gone.store(true, Ordering::Relaxed);
                    }
                }
                None => {}
            }
            if left.is_zero() {
                break;
            }
        }
        let gone = assignment.brokers_gone.load(Ordering::Relaxed);
        if asked.elapsed() > if gone { LOOK_FOR_BROKER } else { LOOK_AT_TOPIC } {
            if topic.look(consumer, LOOK_TIMEOUT).is_ok() {
                assignment.brokers_gone.store(false, Ordering::Relaxed);
            } else if gone {
                component.failing("no broker answers");
                if is_old() {
                    tracing::info!("the login of Kafka has changed");
                    return Ok(());
                }
            }
            asked = Instant::now();
        }
    }
    Ok(())
}

pub(super) fn read(message: &impl rdkafka::Message) -> Message {
    let headers: Vec<_> = headers(message).collect();
    Message::read(message.offset(), message.key(), &headers, message.payload().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        Timestamp,
        message::{Header, OwnedHeaders, OwnedMessage},
    };

    use super::*;
    use crate::projector::Content;

    #[test]
    fn the_first_generation_keeps_the_group_of_the_settings() {
        let settings = KafkaSettings {
            brokers: Brokers::open("127.0.0.1:9092".to_owned()),
            topic: "events".to_owned(),
            partitions: 4,
            group: "query-service".to_owned(),
            session_timeout: Duration::from_secs(6),
            notices: None,
        };
        assert_eq!(settings.of_generation(FIRST).group, "query-service");
        assert_eq!(settings.of_generation(7).group, "query-service-g7");
    }

    #[test]
    fn a_header_without_a_value_counts_as_absent() {
        let headers = [
            ("ce_id", Some("0198c4f2-8b7f-7a91-8e05-7d1c2b3a4958:1")),
            ("ce_type", Some("reservations.room-registered.v1")),
            ("ce_time", Some("2026-01-01T00:00:00.000Z")),
            ("ce_subject", Some("0198c4f2-8b7f-7a91-8e05-7d1c2b3a4958")),
            ("ce_actor", Some("ann")),
            ("ce_correlationid", Some("1")),
            ("ce_causationid", Some("2")),
            ("ce_recordedtime", Some("2026-01-01T00:00:00.000Z")),
            ("traceparent", None),
        ];
        let headers = headers
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value }));
        let timestamp = Timestamp::NotAvailable;
        let message = OwnedMessage::new(None, None, "events".to_owned(), timestamp, 0, 0, Some(headers));
        match read(&message).content {
            Content::Event(event) => assert_eq!(event.metadata.traceparent, None),
            Content::Unreadable(message) => panic!("{message:?}"),
        }
    }
}

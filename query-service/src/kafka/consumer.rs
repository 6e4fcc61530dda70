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
    message::{BorrowedMessage, Headers},
    types::RDKafkaErrorCode,
};
use service_kit::{brokers::Brokers, readiness::Component, retry::Backoff};
use shared_events::partition_of;
use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    assignment::{Assignment, Held},
    client::{Diagnosis, client_config},
};
use crate::{
    projector::{Message, PipelineEnded, Projector},
    read_models::generation::FIRST,
};

/// The time of delivering messages, before offsets and paused partitions are looked at again.
const TURN: Duration = Duration::from_millis(50);
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two searches for a lost broker.
const LOOK_FOR_BROKER: Duration = Duration::from_secs(1);

/// The source of events.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// The brokers, and how to reach them.
    pub brokers: Brokers,
    /// The topic of events.
    pub topic: String,
    /// The consumer group, whose members share the partitions.
    pub group: String,
    /// After this time without a heartbeat another member takes over an instance's partitions.
    pub session_timeout: Duration,
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
    let (ended, end) = oneshot::channel();
    let runtime = Handle::current();
    let thread = std::thread::Builder::new().name("kafka".to_owned()).spawn(move || {
        let outcome = poll_thread(&settings, projector, &component, &stop, runtime);
        // Nobody waits for it if the process ends.
        let _ = ended.send(outcome);
    });
    if thread.is_err() {
        return Err(ConsumerError::Thread);
    }
    end.await.unwrap_or(Err(ConsumerError::Thread))
}

fn poll_thread(
    settings: &KafkaSettings,
    projector: Arc<Projector>,
    component: &Component,
    stop: &CancellationToken,
    runtime: Handle,
) -> Result<(), ConsumerError> {
    let Some(partitions) = wait_for_topic(settings, component, stop, &runtime)? else { return Ok(()) };
    projector.route_by(Box::new(move |room| partition_of(room, partitions)));
    let assignment = Assignment {
        projector: Arc::clone(&projector),
        topic: settings.topic.clone(),
        partitions,
        runtime,
        held: Mutex::new(Held::default()),
        brokers_gone: AtomicBool::new(false),
    };
    let consumer: BaseConsumer<Assignment> = consumer_config(settings).create_with_context(assignment)?;
    consumer.subscribe(&[&settings.topic])?;
    let outcome = poll(settings, &consumer, &projector, component, stop);
    // Finishes the running batches, commits their offsets and leaves the group at once.
    consumer.context().stop(&consumer, &projector.partitions());
    if let Err(error) = consumer.commit_consumer_state(CommitMode::Sync)
        && error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
    {
        tracing::warn!(%error, "the last offsets were not committed");
    }
    drop(consumer);
    outcome
}

fn consumer_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = client_config(settings);
    let session = settings.session_timeout.as_millis();
    config
        .set("group.id", &settings.group)
        // The offset is stored after the write and committed in the background.
        .set("enable.auto.offset.store", "false")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        .set("session.timeout.ms", session.to_string())
        // Also how long a group waits for a member with heartbeats that does not rejoin, while all partitions stand
        // still: seen after a broker's crash. This thread polls all the time.
        .set("max.poll.interval.ms", (session * 3).to_string())
        .set("heartbeat.interval.ms", (session / 4).to_string())
        .set("partition.assignment.strategy", "range")
        // The default of a second would hold up a backlog.
        .set("fetch.queue.backoff.ms", "10")
        // Small, because a pause drops what is prefetched.
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "16384")
        .set("socket.nagle.disable", "true")
        .set("log.connection.close", "false")
        .set("statistics.interval.ms", "5000");
    config
}

/// Waits for the topic and returns its number of partitions, or `None` if it is stopped before.
fn wait_for_topic(
    settings: &KafkaSettings,
    component: &Component,
    stop: &CancellationToken,
    runtime: &Handle,
) -> Result<Option<i32>, ConsumerError> {
    let asking: BaseConsumer<Diagnosis> = client_config(settings)
        .set("allow.auto.create.topics", "false")
        .create_with_context(Diagnosis::default())?;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    while !stop.is_cancelled() {
        let reason = match asking.fetch_metadata(Some(&settings.topic), METADATA_TIMEOUT) {
            Ok(metadata) => {
                let topic = metadata.topics().iter().find(|topic| topic.name() == settings.topic);
                match topic.filter(|topic| topic.error().is_none()).map(|topic| topic.partitions().len()) {
                    Some(partitions @ 1..) => {
                        component.ok();
                        return Ok(i32::try_from(partitions).ok());
                    }
                    _ => format!("the topic {} does not exist yet", settings.topic),
                }
            }
            Err(error) => {
                // Makes the client log the cause.
                drop(asking.poll(TURN));
                let diagnosis = asking.context().take();
                format!("no broker answers: {}", diagnosis.unwrap_or_else(|| error.to_string()))
            }
        };
        component.failing(reason);
        let pause = async { tokio::time::sleep(backoff.next_delay()).await };
        runtime.block_on(stop.run_until_cancelled(pause));
    }
    Ok(None)
}

fn poll(
    settings: &KafkaSettings,
    consumer: &BaseConsumer<Assignment>,
    projector: &Projector,
    component: &Component,
    stop: &CancellationToken,
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
        if assignment.brokers_gone.load(Ordering::Relaxed) && asked.elapsed() > LOOK_FOR_BROKER {
            component.failing("no broker answers");
            if consumer.fetch_metadata(Some(&settings.topic), LOOK_FOR_BROKER / 2).is_ok() {
                assignment.brokers_gone.store(false, Ordering::Relaxed);
                component.ok();
            }
            asked = Instant::now();
        }
    }
    Ok(())
}

fn read(message: &BorrowedMessage<'_>) -> Message {
    let headers: Vec<(&str, &[u8])> = message
        .headers()
        .map(|headers| headers.iter().map(|header| (header.key, header.value.unwrap_or_default())).collect())
        .unwrap_or_default();
    Message::read(message.offset(), message.key(), &headers, message.payload().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_generation_keeps_the_group_of_the_settings() {
        let settings = KafkaSettings {
            brokers: Brokers::open("127.0.0.1:9092".to_owned()),
            topic: "events".to_owned(),
            group: "query-service".to_owned(),
            session_timeout: Duration::from_secs(6),
        };
        assert_eq!(settings.of_generation(FIRST).group, "query-service");
        assert_eq!(settings.of_generation(7).group, "query-service-g7");
    }
}

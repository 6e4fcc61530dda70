//! Creates the topic if it is missing, and checks an existing one.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

use super::{Error, KafkaOptions, client_config, diagnosis::diagnosis};

/// The topic's setting for how long it keeps events, in milliseconds.
const RETENTION: &str = "retention.ms";
/// Gauge: partitions of the topic beyond the configured ones. Negative: partitions that are missing.
pub(super) const SPARE: &str = "topic_spare_partitions";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Creates the topic if it is missing, and checks its number of partitions. More than are configured stay empty. Logs a warning
/// if an existing topic keeps events for another time: an operator may have set it.
///
/// The time counts from the timestamp of the producer, when the event was sent. A booking of ten years ago that is imported
/// today stays as long as any other.
///
/// # Errors
/// If no broker answers in 10 s, the broker refuses, or the topic has too few partitions.
pub async fn ensure_topic(options: &KafkaOptions) -> Result<(), Error> {
    let error = match make_topic(options).await {
        Err(error @ Error::Client { .. }) => error,
        outcome => return outcome,
    };
    let options = options.clone();
    match tokio::task::spawn_blocking(move || diagnosis(&options)).await {
        Ok(Some(diagnosis)) => Err(Error::Unreachable { diagnosis, source: Box::new(error) }),
        _ => Err(error),
    }
}

/// Creates the topics of a Debezium connector that are missing, with one partition. Without the heartbeats' topic, the connector
/// waits for ever where brokers create no topics by themselves.
///
/// # Errors
/// If no broker answers in 10 s, or the broker refuses.
pub async fn ensure_connector_topics(
    options: &KafkaOptions,
    heartbeats: &str,
    schema_history: &str,
) -> Result<(), Error> {
    let topic = |name, retention| {
        NewTopic::new(name, 1, TopicReplication::Fixed(options.replication))
            .set("cleanup.policy", "delete")
            .set(RETENTION, retention)
    };
    // The history is needed whole.
    let history = topic(schema_history, "-1").set("retention.bytes", "-1");
    create(&admin(options)?, &[topic(heartbeats, "3600000"), history]).await
}

fn admin(options: &KafkaOptions) -> Result<AdminClient<DefaultClientContext>, Error> {
    client_config(options)
        // By default, brokers that come back are noticed up to 10 s later.
        .set("reconnect.backoff.max.ms", "1000")
        .create()
        .map_err(|source| Error::Client { operation: "creating an admin client", source })
}

/// Creates topics. Those that exist stay as they are.
async fn create(admin: &AdminClient<DefaultClientContext>, topics: &[NewTopic<'_>]) -> Result<(), Error> {
    let made = admin
        .create_topics(
            topics,
            &AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT)),
        )
        .await
        .map_err(|source| Error::Client { operation: "making the topic", source })?;
    for result in made {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(Error::TopicRefused { topic, reason: code.to_string() }),
        }
    }
    Ok(())
}

async fn make_topic(options: &KafkaOptions) -> Result<(), Error> {
    let admin = admin(options)?;
    let retention = retention_ms(options).to_string();
    let topic =
        NewTopic::new(&options.topic, options.partitions, TopicReplication::Fixed(options.replication))
            .set("cleanup.policy", "delete")
            .set(RETENTION, &retention);
    create(&admin, &[topic]).await?;
    compare_retention(&admin, options).await?;
    let options = options.clone();
    let check = tokio::task::spawn_blocking(move || check_partitions(&admin, &options)).await;
    check.unwrap_or(Ok(()))
}

fn retention_ms(options: &KafkaOptions) -> u64 {
    u64::from(options.retention_hours) * 3_600_000
}

async fn compare_retention(
    admin: &AdminClient<DefaultClientContext>,
    options: &KafkaOptions,
) -> Result<(), Error> {
    let topic = ResourceSpecifier::Topic(&options.topic);
    let described =
        admin.describe_configs([&topic], &AdminOptions::new().request_timeout(Some(TIMEOUT))).await;
    let described =
        described.map_err(|source| Error::Client { operation: "reading the topic's settings", source })?;
    // Not every broker may know a new topic yet, and its settings may be hidden.
    let entries = described.iter().filter_map(|topic| topic.as_ref().ok());
    let found = entries.filter_map(|topic| topic.get(RETENTION)?.value.clone()).next();
    let configured = retention_ms(options).to_string();
    if let Some(found) = found.filter(|found| *found != configured) {
        let topic = &options.topic;
        tracing::warn!(%topic, found, configured, "the topic keeps events for another time (retention.ms) than is configured");
    }
    Ok(())
}

fn check_partitions(admin: &AdminClient<DefaultClientContext>, options: &KafkaOptions) -> Result<(), Error> {
    // Not every broker may know a new topic yet.
    partitions(admin, options)?.map_or(Ok(()), |found| compare_partitions(options, found))
}

/// The number of the topic's partitions. `None`: there is no such topic.
pub(super) fn partitions(
    admin: &AdminClient<DefaultClientContext>,
    options: &KafkaOptions,
) -> Result<Option<usize>, Error> {
    let metadata = admin
        .inner()
        .fetch_metadata(Some(&options.topic), TIMEOUT)
        .map_err(|source| Error::Client { operation: "reading the topic's metadata", source })?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == options.topic);
    Ok(topic.map(|topic| topic.partitions().len()).filter(|found| *found != 0))
}

/// Compares the number of partitions with the configured one, and shows the difference as a metric.
pub(super) fn compare_partitions(options: &KafkaOptions, found: usize) -> Result<(), Error> {
    let KafkaOptions { topic, partitions: configured, .. } = options.clone();
    let spare = i32::try_from(found).unwrap_or(i32::MAX) - configured;
    metrics::gauge!(SPARE).set(spare);
    if spare < 0 {
        return Err(Error::PartitionsMissing { topic, found, configured });
    }
    Ok(())
}

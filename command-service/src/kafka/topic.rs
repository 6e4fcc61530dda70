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
const TIMEOUT: Duration = Duration::from_secs(10);

/// Creates the topic if it is missing, and checks its number of partitions. Logs a warning if an existing topic keeps events
/// for another time: an operator may have set it.
///
/// The time counts from the timestamp of the producer, when the event was sent. A booking of ten years ago that is imported
/// today stays as long as any other.
///
/// # Errors
/// If no broker answers in 10 s, the broker refuses, or the topic has another number of partitions.
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

async fn make_topic(options: &KafkaOptions) -> Result<(), Error> {
    let admin: AdminClient<DefaultClientContext> = client_config(options)
        // By default, brokers that come back are noticed up to 10 s later.
        .set("reconnect.backoff.max.ms", "1000")
        .create()
        .map_err(|source| Error::Client { operation: "creating an admin client", source })?;
    let retention = retention_ms(options).to_string();
    let topic =
        NewTopic::new(&options.topic, options.partitions, TopicReplication::Fixed(options.replication))
            .set("cleanup.policy", "delete")
            .set(RETENTION, &retention);
    let made = admin
        .create_topics(
            [&topic],
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
    let metadata = admin
        .inner()
        .fetch_metadata(Some(&options.topic), TIMEOUT)
        .map_err(|source| Error::Client { operation: "reading the topic's metadata", source })?;
    let found = metadata
        .topics()
        .iter()
        .find(|topic| topic.name() == options.topic)
        .map_or(0, |t| t.partitions().len());
    // Not every broker may know a new topic yet.
    if found != 0 && i32::try_from(found) != Ok(options.partitions) {
        return Err(Error::PartitionCount {
            topic: options.topic.clone(),
            found,
            configured: options.partitions,
        });
    }
    Ok(())
}

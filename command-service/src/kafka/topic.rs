//! Makes the topic where it is missing and checks it where it exists.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{Error, KafkaOptions, client_config};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps what the client logs, instead of logging it at each try.
#[derive(Clone, Default)]
struct Complaint(Arc<Mutex<Option<String>>>);

impl ClientContext for Complaint {
    fn log(&self, _: RDKafkaLogLevel, _: &str, message: &str) {
        // Begins with the name of the client's thread.
        let message = message.split_once("]: ").map_or(message, |(_, message)| message);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
    }

    fn error(&self, _: KafkaError, _: &str) {}
}

impl Complaint {
    fn of(&self, operation: &'static str, source: KafkaError) -> Error {
        let complaint = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Error::Client { operation, complaint: complaint.unwrap_or_else(|| source.to_string()), source }
    }
}

/// Makes the topic if there is none, and checks its number of partitions.
///
/// # Errors
/// When the brokers can't be reached in 10 s, refuse, or the topic has another number of partitions.
pub async fn ensure_topic(options: &KafkaOptions) -> Result<(), Error> {
    let complaint = Complaint::default();
    let mut config = client_config(options);
    config
        // Else brokers that come back are noticed up to 10 s later.
        .set("reconnect.backoff.max.ms", "1000")
        .set_log_level(RDKafkaLogLevel::Error);
    let admin: AdminClient<Complaint> = config
        .create_with_context(complaint.clone())
        .map_err(|source| complaint.of("creating an admin client", source))?;
    let topic =
        NewTopic::new(&options.topic, options.partitions, TopicReplication::Fixed(options.replication))
            .set("cleanup.policy", "delete");
    let made = admin
        .create_topics(
            [&topic],
            &AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT)),
        )
        .await
        .map_err(|source| complaint.of("making the topic", source))?;
    for result in made {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(Error::TopicRefused { topic, reason: code.to_string() }),
        }
    }
    let options = options.clone();
    let check = tokio::task::spawn_blocking(move || check_partitions(&admin, &options)).await;
    check.unwrap_or(Ok(()))
}

fn check_partitions(admin: &AdminClient<Complaint>, options: &KafkaOptions) -> Result<(), Error> {
    let metadata = admin
        .inner()
        .fetch_metadata(Some(&options.topic), TIMEOUT)
        .map_err(|source| admin.inner().context().of("reading the topic's metadata", source))?;
    let found = metadata
        .topics()
        .iter()
        .find(|topic| topic.name() == options.topic)
        .map_or(0, |t| t.partitions().len());
    // A topic that was made just now may not be known to every broker yet.
    if found != 0 && i32::try_from(found) != Ok(options.partitions) {
        return Err(Error::PartitionCount {
            topic: options.topic.clone(),
            found,
            configured: options.partitions,
        });
    }
    Ok(())
}

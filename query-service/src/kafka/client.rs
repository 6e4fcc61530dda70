//! Configuration of all Kafka clients.

use std::sync::{Mutex, PoisonError};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::Headers,
};

use super::KafkaSettings;

/// The brokers, and who this service is to them.
pub(super) fn client_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config: ClientConfig = settings.brokers.properties().into_iter().collect();
    config.set("client.id", "query-service");
    // Brokers that make topics by themselves would give it their own number of partitions.
    config.set("allow.auto.create.topics", "false");
    config
}

/// The configuration of a client that reads events.
pub(super) fn reader_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = client_config(settings);
    config
        // Events are in no transaction. A foreign producer's open one would hold up all that comes after it.
        .set("isolation.level", "read_uncommitted")
        // The default of a second would hold up a backlog.
        .set("fetch.queue.backoff.ms", "10")
        // Small, because a pause drops what is prefetched.
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "16384")
        .set("socket.nagle.disable", "true")
        .set("log.connection.close", "false");
    config
}

/// The headers of a message. One without a value counts as absent: Debezium sends one for an attribute that an event does not
/// have.
pub(super) fn headers<M: Message>(message: &M) -> impl Iterator<Item = (&str, &[u8])> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    headers.filter_map(|header| Some((header.key, header.value?)))
}

/// The first cause that the client logs, such as a certificate or a password. Its other errors only say that brokers are
/// out of reach.
#[derive(Default)]
pub(super) struct Diagnosis(Mutex<Option<String>>);

impl Diagnosis {
    /// The cause, once.
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Diagnosis {
    /// Repeats the error at each try.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get_or_insert_with(|| reason.to_owned());
        }
    }
}

impl ConsumerContext for Diagnosis {}

//! Configuration of all Kafka clients.

use std::sync::{Mutex, PoisonError};

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
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

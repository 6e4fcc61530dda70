//! What is the same for all clients of Kafka.

use std::sync::{Mutex, PoisonError};

use rdkafka::{
    ClientConfig, ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError,
};

use super::KafkaSettings;

/// A configuration with where the brokers are, and who this service is to them.
pub(super) fn client_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config: ClientConfig = settings.brokers.properties().into_iter().collect();
    config.set("client.id", "query-service");
    config
}

/// Keeps what the client logs, instead of logging it at each try: it says why brokers are out of reach, which the client's
/// errors don't.
#[derive(Default)]
pub(super) struct Complaint(Mutex<Option<String>>);

impl Complaint {
    /// What it complained of last, told once.
    pub(super) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Complaint {
    fn log(&self, _: RDKafkaLogLevel, _: &str, message: &str) {
        // Begins with the name of the client's thread.
        let message = message.split_once("]: ").map_or(message, |(_, message)| message);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
    }

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Complaint {}

//! Why brokers are out of reach: a certificate, a password, a closed port. The admin client does not tell.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseProducer, Producer, ProducerContext},
};

use super::{KafkaOptions, client_config};

const PATIENCE: Duration = Duration::from_secs(2);
/// For what the client has to say when it has tried.
const LISTENING: Duration = Duration::from_millis(100);

/// Keeps the first thing that the client complains of; later ones are that all brokers are down.
#[derive(Default)]
struct Diagnosis(Mutex<Option<String>>);

impl ClientContext for Diagnosis {
    /// The same at each try, and longer than what the error says.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get_or_insert_with(|| reason.to_owned());
        }
    }
}

impl ProducerContext for Diagnosis {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// Tries to reach a broker and gives what the client complains of, if it does. Blocks for some seconds at most.
pub(super) fn diagnosis(options: &KafkaOptions) -> Option<String> {
    let asking: BaseProducer<Diagnosis> =
        client_config(options).create_with_context(Diagnosis::default()).ok()?;
    // What comes of it does not matter: the diagnosis does.
    let _ = asking.client().fetch_metadata(None, PATIENCE);
    asking.poll(LISTENING);
    asking.context().0.lock().unwrap_or_else(PoisonError::into_inner).take()
}

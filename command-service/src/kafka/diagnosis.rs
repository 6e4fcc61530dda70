//! The reason why no broker is reached: a certificate, a password, a closed port. The admin client does not tell.

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
/// Time for the client to report its error after the attempt.
const LISTENING: Duration = Duration::from_millis(100);

/// Keeps the first error that the client reports. Later ones say that all brokers are down.
#[derive(Default)]
struct Diagnosis(Mutex<Option<String>>);

impl ClientContext for Diagnosis {
    /// The log repeats the error at length.
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

/// Tries to reach a broker and returns the client's error, if any. Blocks for some seconds at most.
pub(super) fn diagnosis(options: &KafkaOptions) -> Option<String> {
    let asking: BaseProducer<Diagnosis> =
        client_config(options).create_with_context(Diagnosis::default()).ok()?;
    // Only the reported error matters, not the metadata.
    let _ = asking.client().fetch_metadata(None, PATIENCE);
    asking.poll(LISTENING);
    asking.context().0.lock().unwrap_or_else(PoisonError::into_inner).take()
}

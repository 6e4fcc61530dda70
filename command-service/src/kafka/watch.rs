//! Watches the topic: it may be deleted, made again by the brokers themselves, or get more partitions.

use std::time::Duration;

use rdkafka::{admin::AdminClient, client::DefaultClientContext};
use service_kit::{readiness::Component, telemetry::with_causes};
use tokio_util::sync::CancellationToken;

use super::{
    Error, KafkaOptions, client_config,
    topic::{SPARE, compare_partitions, ensure_topic, partitions},
};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// Compares the topic's partitions with the configured number until `stop`, and makes a topic that is gone. `component` fails
/// while partitions are missing. Spare ones are logged: they stay empty.
pub async fn watch_topic(options: KafkaOptions, component: Component, stop: CancellationToken) {
    metrics::describe_gauge!(
        SPARE,
        "Partitions of the topic beyond KAFKA_PARTITIONS; negative: missing ones."
    );
    let mut before = None;
    loop {
        match look(&options).await {
            Ok(found) => {
                component.ok();
                if let Some(found) = found.filter(|found| before != Some(*found)) {
                    tell(&options, found);
                    before = Some(found);
                }
            }
            Err(error @ Error::PartitionsMissing { found, .. }) => {
                component.failing(error.to_string());
                if before != Some(found) {
                    tracing::error!(%error, "the topic lacks partitions");
                    before = Some(found);
                }
            }
            // The relay shows that no broker answers.
            Err(error) => tracing::debug!(error = with_causes(&error), "the topic can't be watched now"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

/// The number of the topic's partitions. Makes the topic if it is gone.
async fn look(options: &KafkaOptions) -> Result<Option<usize>, Error> {
    let asked = options.clone();
    let found = tokio::task::spawn_blocking(move || {
        let admin: AdminClient<DefaultClientContext> = client_config(&asked)
            .create()
            .map_err(|source| Error::Client { operation: "creating an admin client", source })?;
        partitions(&admin, &asked)
    });
    match found.await.unwrap_or(Ok(None))? {
        Some(found) => compare_partitions(options, found).map(|()| Some(found)),
        None => ensure_topic(options).await.map(|()| None),
    }
}

fn tell(options: &KafkaOptions, found: usize) {
    let KafkaOptions { topic, partitions, .. } = options;
    if i32::try_from(found) != Ok(*partitions) {
        tracing::error!(%topic, found, configured = partitions, "the topic has more partitions than KAFKA_PARTITIONS: those stay empty");
    }
}

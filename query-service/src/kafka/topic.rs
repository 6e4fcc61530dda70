//! The topic: whether it is there, and whether it has the partitions that events are in.

use std::time::Duration;

use rdkafka::{
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaResult,
};
use service_kit::{readiness::Component, retry::Backoff};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    KafkaSettings,
    client::{Diagnosis, client_config},
    threads::pause,
};

/// Gauge: partitions of the topic beyond the configured ones. Negative: partitions that are missing.
const SPARE: &str = "topic_spare_partitions";
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for the client to report its error.
const LISTENING: Duration = Duration::from_millis(50);

/// What is known of the topic.
pub(super) struct Topic<'a> {
    settings: &'a KafkaSettings,
    component: &'a Component,
    /// Its number of partitions at the last look.
    found: Option<usize>,
}

impl<'a> Topic<'a> {
    pub(super) fn new(settings: &'a KafkaSettings, component: &'a Component) -> Self {
        metrics::describe_gauge!(
            SPARE,
            "Partitions of the topic beyond KAFKA_PARTITIONS; negative: missing ones."
        );
        Self { settings, component, found: None }
    }

    /// Waits until the topic has all partitions that events are in. `false`: it was stopped before.
    pub(super) fn wait(&mut self, stop: &CancellationToken, runtime: &Handle) -> KafkaResult<bool> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        while !stop.is_cancelled() {
            let asking: BaseConsumer<Diagnosis> =
                client_config(self.settings).create_with_context(Diagnosis::default())?;
            match self.look(&asking, METADATA_TIMEOUT) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => {
                    // Makes the client log the cause.
                    drop(asking.poll(LISTENING));
                    let diagnosis = asking.context().take().unwrap_or_else(|| error.to_string());
                    self.component.failing(format!("no broker answers: {diagnosis}"));
                }
            }
            pause(runtime, stop, backoff.next_delay());
        }
        Ok(false)
    }

    /// Compares the topic with the settings, and shows the outcome in the component. Returns whether it can be read.
    pub(super) fn look<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        timeout: Duration,
    ) -> KafkaResult<bool> {
        let KafkaSettings { topic, partitions, .. } = self.settings;
        let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
        let described = metadata.topics().iter().find(|described| described.name() == topic);
        let found = described.filter(|described| described.error().is_none());
        let found = found.map_or(0, |found| found.partitions().len());
        if found == 0 {
            self.component.failing(format!("the topic {topic} does not exist yet"));
            self.found = None;
            return Ok(false);
        }
        let spare = i32::try_from(found).unwrap_or(i32::MAX) - partitions;
        metrics::gauge!(SPARE).set(spare);
        let is_new = self.found.replace(found) != Some(found);
        if spare < 0 {
            let reason = format!(
                "topic {topic} has {found} of {partitions} partitions (KAFKA_PARTITIONS): \
                 kafka-topics.sh --alter --topic {topic} --partitions {partitions}"
            );
            if is_new {
                tracing::error!(reason, "the topic lacks partitions");
            }
            self.component.failing(reason);
            return Ok(false);
        }
        if spare > 0 && is_new {
            tracing::error!(%topic, found, configured = partitions, "the topic has more partitions than KAFKA_PARTITIONS: those must stay empty");
        }
        self.component.ok();
        Ok(true)
    }
}

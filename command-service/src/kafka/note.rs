//! A short text beside the topic: the metadata of an offset that is committed for a group without members.
//!
//! Kafka keeps it for `offsets.retention.minutes` after it was last written, a week by default.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{KafkaOptions, client_config};
use crate::{event_store::Position, outbox::Undelivered};

const TIMEOUT: Duration = Duration::from_secs(5);

/// The place of the text: the topic's first partition in the group `TOPIC-relay`.
#[derive(Clone)]
pub(super) struct Note {
    client: Arc<BaseConsumer>,
    topic: String,
}

impl Note {
    /// Connects when it is first used.
    pub(super) fn new(options: &KafkaOptions) -> Result<Self, KafkaError> {
        let timeout = TIMEOUT.as_millis().to_string();
        let client = client_config(options)
            .set("group.id", format!("{}-relay", options.topic))
            .set("enable.auto.commit", "false")
            // Bounds the wait for the group's coordinator.
            .set("session.timeout.ms", &timeout)
            .set("heartbeat.interval.ms", "1000")
            .set("socket.timeout.ms", &timeout)
            .create()?;
        Ok(Self { client: Arc::new(client), topic: options.topic.clone() })
    }

    /// Writes the text. The offset shows how far the relay is to tools that list groups.
    pub(super) async fn write(&self, up_to: Position, text: String) -> Result<(), Undelivered> {
        let Self { client, topic } = self.clone();
        self.blocking(move || {
            let mut offsets = TopicPartitionList::new();
            let mut offset = offsets.add_partition(&topic, 0);
            offset.set_offset(Offset::Offset(i64::try_from(up_to.get()).unwrap_or(i64::MAX)))?;
            offset.set_metadata(text);
            client.commit(&offsets, CommitMode::Sync)
        })
        .await
    }

    /// Reads the text. `None`: there is none.
    pub(super) async fn read(&self) -> Result<Option<String>, Undelivered> {
        let Self { client, topic } = self.clone();
        self.blocking(move || {
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition(&topic, 0);
            let committed = client.committed_offsets(offsets, TIMEOUT)?;
            let Some(offset) = committed.find_partition(&topic, 0) else { return Ok(None) };
            offset.error()?;
            let text = offset.metadata().to_owned();
            Ok(Some(text).filter(|text| !text.is_empty()))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, Undelivered> {
        let client = Arc::clone(&self.client);
        let outcome =
            tokio::task::spawn_blocking(move || work().map_err(|error| undelivered(&client, &error)));
        outcome.await.unwrap_or_else(|_| Err(Undelivered::Failed("the process ends".to_owned())))
    }
}

fn undelivered(client: &BaseConsumer, error: &KafkaError) -> Undelivered {
    // Without the right to the group the client waits for the group's coordinator, and tells the reason here.
    let reported = std::iter::from_fn(|| client.poll(Duration::ZERO)).filter_map(Result::err);
    let refused = std::iter::once(error.clone()).chain(reported).find(is_refusal);
    refused.map_or_else(
        || Undelivered::Failed(error.to_string()),
        |refusal| Undelivered::Refused(refusal.to_string()),
    )
}

fn is_refusal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::GroupAuthorizationFailed | RDKafkaErrorCode::TopicAuthorizationFailed)
    )
}

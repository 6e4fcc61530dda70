//! Creates the topic of notices if it is missing.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

use super::{KafkaSettings, NoticeError};
use crate::kafka::client::client_config;

const TIMEOUT: Duration = Duration::from_secs(10);
/// The brokers' default.
const REPLICATION: TopicReplication<'_> = TopicReplication::Fixed(-1);
/// Compaction passes over the segment that is written to, so a quiet topic needs a short one: an hour.
const SEGMENT_MS: &str = "3600000";

/// Creates the topic if it is missing, with the partitions that events are in, and checks their number.
pub(super) async fn ensure(settings: &KafkaSettings, topic: &str) -> Result<(), NoticeError> {
    let admin: AdminClient<DefaultClientContext> = client_config(settings).create()?;
    let new = NewTopic::new(topic, settings.partitions, REPLICATION)
        .set("cleanup.policy", "compact")
        .set("segment.ms", SEGMENT_MS);
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    for made in admin.create_topics([&new], &options).await? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(NoticeError::Topic { topic, reason: code.to_string() }),
        }
    }
    let metadata = admin.inner().fetch_metadata(Some(topic), TIMEOUT)?;
    let found = metadata.topics().iter().find(|described| described.name() == topic);
    let found = found.map_or(0, |described| described.partitions().len());
    // Not every broker may know a new topic yet.
    if found != 0 && i32::try_from(found).is_ok_and(|found| found < settings.partitions) {
        return Err(NoticeError::Partitions { topic: topic.to_owned(), found, needed: settings.partitions });
    }
    Ok(())
}

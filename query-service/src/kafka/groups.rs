//! Consumer groups, for operators' commands. Most calls block; all fail when the broker can't be reached.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaResult,
    types::RDKafkaErrorCode,
};
use serde::Serialize;

use super::{KafkaSettings, client::client_config};

const PATIENCE: Duration = Duration::from_secs(10);

/// The members of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Members {
    /// The number of members.
    pub count: usize,
    /// Whether each member knows its partitions.
    pub settled: bool,
}

/// The group's place in one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct PartitionLag {
    /// The partition.
    pub partition: i32,
    /// The offset from which the group goes on; `None` before its first commit.
    pub committed: Option<i64>,
    /// The offset of the next message in the topic.
    pub end: i64,
    /// Messages from the committed offset on, or from the first one that the broker still has.
    pub lag: i64,
}

fn client(settings: &KafkaSettings) -> ClientConfig {
    let mut config = client_config(settings);
    config.set("group.id", &settings.group).set("enable.auto.commit", "false").set("log_level", "0");
    config
}

/// The topic's partitions; none if it does not exist.
fn partitions(consumer: &BaseConsumer, topic: &str) -> KafkaResult<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
    let mut partitions: Vec<i32> =
        topics.flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect();
    partitions.sort_unstable();
    Ok(partitions)
}

/// Lets a group begin at the present end of the topic, and returns the number of partitions: 0 for a topic that does not
/// exist. It fails if the group has members.
pub fn begin_at_the_end(settings: &KafkaSettings) -> KafkaResult<usize> {
    let consumer: BaseConsumer = client(settings).create()?;
    let mut ends = TopicPartitionList::new();
    for partition in partitions(&consumer, &settings.topic)? {
        let (_, end) = consumer.fetch_watermarks(&settings.topic, partition, PATIENCE)?;
        ends.add_partition_offset(&settings.topic, partition, Offset::Offset(end))?;
    }
    if ends.count() > 0 {
        consumer.commit(&ends, CommitMode::Sync)?;
    }
    Ok(ends.count())
}

/// The group's place in each partition.
pub fn lag(settings: &KafkaSettings) -> KafkaResult<Vec<PartitionLag>> {
    // This consumer never subscribes, so it does not disturb the group.
    let consumer: BaseConsumer = client(settings).create()?;
    let partitions = partitions(&consumer, &settings.topic)?;
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition(&settings.topic, *partition);
    }
    let committed = consumer.committed_offsets(list, PATIENCE)?;
    let place = |partition: i32| {
        let (start, end) = consumer.fetch_watermarks(&settings.topic, partition, PATIENCE)?;
        let committed = committed.find_partition(&settings.topic, partition);
        let committed = committed.and_then(|found| found.offset().to_raw()).filter(|offset| *offset >= 0);
        let lag = end - committed.unwrap_or(start).max(start);
        Ok(PartitionLag { partition, committed, end, lag })
    };
    partitions.into_iter().map(place).collect()
}

/// The group's members; none if the broker does not know the group.
pub fn members(settings: &KafkaSettings) -> KafkaResult<Members> {
    let consumer: BaseConsumer = client(settings).create()?;
    let list = consumer.fetch_group_list(Some(&settings.group), PATIENCE)?;
    let group = list.groups().iter().find(|group| group.name() == settings.group);
    Ok(group.map_or(Members { count: 0, settled: true }, |group| Members {
        count: group.members().len(),
        settled: group.members().is_empty() || group.state() == "Stable",
    }))
}

/// Removes the group and its offsets. `false` if it has members.
pub async fn remove(settings: &KafkaSettings) -> KafkaResult<bool> {
    let admin: AdminClient<DefaultClientContext> = client(settings).create()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    for outcome in admin.delete_groups(&[&settings.group], &options).await? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
            Err((_, RDKafkaErrorCode::NonEmptyGroup)) => return Ok(false),
            Err((_, code)) => return Err(rdkafka::error::KafkaError::AdminOp(code)),
        }
    }
    Ok(true)
}

//! Where a consumer group is in its topic.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};

use super::KafkaSettings;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Where the group is in one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionLag {
    /// The partition.
    pub partition: i32,
    /// The first offset that the broker still has.
    pub start: i64,
    /// The offset from which the group goes on; none where it has committed nothing, and begins at the start.
    pub committed: Option<i64>,
    /// The offset of the next message that is sent.
    pub end: i64,
}

/// Asks the broker how far the group is. Blocks.
///
/// # Errors
/// When no broker answers within 10 s.
pub fn lag(settings: &KafkaSettings) -> KafkaResult<Vec<PartitionLag>> {
    // Never subscribed: the group does not notice it.
    let asking: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.group)
        .set("client.id", "query-service")
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false")
        .create()?;
    let metadata = asking.fetch_metadata(Some(&settings.topic), TIMEOUT)?;
    let mut partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions().iter().map(|partition| partition.id()))
        .collect();
    partitions.sort_unstable();
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition(&settings.topic, *partition);
    }
    let committed = asking.committed_offsets(list, TIMEOUT)?;
    let place = |partition: i32| {
        let (start, end) = asking.fetch_watermarks(&settings.topic, partition, TIMEOUT)?;
        let committed = committed.find_partition(&settings.topic, partition).map(|found| found.offset());
        let committed = match committed {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        };
        Ok(PartitionLag { partition, start, committed, end })
    };
    partitions.into_iter().map(place).collect()
}

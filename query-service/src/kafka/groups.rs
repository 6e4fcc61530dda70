//! Consumer groups as an operator sees them. These calls block: they are for commands, not for the service.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaResult,
    types::RDKafkaErrorCode,
};

use super::KafkaSettings;

const PATIENCE: Duration = Duration::from_secs(10);

/// What the members of a group are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Members {
    /// How many there are.
    pub count: usize,
    /// Whether each knows its partitions; so it is where there are none.
    pub settled: bool,
}

fn client(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "query-service")
        .set("group.id", &settings.group)
        .set("allow.auto.create.topics", "false")
        .set("enable.auto.commit", "false")
        .set("log_level", "0");
    config
}

/// Lets the group, which must have no members, begin at what is the end of the topic now. A topic that does not exist
/// has no end to begin at. Gives how many partitions it noted.
///
/// # Errors
/// When the broker can't be reached, or the group has members.
pub fn begin_at_the_end(settings: &KafkaSettings) -> KafkaResult<usize> {
    let consumer: BaseConsumer = client(settings).create()?;
    let metadata = consumer.fetch_metadata(Some(&settings.topic), PATIENCE)?;
    let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
    let mut ends = TopicPartitionList::new();
    for partition in topics.flat_map(|topic| topic.partitions()) {
        let (_, end) = consumer.fetch_watermarks(&settings.topic, partition.id(), PATIENCE)?;
        ends.add_partition_offset(&settings.topic, partition.id(), Offset::Offset(end))?;
    }
    if ends.count() > 0 {
        consumer.commit(&ends, CommitMode::Sync)?;
    }
    Ok(ends.count())
}

/// The members of the settings' group; none where the broker does not know it.
///
/// # Errors
/// When the broker can't be reached.
pub fn members(settings: &KafkaSettings) -> KafkaResult<Members> {
    let consumer: BaseConsumer = client(settings).create()?;
    let list = consumer.fetch_group_list(Some(&settings.group), PATIENCE)?;
    let group = list.groups().iter().find(|group| group.name() == settings.group);
    Ok(group.map_or(Members { count: 0, settled: true }, |group| Members {
        count: group.members().len(),
        settled: group.members().is_empty() || group.state() == "Stable",
    }))
}

/// Removes the group with its offsets. False while it has members.
///
/// # Errors
/// When the broker can't be reached or refuses.
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

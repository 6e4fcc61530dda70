//! Kafka: the topic, and the sender that the relay uses.

mod publisher;
mod topic;

pub use publisher::KafkaPublisher;
pub use topic::ensure_topic;

/// How Kafka is reached.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// The topic of all events.
    pub topic: String,
    /// Partitions of the topic, where it has to be made; where it exists it must have as many.
    pub partitions: i32,
    /// Replicas of the topic, where it has to be made.
    pub replication: i32,
}

/// Kafka could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client refused or failed.
    #[error("{operation} failed")]
    Client {
        /// What was tried.
        operation: &'static str,
        /// The client's error.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The broker refused to make the topic.
    #[error("topic {topic} could not be made: {reason}")]
    TopicRefused {
        /// The topic.
        topic: String,
        /// The broker's error.
        reason: String,
    },
    /// The topic has another number of partitions: rooms would change their partition, and their order would be lost.
    #[error("topic {topic} has {found} partitions, configured are {configured}")]
    PartitionCount {
        /// The topic.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        configured: i32,
    },
}

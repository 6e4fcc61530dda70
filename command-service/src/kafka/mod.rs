//! Kafka: the topic, and the relay's publisher.

mod diagnosis;
mod publisher;
mod topic;

pub use publisher::KafkaPublisher;
use rdkafka::ClientConfig;
use service_kit::brokers::Brokers;
pub use topic::ensure_topic;

/// Settings of Kafka.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Addresses of the brokers, and the way to reach them.
    pub brokers: Brokers,
    /// The topic of all events.
    pub topic: String,
    /// Partitions of the topic. An existing topic must have as many.
    pub partitions: i32,
    /// Replicas of a new topic.
    pub replication: i32,
    /// Hours for which a new topic keeps events.
    pub retention_hours: u32,
}

/// Settings of every client.
fn client_config(options: &KafkaOptions) -> ClientConfig {
    options.brokers.properties().into_iter().collect()
}

/// A failure of Kafka.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client refused or failed.
    #[error("{operation} failed")]
    Client {
        /// The attempted operation.
        operation: &'static str,
        /// The client's error.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The client can't reach a broker.
    #[error("no broker answers: {diagnosis}")]
    Unreachable {
        /// The reason that it reported.
        diagnosis: String,
        /// The failed operation.
        #[source]
        source: Box<Self>,
    },
    /// The broker refused to create the topic.
    #[error("topic {topic} could not be made: {reason}")]
    TopicRefused {
        /// The topic.
        topic: String,
        /// The broker's error.
        reason: String,
    },
    /// The topic has another number of partitions. Rooms would change their partition and lose their order.
    #[error("topic {topic} has {found} partitions, configured are {configured}")]
    PartitionCount {
        /// The topic.
        topic: String,
        /// Its partitions.
        found: usize,
        /// The configured partitions.
        configured: i32,
    },
}

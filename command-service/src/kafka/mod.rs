//! Kafka: the topic, and the sender that the relay uses.

mod diagnosis;
mod publisher;
mod topic;

pub use publisher::KafkaPublisher;
use rdkafka::ClientConfig;
use service_kit::brokers::Brokers;
pub use topic::ensure_topic;

/// How Kafka is reached.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Where the brokers are, and how they are reached.
    pub brokers: Brokers,
    /// The topic of all events.
    pub topic: String,
    /// Partitions of the topic, where it has to be made; where it exists it must have as many.
    pub partitions: i32,
    /// Replicas of the topic, where it has to be made.
    pub replication: i32,
    /// Hours for which the topic keeps events, where it has to be made.
    pub retention_hours: u32,
}

/// What is the same for all clients.
fn client_config(options: &KafkaOptions) -> ClientConfig {
    options.brokers.properties().into_iter().collect()
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
    /// The client failed because it can't reach a broker, and said why.
    #[error("no broker answers: {diagnosis}")]
    Unreachable {
        /// What it said.
        diagnosis: String,
        /// What failed.
        #[source]
        source: Box<Self>,
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

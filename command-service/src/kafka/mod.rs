//! Kafka: the topic, and the relay's publisher.

mod diagnosis;
mod note;
mod publisher;
mod topic;
mod watch;

pub use publisher::KafkaPublisher;
use rdkafka::ClientConfig;
use service_kit::brokers::Brokers;
pub use topic::{ensure_connector_topics, ensure_topic};
pub use watch::watch_topic;

/// Settings of Kafka.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Addresses of the brokers, and the way to reach them.
    pub brokers: Brokers,
    /// The topic of all events.
    pub topic: String,
    /// Partitions that the events are in. The topic must have at least as many.
    pub partitions: i32,
    /// Replicas of a new topic.
    pub replication: i32,
    /// Hours for which a new topic keeps events.
    pub retention_hours: u32,
}

/// Settings of every client.
fn client_config(options: &KafkaOptions) -> ClientConfig {
    let mut config: ClientConfig = options.brokers.properties().into_iter().collect();
    // Brokers that make topics by themselves would give it their own number of partitions.
    config.set("allow.auto.create.topics", "false");
    config
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
    /// The topic lacks partitions. The events of some rooms can't be sent.
    #[error(
        "topic {topic} has {found} of {configured} partitions (KAFKA_PARTITIONS): \
         kafka-topics.sh --alter --topic {topic} --partitions {configured}"
    )]
    PartitionsMissing {
        /// The topic.
        topic: String,
        /// Its partitions.
        found: usize,
        /// The configured partitions.
        configured: i32,
    },
}

//! A Kafka of one test.

use crate::campaign::servers::OwnServers;

/// A Kafka of one test. Dropped, it ends.
#[derive(Debug)]
pub struct OwnKafka(OwnServers);

impl OwnKafka {
    /// A Kafka that makes each topic that a client asks for, with one partition, unless the client forbids it.
    pub async fn that_makes_topics() -> Self {
        Self(OwnServers::start_kafka("auto.create.topics.enable=true\nnum.partitions=1\n").await)
    }

    /// Its address.
    #[must_use]
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.0.kafka)
    }
}

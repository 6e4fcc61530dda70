//! Events from Kafka: a consumer group shares the topic's partitions among the instances of this service.

mod assignment;
mod client;
mod consumer;
mod filing;
mod follow;
pub mod groups;
mod notices;
mod threads;
mod topic;

pub use consumer::{ConsumerError, KafkaSettings, consume};
pub use filing::Filing;
pub use follow::follow;
pub use notices::write_notices;

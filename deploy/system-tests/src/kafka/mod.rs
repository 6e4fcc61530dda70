//! A topic and a consumer group of one's own.

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    error::KafkaResult,
};

/// Removes a topic and a consumer group. That one of them was never made is no mistake.
///
/// # Errors
/// When the broker can't be reached.
pub async fn remove(brokers: &str, topic: &str, group: &str) -> KafkaResult<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let options = AdminOptions::new();
    admin.delete_groups(&[group], &options).await?;
    admin.delete_topics(&[topic], &options).await?;
    Ok(())
}

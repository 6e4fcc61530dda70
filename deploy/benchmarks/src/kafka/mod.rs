//! What benchmarks ask Kafka for: topics made, filled, watched and read again.

mod send;
mod topic;

use anyhow::{Result, anyhow};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
};
use shared_events::{RawEvent, topics};

pub(crate) use send::{Filler, send_from_memory};
pub(crate) use topic::{Topic, of_documents, of_events};

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", brokers).create()?)
}

/// Makes a topic like that of events.
pub(crate) async fn create_topic(brokers: &str, topic: &str) -> Result<()> {
    let topic = NewTopic::new(topic, topics::DEFAULT_PARTITIONS, TopicReplication::Fixed(1));
    for outcome in admin(brokers)?.create_topics([&topic], &AdminOptions::new()).await? {
        outcome.map_err(|(topic, error)| anyhow!("{topic} was not made: {error}"))?;
    }
    Ok(())
}

/// Removes topics and groups. That some were never made is no mistake.
pub(crate) async fn remove(brokers: &str, topics: &[String], groups: &[String]) -> Result<()> {
    let (admin, options) = (admin(brokers)?, AdminOptions::new());
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    admin.delete_topics(&topics, &options).await?;
    admin.delete_groups(&groups, &options).await?;
    Ok(())
}

/// The headers of an event's message, as the relay sends them.
fn headers_of(event: &RawEvent) -> OwnedHeaders {
    let headers = event.headers();
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers
        .iter()
        .fold(empty, |owned, (name, value)| owned.insert(Header { key: name, value: Some(value.as_bytes()) }))
}

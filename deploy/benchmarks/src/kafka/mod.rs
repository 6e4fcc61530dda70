//! Topics of the benchmarks: create, fill, watch and verify.

mod arrivals;
mod echo;
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

pub(crate) use arrivals::{Arrivals, Latencies, document, event, recorded};
pub(crate) use echo::Echo;
pub(crate) use send::{Filler, send_from_memory};
pub(crate) use topic::{Topic, of_documents, of_events};

/// Creates a topic with as many partitions as that of events.
pub(crate) async fn create_topic(brokers: &str, topic: &str) -> Result<()> {
    let topic = NewTopic::new(topic, topics::DEFAULT_PARTITIONS, TopicReplication::Fixed(1));
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    for outcome in admin.create_topics([&topic], &AdminOptions::new()).await? {
        outcome.map_err(|(topic, error)| anyhow!("{topic} was not made: {error}"))?;
    }
    Ok(())
}

/// The message headers that the relay sends.
fn headers_of(event: &RawEvent) -> OwnedHeaders {
    let headers = event.headers();
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers
        .iter()
        .fold(empty, |owned, (name, value)| owned.insert(Header { key: name, value: Some(value.as_bytes()) }))
}

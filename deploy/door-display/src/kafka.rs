//! The topic of notices.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use shared_events::notice::Notice;
use tokio::sync::mpsc;

/// The longest wait for the brokers at the start.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the notices that come from now on. When it returns, none that comes later is missed.
///
/// It needs no consumer group and stores no offsets: a follower compares heads at its start. The thread ends with the receiver.
///
/// # Errors
/// When no broker answers, or there is no such topic.
pub fn listen(brokers: &str, topic: &str) -> Result<mpsc::UnboundedReceiver<Notice>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "door-display")
        // The client demands a group. Nothing is committed.
        .set("group.id", "door-display")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "latest")
        .set("fetch.wait.max.ms", "100")
        .set("log.connection.close", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("no broker answers")?;
    let partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
    let mut from = TopicPartitionList::new();
    for partition in partitions {
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
        from.add_partition_offset(topic, partition.id(), Offset::Offset(end))?;
    }
    ensure!(from.count() > 0, "there is no topic {topic}");
    consumer.assign(&from)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::Builder::new().name("notices".to_owned()).spawn(move || {
        while !sender.is_closed() {
            let message = match consumer.poll(Duration::from_millis(100)) {
                None => continue,
                Some(Err(error)) => {
                    eprintln!("reading notices: {error}; the client goes on");
                    continue;
                }
                Some(Ok(message)) => message,
            };
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            match Notice::from_headers(headers.filter_map(|header| Some((header.key, header.value?)))) {
                // The receiver may have gone meanwhile.
                Ok(notice) => _ = sender.send(notice),
                Err(error) => eprintln!("a message that is no notice: {error}"),
            }
        }
    })?;
    Ok(receiver)
}

//! Follows the whole topic for live streams, without a group: each instance reads every partition.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use service_kit::retry::Backoff;
use shared_events::RawEvent;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    ConsumerError, KafkaSettings,
    client::{headers, reader_config},
    threads::{on_a_thread, pause},
};
use crate::live::{Hub, Notice, REMEMBERED};

/// The longest wait for an answer of the broker.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a stop and the login are looked at.
const TURN: Duration = Duration::from_millis(100);

/// Reads the topic into `hub` from the first client on, until it is stopped. Waits for a missing broker or topic.
///
/// # Errors
/// When its thread is gone.
pub async fn follow(
    settings: KafkaSettings,
    hub: Arc<Hub>,
    stop: CancellationToken,
) -> Result<(), ConsumerError> {
    if stop.run_until_cancelled(hub.asked()).await.is_none() {
        return Ok(());
    }
    on_a_thread("live", move |runtime| follow_thread(&settings, &hub, &stop, runtime)).await
}

fn follow_thread(settings: &KafkaSettings, hub: &Hub, stop: &CancellationToken, runtime: &Handle) {
    let mut backoff = Backoff::for_server();
    while !stop.is_cancelled() {
        match follow_once(settings, hub, stop) {
            Ok(()) => backoff.reset(),
            Err(error) => {
                tracing::warn!(%error, "live streams end: the topic is read anew");
                pause(runtime, stop, backoff.next_delay());
            }
        }
    }
}

/// Reads until it is stopped, or the login has changed.
fn follow_once(settings: &KafkaSettings, hub: &Hub, stop: &CancellationToken) -> KafkaResult<()> {
    let login = settings.brokers.properties();
    let consumer: BaseConsumer = config(settings).create()?;
    let cluster = consumer.client().fetch_cluster_id(PATIENCE);
    let cluster = cluster.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::AllBrokersDown))?;
    let remembered = i64::try_from(REMEMBERED).unwrap_or(i64::MAX) / i64::from(settings.partitions.max(1));
    let (mut starts, mut list) = (Vec::new(), TopicPartitionList::new());
    let mut unread = std::collections::HashSet::new();
    for partition in 0..settings.partitions {
        let (low, end) = consumer.fetch_watermarks(&settings.topic, partition, PATIENCE)?;
        let start = low.max(end - remembered.max(1));
        starts.push(start);
        list.add_partition_offset(&settings.topic, partition, Offset::Offset(start))?;
        if start < end {
            unread.insert(partition);
        }
    }
    hub.begin(identity(&cluster, &settings.topic), &starts);
    consumer.assign(&list)?;
    if unread.is_empty() {
        hub.filled();
    }
    while !stop.is_cancelled() {
        match consumer.poll(TURN) {
            None => {}
            Some(Ok(message)) => {
                let partition = usize::try_from(message.partition()).unwrap_or(usize::MAX);
                hub.push(partition, message.offset(), notice(&message));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                let was_unread = unread.remove(&partition);
                if was_unread && unread.is_empty() {
                    hub.filled();
                }
            }
            Some(Err(error)) if is_passing(&error) => {
                let is_old = login != settings.brokers.properties();
                if is_old {
                    tracing::info!("the login of Kafka has changed");
                    return Ok(());
                }
            }
            Some(Err(error)) => return Err(error),
        }
    }
    Ok(())
}

fn config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = reader_config(settings);
    config
        // The client assigns nothing without a group. It never joins this one.
        .set("group.id", &settings.group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        // Messages that are gone were not told: all streams begin anew.
        .set("auto.offset.reset", "error");
    config
}

/// Whether reading goes on by itself after this error.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, Authentication, BrokerTransportFailure, MessageTimedOut, OperationTimedOut,
        RequestTimedOut, Resolve, SaslAuthenticationFailed,
    };
    let passing = [
        AllBrokersDown,
        Authentication,
        BrokerTransportFailure,
        MessageTimedOut,
        OperationTimedOut,
        RequestTimedOut,
        Resolve,
        SaslAuthenticationFailed,
    ];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}

/// The same for every instance: FNV-1a of the cluster's id and the topic's name.
fn identity(cluster: &str, topic: &str) -> u64 {
    let bytes = cluster.bytes().chain([0]).chain(topic.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn notice(message: &impl rdkafka::Message) -> Option<Notice> {
    if let Ok(event) = RawEvent::from_message(headers(message), message.payload().unwrap_or_default()) {
        return Some(Notice::of(&event));
    }
    let named = shared_events::notice::Notice::from_headers(headers(message)).ok()?;
    Some(Notice::unreadable(named.room, named.version))
}

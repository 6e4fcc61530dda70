//! Partitions that come and go: pipelines start, and finish before another instance takes over.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};
use shared_events::partition_of;
use tokio::runtime::Handle;

use crate::projector::{Inbox, Message, Projector};

/// The longest time for which a batch may hold up a rebalance.
const FINISH_WITHIN: Duration = Duration::from_secs(3);

/// The partitions of this instance. Its callbacks run on the polling thread.
pub(super) struct Assignment {
    pub(super) projector: Arc<Projector>,
    pub(super) topic: String,
    /// The number of partitions that events are in. The topic may have more.
    pub(super) partitions: i32,
    pub(super) runtime: Handle,
    pub(super) held: Mutex<Held>,
    /// Whether no broker answers.
    pub(super) brokers_gone: AtomicBool,
}

#[derive(Default)]
pub(super) struct Held {
    inboxes: HashMap<i32, Arc<Inbox>>,
    paused: HashSet<i32>,
    /// The offsets that librdkafka may commit.
    stored: HashMap<i32, i64>,
}

impl Assignment {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_topic(&self, list: &TopicPartitionList) -> Vec<i32> {
        let elements = list.elements_for_topic(&self.topic);
        elements.iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
    }

    fn start(&self, partitions: &[i32]) {
        for partition in partitions {
            let inbox = self.projector.start(*partition);
            self.held().inboxes.insert(*partition, inbox);
        }
        self.publish_ownership();
    }

    /// Ends pipelines and stores their offsets, where the next owner begins.
    pub(super) fn stop(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        let offsets = self.runtime.block_on(self.projector.stop(partitions, FINISH_WITHIN));
        self.store(consumer, offsets);
        let mut held = self.held();
        for partition in partitions {
            held.inboxes.remove(partition);
            held.paused.remove(partition);
            held.stored.remove(partition);
        }
        drop(held);
        self.publish_ownership();
    }

    fn publish_ownership(&self) {
        let owned: HashSet<i32> = self.held().inboxes.keys().copied().collect();
        let mut sorted: Vec<i32> = owned.iter().copied().collect();
        sorted.sort_unstable();
        tracing::info!(partitions = ?sorted, "partitions of this instance");
        let partitions = self.partitions;
        let owns = move |room| owned.contains(&partition_of(room, partitions));
        self.projector.dependencies().progress.set_owned(Box::new(owns));
    }

    /// Hands a message to its pipeline, and pauses the partition while the inbox is full.
    pub(super) fn deliver(
        &self,
        consumer: &BaseConsumer<Self>,
        partition: i32,
        message: Message,
    ) -> KafkaResult<()> {
        let mut held = self.held();
        let full = held.inboxes.get(&partition).is_some_and(|inbox| inbox.push(message));
        if full && held.paused.insert(partition) {
            consumer.pause(&self.list([(partition, Offset::Invalid)])?)?;
        }
        Ok(())
    }

    /// Resumes partitions whose pipelines have caught up. Returns whether some are still paused.
    pub(super) fn resume(&self, consumer: &BaseConsumer<Self>) -> KafkaResult<bool> {
        let mut held = self.held();
        let Held { inboxes, paused, .. } = &mut *held;
        let caught_up = |partition: &i32| inboxes.get(partition).is_some_and(|inbox| inbox.is_nearly_empty());
        let ready: Vec<i32> = paused.iter().copied().filter(caught_up).collect();
        if !ready.is_empty() {
            consumer.resume(&self.list(ready.iter().map(|partition| (*partition, Offset::Invalid)))?)?;
            paused.retain(|partition| !ready.contains(partition));
        }
        Ok(!paused.is_empty())
    }

    /// Lets librdkafka commit offsets. It refuses those of lost partitions, whose next owner reads the messages again.
    pub(super) fn store(&self, consumer: &BaseConsumer<Self>, offsets: Vec<(i32, i64)>) {
        let mut held = self.held();
        let is_new = |(partition, offset): &(i32, i64)| held.stored.get(partition) != Some(offset);
        let news: Vec<(i32, i64)> = offsets.into_iter().filter(is_new).collect();
        if news.is_empty() {
            return;
        }
        let list = self.list(news.iter().map(|(partition, offset)| (*partition, Offset::Offset(*offset))));
        match list.and_then(|list| consumer.store_offsets(&list)) {
            Ok(()) => held.stored.extend(news),
            Err(error) => tracing::warn!(%error, "offsets were not stored"),
        }
    }

    fn list(&self, partitions: impl IntoIterator<Item = (i32, Offset)>) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in partitions {
            list.add_partition_offset(&self.topic, partition, offset)?;
        }
        Ok(list)
    }
}

impl ConsumerContext for Assignment {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.start(&self.of_topic(list)),
            Rebalance::Revoke(list) => self.stop(consumer, &self.of_topic(list)),
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => tracing::warn!(%error, "offsets were not committed"),
        }
    }
}

impl ClientContext for Assignment {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Emerg, Error};
        if matches!(level, Emerg | Alert | Critical | Error) {
            tracing::warn!(facility, message, "librdkafka");
        } else {
            tracing::debug!(facility, message, "librdkafka");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.brokers_gone.store(true, Ordering::Relaxed);
        }
        tracing::warn!(%error, reason, "Kafka client");
    }

    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
        let owned: HashSet<i32> = self.held().inboxes.keys().copied().collect();
        for (partition, figures) in topic.partitions.iter().filter(|(partition, _)| owned.contains(partition))
        {
            self.projector.count_lag(*partition, figures.consumer_lag_stored);
        }
    }
}

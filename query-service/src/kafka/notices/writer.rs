//! The writer of one partition's notices.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use service_kit::clock::Clock;
use shared_events::{
    RoomId, Timestamp, Version,
    notice::{Notice, VALUE},
};

use super::{Batch, KafkaSettings, NoticeError, SECONDS, TIMEOUT, WRITTEN, group};
use crate::kafka::client::{Diagnosis, client_config, headers};

/// Writes the notices of one partition. The latest one of all instances can write; those before are fenced.
pub(super) struct Writer {
    producer: BaseProducer,
    topic: String,
    partition: i32,
    /// The highest version of each room in the topic.
    highest: HashMap<RoomId, Version>,
}

impl Writer {
    /// Fences the writers of this partition before, then reads what they wrote.
    pub(super) fn open(settings: &KafkaSettings, topic: &str, partition: i32) -> Result<Self, NoticeError> {
        let producer: BaseProducer = client_config(settings)
            .set("transactional.id", format!("{}-{partition}", group(settings)))
            // A writer that died with an open transaction holds readers up for this long, if no other comes.
            .set("transaction.timeout.ms", "10000")
            .set("linger.ms", "0")
            // A broker refuses the next transaction until it has ended the last one, some milliseconds after the commit. The
            // usual pause of 100 ms would make every transaction wait.
            .set("retry.backoff.ms", "5")
            .create()?;
        producer.init_transactions(TIMEOUT)?;
        let highest = read_to_the_end(settings, topic, partition)?;
        tracing::info!(partition, rooms = highest.len(), "this instance writes the partition's notices");
        Ok(Self { producer, topic: topic.to_owned(), partition, highest })
    }

    /// Writes the notices of rooms with a new highest version, and commits the offset, in one transaction.
    pub(super) fn write(
        &mut self,
        events: &str,
        batch: Batch,
        consumer: &ConsumerGroupMetadata,
        clock: &Clock,
    ) -> Result<(), NoticeError> {
        let is_new =
            |notice: &Notice| self.highest.get(&notice.room).is_none_or(|known| notice.version > *known);
        let news: Vec<(Notice, Timestamp)> =
            batch.rooms.into_values().filter(|(notice, _)| is_new(notice)).collect();
        self.producer.begin_transaction()?;
        for (notice, recorded) in &news {
            self.send(*notice, *recorded)?;
        }
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(events, self.partition, Offset::Offset(batch.next_offset))?;
        self.producer.send_offsets_to_transaction(&offsets, consumer, TIMEOUT)?;
        // Serves delivery reports, which the commit alone would wait for in vain.
        self.producer.flush(TIMEOUT)?;
        self.producer.commit_transaction(TIMEOUT)?;
        metrics::counter!(WRITTEN).increment(news.len() as u64);
        let now = Timestamp::from_epoch_millis(clock.now_ms());
        for (notice, recorded) in news {
            metrics::histogram!(SECONDS).record(now.since(recorded).as_secs_f64());
            self.highest.insert(notice.room, notice.version);
        }
        Ok(())
    }

    fn send(&self, notice: Notice, recorded: Timestamp) -> Result<(), KafkaError> {
        let key = notice.room.to_string();
        let headers = notice.headers(recorded);
        let headers =
            headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        let mut record =
            BaseRecord::to(&self.topic).partition(self.partition).key(&key).payload(VALUE).headers(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

/// The highest version of each room in a partition of the notices.
fn read_to_the_end(
    settings: &KafkaSettings,
    topic: &str,
    partition: i32,
) -> Result<HashMap<RoomId, Version>, NoticeError> {
    let consumer: BaseConsumer<Diagnosis> = client_config(settings)
        // Commits nothing; the client demands a group all the same.
        .set("group.id", group(settings))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        // Without notices of transactions that were given up.
        .set("isolation.level", "read_committed")
        // Its log would call the end of the partition an error.
        .create_with_context(Diagnosis::default())?;
    let mut whole = TopicPartitionList::new();
    whole.add_partition_offset(topic, partition, Offset::Beginning)?;
    consumer.assign(&whole)?;
    let mut highest: HashMap<RoomId, Version> = HashMap::new();
    let mut heard = Instant::now();
    while heard.elapsed() < TIMEOUT {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let Ok(notice) = Notice::from_headers(headers(&message)) else { continue };
                let known = highest.entry(notice.room).or_default();
                *known = notice.version.max(*known);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(highest),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error.into()),
            Some(Err(error)) => tracing::debug!(%error, "reading notices goes on"),
            None => {}
        }
    }
    Err(NoticeError::Unread(partition))
}

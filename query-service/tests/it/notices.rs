//! Notices on a real broker: whichever instances write, the last one of a room names its highest version.

use std::{collections::HashMap, time::Duration};

use query_service::kafka::{KafkaSettings, write_notices};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use service_kit::clock::Clock;
use shared_events::{RoomId, Timestamp, notice::Notice};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    events::Stream,
    kafka_consumer::Topic,
    pipelines::{until, wait_apart},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A topic of events with its topic of notices.
struct Rig {
    events: Topic,
    notices: String,
}

impl Rig {
    async fn new(partitions: i32) -> Self {
        let events = Topic::named_anew(partitions);
        events.make().await;
        let notices = format!("{}-changes", events.settings.topic);
        Self { events, notices }
    }

    fn settings(&self) -> &KafkaSettings {
        &self.events.settings
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.settings().brokers.addresses);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    fn start(&self) -> Running {
        let stop = CancellationToken::new();
        let written =
            write_notices(self.settings().clone(), self.notices.clone(), Clock::system(), stop.clone());
        Running { stop, task: tokio::spawn(async move { written.await.unwrap() }) }
    }

    async fn send(&self, stream: &Stream, versions: impl IntoIterator<Item = usize>) {
        for version in versions {
            self.events.send(&stream.events[version - 1]).await;
        }
    }

    /// The committed notices, in the order of each partition: room, version, value.
    async fn written(&self) -> Vec<(Notice, Vec<u8>)> {
        let (config, topic) = (self.client(), self.notices.clone());
        tokio::task::spawn_blocking(move || read(config, &topic)).await.unwrap()
    }

    /// The versions of a room's notices.
    async fn versions(&self, room: RoomId) -> Vec<u64> {
        let all = self.written().await;
        all.iter().filter(|(notice, _)| notice.room == room).map(|(notice, _)| notice.version.get()).collect()
    }

    async fn until_written(&self, stream: &Stream, version: u64) {
        let what = format!("the notice of version {version}");
        until(&what, async || self.versions(stream.room).await.last() == Some(&version)).await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let (admin, topic) = (self.admin(), self.notices.clone());
        wait_apart(async move { drop(admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap()) });
    }
}

/// An instance that writes notices.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn leave(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn read(mut config: ClientConfig, topic: &str) -> Vec<(Notice, Vec<u8>)> {
    let consumer: BaseConsumer = config
        .set("group.id", "a-test")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let partitions: Vec<_> = metadata.topics()[0].partitions().iter().map(|one| one.id()).collect();
    let mut whole = TopicPartitionList::new();
    for partition in &partitions {
        whole.add_partition_offset(topic, *partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&whole).unwrap();
    let (mut found, mut ended) = (Vec::new(), 0);
    while ended < partitions.len() {
        match consumer.poll(PATIENCE).expect("the end of the topic") {
            Ok(message) => {
                let headers = message.headers().unwrap().iter();
                let headers = headers.map(|header| (header.key, header.value.unwrap()));
                let notice = Notice::from_headers(headers).unwrap();
                assert_eq!(message.key().unwrap(), notice.room.to_string().as_bytes());
                found.push((notice, message.payload().unwrap_or_default().to_vec()));
            }
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    found
}

fn with_reservations(name: &str, count: u32) -> Stream {
    let mut stream = Stream::new(name);
    for hour in 0..count {
        stream.reserve("ann", hour % 20, hour % 20 + 1);
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_gets_one_notice_for_many_events_which_names_the_highest_and_no_person() {
    let rig = Rig::new(2).await;
    let streams: Vec<_> = (0..5).map(|number| with_reservations(&format!("Room {number}"), 40)).collect();
    for stream in &streams {
        rig.send(stream, 1..=41).await;
    }
    let running = rig.start();
    for stream in &streams {
        rig.until_written(stream, 41).await;
    }
    let written = rig.written().await;
    assert!(written.len() < 25, "{} notices of {} events", written.len(), 5 * 41);
    assert!(written.iter().all(|(_, value)| value == b"{}"), "a value, so that nothing is a tombstone");
    running.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_starts_over_or_reads_events_again_writes_no_lower_version() {
    let rig = Rig::new(1).await;
    let stream = with_reservations("Blue", 9);
    rig.send(&stream, 1..=7).await;
    let running = rig.start();
    rig.until_written(&stream, 7).await;
    running.leave().await;
    let before = rig.versions(stream.room).await;
    // What a relay may send again.
    rig.send(&stream, [5, 6]).await;
    let running = rig.start();
    let other = with_reservations("Red", 0);
    rig.send(&other, [1]).await;
    rig.until_written(&other, 1).await;
    assert_eq!(rig.versions(stream.room).await, before, "5 and 6 are known");
    running.leave().await;
    // All offsets are lost.
    let group = format!("{}-notices", rig.settings().group);
    for deleted in rig.admin().delete_groups(&[&group], &AdminOptions::new()).await.unwrap() {
        deleted.unwrap();
    }
    let running = rig.start();
    rig.send(&stream, [8]).await;
    rig.until_written(&stream, 8).await;
    assert_eq!(rig.versions(stream.room).await, [before, vec![8]].concat());
    running.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_was_replaced_writes_nothing_more_and_the_next_one_writes_higher_versions_only() {
    let rig = Rig::new(1).await;
    let stream = with_reservations("Blue", 19);
    rig.send(&stream, 1..=5).await;
    let first = rig.start();
    rig.until_written(&stream, 5).await;
    first.leave().await;

    // An instance that stops for a while in the middle of a transaction.
    let zombie: BaseProducer =
        rig.client().set("transactional.id", format!("{}-notices-0", rig.settings().group)).create().unwrap();
    zombie.init_transactions(PATIENCE).unwrap();
    zombie.begin_transaction().unwrap();
    let old = Notice { room: stream.room, version: 10.into() };
    let send = || {
        let headers = old.headers(Timestamp::from_epoch_millis(0));
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let key = stream.room.to_string();
        let record = BaseRecord::to(&rig.notices).partition(0).key(&key).payload("{}").headers(headers);
        zombie.send(record).map_err(|(error, _)| error)
    };
    send().unwrap();
    zombie.flush(PATIENCE).unwrap();

    rig.send(&stream, 6..=20).await;
    let next = rig.start();
    rig.until_written(&stream, 20).await;
    // It wakes up.
    let late = send().and_then(|()| zombie.commit_transaction(PATIENCE));
    assert!(late.is_err(), "it was fenced");
    let versions = rig.versions(stream.room).await;
    assert!(versions.is_sorted_by(|one, other| one < other) && !versions.contains(&10), "{versions:?}");
    assert_eq!(versions.last(), Some(&20));
    next.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_leaves_the_highest_version_of_each_room() {
    let rig = Rig::new(1).await;
    // Compacts soon and often.
    let topic = NewTopic::new(&rig.notices, 1, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("segment.ms", "500")
        .set("min.cleanable.dirty.ratio", "0.001");
    rig.admin().create_topics([&topic], &AdminOptions::new()).await.unwrap();
    let running = rig.start();
    let streams: Vec<_> = (0..3).map(|number| with_reservations(&format!("Room {number}"), 15)).collect();
    for version in 1..=16 {
        for stream in &streams {
            rig.send(stream, [version]).await;
        }
        rig.until_written(&streams[2], version as u64).await;
    }
    // The segment that is written to is not compacted: a last notice of another room opens a new one.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let last = with_reservations("Last", 0);
    rig.send(&last, [1]).await;
    rig.until_written(&last, 1).await;
    // Of at least 16 notices, which the loop above saw one after the other.
    until("compaction", async || rig.written().await.len() < 10).await;
    let mut highest = HashMap::new();
    for (notice, _) in rig.written().await {
        highest.insert(notice.room, notice.version.get());
    }
    assert!(streams.iter().all(|stream| highest[&stream.room] == 16), "{highest:?}");
    assert_eq!(highest[&last.room], 1);
    running.leave().await;
}

//! The consumer on a real broker. Nothing is lost or applied twice when members join, leave and die.

use std::{sync::Arc, time::Duration};

use query_service::{
    kafka::{KafkaSettings, consume},
    projector::{Dependencies, Limits, Projector},
    stores::{ProjectionStore, memory::MemoryReadModels},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer},
};
use service_kit::{brokers::Brokers, clock::Clock, ids, readiness::Readiness};
use shared_events::{RawEvent, topics::PARTITIONER};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    events::{Stream, reserved_minutes},
    feed_double::FeedDouble,
    pipelines::{dependencies, until, wait_apart},
    store_double::StoreDouble,
};

/// The longest answer of the broker to a transaction.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic on the real broker for one test.
pub(crate) struct Topic {
    pub(crate) settings: KafkaSettings,
    producer: FutureProducer,
}

impl Topic {
    /// A name for a topic that is not made yet, with this number of partitions.
    pub(crate) fn named_anew(partitions: i32) -> Self {
        let brokers = std::env::var("KAFKA_BROKERS").expect("KAFKA_BROKERS names a broker");
        let topic = format!("query-test-{}", ids::new_id().simple());
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("partitioner", PARTITIONER)
            .set("linger.ms", "0")
            .create()
            .unwrap();
        let (brokers, session_timeout) = (Brokers::open(brokers), Duration::from_secs(6));
        let group = topic.clone();
        let settings = KafkaSettings { brokers, group, topic, partitions, session_timeout, notices: None };
        Self { settings, producer }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.settings.brokers.addresses).create().unwrap()
    }

    pub(crate) async fn make(&self) {
        let topic = NewTopic::new(&self.settings.topic, self.settings.partitions, TopicReplication::Fixed(1));
        self.admin().create_topics([&topic], &AdminOptions::new()).await.unwrap();
    }

    pub(crate) async fn send(&self, event: &RawEvent) {
        let headers = event.headers().into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_ref()) })
        });
        let key = event.room.to_string();
        let record =
            FutureRecord::to(&self.settings.topic).key(&key).payload(&event.payload).headers(headers);
        self.producer.send(record, Duration::from_secs(20)).await.unwrap();
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let (admin, topic) = (self.admin(), self.settings.topic.clone());
        wait_apart(async move { drop(admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap()) });
    }
}

/// A member of the group.
struct Member {
    projector: Arc<Projector>,
    readiness: Readiness,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Member {
    fn join(topic: &Topic, store: Arc<dyn ProjectionStore>, feed: &Arc<FeedDouble>) -> Self {
        let readiness = Readiness::new(Clock::system());
        let (dependencies, component) = (dependencies(store, feed), readiness.component("store"));
        // It owns the partitions that Kafka assigns.
        dependencies.progress.set_owned(Box::new(|_| false));
        let projector = Arc::new(Projector::new(dependencies, Limits::default(), component));
        let stop = CancellationToken::new();
        let (settings, kafka) = (topic.settings.clone(), readiness.component("kafka"));
        let consumed = consume(settings, Arc::clone(&projector), kafka, stop.clone());
        let task = tokio::spawn(async move { consumed.await.unwrap() });
        Self { projector, readiness, stop, task }
    }

    async fn visible(&self, stream: &Stream) {
        let Dependencies { store, progress, .. } = self.projector.dependencies();
        let wanted = [(stream.room, stream.head().into())];
        progress.wait(store.as_ref(), "ann", &wanted, Duration::from_secs(40)).await.unwrap();
    }

    /// Waits until it has this number of partitions.
    async fn holds(&self, partitions: usize) {
        until("partitions", async || self.projector.partitions().len() == partitions).await;
    }

    async fn leave(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn applications(store: &StoreDouble) -> usize {
    store.applications.load(std::sync::atomic::Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_made_later_is_waited_for_and_a_restart_goes_on_where_it_ended() {
    let topic = Topic::named_anew(2);
    let store = Arc::new(StoreDouble::default());
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 9, 10);
    let feed = FeedDouble::of(&[]);
    let member = Member::join(&topic, store.clone(), &feed);
    until("the missing topic", async || {
        let reason = member.readiness.report().components["kafka"].reason.clone();
        reason.is_some_and(|text| text.contains("does not exist"))
    })
    .await;
    topic.make().await;
    for event in &stream.events {
        topic.send(event).await;
    }
    member.visible(&stream).await;
    assert_eq!(member.readiness.report().components["kafka"].state, "ok");
    member.leave().await;

    let applied = applications(&store);
    let again = Member::join(&topic, store.clone(), &feed);
    again.holds(2).await;
    stream.reserve("ann", 11, 12);
    topic.send(&stream.events[2]).await;
    again.visible(&stream).await;
    assert_eq!(applications(&store), applied + 1, "what was committed is not read again");
    assert_eq!(feed.reads.load(std::sync::atomic::Ordering::SeqCst), 0);
    again.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_the_partitions_and_one_takes_over_what_the_other_leaves() {
    let topic = Topic::named_anew(4);
    topic.make().await;
    let store = Arc::new(MemoryReadModels::new());
    let mut streams: Vec<Stream> = (0..12).map(|n| Stream::new(&format!("Room {n}"))).collect();
    let feed = FeedDouble::of(&[]);
    let first = Member::join(&topic, store.clone(), &feed);
    first.holds(4).await;
    let mut sent = 0;
    for round in 0..6 {
        streams.iter_mut().for_each(|stream| _ = stream.reserve("ann", round * 2, round * 2 + 1));
    }
    // A second member joins while events flow.
    let mut second = None;
    for at in 0..7 {
        if at == 3 {
            second = Some(Member::join(&topic, store.clone(), &feed));
        }
        for stream in &streams {
            topic.send(&stream.events[at]).await;
            sent += 1;
        }
    }
    assert_eq!(sent, 84);
    let second = second.unwrap();
    second.holds(2).await;
    first.holds(2).await;
    for stream in &streams {
        // Each also waits for the other one's rooms, which it reads from the store.
        first.visible(stream).await;
        second.visible(stream).await;
    }
    first.leave().await;
    second.holds(4).await;
    for stream in &mut streams {
        stream.reserve("ann", 20, 21);
        topic.send(&stream.events[7]).await;
        second.visible(stream).await;
    }
    for stream in &streams {
        let minutes = reserved_minutes(store.as_ref(), &[stream.room]).await;
        assert_eq!(minutes, 7 * 60, "{}", stream.settings.name);
    }
    assert_eq!(feed.reads.load(std::sync::atomic::Ordering::SeqCst), 0, "no gaps");
    second.leave().await;
}

/// A producer that is not ours, with a transaction in every partition of the topic.
struct ForeignTransaction(BaseProducer);

impl ForeignTransaction {
    async fn begin(topic: &Topic, key: String) -> Self {
        let KafkaSettings { brokers, topic, partitions, .. } = topic.settings.clone();
        let begun = tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", &brokers.addresses)
                .set("transactional.id", &topic)
                .create()
                .unwrap();
            producer.init_transactions(PATIENCE).unwrap();
            producer.begin_transaction().unwrap();
            for partition in 0..partitions {
                producer.send(BaseRecord::to(&topic).partition(partition).key(&key).payload("?")).unwrap();
            }
            producer.flush(PATIENCE).unwrap();
            producer
        });
        Self(begun.await.unwrap())
    }

    async fn end(self, commit: bool) {
        let ended = tokio::task::spawn_blocking(move || {
            let producer = self.0;
            if commit { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) }
        });
        ended.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_transaction_holds_nobody_up_while_it_is_open_and_changes_nothing_when_it_ends() {
    let topic = Topic::named_anew(2);
    topic.make().await;
    let store = Arc::new(MemoryReadModels::new());
    let mut streams: Vec<Stream> = (0..8).map(|n| Stream::new(&format!("Room {n}"))).collect();
    let feed = FeedDouble::of(&[]);
    let member = Member::join(&topic, store.clone(), &feed);
    let mut hour = 0;
    // The key of the second one names a room that does not exist.
    for (key, commit) in [("foreign".to_owned(), false), (ids::new_id().to_string(), true)] {
        let transaction = ForeignTransaction::begin(&topic, key).await;
        for stream in &mut streams {
            stream.reserve("ann", hour, hour + 1);
            for event in &stream.events[usize::from(hour > 0) * (stream.events.len() - 1)..] {
                topic.send(event).await;
            }
        }
        for stream in &streams {
            member.visible(stream).await;
        }
        transaction.end(commit).await;
        hour += 1;
    }
    for stream in &mut streams {
        stream.reserve("ann", hour, hour + 1);
        topic.send(stream.events.last().unwrap()).await;
        member.visible(stream).await;
        let minutes = reserved_minutes(store.as_ref(), &[stream.room]).await;
        assert_eq!(minutes, 3 * 60, "{}", stream.settings.name);
    }
    let reads = feed.reads.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        reads, 2,
        "the feed is asked about each foreign message that names a room, and for nothing else"
    );
    member.leave().await;
}

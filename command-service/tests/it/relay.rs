//! Promises of the relay while deliveries fail, transactions commit late and holders die.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use command_service::{
    event_store::Buckets,
    kafka::{KafkaOptions, KafkaPublisher, ensure_topic},
    outbox::{LeaseOptions, Step, Undelivered, assignment, handoff, keep_leases},
};
use rdkafka::{
    ClientConfig, Message,
    admin::{AdminOptions, AlterConfig, ResourceSpecifier},
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use service_kit::{brokers::Brokers, clock::Clock, ids, readiness::Readiness};
use shared_events::RoomId;
use tokio_util::sync::CancellationToken;

use crate::{
    relay_rig::{Log, commit, relay},
    samples::{event, new_room},
    servers::{PATIENCE, Topic, admin, eventually},
    test_store::TestStore,
};

#[tokio::test]
async fn exactly_the_delivered_rows_are_deleted_and_the_rest_goes_out_again() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let room = new_room();
        let positions = commit(opened.as_ref(), (1..=10).map(|version| event(room, version)).collect()).await;
        let log = Log::default();
        log.outcomes.lock().unwrap().insert((room, 4), Undelivered::Failed("on purpose".into()));
        let mut relay = relay(Arc::clone(&opened), log.clone());
        assert_eq!(relay.step().await.unwrap(), Step::Failed);
        assert_eq!(*log.resets.lock().unwrap(), 1, "the sender is dropped after a failure");
        let left = opened.undelivered(Buckets::ALL, 100).await.unwrap();
        assert_eq!(left, positions[3..4]);
        assert_eq!(relay.step().await.unwrap(), Step::Delivered(1));
        assert_eq!(relay.step().await.unwrap(), Step::Idle);
    }
}

#[tokio::test]
async fn an_event_that_is_refused_for_good_stops_its_room_only() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let (bad, good) = (new_room(), new_room());
        commit(opened.as_ref(), vec![event(bad, 1)]).await;
        let log = Log::default();
        log.outcomes.lock().unwrap().insert((bad, 1), Undelivered::Refused("too large".into()));
        let mut relay = relay(Arc::clone(&opened), log.clone());
        relay.step().await.unwrap();
        commit(opened.as_ref(), vec![event(bad, 2), event(good, 1)]).await;
        assert_eq!(relay.step().await.unwrap(), Step::Delivered(1));
        assert_eq!(relay.step().await.unwrap(), Step::Idle, "a held room is no endless retry");
        assert_eq!(*log.delivered.borrow(), [(good, 1)]);
        let held = opened.held_rooms().await.unwrap();
        assert_eq!((held[0].room, held[0].reason.as_str()), (bad, "too large"));
    }
}

#[tokio::test]
async fn a_transaction_that_took_its_position_first_and_commits_last_is_delivered_in_order_for_its_room() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let (late, other) = (new_room(), new_room());
    let log = Log::default();
    let mut relay = relay(Arc::clone(&opened), log.clone());
    commit(opened.as_ref(), vec![event(late, 1)]).await;
    let open_transaction = store.insert_without_commit(&event(late, 2)).await;
    commit(opened.as_ref(), vec![event(other, 1)]).await;
    assert_eq!(relay.step().await.unwrap(), Step::Delivered(2));
    assert_eq!(relay.step().await.unwrap(), Step::Idle);
    open_transaction.commit().await;
    commit(opened.as_ref(), vec![event(late, 3)]).await;
    assert_eq!(relay.step().await.unwrap(), Step::Delivered(2));
    assert_eq!(log.of(late), [1, 2, 3]);
}

/// Reads a topic from its start until `done` says that enough was read.
pub(crate) fn read_topic(
    options: &KafkaOptions,
    mut done: impl FnMut(&[(i32, String)]) -> bool,
) -> Vec<(i32, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &options.brokers.addresses)
        .set("group.id", ids::new_id().to_string())
        .create()
        .unwrap();
    let mut assignment = rdkafka::TopicPartitionList::new();
    for partition in 0..options.partitions {
        assignment.add_partition_offset(&options.topic, partition, rdkafka::Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut read = Vec::new();
    let started = std::time::Instant::now();
    while !done(&read) {
        assert!(started.elapsed() < PATIENCE, "only {} messages arrived", read.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        let headers = message.headers().unwrap();
        let id = headers.iter().find(|header| header.key == "ce_id").unwrap().value.unwrap();
        assert!(id.starts_with(message.key().unwrap()), "the key is the room");
        read.push((message.partition(), String::from_utf8(id.to_vec()).unwrap()));
    }
    read
}

/// First occurrences of each room's versions are 1, 2, 3, ..., all in one partition.
pub(crate) fn assert_in_order(read: &[(i32, String)]) {
    let mut seen: HashMap<&str, (i32, u64)> = HashMap::new();
    for (partition, id) in read {
        let (room, version) = id.split_once(':').unwrap();
        let version: u64 = version.parse().unwrap();
        let (home, last) = seen.entry(room).or_insert((*partition, 0));
        assert_eq!(home, partition, "room {room} has one partition");
        assert!(version <= *last + 1, "room {room}: {version} after {last}");
        *last = (*last).max(version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_gets_every_event_and_each_rooms_first_occurrences_in_order() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let topic = Topic::new().await;
    let options = topic.options.clone();
    let rooms: Vec<RoomId> = (0..20).map(|_| new_room()).collect();
    let (committed, handed) = handoff();
    let stop = CancellationToken::new();
    let (_assigner, assigned) = assignment(Buckets::ALL);
    let relay = relay(Arc::clone(&opened), KafkaPublisher::new(options.clone()));
    let running = tokio::spawn(relay.run(assigned, handed, stop.clone()));
    for version in 1..=25 {
        let events: Vec<_> = rooms.iter().map(|room| event(*room, version)).collect();
        let positions = commit(opened.as_ref(), events.clone()).await;
        committed.send(positions.into_iter().zip(events).collect());
    }
    let to_read = options.clone();
    let read = tokio::task::spawn_blocking(move || {
        read_topic(&to_read, |read| read.iter().map(|(_, id)| id).collect::<HashSet<_>>().len() == 500)
    })
    .await
    .unwrap();
    assert_in_order(&read);
    stop.cancel();
    running.await.unwrap();
    assert_eq!(opened.backlog().await.unwrap().events, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_room_overtakes_a_message_that_is_too_large_while_many_wait() {
    // It is refused while it waits with the others, or at once, while those that follow it still have to wait.
    for before in [50, 0] {
        let store = TestStore::mysql().await;
        let opened = store.open(None).await;
        let topic = Topic::new().await;
        let options = topic.options.clone();
        let (bad, good) = (new_room(), new_room());
        let mut too_large = event(bad, 2);
        too_large.payload = vec![b' '; 2_000_000];
        let of_good = |versions: RangeInclusive<u64>| versions.map(|version| event(good, version)).collect();
        commit(opened.as_ref(), of_good(1..=before)).await;
        let refused = commit(opened.as_ref(), vec![event(bad, 1), too_large]).await[1];
        commit(opened.as_ref(), of_good(before + 1..=50)).await;
        commit(opened.as_ref(), (3..=50).map(|version| event(bad, version)).collect()).await;
        let mut relay = relay(Arc::clone(&opened), KafkaPublisher::new(options.clone()));
        assert_eq!(
            relay.step().await.unwrap(),
            Step::Delivered(51),
            "all of the other room, and what came before"
        );
        assert_eq!(relay.step().await.unwrap(), Step::Idle);
        let held = opened.held_rooms().await.unwrap();
        assert_eq!((held.len(), held[0].room, held[0].position), (1, bad, refused));
        assert_eq!(opened.backlog().await.unwrap().events, 49);
        let read =
            tokio::task::spawn_blocking(move || read_topic(&options, |read| read.len() == 51)).await.unwrap();
        assert_in_order(&read);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_broker_refuses_holds_its_room_and_none_of_those_in_its_batch() {
    const ROOMS: usize = 30;
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let topic = Topic::missing();
    let options = KafkaOptions { partitions: 1, ..topic.options.clone() };
    ensure_topic(&options).await.unwrap();
    // Many a batch of small events is larger than the topic takes.
    let limit = AlterConfig::new(ResourceSpecifier::Topic(&options.topic)).set("max.message.bytes", "4000");
    admin().alter_configs(&[limit], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let rooms: Vec<RoomId> = (0..ROOMS).map(|_| new_room()).collect();
    let bad = rooms[ROOMS / 2];
    for version in 1..=3 {
        let mut events: Vec<_> = rooms.iter().map(|room| event(*room, version)).collect();
        if version == 2 {
            events[ROOMS / 2].payload = vec![b' '; 5_000];
        }
        commit(opened.as_ref(), events).await;
    }
    let mut relay = relay(Arc::clone(&opened), KafkaPublisher::new(options.clone()));
    while relay.step().await.unwrap() != Step::Idle {}
    let held = opened.held_rooms().await.unwrap();
    assert_eq!(held.iter().map(|held| held.room).collect::<Vec<_>>(), [bad]);
    assert!(held[0].reason.contains("MessageSizeTooLarge"), "{held:?}");
    let there = 3 * ROOMS - 2;
    let read = read_topic(&options, |read| read.iter().collect::<HashSet<_>>().len() == there);
    assert_in_order(&read);
    let of_bad: Vec<_> = read.iter().filter(|(_, id)| id.starts_with(&bad.to_string())).collect();
    assert!(!of_bad.is_empty() && of_bad.iter().all(|(_, id)| id.ends_with(":1")), "{of_bad:?}");
}

#[tokio::test]
async fn a_topic_that_is_gone_is_made_again_and_everything_arrives() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let topic = Topic::missing();
    let options = topic.options.clone();
    let room = new_room();
    let (assigner, assigned) = assignment(Buckets::NONE);
    let (stop, given_back) = (CancellationToken::new(), CancellationToken::new());
    let relay = relay(Arc::clone(&opened), KafkaPublisher::new(options.clone()));
    let relaying = tokio::spawn(relay.run(assigned, handoff().1, stop.clone()));
    let lease = LeaseOptions { holder: "one".into(), takeover: Duration::from_secs(1) };
    let (leases, log) =
        (Arc::new(store.database().open()), Readiness::new(Clock::system()).component("kafka"));
    let reached = options.clone();
    let reach = move || {
        let options = reached.clone();
        async move { ensure_topic(&options).await }
    };
    let keeping = tokio::spawn(keep_leases(leases, lease, assigner, log, reach, given_back.clone()));
    for version in 1..=2 {
        commit(opened.as_ref(), vec![event(room, version)]).await;
        let (options, id) = (options.clone(), format!("{room}:{version}"));
        eventually("it arrives", async || opened.backlog().await.unwrap().events == 0).await;
        let read = tokio::task::spawn_blocking(move || read_topic(&options, |read| !read.is_empty()));
        assert_eq!(read.await.unwrap()[0].1, id);
        // As after the broker has come back without its data.
        topic.delete().await;
    }
    stop.cancel();
    relaying.await.unwrap();
    given_back.cancel();
    keeping.await.unwrap();
}

#[tokio::test]
async fn a_room_whose_stored_metadata_is_broken_is_held_and_the_others_go_on() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let (bad, good) = (new_room(), new_room());
    commit(opened.as_ref(), vec![event(bad, 1), event(good, 1)]).await;
    store.break_metadata(bad, 1).await;
    let log = Log::default();
    let mut relay = relay(Arc::clone(&opened), log.clone());
    assert_eq!(relay.step().await.unwrap(), Step::Delivered(1));
    assert_eq!(*log.delivered.borrow(), [(good, 1)]);
    assert_eq!(opened.held_rooms().await.unwrap()[0].room, bad);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_answer_is_given_up_by_a_timer_and_nothing_is_lost() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let room = new_room();
    commit(opened.as_ref(), (1..=3).map(|version| event(room, version)).collect()).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let topic = Topic::missing();
    let options = topic.options.clone();
    let unreachable =
        KafkaOptions { brokers: Brokers::open(silent.local_addr().unwrap().to_string()), ..options.clone() };
    let publisher = KafkaPublisher::with_stall(unreachable, Duration::from_millis(300));
    assert_eq!(relay(Arc::clone(&opened), publisher).step().await.unwrap(), Step::Failed);
    assert_eq!(opened.backlog().await.unwrap().events, 3, "what was not reported as delivered stays");
    ensure_topic(&options).await.unwrap();
    let publisher = KafkaPublisher::new(options.clone());
    assert_eq!(relay(Arc::clone(&opened), publisher).step().await.unwrap(), Step::Delivered(3));
    let read =
        tokio::task::spawn_blocking(move || read_topic(&options, |read| read.len() == 3)).await.unwrap();
    assert_in_order(&read);
}

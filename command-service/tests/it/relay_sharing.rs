//! Several relays share the buckets of one store. A room keeps its order when instances join, leave or die, and when buckets
//! change their holder.

use std::{collections::HashMap, sync::Arc, time::Duration};

use command_service::{
    event_store::{Buckets, EventStore, LeaseTable, Outbox},
    outbox::{
        BucketAssigner, HandoffSender, LeaseOptions, Relay, RelayOptions, Undelivered, assignment, handoff,
        keep_leases,
    },
};
use futures_util::FutureExt;
use rand::{Rng, seq::IndexedRandom};
use service_kit::{clock::Clock, readiness::Readiness};
use shared_events::RoomId;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    hooked_store::{HookedLeases, HookedOutbox},
    relay_rig::{CutOff, Log, commit},
    samples::{event, new_room},
    servers::PATIENCE,
    test_store::TestStore,
};

/// A relay whose buckets the test decides.
struct Driven {
    store: Arc<dyn EventStore>,
    committed: HandoffSender,
    assigner: BucketAssigner,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Driven {
    fn start(store: Arc<dyn EventStore>, log: Log, poll: Duration) -> Self {
        let options = RelayOptions { batch: 3, poll, ..RelayOptions::default() };
        let relay = Relay::new(telling(&store, &log), Arc::clone(&store) as _, log, Clock::system(), options);
        let (committed, handed) = handoff();
        let (assigner, assigned) = assignment(Buckets::NONE);
        let stop = CancellationToken::new();
        let task = tokio::spawn(relay.run(assigned, handed, stop.clone()));
        Self { store, committed, assigner, stop, task }
    }

    async fn commit(&self, room: RoomId, versions: std::ops::RangeInclusive<u64>) {
        let events: Vec<_> = versions.map(|version| event(room, version)).collect();
        let positions = commit(self.store.as_ref(), events.clone()).await;
        self.committed.send(positions.into_iter().zip(events).collect());
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// An outbox that tells the log of each deletion.
fn telling(store: &Arc<dyn EventStore>, log: &Log) -> Arc<dyn Outbox> {
    Arc::new(HookedOutbox { deleted: Arc::clone(&log.deleted), ..HookedOutbox::over(store) })
}

/// Looks again whenever one of the log's relays has deleted something, until all is deleted. False when that takes too long.
async fn deleted(log: &Log, all: impl AsyncFn() -> bool) -> bool {
    let mut deletions = log.deleted.subscribe();
    let until_all = async {
        while !all().await {
            deletions.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, until_all).await.is_ok()
}

/// Waits until nothing is left in the outbox.
async fn emptied(store: &dyn EventStore, log: &Log) {
    let all = deleted(log, async || store.backlog().await.unwrap().events == 0).await;
    assert!(all, "{:?} are left", store.backlog().await.unwrap());
}

/// The first occurrences of each room's versions are all there and in order, whatever is there twice.
fn assert_in_order(log: &Log, rooms: &HashMap<RoomId, u64>) {
    for (room, last) in rooms {
        let mut next = 1;
        for version in log.of(*room) {
            assert!(version <= next, "room {room}: {version} before {next}");
            next = next.max(version + 1);
        }
        assert_eq!(next, last + 1, "room {room}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buckets_that_change_hands_under_load_keep_the_order_of_their_rooms() {
    let store = TestStore::mysql().await;
    // Nothing comes after a failure: the sender of the log leaves no gaps.
    let log = Log::that_breaks();
    let mut relays = Vec::new();
    for _ in 0..3 {
        relays.push(Driven::start(store.open(None).await, log.clone(), Duration::from_millis(10)));
    }
    let mut rng = rand::rng();
    let mut rooms: HashMap<RoomId, u64> = (0..30).map(|_| (new_room(), 0)).collect();
    let names: Vec<RoomId> = rooms.keys().copied().collect();
    for round in 0..120 {
        // Each bucket has one holder; now and then none, or two: one of them has not learned yet that it lost it.
        let mut held = [Vec::new(), Vec::new(), Vec::new()];
        for bucket in Buckets::ALL.iter() {
            match rng.random_range(0..10) {
                0 => {}
                1 => held.iter_mut().for_each(|held| held.push(bucket)),
                other => held[other % 3].push(bucket),
            }
        }
        for (relay, held) in relays.iter().zip(held) {
            relay.assigner.assign(held.into_iter().collect());
        }
        for _ in 0..rng.random_range(1..12) {
            let (room, relay) = (names.choose(&mut rng).unwrap(), relays.choose(&mut rng).unwrap());
            let last = rooms.get_mut(room).unwrap();
            let more = rng.random_range(1..4);
            if round % 10 == 3 {
                log.outcomes.lock().unwrap().insert((*room, *last + 1), Undelivered::Failed("chance".into()));
            }
            relay.commit(*room, *last + 1..=*last + more).await;
            *last += more;
        }
    }
    for relay in &relays {
        relay.assigner.assign(Buckets::NONE);
    }
    relays[0].assigner.assign(Buckets::ALL);
    emptied(relays[0].store.as_ref(), &log).await;
    assert_in_order(&log, &rooms);
    for relay in relays {
        relay.stop().await;
    }
}

#[tokio::test]
async fn a_bucket_is_let_go_of_when_all_that_was_sent_is_delivered_and_deleted() {
    let store = TestStore::mysql().await;
    let log = Log::that_reports_later();
    let mut relay = Driven::start(store.open(None).await, log.clone(), PATIENCE);
    relay.assigner.assign(Buckets::ALL);
    let room = new_room();
    relay.commit(room, 1..=5).await;
    log.has(5).await;
    relay.assigner.assign(Buckets::NONE);
    // The relay runs in this thread: it knows of that before the test goes on.
    tokio::task::yield_now().await;
    let early = relay.assigner.let_go(Buckets::ALL).now_or_never();
    assert!(early.is_none(), "it lets go of what it has not delivered yet");
    log.reported.send_replace(true);
    relay.assigner.let_go(Buckets::ALL).await;
    assert_eq!(relay.store.backlog().await.unwrap().events, 0, "the next holder would send it again");
    // What it commits from now on is another one's to deliver.
    relay.commit(room, 6..=7).await;
    relay.stop().await;
    assert_eq!(log.of(room), [1, 2, 3, 4, 5]);
    assert_eq!(store.open(None).await.backlog().await.unwrap().events, 2);
}

#[tokio::test]
async fn a_log_that_does_not_answer_delays_the_next_holder_for_a_moment_only() {
    let store = TestStore::mysql().await;
    let log = Log::that_reports_later();
    let mut relay = Driven::start(store.open(None).await, log.clone(), PATIENCE);
    relay.assigner.assign(Buckets::ALL);
    relay.commit(new_room(), 1..=5).await;
    log.has(5).await;
    // Nothing waits for the store, so time passes as soon as nothing else happens.
    tokio::time::pause();
    relay.assigner.assign(Buckets::NONE);
    timeout(Duration::from_secs(2), relay.assigner.let_go(Buckets::ALL)).await.unwrap();
    tokio::time::resume();
    assert_eq!(*log.resets.lock().unwrap(), 1, "what is under way is given up with its sender");
    assert_eq!(relay.store.backlog().await.unwrap().events, 5, "what was not reported as delivered stays");
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_leaves_the_buckets_of_others_alone() {
    let store = TestStore::mysql().await;
    let log = Log::default();
    let relay = Driven::start(store.open(None).await, log.clone(), Duration::from_millis(10));
    let mine: Buckets = (0..32).collect();
    relay.assigner.assign(mine);
    let rooms: HashMap<RoomId, u64> = (0..40).map(|_| (new_room(), 2)).collect();
    for room in rooms.keys() {
        relay.commit(*room, 1..=1).await;
        commit(relay.store.as_ref(), vec![event(*room, 2)]).await;
    }
    let own = rooms.keys().filter(|room| mine.has_room(**room)).count();
    log.has(2 * own).await;
    let store_of_others = store.open(None).await;
    assert!(deleted(&log, async || store_of_others.undelivered(mine, 1).await.unwrap().is_empty()).await);
    let others = 2 * (rooms.len() - own);
    assert_eq!(store_of_others.undelivered(Buckets::ALL, 1000).await.unwrap().len(), others);
    assert!(log.delivered.borrow().iter().all(|(room, _)| mine.has_room(*room)));
    relay.assigner.assign(Buckets::ALL);
    emptied(store_of_others.as_ref(), &log).await;
    assert_in_order(&log, &rooms);
    relay.stop().await;
}

/// The store and the log of several instances.
struct Cluster {
    store: TestStore,
    leases: Arc<HookedLeases>,
    log: Log,
    takeover: Duration,
}

impl Cluster {
    async fn new(log: Log, takeover: Duration) -> Self {
        let store = TestStore::mysql().await;
        let leases = HookedLeases::over(store.database().open());
        Self { store, leases, log, takeover }
    }

    async fn start(&self, name: &str) -> Instance {
        self.start_with(name, &self.log).await
    }

    /// Starts an instance that reaches the log over a connection of its own.
    async fn start_with(&self, name: &str, log: &Log) -> Instance {
        let options = LeaseOptions { holder: name.into(), takeover: self.takeover };
        let store = self.store.open(None).await;
        let (assigner, assigned) = assignment(Buckets::NONE);
        let (relayed, written) = (CancellationToken::new(), CancellationToken::new());
        let readiness = Readiness::new(Clock::system());
        let (reach, to_reach) = (readiness.component("kafka"), log.clone());
        let (leases, ended) = (Arc::clone(&self.leases), relayed.clone());
        let keeper = tokio::spawn(async move {
            keep_leases(leases, options, assigner, reach, || to_reach.reach(), ended).await;
        });
        let (committed, handed) = handoff();
        let (outbox, options) = (telling(&store, log), RelayOptions::default());
        let relay = Relay::new(outbox, Arc::clone(&store) as _, log.clone(), Clock::system(), options);
        let relay = tokio::spawn(relay.run(assigned, handed, written.clone()));
        Instance { store, committed, readiness, relayed, written, keeper, relay }
    }

    /// Waits until these instances, and no others, hold this many buckets each. Gives the heartbeats of the last one
    /// meanwhile: unlike time, they stand still while the machine is busy with other work.
    async fn shared_as(&self, shares: &[(&str, usize)]) -> u64 {
        let (mut first_beat, mut last_look) = (None, None);
        let look = |table: LeaseTable| {
            let held = |name: &str| {
                table.buckets.iter().filter(|lease| lease.holder.as_deref() == Some(name)).count()
            };
            let beat =
                shares.last().and_then(|(name, _)| table.members.get(*name)).copied().unwrap_or_default();
            let first_beat = *first_beat.get_or_insert(beat);
            let shared = table.members.len() == shares.len()
                && shares.iter().all(|(name, share)| held(name) == *share);
            last_look = Some(table);
            shared.then_some(beat - first_beat)
        };
        let waited = timeout(PATIENCE, self.leases.until(look)).await;
        waited.unwrap_or_else(|_| panic!("not {shares:?}: {last_look:?}"))
    }

    /// The instances that counted as dead.
    fn dead(&self) -> Vec<String> {
        self.leases.dead.lock().unwrap().clone()
    }
}

/// An instance as the service runs it.
struct Instance {
    store: Arc<dyn EventStore>,
    committed: HandoffSender,
    readiness: Readiness,
    relayed: CancellationToken,
    written: CancellationToken,
    keeper: JoinHandle<()>,
    relay: JoinHandle<()>,
}

impl Instance {
    async fn commit(&self, room: RoomId, version: u64) {
        let positions = commit(self.store.as_ref(), vec![event(room, version)]).await;
        self.committed.send(vec![(positions[0], event(room, version))]);
    }

    /// As the service ends when it is asked to.
    async fn stop(self) {
        self.written.cancel();
        self.relay.await.unwrap();
        self.relayed.cancel();
        self.keeper.await.unwrap();
    }

    /// As by kill -9: nothing is given back.
    fn kill(self) {
        self.keeper.abort();
        self.relay.abort();
    }
}

/// Heartbeats of an instance that has its share, within the takeover time.
const BEATS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_instances_share_the_buckets_and_take_over_what_another_leaves_behind() {
    let cluster = Cluster::new(Log::default(), Duration::from_secs(8)).await;
    let a = cluster.start("a").await;
    cluster.shared_as(&[("a", 64)]).await;
    let b = cluster.start("b").await;
    let c = cluster.start("c").await;
    cluster.shared_as(&[("a", 22), ("b", 21), ("c", 21)]).await;
    b.stop().await;
    cluster.shared_as(&[("a", 32), ("c", 32)]).await;
    assert_eq!(cluster.dead(), [""; 0], "an orderly end was waited for as long as a death");
    for instance in [a, c] {
        instance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_killed_is_replaced_and_nothing_is_lost() {
    let log = Log::default();
    let cluster = Cluster::new(log.clone(), Duration::from_secs(2)).await;
    let mut rooms: HashMap<RoomId, u64> = (0..60).map(|_| (new_room(), 0)).collect();
    let a = cluster.start("a").await;
    let b = cluster.start("b").await;
    cluster.shared_as(&[("a", 32), ("b", 32)]).await;
    for (room, last) in &mut rooms {
        *last += 1;
        a.commit(*room, *last).await;
    }
    a.kill();
    for (room, last) in &mut rooms {
        *last += 1;
        b.commit(*room, *last).await;
    }
    let beats = cluster.shared_as(&[("b", 64)]).await;
    assert!(beats <= 2 * BEATS, "the other took {beats} heartbeats");
    assert_eq!(cluster.dead(), ["a"]);
    // Its row is gone too, and a new one of that name starts afresh.
    let again = cluster.start("a").await;
    cluster.shared_as(&[("a", 32), ("b", 32)]).await;
    emptied(b.store.as_ref(), &log).await;
    assert_in_order(&log, &rooms);
    for instance in [again, b] {
        instance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_loses_the_log_alone_leaves_its_buckets_to_the_others_until_it_reaches_it_again() {
    let log = Log::that_breaks();
    let cut = log.over_another_connection();
    let cluster = Cluster::new(log.clone(), Duration::from_secs(2)).await;
    let mut rooms: HashMap<RoomId, u64> = (0..60).map(|_| (new_room(), 0)).collect();
    let a = cluster.start_with("a", &cut).await;
    let b = cluster.start("b").await;
    for how in [CutOff::IsSilent, CutOff::Fails] {
        cluster.shared_as(&[("a", 32), ("b", 32)]).await;
        assert!(a.readiness.is_ready());
        *cut.cut_off.lock().unwrap() = Some(how);
        for (room, last) in &mut rooms {
            a.commit(*room, *last + 1).await;
            b.commit(*room, *last + 2).await;
            *last += 2;
        }
        let beats = cluster.shared_as(&[("b", 64)]).await;
        assert!(beats <= 4 * BEATS, "the other took {beats} heartbeats");
        emptied(b.store.as_ref(), &log).await;
        assert!(!a.readiness.is_ready());
        assert!(b.readiness.is_ready());
        *cut.cut_off.lock().unwrap() = None;
    }
    let beats = cluster.shared_as(&[("a", 32), ("b", 32)]).await;
    assert!(beats <= 4 * BEATS, "it took {beats} heartbeats to join again");
    assert_in_order(&log, &rooms);
    for instance in [a, b] {
        instance.stop().await;
    }
}

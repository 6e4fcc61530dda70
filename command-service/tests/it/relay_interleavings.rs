//! Interleavings that would break the order of a room, or keep the relay from ending. It reads ahead and sends from memory.

use std::{sync::Arc, time::Duration};

use command_service::{
    event_store::{Buckets, EventLog, EventStore, Outbox},
    outbox::{BucketAssigner, HandoffSender, Relay, RelayOptions, Step, Undelivered, assignment, handoff},
};
use service_kit::clock::Clock;
use shared_events::RoomId;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    hooked_store::{HookedLog, HookedOutbox},
    relay_rig::{Log, commit},
    samples::{event, new_room},
    test_store::TestStore,
};

/// Less than a process has for its end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A relay that reads the table when it has to, and once an hour.
struct Running {
    committed: HandoffSender,
    assigner: BucketAssigner,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(store: Arc<dyn EventStore>, log: Log) -> Self {
        Self::start_with_pages(Arc::clone(&store) as _, store, log, RelayOptions::default().batch)
    }

    fn start_with_pages(outbox: Arc<dyn Outbox>, events: Arc<dyn EventLog>, log: Log, batch: u32) -> Self {
        let options = RelayOptions { poll: Duration::from_secs(3600), batch, ..RelayOptions::default() };
        let relay = Relay::new(outbox, events, log, Clock::system(), options);
        let (committed, handed) = handoff();
        let (assigner, assigned) = assignment(Buckets::ALL);
        let stop = CancellationToken::new();
        let task = tokio::spawn(relay.run(assigned, handed, stop.clone()));
        Self { committed, assigner, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.expect("it ends").unwrap();
    }
}

/// Commits an event in this process, as the writer does.
async fn commit_here(store: &dyn EventStore, running: &Running, room: RoomId, version: u64) {
    let positions = commit(store, vec![event(room, version)]).await;
    running.committed.send(vec![(positions[0], event(room, version))]);
}

#[tokio::test]
async fn what_was_committed_here_is_delivered_without_being_read_back() {
    let store = TestStore::mysql().await;
    let log = Log::default();
    let running = Running::start(store.open(None).await, log.clone());
    let room = new_room();
    // It is not in the table at all.
    running.committed.send(vec![(1.into(), event(room, 1)), (2.into(), event(room, 2))]);
    log.has(2).await;
    assert_eq!(log.of(room), [1, 2]);
    running.stop().await;
}

#[tokio::test]
async fn a_version_from_memory_waits_for_the_one_before_it_that_another_instance_committed() {
    let store = TestStore::mysql().await;
    let (here, there) = (store.open(None).await, store.open(None).await);
    let log = Log::default();
    let running = Running::start(Arc::clone(&here), log.clone());
    let room = new_room();
    commit_here(here.as_ref(), &running, room, 1).await;
    log.has(1).await;
    commit(there.as_ref(), vec![event(room, 2)]).await;
    commit_here(here.as_ref(), &running, room, 3).await;
    log.has(3).await;
    commit_here(here.as_ref(), &running, room, 4).await;
    log.has(4).await;
    assert_eq!(log.of(room), [1, 2, 3, 4]);
    running.stop().await;
    assert_eq!(here.backlog().await.unwrap().events, 0);
}

#[tokio::test]
async fn nothing_goes_from_memory_after_a_failure_before_the_table_was_read() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let log = Log::that_breaks();
    let room = new_room();
    log.outcomes.lock().unwrap().insert((room, 2), Undelivered::Failed("on purpose".into()));
    let running = Running::start(Arc::clone(&opened), log.clone());
    for version in 1..=20 {
        commit_here(opened.as_ref(), &running, room, version).await;
    }
    log.has(20).await;
    assert_eq!(log.of(room), (1..=20).collect::<Vec<u64>>());
    assert_eq!(*log.resets.lock().unwrap(), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_instance_without_buckets_sends_nothing_and_delivers_all_when_it_gets_them() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let log = Log::default();
    let mut running = Running::start(Arc::clone(&opened), log.clone());
    let room = new_room();
    commit_here(opened.as_ref(), &running, room, 1).await;
    log.has(1).await;
    running.assigner.assign(Buckets::NONE);
    running.assigner.let_go(Buckets::ALL).await;
    for version in 2..=100 {
        commit_here(opened.as_ref(), &running, room, version).await;
    }
    assert_eq!(log.of(room), [1]);
    running.assigner.assign(Buckets::ALL);
    log.has(100).await;
    assert_eq!(log.of(room), (1..=100).collect::<Vec<u64>>());
    running.stop().await;
}

#[tokio::test]
async fn a_transaction_that_commits_between_two_pages_of_a_sweep_is_not_overtaken() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let (late, other) = (new_room(), new_room());
    commit(opened.as_ref(), vec![event(late, 1)]).await;
    let open_transaction = store.insert_without_commit(&event(late, 2)).await;
    commit(opened.as_ref(), vec![event(other, 1), event(other, 2)]).await;
    let writer = Arc::clone(&opened);
    let between = Box::pin(async move {
        open_transaction.commit().await;
        commit(writer.as_ref(), vec![event(late, 3)]).await;
    });
    let hooked = HookedLog::over(&opened, between);
    let log = Log::default();
    let options = RelayOptions { batch: 1, ..RelayOptions::default() };
    let mut relay = Relay::new(Arc::clone(&opened) as _, hooked, log.clone(), Clock::system(), options);
    while relay.step().await.unwrap() != Step::Idle {}
    assert_eq!(log.of(late), [1, 2, 3]);
    assert_eq!(log.of(other), [1, 2]);
    assert_eq!(opened.backlog().await.unwrap().events, 0);
}

#[tokio::test]
async fn what_was_read_ahead_is_dropped_when_a_delivery_fails() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let room = new_room();
        commit(opened.as_ref(), (1..=40).map(|version| event(room, version)).collect()).await;
        let log = Log::that_breaks();
        for version in [4, 23, 24] {
            let failed = Undelivered::Failed("on purpose".into());
            log.outcomes.lock().unwrap().insert((room, version), failed);
        }
        let options = RelayOptions { batch: 2, ..RelayOptions::default() };
        let mut relay = Relay::new(
            Arc::clone(&opened) as _,
            Arc::clone(&opened) as _,
            log.clone(),
            Clock::system(),
            options,
        );
        for _ in 0..3 {
            assert_eq!(relay.step().await.unwrap(), Step::Failed);
        }
        assert!(matches!(relay.step().await.unwrap(), Step::Delivered(_)));
        assert_eq!(log.of(room), (1..=40).collect::<Vec<u64>>());
        assert_eq!(opened.backlog().await.unwrap().events, 0);
    }
}

#[tokio::test]
async fn what_was_read_ahead_is_dropped_when_the_store_fails_to_hold_a_room() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let (bad, room) = (new_room(), new_room());
    // The first page holds the broken event and version 1, the second one the versions after it.
    commit(opened.as_ref(), vec![event(bad, 1), event(room, 1), event(room, 2), event(room, 3)]).await;
    store.break_metadata(bad, 1).await;
    let hooked = HookedOutbox { fails_to_hold: true.into(), ..HookedOutbox::over(&opened) };
    let log = Log::default();
    let running = Running::start_with_pages(Arc::new(hooked), Arc::clone(&opened) as _, log.clone(), 2);
    timeout(PATIENCE, log.has(3)).await.expect("nothing of the first page is left out");
    assert_eq!(log.of(room), [1, 2, 3]);
    assert_eq!(opened.held_rooms().await.unwrap()[0].room, bad);
    running.stop().await;
}

#[tokio::test]
async fn everything_that_was_reported_is_settled_when_the_store_fails_to_hold_a_room() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let rooms = [new_room(), new_room(), new_room()];
        commit(opened.as_ref(), rooms.iter().map(|room| event(*room, 1)).collect()).await;
        let log = Log::default();
        let undelivered = [Undelivered::Refused, Undelivered::Refused, Undelivered::Failed];
        for (room, outcome) in rooms.iter().zip(undelivered) {
            log.outcomes.lock().unwrap().insert((*room, 1), outcome("on purpose".into()));
        }
        let hooked = HookedOutbox { fails_to_hold: true.into(), ..HookedOutbox::over(&opened) };
        let options = RelayOptions::default();
        let mut relay =
            Relay::new(Arc::new(hooked), Arc::clone(&opened) as _, log.clone(), Clock::system(), options);
        relay.step().await.unwrap_err();
        let again = timeout(PATIENCE, relay.step()).await.expect("nothing is waited for that was reported");
        assert_eq!(again.unwrap(), Step::Delivered(3));
    }
}

#[tokio::test]
async fn a_relay_ends_while_others_go_on_committing() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let hooked = HookedOutbox::over(&opened);
    *hooked.always_new.lock().unwrap() = Some(event(new_room(), 0));
    let log = Log::default();
    let running =
        Running::start_with_pages(Arc::new(hooked), opened, log.clone(), RelayOptions::default().batch);
    log.has(1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_relay_ends_when_its_log_reports_nothing() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let log = Log::that_reports_later();
    let running = Running::start(Arc::clone(&opened), log.clone());
    commit_here(opened.as_ref(), &running, new_room(), 1).await;
    log.has(1).await;
    running.stop().await;
    assert_eq!(opened.backlog().await.unwrap().events, 1, "what was not reported as delivered stays");
}

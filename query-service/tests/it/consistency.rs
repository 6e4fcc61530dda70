//! Read your writes: queries wait for their versions, and no longer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use query_service::{
    progress::{MOST_WAITS, MOST_WAITS_OF_CALLER, NotVisible, Progress, ROOMS_AT_ONCE},
    projector::{Dependencies, Pipeline},
};
use shared_events::{RoomId, Version};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    events::Stream,
    feed_double::FeedDouble,
    pipelines::{dependencies, messages},
    store_double::StoreDouble,
};

const LONG: Duration = Duration::from_secs(20);

/// Projects all events of a stream, and publishes them to `progress`.
async fn project(store: &Arc<StoreDouble>, progress: &Arc<Progress>, stream: &Stream) {
    let progress = Arc::clone(progress);
    let parts = Dependencies { progress, ..dependencies(store.clone(), &FeedDouble::of(&[stream])) };
    Pipeline::new(parts).step(&messages(&stream.events)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiting_query_is_woken_by_the_projector_and_polls_nothing() {
    let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
    progress.set_owned(Box::new(|_| true));
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 1, 2);
    let wanted = [(stream.room, 2.into())];
    let waiting = progress.wait(store.as_ref(), "ann", &wanted, LONG);
    let projecting = async {
        // Long enough for many polls, if there were any.
        tokio::time::sleep(LONG / 2).await;
        project(&store, &progress, &stream).await;
    };
    let (waited, ()) = tokio::join!(waiting, projecting);
    waited.unwrap();
    let reads = store.checkpoint_reads.load(Ordering::SeqCst);
    assert_eq!(reads, 2, "one by the query before it waits, one by the projector");
    // The version is known now.
    progress.wait(store.as_ref(), "ann", &wanted, Duration::ZERO).await.unwrap();
    assert_eq!(store.checkpoint_reads.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn what_another_instance_projects_is_looked_for_in_the_store() {
    let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
    let stream = Stream::new("Blue");
    let elsewhere = Arc::new(Progress::default());
    let wanted = [(stream.room, 1.into())];
    let waiting = progress.wait(store.as_ref(), "ann", &wanted, LONG);
    let projecting = async {
        // The query has read the store once, and waits.
        while store.checkpoint_reads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        project(&store, &elsewhere, &stream).await;
    };
    let (waited, ()) = tokio::join!(waiting, projecting);
    waited.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_query_does_not_wait_longer_than_it_wants() {
    let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
    let stream = Stream::new("Blue");
    for owned in [true, false] {
        progress.set_owned(Box::new(move |_| owned));
        let started = Instant::now();
        let within = Duration::from_millis(100);
        let waited = progress.wait(store.as_ref(), "ann", &[(stream.room, 1.into())], within).await;
        assert!(matches!(waited, Err(NotVisible::NotYet { version: Version::FIRST, .. })), "{waited:?}");
        assert!(started.elapsed() <= within, "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_query_follows_its_room_to_another_owner_and_back() {
    let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
    progress.set_owned(Box::new(|_| true));
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 1, 2);
    let wanted = [(stream.room, 2.into())];
    let waiting = progress.wait(store.as_ref(), "ann", &wanted, LONG);
    let moving = async {
        tokio::task::yield_now().await;
        progress.set_owned(Box::new(|_| false));
        let elsewhere = Arc::new(Progress::default());
        project(&store, &elsewhere, &stream).await;
        // This instance does not know what the other one wrote.
        progress.set_owned(Box::new(|_| true));
    };
    let (waited, ()) = tokio::join!(waiting, moving);
    waited.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_query_too_many_is_not_let_wait_and_has_a_place_when_another_one_ends() {
    for owned in [true, false] {
        let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
        progress.set_owned(Box::new(move |_| owned));
        let wanted: Vec<_> = rooms(MOST_WAITS + 1).into_iter().map(|room| [room]).collect();
        let callers: Vec<_> = (0..=MOST_WAITS).map(|at| (at / MOST_WAITS_OF_CALLER).to_string()).collect();
        let wait = |at: usize| Box::pin(progress.wait(store.as_ref(), &callers[at], &wanted[at], LONG));
        let mut waiting: Vec<_> = (0..MOST_WAITS).map(wait).collect();
        for query in &mut waiting {
            assert!(query.now_or_never().is_none(), "it does not wait");
        }
        assert!(matches!(wait(MOST_WAITS).await, Err(NotVisible::Overloaded)), "owned: {owned}");
        waiting.pop();
        assert!(wait(MOST_WAITS).now_or_never().is_none(), "there is a place");
    }
}

#[tokio::test(start_paused = true)]
async fn one_caller_cannot_take_all_places() {
    let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
    let wanted = rooms(64);
    let wait = |caller| Box::pin(progress.wait(store.as_ref(), caller, &wanted, LONG));
    let mut waiting: Vec<_> = (0..MOST_WAITS_OF_CALLER / 64).map(|_| wait("ann")).collect();
    for query in &mut waiting {
        assert!(query.now_or_never().is_none(), "it does not wait");
    }
    assert!(matches!(wait("ann").await, Err(NotVisible::TooManyOfCaller)));
    assert!(wait("bob").now_or_never().is_none(), "another caller waits");
    waiting.pop();
    assert!(wait("ann").now_or_never().is_none(), "there is a place");
}

#[tokio::test(start_paused = true)]
async fn many_queries_for_rooms_of_other_instances_share_one_poller_that_reads_many_rooms_at_once() {
    let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
    let stream = Stream::new("Blue");
    let wanted: Vec<_> = rooms(960).chunks(64).map(<[_]>::to_vec).collect();
    let second = Duration::from_secs(1);
    let invented = wanted.iter().map(|rooms| progress.wait(store.as_ref(), "ann", rooms, second));
    let of_bob = [(stream.room, Version::FIRST)];
    let good = async {
        let waiting = progress.wait(store.as_ref(), "bob", &of_bob, second);
        let projecting = async {
            tokio::time::sleep(second / 2).await;
            project(&store, &Arc::new(Progress::default()), &stream).await;
        };
        tokio::join!(waiting, projecting).0
    };
    let (invented, good) = tokio::join!(futures_util::future::join_all(invented), good);
    assert!(invented.iter().all(|waited| matches!(waited, Err(NotVisible::NotYet { .. }))));
    good.unwrap();
    let reads = store.checkpoint_reads.load(Ordering::SeqCst);
    let a_pass = 961_usize.div_ceil(ROOMS_AT_ONCE);
    // One read for each query, and at most 51 passes a second.
    assert!(reads <= wanted.len() + 2 + 51 * a_pass, "{reads} reads");
}

/// Rooms that do not exist.
fn rooms(count: usize) -> Vec<(RoomId, Version)> {
    (0..).map(|room| (RoomId(Uuid::from_u128(room)), Version::FIRST)).take(count).collect()
}

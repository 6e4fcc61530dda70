//! Read your writes: queries wait for their versions, and no longer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use query_service::{
    progress::{MOST_WAITERS, NotVisible, Progress},
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
    let waiting = progress.wait(store.as_ref(), &wanted, LONG);
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
    progress.wait(store.as_ref(), &wanted, Duration::ZERO).await.unwrap();
    assert_eq!(store.checkpoint_reads.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn what_another_instance_projects_is_looked_for_in_the_store() {
    let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
    let stream = Stream::new("Blue");
    let elsewhere = Arc::new(Progress::default());
    let wanted = [(stream.room, 1.into())];
    let waiting = progress.wait(store.as_ref(), &wanted, LONG);
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
        let waited = progress.wait(store.as_ref(), &[(stream.room, 1.into())], within).await;
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
    let waiting = progress.wait(store.as_ref(), &wanted, LONG);
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
    let (store, progress) = (Arc::new(StoreDouble::default()), Arc::new(Progress::default()));
    progress.set_owned(Box::new(|_| true));
    // Each waits for another room: the end of one wait takes time for each wait of the same room.
    let wanted: Vec<_> =
        (0..).map(|room| [(RoomId(Uuid::from_u128(room)), Version::FIRST)]).take(MOST_WAITERS + 1).collect();
    let wait = |at: usize| Box::pin(progress.wait(store.as_ref(), &wanted[at], LONG));
    let mut waiting: Vec<_> = (0..MOST_WAITERS).map(wait).collect();
    for query in &mut waiting {
        assert!(query.now_or_never().is_none(), "it does not wait");
    }
    assert!(matches!(wait(MOST_WAITERS).await, Err(NotVisible::Overloaded)));
    waiting.pop();
    assert!(wait(MOST_WAITERS).now_or_never().is_none(), "there is a place");
}

//! The projector's guarantees while messages come twice, late, not at all or unreadable, and while stores, feed and
//! owners fail.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use query_service::{
    feed::{Credentials, HttpFeed},
    projector::{Dependencies, Inbox, Limits, Message, Pipeline, Projector},
    read_models::ReservationDoc,
    stores::{Checkpoints, Parking, Queries, memory::MemoryReadModels},
};
use service_kit::{clock::Clock, config::Secret, readiness::Readiness};
use shared_events::{Interval, RawEvent, RoomId, UserId, feed::Head};

use crate::{
    conformance::settle,
    events::{Stream, hour, reserved_minutes, usage_of},
    feed_double::{FeedDouble, FeedServer, TOKEN},
    mongo_database::TestDatabase,
    pipelines::{dependencies, messages, new_pipeline, until},
    store_double::{Store, StoreDouble},
};

async fn version(store: &dyn Checkpoints, room: RoomId) -> u64 {
    store.checkpoints(&[room]).await.unwrap()[&room].version.get()
}

async fn is_parked(store: &dyn Checkpoints, room: RoomId) -> bool {
    store.checkpoints(&[room]).await.unwrap()[&room].parked.is_some()
}

/// All that queries can see, as text.
pub(crate) async fn everything(store: &dyn Store, rooms: &[RoomId], users: &[&str]) -> String {
    settle(store).await;
    let mut seen = String::new();
    let mut write = |what: &str, value: String| seen.push_str(&format!("{what}: {value}\n"));
    let day = Interval { from: hour(0), to: hour(23) };
    for room in rooms {
        write("checkpoint", format!("{:?}", store.checkpoints(&[*room]).await.unwrap()[room]));
        write("room", format!("{:?}", store.room(*room).await.unwrap()));
        write("live", format!("{:?}", store.live_in_room(*room, day, None, 1000).await.unwrap()));
    }
    for user in users {
        let user = UserId::new(*user).unwrap();
        write("history", format!("{:?}", store.history_of_user(&user, None, 1000).await.unwrap()));
    }
    let mut usage = usage_of(store, rooms).await;
    usage.sort_by_key(|usage| usage.key.room);
    let usage = usage.iter().map(|usage| format!("{} {:?} {:?}", usage.key.room, usage.minutes, usage.stays));
    write("usage", usage.collect::<Vec<_>>().join(", "));
    seen
}

/// Three rooms with all kinds of events, moves among them.
pub(crate) fn busy_streams() -> Vec<Stream> {
    let mut streams: Vec<Stream> = ["Blue", "Green", "Red"].map(Stream::new).into();
    for round in 0..4 {
        let [a, b, c] = &mut streams[..] else { unreachable!() };
        let one = a.reserve("ann", round * 4, round * 4 + 1);
        let two = b.reserve("bob", round * 4, round * 4 + 2);
        let one = a.reschedule(&one, round * 4 + 1, round * 4 + 3);
        let one = a.move_to(c, &one);
        c.cancel(&one);
        if round % 2 == 0 {
            b.move_to(a, &two);
        }
        c.change(&format!("Red {round}"));
    }
    streams
}

/// The events of several streams, mixed as in a partition: each room in its order.
fn mixed<'a>(streams: &[&'a Stream]) -> Vec<&'a RawEvent> {
    let longest = streams.iter().map(|stream| stream.events.len()).max().unwrap();
    (0..longest).flat_map(|at| streams.iter().filter_map(move |stream| stream.events.get(at))).collect()
}

#[tokio::test]
async fn every_event_twice_and_replays_of_old_batches_leave_what_one_clean_pass_leaves() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let streams = busy_streams();
    let rooms: Vec<RoomId> = streams.iter().map(|stream| stream.room).collect();
    let all: Vec<_> = streams.iter().collect();
    let feed = FeedDouble::of(&all);
    let clean: Arc<dyn Store> = Arc::new(MemoryReadModels::new());
    for stream in &streams {
        new_pipeline(clean.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
    }
    let messy: Arc<dyn Store> = Arc::clone(&models) as _;
    let mut pipeline = new_pipeline(messy.clone(), &feed);
    let events = mixed(&all);
    for (at, chunk) in events.chunks(5).enumerate() {
        pipeline.step(&messages(chunk.iter().chain(chunk).copied())).await.unwrap();
        // As after a crash before the offsets were stored.
        if at % 2 == 0 {
            pipeline = new_pipeline(messy.clone(), &feed);
        }
        pipeline.step(&messages(events[..at * 5].iter().copied())).await.unwrap();
    }
    let expected = everything(clean.as_ref(), &rooms, &["ann", "bob"]).await;
    assert_eq!(everything(messy.as_ref(), &rooms, &["ann", "bob"]).await, expected);
    assert_eq!(feed.reads.load(Ordering::SeqCst), 0, "nothing was missing");
}

#[tokio::test]
async fn a_gap_is_filled_from_the_feed_over_http() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let mut stream = Stream::new("Blue");
    (0..9).for_each(|hour| _ = stream.reserve("ann", hour, hour + 1));
    let feed = FeedDouble::of(&[&stream]);
    let server = FeedServer::start(Arc::clone(&feed)).await;
    let token = Credentials::Token(Secret::from(TOKEN));
    let over_http = HttpFeed::new(&server.url, token, Duration::from_secs(5), None).unwrap();
    let over_http = Dependencies { feed: Arc::new(over_http), ..dependencies(models.clone(), &feed) };
    let mut pipeline = Pipeline::new(over_http);
    // 1, 2 arrive, 3 to 8 are lost, 9 arrives; 10 is not in the topic yet.
    pipeline.step(&messages(&stream.events[..2])).await.unwrap();
    pipeline.step(&messages(&stream.events[8..9])).await.unwrap();
    assert!(version(models.as_ref(), stream.room).await >= 9);
    let day = Interval { from: hour(0), to: hour(23) };
    let live = models.live_in_room(stream.room, day, None, 100).await.unwrap();
    assert!(live.len() >= 8, "{live:?}");
    assert_eq!(pipeline.rooms_behind(), 0);
}

#[tokio::test]
async fn a_feed_out_of_reach_leaves_one_room_behind_and_it_catches_up_by_itself() {
    let store = Arc::new(StoreDouble::default());
    let (mut gappy, mut other) = (Stream::new("Blue"), Stream::new("Green"));
    gappy.reserve("ann", 1, 2);
    gappy.reserve("ann", 3, 4);
    other.reserve("bob", 1, 2);
    let feed = FeedDouble::of(&[&gappy, &other]);
    feed.out_of_reach.store(true, Ordering::SeqCst);
    let running = Running::start(&store, &feed);
    let sent = [&gappy.events[0], &gappy.events[2], &other.events[0], &other.events[1]];
    messages(sent).into_iter().for_each(|message| _ = running.inbox.push(message));
    running.visible(other.room, 2).await;
    running.processed(4).await;
    assert_eq!(version(store.as_ref(), gappy.room).await, 1);
    feed.out_of_reach.store(false, Ordering::SeqCst);
    running.visible(gappy.room, 3).await;
    running.stop().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_parks_its_room_alone() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let (mut bad, mut good) = (Stream::new("Blue"), Stream::new("Green"));
    bad.reserve("ann", 1, 2);
    bad.reserve("ann", 3, 4);
    good.reserve("bob", 1, 2);
    bad.events[1].payload = b"{\"reservation\":17}".to_vec();
    let feed = FeedDouble::of(&[&bad, &good]);
    let dependencies = dependencies(models.clone(), &feed);
    let mut pipeline = Pipeline::new(dependencies.clone());
    pipeline.step(&messages(mixed(&[&bad, &good]))).await.unwrap();
    let models = models.as_ref();
    assert_eq!((version(models, bad.room).await, version(models, good.room).await), (1, 2));
    assert!(is_parked(models, bad.room).await && !is_parked(models, good.room).await);
    let message = models.parked_message(bad.room).await.unwrap().unwrap();
    assert_eq!((message.version, message.payload), (2.into(), bad.events[1].payload.clone()));
    // Later events of the room wait, those of others don't.
    good.reserve("bob", 5, 6);
    pipeline.step(&messages([&bad.events[2], &good.events[2]])).await.unwrap();
    assert_eq!((version(models, bad.room).await, version(models, good.room).await), (1, 3));
    // A query that waits for it fails at once.
    let waited =
        dependencies.progress.wait(models, "ann", &[(bad.room, 2.into())], Duration::from_secs(60)).await;
    assert!(waited.unwrap_err().to_string().contains("parked"));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_taken_from_the_feed_where_its_copy_can() {
    let store = Arc::new(StoreDouble::default());
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 1, 2);
    stream.reserve("ann", 3, 4);
    let feed = FeedDouble::of(&[&stream]);
    let mut pipeline = new_pipeline(store.clone(), &feed);
    // One message has a cut payload; the other has no attributes, only its key.
    let mut cut = stream.events[1].clone();
    cut.payload.truncate(10);
    let key = stream.room.to_string();
    let bare =
        Message::read(2, Some(key.as_bytes()), &[("ce_type", b"reservations.reservation-made.v1")], b"{}");
    let messages = vec![Message::event(0, stream.events[0].clone()), Message::event(1, cut), bare];
    pipeline.step(&messages).await.unwrap();
    assert_eq!(version(store.as_ref(), stream.room).await, 3);
    assert!(!is_parked(store.as_ref(), stream.room).await);
}

#[tokio::test]
async fn an_unknown_type_parks_the_room_until_a_build_can_read_it() {
    let store = Arc::new(StoreDouble::default());
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 1, 2);
    let mut from_the_future = stream.clone();
    from_the_future.events[1].event_type = "reservations.reservation-blessed.v9".into();
    let old_build = FeedDouble::of(&[&from_the_future]);
    let mut pipeline = new_pipeline(store.clone(), &old_build);
    pipeline.step(&messages(&from_the_future.events)).await.unwrap();
    assert!(is_parked(store.as_ref(), stream.room).await);
    let reads = old_build.reads.load(Ordering::SeqCst);
    pipeline.step(&messages(&from_the_future.events)).await.unwrap();
    assert_eq!(old_build.reads.load(Ordering::SeqCst), reads, "a parked room asks no more");
    // An upgraded instance takes over, and can read the same event.
    let mut upgraded = new_pipeline(store.clone(), &FeedDouble::of(&[&stream]));
    stream.reserve("ann", 3, 4);
    upgraded.step(&messages(&stream.events[2..])).await.unwrap();
    assert_eq!(version(store.as_ref(), stream.room).await, 2, "as far as its feed goes");
    assert!(!is_parked(store.as_ref(), stream.room).await);
}

#[tokio::test]
async fn no_offset_is_processed_before_its_batch_is_written_however_often_the_store_fails() {
    let store = Arc::new(StoreDouble::default());
    let mut stream = Stream::new("Blue");
    let reservation = stream.reserve("ann", 1, 2);
    stream.reschedule(&reservation, 1, 3);
    store.fail_before.store(1_000_000, Ordering::SeqCst);
    store.fail_after.store(1, Ordering::SeqCst);
    let running = Running::start(&store, &FeedDouble::of(&[&stream]));
    messages(&stream.events).into_iter().for_each(|message| _ = running.inbox.push(message));
    until("three failures", async || store.fail_before.load(Ordering::SeqCst) <= 1_000_000 - 3).await;
    assert_eq!(running.projector.processed(), [], "nothing is written");
    store.fail_before.store(0, Ordering::SeqCst);
    running.visible(stream.room, 3).await;
    running.processed(3).await;
    assert_eq!(store.fail_after.load(Ordering::SeqCst), 0, "once it was written and failed all the same");
    assert_eq!(reserved_minutes(&store.models, &[stream.room]).await, 120);
    running.stop().await;
}

#[tokio::test]
async fn an_owner_whose_knowledge_is_stale_writes_nothing_twice() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let mut stream = Stream::new("Blue");
    (0..4).for_each(|hour| _ = stream.reserve("ann", hour, hour + 1));
    let feed = FeedDouble::of(&[&stream]);
    let mut stale = new_pipeline(models.clone(), &feed);
    stale.step(&messages(&stream.events[..2])).await.unwrap();
    let mut current = new_pipeline(models.clone(), &feed);
    current.step(&messages(&stream.events[2..4])).await.unwrap();
    // The old owner has not noticed yet: it has the same messages and one more.
    stale.step(&messages(&stream.events[2..])).await.unwrap();
    current.step(&messages(&stream.events[3..])).await.unwrap();
    assert_eq!(version(models.as_ref(), stream.room).await, 5);
    assert_eq!(reserved_minutes(models.as_ref(), &[stream.room]).await, 240);
}

#[tokio::test]
async fn a_loss_at_the_end_of_a_stream_is_found_by_comparing_heads() {
    let store = Arc::new(StoreDouble::default());
    let mut stream = Stream::new("Blue");
    (0..7).for_each(|hour| _ = stream.reserve("ann", hour, hour + 1));
    let mut pipeline = new_pipeline(store.clone(), &FeedDouble::of(&[&stream]));
    pipeline.step(&messages(&stream.events[..3])).await.unwrap();
    let head = Head { room: stream.room, version: stream.head().into() };
    assert_eq!(pipeline.compare(&[head]).await.unwrap(), 1);
    assert_eq!(version(store.as_ref(), stream.room).await, stream.head());
    assert_eq!(pipeline.compare(&[head]).await.unwrap(), 0);
}

#[tokio::test]
async fn both_halves_of_a_move_lead_to_the_same_in_any_order() {
    let (mut from, mut to) = (Stream::new("Blue"), Stream::new("Green"));
    let reservation = from.reserve("ann", 1, 2);
    let moved = from.move_to(&mut to, &reservation);
    to.cancel(&moved);
    let orders: [&[(usize, usize)]; 4] =
        [&[(3, 0), (0, 3)], &[(0, 3), (3, 0)], &[(2, 0), (0, 2), (1, 1)], &[(0, 2), (3, 0), (0, 1)]];
    let mut seen: Vec<Option<ReservationDoc>> = Vec::new();
    for order in orders {
        let store = Arc::new(StoreDouble::default());
        let feed = FeedDouble::of(&[&from, &to]);
        let mut one = new_pipeline(store.clone(), &feed);
        let mut other = new_pipeline(store.clone(), &feed);
        let (mut a, mut b) = (0, 0);
        for (of_from, of_to) in order {
            one.step(&messages(from.events.iter().skip(a).take(*of_from))).await.unwrap();
            other.step(&messages(to.events.iter().skip(b).take(*of_to))).await.unwrap();
            (a, b) = (a + of_from, b + of_to);
        }
        seen.push(store.models.reservation(reservation.id).await.unwrap());
    }
    assert!(seen[0].as_ref().is_some_and(|doc| !doc.is_live()));
    assert!(seen.iter().all(|doc| *doc == seen[0]), "{seen:?}");
}

/// A projector with one partition.
struct Running {
    projector: Projector,
    inbox: Arc<Inbox>,
    store: Arc<StoreDouble>,
}

impl Running {
    fn start(store: &Arc<StoreDouble>, feed: &Arc<FeedDouble>) -> Self {
        let component = Readiness::new(Clock::system()).component("store");
        let projector = Projector::new(dependencies(store.clone(), feed), Limits::default(), component);
        let inbox = projector.start(0);
        Self { projector, inbox, store: Arc::clone(store) }
    }

    async fn visible(&self, room: RoomId, version: u64) {
        let progress = &self.projector.dependencies().progress;
        progress
            .wait(self.store.as_ref(), "ann", &[(room, version.into())], Duration::from_secs(20))
            .await
            .unwrap();
    }

    /// Waits until the offset before this one is processed.
    async fn processed(&self, next: i64) {
        until("the offset", async || self.projector.processed() == [(0, next)]).await;
    }

    async fn stop(self) {
        self.projector.stop(&[0], Duration::from_secs(5)).await;
    }
}

//! An erased person is masked in stored documents, and in events that come again or late.

use std::sync::{Arc, atomic::Ordering};

use query_service::{
    queries::{PageRequest, PastReservation, Revisions},
    read_models::{AsOf, DroppedEvent, HistoryDoc, ParkedMessage, ReservationDoc},
    stores::{Checkpoints, Swap, memory::MemoryReadModels},
};
use shared_events::{Erasures, Timestamp, UserId, erasure::Bytes32};

use crate::{
    events::Stream,
    feed_double::FeedDouble,
    mongo_database::TestDatabase,
    pipelines::{messages, new_pipeline},
    store_double::Store,
};

pub(crate) const ANN: &str = "ann@example.com";
const NOW: Timestamp = Timestamp::from_epoch_millis(1_800_000_000_000);

pub(crate) fn list(epoch: u64, user: &str) -> Erasures {
    let mut list = Erasures { epoch, secret: Bytes32([7; 32]), ..Erasures::default() };
    list.last = 1;
    list.persons.insert(list.fingerprint(&UserId::new(user).unwrap()), (1, UserId::new("erased-1").unwrap()));
    list
}

/// A room with two reservations of Ann, one of them cancelled, and one of Bob.
pub(crate) fn stream() -> Stream {
    let mut stream = Stream::new("Blue");
    stream.reserve(ANN, 1, 2);
    let cancelled = stream.reserve(ANN, 3, 4);
    stream.reserve("bob", 5, 6);
    stream.cancel(&cancelled);
    stream
}

async fn reservations(store: &dyn Store, stream: &Stream) -> Vec<ReservationDoc> {
    let ids: Vec<_> = stream.events.iter().filter_map(|event| event.metadata.subject.parse().ok()).collect();
    store.documents_of(stream.room, &ids).await.unwrap().reservations.into_values().collect()
}

async fn history(store: &dyn Store, user: &str) -> Vec<HistoryDoc> {
    store.history_of_user(&UserId::new(user).unwrap(), None, 100).await.unwrap()
}

/// Asserts that all of Ann's data has her pseudonym, and Bob's is unchanged.
pub(crate) async fn is_masked(store: &dyn Store, stream: &Stream) {
    let found = reservations(store, stream).await;
    assert_eq!(found.len(), 3);
    for ReservationDoc { reservation, .. } in found {
        let titled = (reservation.reserved_by.as_str(), reservation.title.is_some());
        assert!(titled == ("erased-1", false) || titled == ("bob", true), "{reservation:?}");
    }
    let entries = history(store, "erased-1").await;
    let (of_ann, of_bob) = (history(store, ANN).await, history(store, "bob").await);
    assert_eq!((entries.len(), of_ann.len(), of_bob.len()), (3, 0, 1));
    let owner = |entry: &HistoryDoc| entry.reservation().unwrap().reserved_by.clone();
    assert!(entries.iter().all(|entry| owner(entry).as_str() == "erased-1"));
    // Her past, too.
    for made in history(store, "erased-1").await {
        let at = AsOf::Moment(made.recorded_at);
        let reservation = made.reservation().unwrap().id;
        let past = PastReservation { reservation, at }.run(store).await.unwrap().unwrap().value.reservation;
        assert_eq!((past.reserved_by.as_str(), past.title), ("erased-1", None));
        let page = PageRequest::first(9);
        for revision in (Revisions { reservation }).run(store, &page).await.unwrap().items {
            let shown = (revision.by.as_str(), revision.after.reservation.title);
            assert_eq!(shown, ("erased-1", None));
        }
    }
    let live = |user: &str| {
        let user = UserId::new(user).unwrap();
        async move { store.live_of_user(&user, None, None, None, 10).await.unwrap().len() }
    };
    assert_eq!((live("erased-1").await, live(ANN).await, live("bob").await), (1, 0, 1));
}

#[tokio::test]
async fn what_kafka_brings_late_or_again_is_masked_before_it_is_applied() {
    let server = TestDatabase::create().await;
    let stores: [Arc<dyn Store>; 2] =
        [Arc::new(server.models("g1_").await), Arc::new(MemoryReadModels::new())];
    for store in stores {
        let stream = stream();
        let feed = FeedDouble::of(&[&stream]);
        *feed.erasures.lock().unwrap() = list(1, ANN);
        // From the topic's start, as into a new database.
        new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
        is_masked(store.as_ref(), &stream).await;
        // Again, by a new owner.
        store.forget_checkpoint(stream.room).await.unwrap();
        new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
        is_masked(store.as_ref(), &stream).await;
    }
    holds_nothing_of_her(&server).await;
}

#[tokio::test]
async fn nothing_is_applied_before_it_is_known_who_was_erased() {
    let store: Arc<dyn Store> = Arc::new(MemoryReadModels::new());
    let stream = stream();
    let feed = FeedDouble::of(&[&stream]);
    *feed.erasures.lock().unwrap() = list(1, ANN);
    feed.hides_erasures.store(true, Ordering::SeqCst);
    let mut pipeline = new_pipeline(store.clone(), &feed);
    pipeline.step(&messages(&stream.events)).await.unwrap_err();
    assert_eq!(store.checkpoint(stream.room).await.unwrap().version, 0);
    feed.hides_erasures.store(false, Ordering::SeqCst);
    pipeline.step(&messages(&stream.events)).await.unwrap();
    is_masked(store.as_ref(), &stream).await;
    // The list is stored now: the feed is not read for it.
    feed.hides_erasures.store(true, Ordering::SeqCst);
    new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
}

#[tokio::test]
async fn a_message_that_cannot_be_applied_is_parked_without_the_person() {
    let server = TestDatabase::create().await;
    let store: Arc<dyn Store> = Arc::new(server.models("g1_").await);
    let mut stream = stream();
    stream.events[1].event_type = "reservations.reservation-blessed.v9".into();
    let feed = FeedDouble::of(&[&stream]);
    *feed.erasures.lock().unwrap() = list(1, ANN);
    new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
    let parked = store.checkpoint(stream.room).await.unwrap().parked.unwrap();
    assert_eq!(parked.version, 2);
    let message = store.parked_message(stream.room).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&message.payload).contains("erased-1"), "{message:?}");
    holds_nothing_of_her(&server).await;
}

#[tokio::test]
async fn the_embedded_default_masks_what_it_holds_when_it_learns_of_an_erasure() {
    let store: Arc<dyn Store> = Arc::new(MemoryReadModels::new());
    let stream = stream();
    new_pipeline(store.clone(), &FeedDouble::of(&[&stream])).step(&messages(&stream.events)).await.unwrap();
    assert_eq!(history(store.as_ref(), ANN).await.len(), 3);
    store.keep_erasures(Some(&Erasures::default()), &Arc::new(list(1, ANN))).await.unwrap();
    is_masked(store.as_ref(), &stream).await;
}

fn message(stream: &Stream, payload: &[u8]) -> ParkedMessage {
    ParkedMessage {
        room: stream.room,
        version: (stream.head() + 1).into(),
        reason: format!("invalid type: string \"{ANN}\""),
        at: NOW,
        headers: vec![("ce_actor".to_owned(), ANN.into()), ("ce_id".to_owned(), b"x".to_vec())],
        payload: payload.to_vec(),
    }
}

#[tokio::test]
async fn all_generations_are_masked_and_so_is_what_is_parked_or_was_left_out() {
    let server = TestDatabase::create().await;
    let (generations, stream) = (server.generations(), stream());
    generations.ensure_first(NOW).await.unwrap();
    let second = generations.begin(NOW).await.unwrap().number;
    for number in [generations.read().await.unwrap().live.unwrap(), second] {
        let store: Arc<dyn Store> = Arc::new(generations.models(number).await.unwrap());
        let feed = FeedDouble::of(&[&stream]);
        new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
        // A payload that is no JSON: only a search for her name finds it.
        let parked = message(&stream, format!("{{not json {ANN} title").as_bytes());
        assert_eq!(store.park(&parked).await.unwrap(), Swap::Done);
        let left_out =
            message(&stream, format!("{{\"reservation\":{{\"reservedBy\":\"{ANN}\"}}}}").as_bytes());
        let (reason, by) = ("foreign".to_owned(), "olga".to_owned());
        store.drop_event(&DroppedEvent { message: left_out, reason, by, at: NOW }).await.unwrap();
    }
    let (ann, list) = (UserId::new(ANN).unwrap(), list(1, ANN));
    // In each generation: 2 reservations, 3 history entries twice (reservation and actor), and a parked message.
    assert_eq!(generations.mask(&ann, &list).await.unwrap(), 1 + 2 * (2 + 3 + 3 + 1));
    holds_nothing_of_her(&server).await;
    for number in [generations.read().await.unwrap().live.unwrap(), second] {
        let store = generations.models(number).await.unwrap();
        is_masked(&store, &stream).await;
        assert_eq!(store.checkpoint(stream.room).await.unwrap().parked.unwrap().version, 6, "it still waits");
    }
    assert_eq!(generations.mask(&ann, &list).await.unwrap(), 0, "there is nothing left");
}

/// Searches every byte of every collection.
async fn holds_nothing_of_her(server: &TestDatabase) {
    let database = server.client.database(&server.name);
    let mut looked_at = 0;
    for name in database.list_collection_names().await.unwrap() {
        let collection = database.collection::<mongodb::bson::RawDocumentBuf>(&name);
        let mut found = collection.find(mongodb::bson::doc! {}).await.unwrap();
        while found.advance().await.unwrap() {
            looked_at += 1;
            let bytes = found.current().as_bytes();
            let is_there = bytes.windows(ANN.len()).any(|part| part == ANN.as_bytes());
            assert!(!is_there, "{name}: {:?}", found.current());
        }
    }
    assert!(looked_at > 5);
}

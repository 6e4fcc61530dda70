//! Stored documents compared with the fold of the events. Differences are found; events on their way are none.

use std::sync::Arc;

use mongodb::bson::{Document, doc};
use query_service::{
    read_models::DroppedEvent,
    stores::{ProjectionStore, Queries, Swap, memory::MemoryReadModels, mongo::MongoReadModels},
    verify::{Verified, verify},
};
use shared_events::{RoomId, Version};

use crate::{
    events::Stream,
    feed_double::FeedDouble,
    mongo_database::TestDatabase,
    pipelines::{messages, new_pipeline},
    projector::busy_streams,
};

async fn project(store: Arc<dyn ProjectionStore>, streams: &[Stream]) {
    for stream in streams {
        new_pipeline(store.clone(), &FeedDouble::of(&[])).step(&messages(&stream.events)).await.unwrap();
    }
    store.write_usage().await.unwrap();
}

async fn verified(models: &MongoReadModels, feed: &FeedDouble, room: RoomId) -> Verified {
    verify(models, feed, room).await.unwrap()
}

#[tokio::test]
async fn both_stores_have_the_same_documents_of_a_room() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let memory = Arc::new(MemoryReadModels::new());
    let streams = busy_streams();
    project(Arc::clone(&models) as _, &streams).await;
    project(Arc::clone(&memory) as _, &streams).await;
    for stream in &streams {
        let expected = memory.documents_of(stream.room, &[]).await.unwrap();
        assert_eq!(models.documents_of(stream.room, &[]).await.unwrap(), expected);
        assert!(!expected.history.is_empty() && !expected.usage.is_empty() && expected.room.is_some());
    }
}

#[tokio::test]
async fn what_other_rooms_have_told_already_or_not_yet_is_no_difference() {
    let streams = busy_streams();
    let feed = FeedDouble::of(&streams.iter().collect::<Vec<_>>());
    // Each set of complete rooms; the others have no event yet.
    for complete in 1..8_usize {
        let (_mongo, models) = TestDatabase::with_models().await;
        let some: Vec<Stream> =
            (0..3).filter(|n| complete >> n & 1 == 1).map(|n| streams[n].clone()).collect();
        project(Arc::clone(&models) as _, &some).await;
        for stream in &streams {
            let found = verified(&models, &feed, stream.room).await;
            assert_eq!(found.differences, [], "{complete:b}");
            let is_complete = some.iter().any(|one| one.room == stream.room);
            assert_eq!((found.behind == 0, found.version > Version::NONE), (is_complete, is_complete));
        }
    }
}

#[tokio::test]
async fn each_kind_of_document_that_was_changed_removed_or_added_by_hand_is_found() {
    let (mongo, models) = TestDatabase::with_models().await;
    let streams = busy_streams();
    let feed = FeedDouble::of(&streams.iter().collect::<Vec<_>>());
    project(Arc::clone(&models) as _, &streams).await;
    let collection = |name: &str| mongo.collection(&format!("t_{name}"));
    let of_room = doc! { "form.room": mongodb::bson::Uuid::from_bytes(streams[0].room.0.into_bytes()) };
    let id = |document: &Document| doc! { "_id": document.get("_id").unwrap() };

    for (name, filter, what) in [
        ("rooms", doc! { "_id": of_room.get("form.room").unwrap() }, "room"),
        ("reservations", of_room.clone(), "reservation"),
        ("history", doc! {}, "history"),
        ("usage", of_room.clone(), "usage"),
    ] {
        let whole = collection(name).find_one(filter).await.unwrap().unwrap();
        collection(name).delete_one(id(&whole)).await.unwrap();
        let mut found = Vec::new();
        for stream in &streams {
            found.extend(verified(&models, &feed, stream.room).await.differences);
        }
        assert!(found.iter().all(|one| one.what == what && one.found.is_none()), "{name}: {found:?}");
        // Both streams of a moved reservation tell of it.
        assert!((1..=2).contains(&found.len()), "{name}: {found:?}");
        collection(name).insert_one(whole).await.unwrap();
        for stream in &streams {
            assert_eq!(verified(&models, &feed, stream.room).await.differences, [], "{name}");
        }
    }
    let mut made_up = collection("reservations").find_one(of_room).await.unwrap().unwrap();
    let nobodys = mongodb::bson::Uuid::from_bytes([7; 16]);
    made_up.insert("_id", nobodys);
    made_up.get_document_mut("form").unwrap().extend(doc! { "live": true, "version": 1_i64 });
    collection("reservations").insert_one(made_up).await.unwrap();
    let found = verified(&models, &feed, streams[0].room).await.differences;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].expected.is_none() && found[0].found.is_some());
}

#[tokio::test]
async fn a_checkpoint_that_claims_more_than_the_feed_has_is_a_difference() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let mut stream = Stream::new("Blue");
    let feed = FeedDouble::of(&[&stream]);
    stream.reserve("ann", 1, 2);
    project(Arc::clone(&models) as _, std::slice::from_ref(&stream)).await;
    let found = verified(&models, &feed, stream.room).await.differences;
    assert_eq!(found.iter().map(|one| one.what).collect::<Vec<_>>(), ["checkpoint"]);
}

#[tokio::test]
async fn an_event_that_an_operator_left_out_is_left_out_of_what_is_expected() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 1, 2);
    stream.reserve("ann", 3, 4);
    stream.events[1].payload = b"{\"reservation\":7}".to_vec();
    let feed = FeedDouble::of(&[&stream]);
    let store: Arc<dyn ProjectionStore> = Arc::clone(&models) as _;
    new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
    let waiting = verified(&models, &feed, stream.room).await;
    assert_eq!((waiting.version, waiting.parked.map(|parked| parked.version)), (1.into(), Some(2.into())));
    assert_eq!(waiting.differences, []);

    let message = store.parked_message(stream.room).await.unwrap().unwrap();
    let (reason, by, at) = ("a test".to_owned(), "olga".to_owned(), message.at);
    // Nobody dropped the event: the checkpoint claims too much.
    assert_eq!(store.pass_over(stream.room, 2.into()).await.unwrap(), Swap::Done);
    let wrong = verified(&models, &feed, stream.room).await.differences;
    assert_eq!(wrong.iter().map(|one| one.what).collect::<Vec<_>>(), ["checkpoint"]);
    store.drop_event(&DroppedEvent { message, reason, by, at }).await.unwrap();
    new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
    let whole = verified(&models, &feed, stream.room).await;
    assert_eq!((whole.version, whole.parked, whole.differences), (3.into(), None, vec![]));
}

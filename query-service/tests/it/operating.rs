//! Operators' requests to the pipeline that owns a room.

use std::sync::{Arc, atomic::Ordering};

use mongodb::bson::{Document, doc};
use query_service::{
    projector::Pipeline,
    read_models::{Outcome, Request, RequestedAction},
    stores::{Checkpoints, ProjectionStore, Requests, memory::MemoryReadModels, mongo::MongoReadModels},
};
use service_kit::ids;
use shared_events::{RoomId, Timestamp};
use tokio::time::Instant;

use crate::{
    events::{Stream, reserved_minutes},
    feed_double::FeedDouble,
    mongo_database::TestDatabase,
    pipelines::{messages, new_pipeline},
    projector::everything,
    store_double::Store,
};

async fn ask(
    models: &MongoReadModels,
    pipeline: &mut Pipeline,
    room: RoomId,
    action: RequestedAction,
) -> Outcome {
    let at = Timestamp::from_epoch_millis(1);
    let request = Request { id: ids::new_id(), room, action, by: "olga".to_owned(), at };
    models.ask(&request).await.unwrap();
    assert_eq!(models.requests().await.unwrap(), std::slice::from_ref(&request));
    assert_eq!(models.outcome(request.id).await.unwrap(), None);
    pipeline.operate(&request).await.unwrap();
    assert_eq!(models.requests().await.unwrap(), [], "it is answered");
    let outcome = models.outcome(request.id).await.unwrap().unwrap();
    // A request that is handed over twice is done once.
    pipeline.operate(&request).await.unwrap();
    assert_eq!(models.outcome(request.id).await.unwrap().unwrap(), outcome);
    outcome
}

/// All that queries see of a room and its user.
async fn shown(store: &dyn Store, room: RoomId) -> String {
    everything(store, &[room], &["ann"]).await
}

/// A room whose third event of five can't be read.
fn broken_stream() -> (Stream, Stream) {
    let mut good = Stream::new("Blue");
    (0..4).for_each(|hour| _ = good.reserve("ann", hour, hour + 1));
    let mut bad = good.clone();
    bad.events[2].payload = b"{\"reservation\":17}".to_vec();
    (good, bad)
}

#[tokio::test]
async fn a_redrive_goes_on_in_order_as_soon_as_the_event_can_be_read() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let (good, bad) = broken_stream();
    let (room, feed) = (good.room, FeedDouble::of(&[&bad]));
    let mut owner = new_pipeline(models.clone(), &feed);
    owner.step(&messages(&bad.events)).await.unwrap();
    let still = ask(&models, &mut owner, room, RequestedAction::Redrive).await;
    assert!(!still.done && still.text.starts_with("parked at version 3"), "{still:?}");
    feed.put(&good);
    let done = ask(&models, &mut owner, room, RequestedAction::Redrive).await;
    assert_eq!(done, Outcome { done: true, text: "at version 5".to_owned() });
    let again = ask(&models, &mut owner, room, RequestedAction::Redrive).await;
    assert!(again.done && again.text.contains("not parked"), "{again:?}");
    let clean = MemoryReadModels::new();
    clean
        .apply(&good.events.iter().map(|event| event.clone().decode().unwrap()).collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(shown(models.as_ref(), room).await, shown(&clean, room).await);
}

#[tokio::test]
async fn a_redrive_that_cannot_reach_the_feed_says_so_and_the_room_goes_on_by_itself_later() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let (good, bad) = broken_stream();
    let (room, feed) = (good.room, FeedDouble::of(&[&bad]));
    let mut owner = new_pipeline(models.clone(), &feed);
    owner.step(&messages(&bad.events)).await.unwrap();
    feed.put(&good);
    feed.out_of_reach.store(true, Ordering::SeqCst);
    let outcome = ask(&models, &mut owner, room, RequestedAction::Redrive).await;
    assert!(!outcome.done, "{outcome:?}");
    feed.out_of_reach.store(false, Ordering::SeqCst);
    let until_retry = owner.retry_at().unwrap() - Instant::now();
    tokio::time::pause();
    tokio::time::advance(until_retry).await;
    tokio::time::resume();
    owner.fill_those_behind().await.unwrap();
    assert_eq!(models.checkpoints(&[room]).await.unwrap()[&room].version, 5);
}

#[tokio::test]
async fn a_dropped_event_is_left_out_for_ever_and_with_it_is_kept_who_dropped_it_and_why() {
    let (mongo, models) = TestDatabase::with_models().await;
    let (good, bad) = broken_stream();
    let (room, feed) = (bad.room, FeedDouble::of(&[&bad]));
    let mut owner = new_pipeline(models.clone(), &feed);
    owner.step(&messages(&bad.events)).await.unwrap();
    let drop = |version: u64| {
        let reason = "sent by a broken build".to_owned();
        RequestedAction::Drop { version: version.into(), reason }
    };
    // A broken copy is no reason to drop an event that the event store has.
    feed.put(&good);
    let wrong = ask(&models, &mut owner, room, drop(3)).await;
    assert!(!wrong.done, "{wrong:?}");
    feed.put(&bad);
    let wrong = ask(&models, &mut owner, room, drop(4)).await;
    assert!(!wrong.done && wrong.text.contains("nothing was dropped"), "{wrong:?}");
    let done = ask(&models, &mut owner, room, drop(3)).await;
    assert_eq!(done, Outcome { done: true, text: "at version 5".to_owned() });
    let kept = mongo.collection("dropped_events");
    let kept = kept.find_one(doc! {}).await.unwrap().unwrap();
    let text = |name: &str| kept.get_str(name).unwrap();
    assert_eq!((text("by"), text("reason")), ("olga", "sent by a broken build"));
    assert_eq!(kept.get_document("message").unwrap().get_i64("version").unwrap(), 3);
    // New read models leave it out by themselves.
    let anew: Arc<dyn Store> = Arc::new(mongo.models("other_").await);
    new_pipeline(anew.clone(), &feed).step(&messages(&bad.events)).await.unwrap();
    assert_eq!(shown(anew.as_ref(), room).await, shown(models.as_ref(), room).await);
    assert_eq!(anew.checkpoints(&[room]).await.unwrap()[&room].version, 5);
}

#[tokio::test]
async fn a_repair_rebuilds_everything_of_a_room_whatever_is_stored_of_it() {
    let (mongo, models) = TestDatabase::with_models().await;
    let (mut from, mut to) = (Stream::new("Blue"), Stream::new("Green"));
    let kept = from.reserve("ann", 1, 3);
    let moved = from.reserve("ann", 4, 5);
    from.move_to(&mut to, &moved);
    let feed = FeedDouble::of(&[&from, &to]);
    let mut owner = new_pipeline(models.clone(), &feed);
    for stream in [&from, &to] {
        owner.step(&messages(&stream.events)).await.unwrap();
    }
    let right = (shown(models.as_ref(), from.room).await, shown(models.as_ref(), to.room).await);
    let database = mongo.client.database(&mongo.name);
    let all = |name: &str| database.collection::<Document>(&format!("t_{name}"));
    let id = mongodb::bson::Binary {
        subtype: mongodb::bson::spec::BinarySubtype::Uuid,
        bytes: kept.id.0.as_bytes().to_vec(),
    };
    all("reservations").delete_one(doc! { "_id": id }).await.unwrap();
    all("history").delete_many(doc! { "what": "made" }).await.unwrap();
    // The wrong counts look newer than they are.
    all("usage").update_many(doc! {}, doc! { "$set": { "form.version": 1_000_000_i64 } }).await.unwrap();
    all("rooms").update_many(doc! {}, doc! { "$set": { "form.settings.capacity": 1 } }).await.unwrap();
    for room in [from.room, to.room] {
        assert_ne!(shown(models.as_ref(), room).await, right.0);
        let done = ask(&models, &mut owner, room, RequestedAction::Repair).await;
        assert!(done.done, "{done:?}");
    }
    assert_eq!(shown(models.as_ref(), from.room).await, right.0);
    assert_eq!(shown(models.as_ref(), to.room).await, right.1);
    // The cache is empty too: the next event is counted on the repaired documents.
    from.reserve("ann", 8, 9);
    owner.step(&messages(&from.events)).await.unwrap();
    assert_eq!(reserved_minutes(models.as_ref(), &[from.room]).await, 180);
}

#[tokio::test]
async fn a_repair_takes_nothing_away_while_the_feed_is_out_of_reach() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let (good, _) = broken_stream();
    let feed = FeedDouble::of(&[&good]);
    let mut owner = new_pipeline(models.clone(), &feed);
    owner.step(&messages(&good.events)).await.unwrap();
    let before = shown(models.as_ref(), good.room).await;
    feed.out_of_reach.store(true, Ordering::SeqCst);
    let outcome = ask(&models, &mut owner, good.room, RequestedAction::Repair).await;
    assert!(!outcome.done && outcome.text.starts_with("nothing was done"), "{outcome:?}");
    assert_eq!(shown(models.as_ref(), good.room).await, before);
}

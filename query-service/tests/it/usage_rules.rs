//! Usage that was counted by other rules of its zone is counted again from the events, and never added to.

use std::sync::Arc;

use futures_util::TryStreamExt;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use query_service::{
    projections::usage::count_up_to,
    projector::{Limits, Projector, write_usage},
    read_models::{Compared, Rules, of_room::compare},
    stores::{Checkpoints, ProjectionStore, Queries, memory::MemoryReadModels, mongo::MongoReadModels},
    verify::verify,
};
use service_kit::{clock::Clock, readiness::Readiness};
use shared_events::DecodedEvent;
use tokio_util::sync::CancellationToken;

use crate::{
    conformance::{feed, settle},
    conformance_histories::history,
    conformance_steps::{Step, fixed_steps},
    events::Stream,
    feed_double::FeedDouble,
    mongo_database::TestDatabase,
    mongo_writes::of_room,
    pipelines::{PATIENCE, dependencies, messages, new_pipeline, until},
};

/// No zone has been so far from UTC.
const OTHER_RULES: &str = "-23:00";

/// Gives some documents these rules, or none, with tables in which nothing is reserved. Returns how many.
async fn count_by(server: &TestDatabase, prefix: &str, rules: Option<&str>, each: usize) -> usize {
    let usage = server.collection(&format!("{prefix}usage"));
    let found = usage.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
    let all: Vec<Document> = found.try_collect().await.unwrap();
    let nothing = [[255, 0].repeat(5), vec![225, 0]].concat();
    let nothing = Binary { subtype: BinarySubtype::Generic, bytes: nothing };
    let mut counted = 0;
    for document in all.iter().step_by(each) {
        let mut change = doc! { "$set": { "form.minutes": nothing.clone() } };
        match rules {
            Some(rules) => _ = change.get_document_mut("$set").unwrap().insert("form.rules", rules),
            None => _ = change.insert("$unset", doc! { "form.rules": "" }),
        }
        let id = doc! { "_id": document.get("_id").unwrap() };
        usage.update_one(id, change).await.unwrap();
        counted += 1;
    }
    counted
}

#[tokio::test]
async fn an_owner_counts_usage_of_its_rooms_again_that_was_counted_by_other_rules_or_by_unknown_ones() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(300, 71));
    feed(&server.models("clean_").await, &history.events, 100).await;
    let clean = server.dump("clean_").await;
    for (prefix, rules, each) in
        [("some_", Some(OTHER_RULES), 3), ("all_", Some(OTHER_RULES), 1), ("old_", None, 2)]
    {
        feed(&server.models(prefix).await, &history.events, 100).await;
        assert!(count_by(&server, prefix, rules, each).await > 4);
        let owner = server.models(prefix).await;
        assert_eq!(
            owner.forget_outdated_usage(&|_| false).await.unwrap(),
            0,
            "rooms of others are left alone"
        );
        assert!(owner.forget_outdated_usage(&|_| true).await.unwrap() > 1);
        assert_eq!(owner.forget_outdated_usage(&|_| true).await.unwrap(), 0);
        settle(&owner).await;
        assert_eq!(server.dump(prefix).await, clean, "{prefix}");
    }
}

/// Applies the rest of a room's events, and returns how many batches were refused.
async fn go_on(models: &MongoReadModels, events: &[DecodedEvent], batch: usize) -> usize {
    let (room, mut refused) = (events[0].room, 0);
    loop {
        let done = models.checkpoint(room).await.unwrap().version;
        let mut rest = events.iter().filter(|event| event.version > done).peekable();
        if rest.peek().is_none() {
            return refused;
        }
        let batch: Vec<_> = rest.take(batch).cloned().collect();
        refused += models.apply(&batch).await.unwrap().conflicts.len();
        assert!(refused < 20, "it never ends");
    }
}

#[tokio::test]
async fn a_batch_is_never_added_to_usage_of_other_rules() {
    let server = TestDatabase::create().await;
    // Stays of one room in March and October by turns, after its registration.
    let steps = (0..8_u16).map(|n| Step {
        action: 0,
        room: 4,
        other: 4,
        anchor: if n % 2 == 0 { 0 } else { 3 },
        start: n * 300,
        length: 100,
        user: 0,
    });
    let history = history(&steps.collect::<Vec<_>>());
    let events = of_room(&history, history.room_ids()[4]);
    assert_eq!(events.len(), 9);
    feed(&server.models("clean_").await, &events, 100).await;
    // The owner knows nothing of the room, or its March alone.
    for (prefix, known) in [("cold_", 5), ("warm_", 6)] {
        feed(&server.models(prefix).await, &events[..5], 50).await;
        let owner = server.models(prefix).await;
        assert_eq!(go_on(&owner, &events[..known], 1).await, 0);
        owner.write_usage().await.unwrap();
        assert_eq!(count_by(&server, prefix, Some(OTHER_RULES), 1).await, 2);
        assert_eq!(go_on(&owner, &events, 1).await, 1, "{prefix}");
        owner.forget_outdated_usage(&|_| true).await.unwrap();
        settle(&owner).await;
        assert_eq!(server.dump(prefix).await, server.dump("clean_").await, "{prefix}");
    }
}

#[tokio::test]
async fn a_projector_counts_again_what_was_counted_by_other_rules_when_its_partitions_come() {
    let (server, models) = TestDatabase::with_models().await;
    let mut stream = Stream::new("Blue");
    for hour in 0..6 {
        stream.reserve("ann", hour, hour + 1);
    }
    let feed = FeedDouble::of(&[&stream]);
    new_pipeline(models.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
    models.write_usage().await.unwrap();
    let clean = server.dump("t_").await;
    assert_eq!(count_by(&server, "t_", Some(OTHER_RULES), 1).await, 1);
    let found = verify(models.as_ref(), feed.as_ref(), stream.room).await.unwrap().differences;
    assert_eq!(found.iter().map(|one| one.what).collect::<Vec<_>>(), ["usage"]);
    assert!(found[0].found.as_ref().unwrap().contains(OTHER_RULES), "{found:?}");

    let component = Readiness::new(Clock::system()).component("store");
    let heir = Arc::new(server.models("t_").await);
    let projector = Arc::new(Projector::new(dependencies(heir, &feed), Limits::default(), component));
    projector.route_by(Box::new(|_| 0));
    let stop = CancellationToken::new();
    let written = tokio::spawn({
        let (projector, stop) = (projector.clone(), stop.clone());
        async move { write_usage(&projector, stop).await }
    });
    projector.start(0);
    until("it is counted again", async || server.dump("t_").await == clean).await;
    assert_eq!(verify(models.as_ref(), feed.as_ref(), stream.room).await.unwrap().differences, []);
    projector.stop(&[0], PATIENCE).await;
    stop.cancel();
    written.await.unwrap();
}

#[tokio::test]
async fn usage_of_other_rules_is_a_difference_and_nothing_is_added_to_it_in_memory() {
    let history = history(&fixed_steps(200, 75));
    let room = history.room_ids()[0];
    let models = MemoryReadModels::new();
    feed(&models, &history.events, 20).await;
    let whole = models.documents_of(room, &[]).await.unwrap();
    let (mut other, mut again) = (whole.clone(), whole.clone());
    // Counted from the first event on, into what is there: by the same rules nothing is counted twice.
    (other.counted, again.counted) = Default::default();
    let doctored = other.usage.values_mut().next().unwrap();
    (doctored.rules, doctored.version) = (Rules::stored(OTHER_RULES), 1.into());
    let before = doctored.clone();
    for documents in [&mut other, &mut again] {
        count_up_to(documents, whole.counted);
    }
    assert_eq!(other.usage.values().next(), Some(&before));
    assert_eq!(compare(room, &whole, &again, whole.counted), Compared::Equal);
    let Compared::Differs(found) = compare(room, &whole, &other, whole.counted) else {
        panic!("no difference")
    };
    assert_eq!(found.iter().map(|one| one.what).collect::<Vec<_>>(), ["usage"]);
}

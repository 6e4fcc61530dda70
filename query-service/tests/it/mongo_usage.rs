//! Usage is written behind the events, and always counts each event once.

use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use mongodb::{
    Database,
    bson::{Document, doc},
    event::{EventHandler, command::CommandEvent},
    options::ClientOptions,
};
use query_service::{
    projector::{Limits, Projector},
    stores::{
        Checkpoints, ProjectionStore, Queries,
        mongo::{Connection, MongoReadModels},
    },
    verify::verify,
};
use service_kit::{clock::Clock, readiness::Readiness};
use shared_events::{DecodedEvent, Version};
use tokio::runtime::Handle;

use crate::{
    conformance::{feed, settle},
    conformance_histories::history,
    conformance_steps::fixed_steps,
    events::Stream,
    feed_double::FeedDouble,
    mongo_database::{COLLECTIONS, TestDatabase, url},
    mongo_writes::of_room,
    pipelines::{PATIENCE, dependencies, messages, new_pipeline, until},
};

/// All documents, byte for byte.
async fn copy(server: &TestDatabase, prefix: &str) -> Vec<(&'static str, Vec<Document>)> {
    let mut all = Vec::new();
    for name in COLLECTIONS {
        let collection = server.collection(&format!("{prefix}{name}"));
        all.push((name, collection.find(doc! {}).await.unwrap().try_collect().await.unwrap()));
    }
    all
}

/// Puts all documents back as they were.
async fn restore(server: &TestDatabase, prefix: &str, copy: Vec<(&str, Vec<Document>)>) {
    restore_in(&server.client.database(&server.name), prefix, copy).await;
}

async fn restore_in(database: &Database, prefix: &str, copy: Vec<(&str, Vec<Document>)>) {
    for (name, documents) in copy {
        let collection = database.collection::<Document>(&format!("{prefix}{name}"));
        collection.delete_many(doc! {}).await.unwrap();
        if !documents.is_empty() {
            collection.insert_many(documents).await.unwrap();
        }
    }
}

/// A room's events, and a database with the documents of one clean pass over them.
async fn one_room(seed: u64) -> (TestDatabase, Vec<DecodedEvent>) {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(300, seed));
    let events = of_room(&history, history.room_ids()[0]);
    feed(&server.models("clean_").await, &events, 100).await;
    (server, events)
}

/// Applies the events after the checkpoint, as the projector does.
pub(crate) async fn go_on(models: &MongoReadModels, events: &[DecodedEvent], batch: usize) {
    let room = events[0].room;
    let done = models.checkpoints(&[room]).await.unwrap()[&room].version;
    let rest: Vec<_> = events.iter().filter(|event| event.version > done).cloned().collect();
    feed(models, &rest, batch).await;
}

#[tokio::test]
async fn an_older_copy_that_was_restored_under_a_live_owner_is_filled_from_where_it_ends() {
    let (server, events) = one_room(41).await;
    let clean = server.dump("clean_").await;
    let (early, late) = (events.len() / 3, events.len() / 2);
    // One owner has the room's usage in its cache, the other one does not.
    for (prefix, remembers) in [("warm_", true), ("cold_", false)] {
        let mut owner = server.models(prefix).await;
        feed(&owner, &events[..early], 7).await;
        let copy = copy(&server, prefix).await;
        feed(&owner, &events[early..late], 7).await;
        restore(&server, prefix, copy).await;
        if !remembers {
            owner = server.models(prefix).await;
        }
        let applied = owner.apply(&events[late..late + 5]).await.unwrap();
        assert_eq!((applied.advanced, applied.conflicts), (vec![], vec![events[0].room]), "{prefix}");
        go_on(&owner, &events, 9).await;
        settle(&owner).await;
        assert_eq!(server.dump(prefix).await, clean, "{prefix}");
    }
}

#[tokio::test]
async fn usage_that_an_older_copy_lacks_though_its_checkpoint_is_the_latest_is_folded_again() {
    let (server, events) = one_room(45).await;
    let (begin, end) = events.split_at(events.len() / 2);
    let owner = server.models("level_").await;
    feed(&owner, begin, 7).await;
    assert_eq!(owner.apply(end).await.unwrap().conflicts, vec![]);
    // No later event comes, and the owner goes on.
    let copy = copy(&server, "level_").await;
    owner.write_usage().await.unwrap();
    assert_eq!(owner.catch_up_usage(&|_| true).await.unwrap(), 0, "all is written");
    restore(&server, "level_", copy).await;
    assert_eq!(owner.catch_up_usage(&|_| true).await.unwrap(), 1);
    owner.write_usage().await.unwrap();
    assert_eq!(server.dump("level_").await, server.dump("clean_").await);
}

#[tokio::test]
async fn an_owner_that_comes_back_after_another_one_wrote_adds_nothing_twice_and_leaves_nothing_out() {
    let (server, events) = one_room(43).await;
    let (ours, theirs) = (server.models("both_").await, server.models("both_").await);
    for (number, batch) in events.chunks(4).enumerate() {
        // One owner writes the batch, then the other one applies the same batch again.
        let (owner, other) = if number % 3 == 0 { (&theirs, &ours) } else { (&ours, &theirs) };
        owner.apply(batch).await.unwrap();
        assert_eq!(other.apply(batch).await.unwrap().conflicts, vec![]);
        if number % 5 == 4 {
            owner.write_usage().await.unwrap();
        }
    }
    settle(&ours).await;
    settle(&theirs).await;
    assert_eq!(server.dump("both_").await, server.dump("clean_").await);
}

#[tokio::test]
async fn a_batch_whose_checkpoint_could_not_be_written_is_applied_again_in_other_bounds() {
    let (server, events) = one_room(47).await;
    let owner = server.models("half_").await;
    let checkpoints = server.collection("half_checkpoints");
    let (mut done, mut failed) = (0, 0);
    while done < events.len() {
        // Without checkpoint documents, the batch fails after its documents are written. If usage must be loaded, the batch
        // is given up before.
        let before = copy(&server, "half_").await.remove(4);
        checkpoints.delete_many(doc! {}).await.unwrap();
        let end = events.len().min(done + 6);
        match owner.apply(&events[done..end]).await {
            Err(_) => failed += 1,
            Ok(applied) => {
                assert_eq!((applied.advanced, applied.conflicts), (vec![], vec![events[0].room]))
            }
        }
        restore(&server, "half_", vec![before]).await;
        let end = events.len().min(done + 5);
        assert_eq!(owner.apply(&events[done..end]).await.unwrap().conflicts, vec![]);
        done = end;
    }
    settle(&owner).await;
    assert!(failed > 0, "no batch came as far as its checkpoint");
    assert_eq!(server.dump("half_").await, server.dump("clean_").await);
}

#[tokio::test]
async fn usage_that_was_not_written_before_its_owner_died_is_folded_again_from_the_history() {
    for seed in [51, 52, 53] {
        let (server, events) = one_room(seed).await;
        let clean = server.dump("clean_").await;
        for (number, batch) in events.chunks(events.len() / 5).enumerate() {
            // The owner dies with the usage of its last batches in memory. Months that it has written are newer than others
            // that it has not.
            let owner = server.models("dies_").await;
            if number % 2 == 0 {
                settle(&owner).await;
            }
            for (number, part) in batch.chunks(3).enumerate() {
                assert_eq!(owner.apply(part).await.unwrap().conflicts, vec![]);
                if number == 2 {
                    owner.write_usage().await.unwrap();
                }
            }
        }
        let heir = server.models("dies_").await;
        assert_eq!(heir.catch_up_usage(&|_| false).await.unwrap(), 0, "rooms of others are left alone");
        assert_eq!(heir.catch_up_usage(&|_| true).await.unwrap(), 1);
        heir.write_usage().await.unwrap();
        assert_eq!(server.dump("dies_").await, clean, "{seed}");
        assert_eq!(heir.catch_up_usage(&|_| true).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_owner_that_writes_usage_late_neither_takes_the_position_back_nor_counts_twice() {
    let (server, events) = one_room(57).await;
    let third = events.len() / 3;
    let (late, current) = (server.models("late_").await, server.models("late_").await);
    late.apply(&events[..third]).await.unwrap();
    current.apply(&events[third..2 * third]).await.unwrap();
    current.write_usage().await.unwrap();
    late.write_usage().await.unwrap();
    current.apply(&events[2 * third..]).await.unwrap();
    current.write_usage().await.unwrap();
    assert_eq!(server.dump("late_").await, server.dump("clean_").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_that_is_restored_between_two_reads_of_usage_is_not_taken_for_the_newer_one() {
    // The copy comes back before this collection is read: once after the usage position, once after the checkpoint.
    for (collection, written) in [("x_usage", true), ("x_history", false)] {
        let (server, events) = one_room(61).await;
        let half = events.len() / 2;
        let before = server.models("x_").await;
        assert_eq!(before.apply(&events[..half]).await.unwrap().conflicts, vec![]);
        let older = copy(&server, "x_").await;
        if written {
            before.write_usage().await.unwrap();
        } else {
            before.apply(&events[half..half + 9]).await.unwrap();
        }
        let waiting = Arc::new(Mutex::new(Some(older)));
        let (restores, other) = (Arc::clone(&waiting), server.client.database(&server.name));
        let mut options = ClientOptions::parse(url()).await.unwrap();
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            let CommandEvent::Started(started) = event else { return };
            if started.command.get_str("find").is_ok_and(|name| name == collection)
                && let Some(older) = restores.lock().unwrap().take()
            {
                tokio::task::block_in_place(|| Handle::current().block_on(restore_in(&other, "x_", older)));
            }
        }));
        let connection = Connection::with_options(options, &server.name).unwrap();
        let owner = MongoReadModels::open(connection, "x_").await.unwrap();
        if written {
            let applied = owner.apply(&events[half..half + 5]).await.unwrap();
            assert_eq!(applied.conflicts, vec![events[0].room]);
        } else {
            owner.catch_up_usage(&|_| true).await.unwrap();
        }
        assert!(waiting.lock().unwrap().is_none(), "the copy was not restored");
        owner.write_usage().await.unwrap();
        go_on(&owner, &events, 9).await;
        settle(&owner).await;
        assert_eq!(server.dump("x_").await, server.dump("clean_").await, "{collection}");
    }
}

#[tokio::test]
async fn usage_is_written_before_a_partition_is_given_away() {
    let (_mongo, models) = TestDatabase::with_models().await;
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 1, 2);
    let dependencies = dependencies(models.clone(), &FeedDouble::of(&[&stream]));
    let component = Readiness::new(Clock::system()).component("store");
    let projector = Projector::new(dependencies, Limits::default(), component);
    let inbox = projector.start(0);
    for message in messages(&stream.events) {
        inbox.push(message);
    }
    until("the events are written", async || projector.processed() == [(0, 2)]).await;
    projector.stop(&[0], PATIENCE).await;
    let position = models.usage_positions().checkpoint(stream.room).await.unwrap();
    assert_eq!(position.version, Version::from(stream.head()));
}

#[tokio::test]
async fn a_verification_takes_unwritten_usage_for_no_difference_and_finds_what_a_position_claims_wrongly() {
    let (server, models) = TestDatabase::with_models().await;
    let mut stream = Stream::new("Blue");
    for hour in 0..6 {
        stream.reserve("ann", hour, hour + 1);
    }
    let feed = FeedDouble::of(&[&stream]);
    let mut pipeline = new_pipeline(models.clone(), &feed);
    pipeline.step(&messages(&stream.events[..4])).await.unwrap();
    models.write_usage().await.unwrap();
    let stored = server.dump("t_").await.remove(3).1.remove(0);
    pipeline.step(&messages(&stream.events)).await.unwrap();
    assert_eq!(verify(models.as_ref(), feed.as_ref(), stream.room).await.unwrap().differences, []);
    models.write_usage().await.unwrap();
    let id = doc! { "_id": stored.get("_id").unwrap() };
    server.collection("t_usage").replace_one(id, stored).await.unwrap();
    let found = verify(models.as_ref(), feed.as_ref(), stream.room).await.unwrap().differences;
    assert_eq!(found.iter().map(|one| one.what).collect::<Vec<_>>(), ["usage"]);
}

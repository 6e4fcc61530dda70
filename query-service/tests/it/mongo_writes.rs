//! MongoDB's documents stay right through replays, crashes, several owners and hostile text.

use std::sync::{Arc, Mutex};

use mongodb::{
    event::{EventHandler, command::CommandEvent},
    options::ClientOptions,
};
use query_service::{
    projections::{self, Inapplicable},
    read_models::{Parked, ParkedMessage},
    stores::{
        Checkpoints, ProjectionStore, Queries, StoreError, Swap,
        memory::MemoryReadModels,
        mongo::{Connection, MongoReadModels},
    },
};
use shared_events::{DecodedEvent, Event, RoomId, Timestamp, UserId};
use tokio::runtime::Handle;

use crate::{
    conformance::{feed, settle},
    conformance_histories::{History, history},
    conformance_steps::fixed_steps,
    mongo_database::{TestDatabase, url},
    mongo_usage::go_on,
    store_double::Store,
};

/// The documents of one clean pass in the order of the commands.
async fn clean(server: &TestDatabase, history: &History) -> Vec<(String, Vec<mongodb::bson::Document>)> {
    feed(&server.models("clean_").await, &history.events, 100).await;
    server.dump("clean_").await
}

pub(crate) fn of_room(history: &History, room: RoomId) -> Vec<DecodedEvent> {
    history.events.iter().filter(|event| event.room == room).cloned().collect()
}

#[tokio::test]
async fn every_event_twice_shuffled_across_rooms_with_old_batches_replayed_leaves_the_same_documents() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(300, 11));
    let expected = clean(&server, &history).await;
    let models = server.models("again_").await;
    let mixed = history.mixed(3);
    let batches: Vec<&[DecodedEvent]> = mixed.chunks(17).collect();
    for (number, batch) in batches.iter().enumerate() {
        models.apply(batch).await.unwrap();
        models.apply(batch).await.unwrap();
        if number % 3 == 2 {
            models.apply(batches[number / 2]).await.unwrap();
        }
    }
    for batch in batches {
        assert_eq!(models.apply(batch).await.unwrap().conflicts, vec![]);
    }
    settle(&models).await;
    assert_eq!(server.dump("again_").await, expected);
}

#[tokio::test]
async fn documents_written_without_their_checkpoint_are_completed_by_a_replay_in_other_batches() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(200, 13));
    let expected = clean(&server, &history).await;
    let models = server.models("crash_").await;
    let checkpoints = server.collection("crash_checkpoints");
    // As after a crash: the documents of most events are written, and the checkpoints are at the start.
    let before: Vec<_> = server.dump("crash_").await.remove(4).1;
    feed(&models, &history.events[..150], 23).await;
    for document in before {
        let id = mongodb::bson::doc! { "_id": document.get("_id").cloned() };
        checkpoints.replace_one(id, document).await.unwrap();
    }
    feed(&models, &history.events, 31).await;
    settle(&models).await;
    assert_eq!(server.dump("crash_").await, expected);
}

#[tokio::test]
async fn an_owner_that_lags_behind_another_overwrites_nothing() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(300, 17));
    let expected = clean(&server, &history).await;
    // Three owners of all rooms at once, with different batches.
    let events = Arc::new(history.events.clone());
    let mut owners = Vec::new();
    for batch in [7, 40, 3] {
        let (models, events) = (server.models("race_").await, Arc::clone(&events));
        owners.push(tokio::spawn(async move {
            let mut at = 0;
            while at < events.len() {
                let end = events.len().min(at + batch);
                match models.apply(&events[at..end]).await {
                    Ok(_) | Err(StoreError::Contended) => {}
                    Err(error) => panic!("{error:?}"),
                }
                if at % 4 == 0 {
                    models.write_usage().await.unwrap();
                }
                at = end;
            }
        }));
    }
    for owner in owners {
        owner.await.unwrap();
    }
    // An owner with a conflict reads the checkpoint and goes on from there, as the projector does.
    let models = server.models("race_").await;
    for room in history.room_ids() {
        go_on(&models, &of_room(&history, room), 50).await;
    }
    settle(&models).await;
    assert_eq!(server.dump("race_").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_another_owner_writes_at_the_same_time_is_counted_once() {
    let history = history(&fixed_steps(300, 17));
    let events = Arc::new(of_room(&history, history.room_ids()[0]));
    for before in [0, 4] {
        // The other owner applies all events once, right before this one sends its usage documents.
        let other: Arc<Mutex<Option<MongoReadModels>>> = Arc::default();
        let mut options = ClientOptions::parse(url()).await.unwrap();
        let (waiting, all) = (Arc::clone(&other), Arc::clone(&events));
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            let CommandEvent::Started(started) = event else { return };
            let writes = ["update", "bulkWrite"].contains(&started.command_name.as_str());
            if writes && started.command.to_string().contains("slow_usage") {
                let Some(other) = waiting.lock().unwrap().take() else { return };
                tokio::task::block_in_place(|| {
                    Handle::current().block_on(go_on(&other, &all, 100));
                });
            }
        }));
        let (other_waits, events) = (Arc::clone(&other), Arc::clone(&events));
        let server = TestDatabase::with_options(options);
        feed(&server.models("clean_").await, &events, 100).await;
        let clean = server.dump("clean_").await;
        let slow = server.models("slow_").await;
        feed(&slow, &events[..before], 100).await;
        let own = ClientOptions::parse(url()).await.unwrap();
        let own = Connection::with_options(own, &server.name).unwrap();
        let ahead = MongoReadModels::open(own, "slow_").await.unwrap();
        *other_waits.lock().unwrap() = Some(ahead);
        let applied = slow.apply(&events[before..before + 6]).await.unwrap();
        assert_eq!(applied.conflicts, vec![]);
        slow.write_usage().await.unwrap();
        settle(&slow).await;
        assert!(other_waits.lock().unwrap().is_none(), "the other owner never ran");
        assert_eq!(server.dump("slow_").await, clean);
    }
}

#[tokio::test]
async fn checkpoints_of_concurrent_owners_lose_nothing() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(400, 19));
    let mut owners = Vec::new();
    for room in history.room_ids() {
        let (models, events) = (server.models("g1_").await, of_room(&history, room));
        owners.push(tokio::spawn(async move { feed(&models, &events, 1).await }));
    }
    for owner in owners {
        owner.await.unwrap();
    }
    let (rooms, memory) = (history.room_ids(), MemoryReadModels::new());
    feed(&memory, &history.events, 100).await;
    let checkpoints = server.models("g1_").await.checkpoints(&rooms).await.unwrap();
    assert_eq!(checkpoints, memory.checkpoints(&rooms).await.unwrap());
}

#[tokio::test]
async fn a_checkpoint_that_is_not_where_the_batch_begins_stays() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(200, 23));
    let room = history.room_ids()[0];
    let events = of_room(&history, room);
    for models in [&MemoryReadModels::new() as &dyn Store, &server.models("g1_").await] {
        models.apply(&events[..4]).await.unwrap();
        let behind = models.apply(&events[6..8]).await.unwrap();
        assert_eq!((behind.advanced, behind.conflicts), (vec![], vec![room]));
        assert_eq!(models.checkpoints(&[room]).await.unwrap()[&room].version, 4);
        let overtaken = models.apply(&events[2..4]).await.unwrap();
        assert_eq!(overtaken.advanced, vec![(room, 4.into())]);
        let straddling = models.apply(&events[2..6]).await.unwrap();
        assert_eq!(straddling.conflicts, vec![room]);
    }
}

#[tokio::test]
async fn a_batch_with_a_hole_is_refused_and_writes_nothing() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(200, 23));
    let events = of_room(&history, history.room_ids()[0]);
    let models = server.models("g1_").await;
    let before = server.dump("g1_").await;
    let holed = [events[0].clone(), events[2].clone()];
    assert!(matches!(models.apply(&holed).await, Err(StoreError::Batch { .. })));
    let mut endless = events[1].clone();
    if let Event::ReservationMade(made) = &mut endless.event {
        made.reservation.to = made.reservation.from.plus(400 * 1440).unwrap();
    }
    let checked = projections::check(endless.room, &endless.event);
    assert_eq!(checked, Err(Inapplicable::EndlessStay), "no pipeline hands it over");
    assert_eq!(server.dump("g1_").await, before);
}

#[tokio::test]
async fn text_that_looks_like_an_expression_survives_inserts_and_updates() {
    let server = TestDatabase::create().await;
    let mut history = history(&fixed_steps(40, 29));
    let texts = ["$5 lunch", "$$x", "a.b.$c", "{\"$literal\": 1}", "\u{0}nul", "$$REMOVE"];
    let models = server.models("g1_").await;
    for (number, event) in history.events.iter_mut().enumerate() {
        let text = texts[number % texts.len()].to_owned();
        match &mut event.event {
            Event::ReservationMade(e) => e.reservation.title = Some(text),
            Event::ReservationRescheduled(e) => e.reservation.title = Some(text),
            Event::ReservationCancelled(e) => e.reservation.reserved_for = Some(text),
            Event::ReservationRestored(e) => e.reservation.reserved_for = Some(text),
            Event::RoomRegistered(e) => (e.room.settings.name, e.room.settings.kind) = (text.clone(), text),
            _ => {}
        }
    }
    let memory = MemoryReadModels::new();
    feed(&memory, &history.events, 1).await;
    // One event at a time, so that every change updates a stored document.
    feed(&models, &history.events, 1).await;
    for reservation in &history.all {
        let stored = models.reservation(*reservation).await.unwrap();
        assert_eq!(stored, memory.reservation(*reservation).await.unwrap());
    }
    for room in history.room_ids() {
        assert_eq!(models.room(room).await.unwrap(), memory.room(room).await.unwrap());
    }
}

#[tokio::test]
async fn a_parked_room_keeps_its_message_until_it_has_passed_it() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(200, 31));
    let rooms = history.room_ids();
    let events = of_room(&history, rooms[1]);
    for models in [&MemoryReadModels::new() as &dyn Store, &server.models("g1_").await] {
        models.apply(&events[..2]).await.unwrap();
        let message = |version: u64| ParkedMessage {
            room: rooms[1],
            version: version.into(),
            reason: "$$x is no event".into(),
            at: Timestamp::from_epoch_millis(77),
            headers: vec![("ce_id".into(), vec![0, 255]), ("$a.b".into(), b"$".to_vec())],
            payload: vec![0xff, 0, 1],
        };
        assert_eq!(models.park(&message(5)).await.unwrap(), Swap::Moved);
        assert_eq!(models.checkpoints(&rooms).await.unwrap()[&rooms[1]].parked, None);
        assert_eq!(models.park(&message(3)).await.unwrap(), Swap::Done);
        let parked = Parked { version: 3.into(), reason: "$$x is no event".into() };
        let checkpoint = models.checkpoints(&[rooms[1]]).await.unwrap()[&rooms[1]].clone();
        assert_eq!((checkpoint.version, checkpoint.parked), (2.into(), Some(parked)));
        assert_eq!(models.checkpoints(&rooms).await.unwrap()[&rooms[0]].parked, None);
        // Others go on, and so does this room once its event can be read.
        models.apply(&of_room(&history, rooms[0])).await.unwrap();
        assert!(models.checkpoints(&rooms).await.unwrap()[&rooms[1]].parked.is_some());
        models.apply(&events[2..]).await.unwrap();
        assert_eq!(models.checkpoints(&rooms).await.unwrap()[&rooms[1]].parked, None);
        assert_eq!(models.parked_message(rooms[1]).await.unwrap(), Some(message(3)));
        assert_eq!(models.parked_message(rooms[0]).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_empty_batch_and_unknown_rooms_are_no_trouble() {
    let server = TestDatabase::create().await;
    let nobody = RoomId(service_kit::ids::new_id());
    for models in [&MemoryReadModels::new() as &dyn Store, &server.models("g1_").await] {
        assert_eq!(models.apply(&[]).await.unwrap(), query_service::stores::Applied::default());
        assert_eq!(models.checkpoints(&[]).await.unwrap().len(), 0);
        assert_eq!(models.checkpoints(&[nobody]).await.unwrap()[&nobody].version, 0);
        assert_eq!(models.room(nobody).await.unwrap(), None);
        assert_eq!(models.history_of_user(&UserId::new("x").unwrap(), None, 5).await.unwrap(), vec![]);
    }
}

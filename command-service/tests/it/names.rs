//! Names of rooms that look alike, over HTTP and in both stores.

use command_service::{
    commands::{Action, ChangeRoom, RegisterRoom},
    domain::{Rejection, RoomEntry},
    event_store::{AppendError, EventStore, Group},
    writer::CommandOutcome,
};
use reqwest::Method;
use serde_json::{Value, json};
use shared_events::RoomId;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::{
    samples::{event, room},
    test_service::{TestService, keyed, send},
    test_store::TestStore,
    writer_rig::{by, instance, settings},
};

const LIKE_BLUE: [&str; 6] =
    ["BLUE", "Blue\u{200b}", "Bl\u{ad}ue", "\u{202e}Blue", "Ｂｌｕｅ", " blue\u{feff} "];

#[tokio::test(flavor = "multi_thread")]
async fn names_that_look_alike_are_a_conflict_and_those_without_anything_visible_are_invalid() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let blue = service.room("Blue", json!({})).await;
        let register = async |name: &str| {
            let body = json!({"name": name, "kind": "meeting", "capacity": 4, "timeZone": "UTC"});
            send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&body)).await
        };
        for name in LIKE_BLUE {
            let taken = register(name).await;
            assert_eq!(taken.problem(), (409, "name-taken", "/name"), "{name:?}");
            assert_eq!(taken.body["takenBy"], json!(blue), "{name:?}");
        }
        for name in ["\u{200b}", "\u{3164}", "\u{ad}\u{2060} \u{180e}", ""] {
            assert_eq!(register(name).await.problem(), (400, "invalid-value", "/name"), "{name:?}");
        }
        for name in ["Blue 1", "Blue l", "Bluе"] {
            register(name).await.expect(201);
        }
        let path = format!("/v1/rooms/{blue}");
        let change = async |body: Value| send(keyed(service.admin(Method::PATCH, &path)).json(&body)).await;
        change(json!({"name": "BLUE"})).await.expect(200);
        assert_eq!(change(json!({"name": "blue 1"})).await.problem(), (409, "name-taken", "/name"));
        assert_eq!(change(json!({"kind": "\u{3164}"})).await.problem(), (400, "invalid-value", "/kind"));

        let path = format!("/v1/rooms/{blue}/reservations");
        let stay = json!({"from": "2026-03-03T10:00:00Z", "to": "2026-03-03T11:00:00Z", "people": 2});
        for field in ["title", "reservedFor"] {
            let mut stay = stay.clone();
            stay[field] = json!("\u{200b}\u{3164}");
            let refused = send(keyed(service.user("ann", Method::POST, &path)).json(&stay)).await;
            assert_eq!(refused.problem(), (400, "invalid-value", format!("/{field}").as_str()));
        }
        send(service.admin(Method::DELETE, &format!("/v1/rooms/{blue}"))).await.expect(200);
        register("Blue\u{200b}").await.expect(201);
        service.stop().await;
    }
}

#[tokio::test]
async fn of_two_instances_that_register_names_that_look_alike_at_once_one_is_refused() {
    for store in TestStore::both().await {
        let (one, other) = (instance(&store).await, instance(&store).await);
        for round in 0..10 {
            let register = |name: String| {
                by("admin", Action::RegisterRoom(RegisterRoom::new(settings(&name, "meeting"))))
            };
            let (one, other) = tokio::join!(
                one.writer.submit(register(format!("Room {round}"))),
                other.writer.submit(register(format!("ROOM\u{200b} {round}"))),
            );
            let [one, other] = [one, other].map(|reply| reply.unwrap().result);
            let (Ok(done), Err(refused)) = (if one.is_ok() { (one, other) } else { (other, one) }) else {
                panic!("both have the name")
            };
            assert_eq!(refused, Rejection::NameTaken { by: done.room });
        }
    }
}

fn registered(number: u128, name: &str) -> Group {
    let entry = RoomEntry { room: room(number), name: name.into(), kind: "hall".into(), retired: false };
    Group { events: vec![event(entry.room, 1)], rooms: vec![entry], ..Group::default() }
}

/// Takes the store back to the form of an earlier build.
async fn take_back(store: &TestStore) {
    let forget = "DELETE FROM _sqlx_migrations WHERE version = 2";
    if let Some(file) = store.file() {
        let mut old = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        for sql in [
            "DROP INDEX rooms_live_name_key",
            "DROP INDEX rooms_name_key",
            "ALTER TABLE rooms DROP COLUMN keyed_name",
            "ALTER TABLE rooms DROP COLUMN name_key",
            forget,
        ] {
            old.execute(sql).await.unwrap();
        }
        old.close().await.unwrap();
    } else {
        let mut old = store.database().connect().await;
        let columns = "ALTER TABLE rooms DROP KEY rooms_live_name_key, DROP KEY rooms_name_key, \
                       DROP COLUMN live_name_key, DROP COLUMN keyed_name, DROP COLUMN name_key";
        old.execute(columns).await.unwrap();
        old.execute(forget).await.unwrap();
    }
}

/// As an instance of an earlier build does it.
async fn run_old(store: &TestStore, sql: &str) {
    match store.file() {
        Some(file) => {
            let mut old = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
            old.execute(sql).await.unwrap();
            old.close().await.unwrap();
        }
        None => _ = store.database().connect().await.execute(sql).await.unwrap(),
    }
}

/// Opens the store as a new instance that starts.
async fn started(store: &TestStore) -> std::sync::Arc<dyn EventStore> {
    if store.file().is_none() {
        store.database().open().migrate().await.unwrap();
    }
    store.open(None).await
}

async fn look_alikes(store: &dyn EventStore, name: &str) -> Vec<RoomId> {
    let rooms = store.rooms_named_like(&[name.to_owned()], &[]).await.unwrap();
    rooms.into_iter().map(|entry| entry.room).collect()
}

#[tokio::test]
async fn rooms_of_an_earlier_build_keep_names_that_look_alike_and_the_first_one_keeps_others_away() {
    for store in TestStore::both().await {
        let names = ["Blue", "Red", "Green"];
        let one = instance(&store).await;
        let mut rooms = Vec::new();
        for name in names {
            rooms.push(one.room(name, "meeting").await);
        }
        drop(one);
        take_back(&store).await;
        run_old(&store, "UPDATE rooms SET name = 'blue' WHERE name = 'Red'").await;
        run_old(&store, "UPDATE rooms SET name = 'BLUE' WHERE name = 'Green'").await;
        for _ in 0..2 {
            let opened = started(&store).await;
            assert_eq!(look_alikes(opened.as_ref(), "Blue\u{200b}").await, rooms);
            let refused = opened.append(&registered(7, "Blue\u{200b}")).await.unwrap_err();
            assert!(matches!(refused, AppendError::Conflict("name")), "{refused:?}");
        }
        // All of them can be changed, and so can all but their names.
        let one = instance(&store).await;
        let change = |room: RoomId, name: Option<&str>| {
            let change =
                ChangeRoom { name: name.map(str::to_owned), capacity: Some(9), ..ChangeRoom::new(room) };
            by("admin", Action::ChangeRoom(change))
        };
        for room in &rooms {
            one.does(change(*room, None)).await;
        }
        let taken = one.writer.submit(change(rooms[1], Some("bLUE"))).await;
        assert!(matches!(taken, Ok(CommandOutcome { result: Err(Rejection::NameTaken { .. }), .. })));
        one.does(change(rooms[1], Some("Yellow"))).await;
        let opened = store.open(None).await;
        let refused = opened.append(&registered(7, "yellow")).await.unwrap_err();
        assert!(matches!(refused, AppendError::Conflict("name")), "{refused:?}");
    }
}

#[tokio::test]
async fn a_name_that_an_instance_of_an_earlier_build_gave_meanwhile_gets_its_key_at_the_next_start() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let (blue, red) = (one.room("Blue", "meeting").await, one.room("Red", "meeting").await);
        run_old(&store, "UPDATE rooms SET name = 'Green' WHERE name = 'Blue'").await;
        let opened = store.open(None).await;
        // The old name is free, and the new one not yet guarded.
        opened.append(&registered(8, "blue")).await.unwrap();
        let known = opened.rooms_named_like(&["green".into()], &[blue]).await.unwrap();
        assert_eq!(known.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["Green"]);
        let opened = started(&store).await;
        let refused = opened.append(&registered(9, "green")).await.unwrap_err();
        assert!(matches!(refused, AppendError::Conflict("name")), "{refused:?}");
        assert_eq!(look_alikes(opened.as_ref(), "RED").await, [red]);
    }
}

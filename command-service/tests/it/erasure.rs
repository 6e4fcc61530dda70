//! The event store holds no trace of an erased person, and no instance writes them back.

use std::time::Duration;

use command_service::{
    commands::{Action, ChangeReservation, MoveReservation, Origin, Stay},
    domain::SNAPSHOT_SCHEMA,
    erasure::{ErasureProgress, erase},
    event_store::{AppendError, EventStore, Group, Position, Snapshot, StoreError, StoredEvent},
    writer::{Failure, Submission},
};
use shared_events::{RawEvent, RoomId, UserId};
use sqlx::{Connection, Executor, SqliteConnection, mysql::MySqlRow};

use crate::{
    samples::event,
    test_store::TestStore,
    writer_rig::{by, cancel, hour, instance, key, reserve},
};

pub(crate) const ANN: &str = "ann@example.com";
const PARTY: &str = "A party of Ann";
const MOTHER: &str = "Her mother, Zo\u{eb}";
const AT_ONCE: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(60);

fn named(stay: Stay) -> Stay {
    Stay { title: Some(PARTY.to_owned()), reserved_for: Some(MOTHER.to_owned()), ..stay }
}

fn imported(user: &str, name: &str, action: Action) -> Submission {
    let mut submission = Submission { key: Some(key(name)), ..by(user, action) };
    submission.command.origin = Origin::Import;
    submission.command.now = crate::writer_rig::NOON.parse().unwrap();
    submission
}

async fn erased(store: &dyn EventStore) -> ErasureProgress {
    let step = erase(store, store, &UserId::new(ANN).unwrap(), LONG).await.unwrap();
    assert!(step.done);
    step
}

/// The columns of all tables in which a text is found.
pub(crate) async fn columns_that_hold(store: &TestStore, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(file) = store.file() {
        let mut connection = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        let columns =
            "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table'";
        let columns: Vec<(String, String)> =
            sqlx::query_as(columns).fetch_all(&mut connection).await.unwrap();
        assert!(columns.len() > 20);
        for (table, column) in columns {
            let sql = format!("SELECT COUNT(*) FROM \"{table}\" WHERE instr(CAST(\"{column}\" AS BLOB), ?)");
            let count = sqlx::query_scalar::<_, i64>(&sql).bind(text.as_bytes());
            if count.fetch_one(&mut connection).await.unwrap() > 0 {
                found.push(format!("{table}.{column}"));
            }
        }
        found.sort();
        return found;
    }
    let mut connection = store.database().connect().await;
    let columns = "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR) FROM information_schema.columns \
                   WHERE table_schema = DATABASE() ORDER BY 1, 2";
    let columns: Vec<(String, String)> = sqlx::query_as(columns).fetch_all(&mut connection).await.unwrap();
    assert!(columns.len() > 20);
    for (table, column) in columns {
        let sql = format!(
            "SELECT 1 FROM `{table}` WHERE LOCATE(CAST(? AS BINARY), CAST(`{column}` AS BINARY)) LIMIT 1"
        );
        let row: Option<MySqlRow> =
            sqlx::query(&sql).bind(text).fetch_optional(&mut connection).await.unwrap();
        if row.is_some() {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

async fn nowhere(store: &TestStore) {
    for text in [ANN, PARTY, MOTHER] {
        assert_eq!(columns_that_hold(store, text).await, Vec::<String>::new(), "{text}");
    }
}

/// Everything of all events but for what is masked.
async fn what_stays(store: &dyn EventStore) -> Vec<String> {
    let nobody = UserId::new("nobody").unwrap();
    let strip = |event: StoredEvent| {
        let position = event.position;
        let event = event.into_raw().unwrap();
        let mut read = event.decode().unwrap();
        if let Some(reservation) = read.event.reservation_mut() {
            reservation.reserved_by = nobody.clone();
            (reservation.title, reservation.reserved_for) = (None, None);
        }
        read.metadata.actor = nobody.clone();
        read.metadata.correlation_id = String::new();
        format!("{position} {read:?}")
    };
    store.events_after(Position::START, 10_000).await.unwrap().into_iter().map(strip).collect()
}

async fn events(store: &dyn EventStore) -> Vec<RawEvent> {
    let stored = store.events_after(Position::START, 10_000).await.unwrap();
    stored.into_iter().map(|event| event.into_raw().unwrap()).collect()
}

fn change(room: RoomId, reservation: shared_events::ReservationId, people: u32) -> Action {
    let nothing = ChangeReservation::new(Some(room), reservation);
    Action::ChangeReservation(ChangeReservation { people: Some(people), ..nothing })
}

#[tokio::test]
async fn an_erased_person_is_in_no_table_and_all_else_is_as_it_was() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let opened = store.open(None).await;
        let (blue, red) = (one.room("Blue", "meeting").await, one.room("Red", "meeting").await);
        let line = imported(ANN, "line", reserve(blue, named(hour(8))));
        one.does(line.clone()).await;
        let keyed = Submission {
            key: Some(key("online")),
            correlation_id: ANN.into(),
            ..by(ANN, reserve(blue, named(hour(9))))
        };
        let made = one.does(keyed).await.reservation.unwrap();
        one.does(by("admin", change(blue, made, 3))).await;
        let to_red =
            MoveReservation { room: Some(blue), reservation: made, to_room: red, from: None, to: None };
        one.does(by(ANN, Action::MoveReservation(to_red))).await;
        let bobs = Stay { title: Some("Bob".to_owned()), ..hour(10) };
        let bobs = one.does(by("bob", reserve(blue, bobs))).await.reservation.unwrap();
        one.does(by(ANN, cancel(red, made))).await;
        let state = command_service::domain::Room::new(blue);
        let body = format!("{} {ANN} {PARTY} {MOTHER}", serde_json::to_string(&state).unwrap()).into_bytes();
        let snapshot = Snapshot { room: blue, version: 1.into(), schema: SNAPSHOT_SCHEMA.to_owned(), body };
        opened.save_snapshot(&snapshot, 0).await.unwrap();
        assert_eq!(
            columns_that_hold(&store, ANN).await,
            ["events.metadata", "events.payload", "snapshots.body"]
        );
        let (before, heads) = (what_stays(&*opened).await, opened.all_heads(None, 10).await.unwrap());
        let waiting = opened.backlog().await.unwrap().events;

        let step = erased(&*opened).await;
        assert_eq!((step.examined, step.masked), (9, 6));
        nowhere(&store).await;
        assert_eq!(what_stays(&*opened).await, before);
        assert_eq!(opened.all_heads(None, 10).await.unwrap(), heads);
        assert_eq!(opened.backlog().await.unwrap().events, waiting);
        for event in events(&*opened).await {
            let read = event.event().unwrap();
            let owner = read.reservation().map(|reservation| reservation.reserved_by.clone());
            let id = read.reservation().map(|reservation| reservation.id);
            let expected =
                id.map(|id| if id == bobs { UserId::new("bob").unwrap() } else { step.pseudonym.clone() });
            assert_eq!(owner, expected, "{event:?}");
            let title = read.reservation().and_then(|reservation| reservation.title.as_deref());
            assert_eq!(title, (id == Some(bobs)).then_some("Bob"));
        }
        // The import that told of them can still be sent again without effect.
        assert!(one.writer.submit(line).await.unwrap().repeated);
        assert_eq!(erased(&*opened).await, ErasureProgress { masked: 0, ..step }, "again it finds nothing");
    }
}

#[tokio::test]
async fn instances_that_have_the_person_in_memory_write_them_back_nowhere() {
    let store = TestStore::mysql().await;
    let (a, b, opened) = (instance(&store).await, instance(&store).await, store.open(None).await);
    let room = a.room("Blue", "meeting").await;
    let made = a.does(by(ANN, reserve(room, named(hour(9))))).await.reservation.unwrap();
    let other = b.does(by(ANN, reserve(room, named(hour(10))))).await.reservation.unwrap();
    let pseudonym = erased(&*opened).await.pseudonym;
    // Both would copy owner, title and guest from what they have in memory.
    a.does(by("admin", change(room, made, 3))).await;
    b.does(by("admin", change(room, other, 3))).await;
    nowhere(&store).await;
    for one in [&a, &b] {
        assert_eq!(one.writer.submit(by(ANN, cancel(room, made))).await.unwrap_err(), Failure::Erased);
        assert_eq!(one.writer.submit(by(ANN, reserve(room, hour(11)))).await.unwrap_err(), Failure::Erased);
    }
    let told_again =
        b.does(imported(ANN, "late line", reserve(room, named(hour(12))))).await.reservation.unwrap();
    a.does(imported(ANN, "late cancellation", cancel(room, told_again))).await;
    nowhere(&store).await;
    let last = events(&*opened).await.pop().unwrap();
    assert_eq!(last.metadata.actor, pseudonym);
    assert_eq!(last.event().unwrap().reservation().unwrap().reserved_by, pseudonym);
}

#[tokio::test]
async fn a_state_from_before_an_erasure_is_masked_by_those_who_load_it() {
    for store in TestStore::both().await {
        let (one, opened) = (instance(&store).await, store.open(None).await);
        let room = one.room("Blue", "meeting").await;
        let made = one.does(by(ANN, reserve(room, named(hour(9))))).await.reservation.unwrap();
        let mut state = command_service::domain::Room::new(room);
        for event in events(&*opened).await {
            state.apply(event.version, event.metadata.time, &event.event().unwrap()).unwrap();
        }
        let body = serde_json::to_vec(&state).unwrap();
        let snapshot = Snapshot { room, version: 2.into(), schema: SNAPSHOT_SCHEMA.to_owned(), body };
        opened.save_snapshot(&snapshot, 0).await.unwrap();
        // She is on the list, and nothing is masked yet.
        let person = UserId::new(ANN).unwrap();
        let person = opened.erasure_of(&person).await.unwrap().fingerprint(&person);
        opened.begin_erasure(person, &UserId::new("erased-1").unwrap()).await.unwrap();
        instance(&store).await.does(by("admin", change(room, made, 3))).await;
        let last = events(&*opened).await.pop().unwrap().decode().unwrap();
        let reservation = last.event.reservation().unwrap();
        assert_eq!((last.version, reservation.people), (3.into(), 3));
        assert_eq!(reservation.reserved_by, UserId::new("erased-1").unwrap());
        assert_eq!((&reservation.title, &reservation.reserved_for), (&None, &None));
    }
}

fn anns(room: RoomId, version: u64) -> RawEvent {
    let mut anns = event(room, version);
    anns.metadata.actor = UserId::new(ANN).unwrap();
    anns.payload =
        format!(r#"{{"reservation":{{"reservedBy":"{ANN}","title":"{PARTY}","n":{version}}}}}"#).into_bytes();
    anns
}

#[tokio::test]
async fn an_erasure_that_ended_half_way_goes_on_from_there() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let room = crate::samples::room(1);
        let group =
            Group { events: (1..=2500).map(|version| anns(room, version)).collect(), ..Group::default() };
        opened.append(&group).await.unwrap();
        let mut examined = Vec::new();
        let mut pseudonyms = Vec::new();
        loop {
            // Each as if the one before had been killed after what it committed last.
            let step = erase(&*opened, &*opened, &UserId::new(ANN).unwrap(), AT_ONCE).await.unwrap();
            assert_eq!(step.masked, step.examined);
            examined.push(step.examined);
            pseudonyms.push(step.pseudonym);
            if step.done {
                break;
            }
            assert_eq!(columns_that_hold(&store, ANN).await, ["events.metadata", "events.payload"]);
        }
        assert_eq!(examined, [1000, 1000, 500]);
        assert!(pseudonyms.windows(2).all(|pair| pair[0] == pair[1]), "{pseudonyms:?}");
        nowhere(&store).await;
    }
}

#[tokio::test]
async fn what_is_being_committed_while_a_person_is_erased_is_masked_too() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let room = crate::samples::room(1);
    // An append that has read the list and has not committed.
    let mut append = store.database().connect().await;
    append.execute("START TRANSACTION").await.unwrap();
    append.execute("SELECT epoch FROM erasure_list FOR SHARE").await.unwrap();
    let event = anns(room, 1);
    sqlx::query("INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES (?,1,'x',?,?,0)")
        .bind(&room.0.as_bytes()[..])
        .bind(&event.payload)
        .bind(serde_json::to_vec(&event.metadata).unwrap())
        .execute(&mut append)
        .await
        .unwrap();
    let held_up = erase(&*opened, &*opened, &UserId::new(ANN).unwrap(), LONG).await.unwrap_err();
    assert!(matches!(held_up, StoreError::Unavailable { .. }), "{held_up}");
    append.execute("COMMIT").await.unwrap();
    assert_eq!(erased(&*opened).await.masked, 1);
    nowhere(&store).await;
}

#[tokio::test]
async fn an_erasure_of_one_who_is_listed_waits_for_no_append() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let listed = erased(&*opened).await;
    let mut append = store.database().connect().await;
    append.execute("START TRANSACTION").await.unwrap();
    append.execute("SELECT epoch FROM erasure_list FOR SHARE").await.unwrap();
    assert_eq!(erased(&*opened).await, listed);
}

#[tokio::test]
async fn what_was_made_before_a_person_was_erased_is_not_written_after_it() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let room = crate::samples::room(1);
        erased(&*opened).await;
        let late = Group { events: vec![anns(room, 1)], ..Group::default() };
        let refused = opened.append(&late).await.unwrap_err();
        assert!(matches!(refused, AppendError::Erased), "{refused}");
        let snapshot = Snapshot { room, version: 1.into(), schema: "a".to_owned(), body: ANN.into() };
        opened.save_snapshot(&snapshot, 0).await.unwrap();
        nowhere(&store).await;
        assert_eq!(opened.heads(&[room]).await.unwrap(), []);
        opened.save_snapshot(&snapshot, 1).await.unwrap();
        assert_eq!(opened.snapshots(&[room]).await.unwrap(), [snapshot]);
    }
}

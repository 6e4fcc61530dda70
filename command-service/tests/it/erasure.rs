//! The event store holds no trace of an erased person, and no instance writes them back.

use std::time::Duration;

use command_service::{
    commands::{Action, ChangeReservation, MoveReservation, Origin, Stay},
    domain::SNAPSHOT_SCHEMA,
    erasure::{ErasureProgress, erase},
    event_store::{AppendError, EventStore, Group, Position, Snapshot, StoreError, StoredEvent},
    writer::{Failure, Submission},
};
use reqwest::Method;
use serde_json::json;
use shared_events::{Erasures, RawEvent, RoomId, UserId, erasure::ErasuresPage};
use sqlx::{Connection, Executor, SqliteConnection, mysql::MySqlRow};

use crate::{
    samples::event,
    test_service::{TestService, send},
    test_store::TestStore,
    writer_rig::{by, cancel, hour, instance, key, reserve},
};

const ANN: &str = "ann@example.com";
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
async fn columns_that_hold(store: &TestStore, text: &str) -> Vec<String> {
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

#[tokio::test]
async fn erasers_erase_and_services_read_the_list_which_holds_no_name() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let person = json!({"user": ANN});
    let ask = |method: Method, roles: &'static str| {
        service.request(method, "/v1/erasures").header("X-User", "olga").header("X-Roles", roles)
    };
    for method in [Method::GET, Method::POST] {
        let refused = send(ask(method, "").json(&person)).await;
        assert_eq!(refused.problem(), (403, "forbidden", ""));
    }
    for (method, role) in [(Method::GET, "eraser"), (Method::POST, "service")] {
        assert_eq!(send(ask(method, role).json(&person)).await.problem(), (403, "forbidden", ""));
    }
    for (body, field) in
        [(json!({"user": ""}), "/user"), (json!({}), "/user"), (json!({"user": ANN, "x": 1}), "/x")]
    {
        assert_eq!(send(ask(Method::POST, "admin").json(&body)).await.problem().2, field, "{body}");
    }
    let list = send(ask(Method::GET, "service")).await.expect(200);
    assert_eq!((&list.body["epoch"], &list.body["persons"]), (&json!(0), &json!([])));
    let step = send(ask(Method::POST, "eraser").json(&person)).await.expect(200);
    assert_eq!((&step.body["done"], &step.body["examined"]), (&json!(true), &json!(1)));
    let shown = send(ask(Method::GET, "admin")).await.expect(200);
    assert_eq!(shown.body["persons"].as_array().unwrap().len(), 1);
    assert_eq!(shown.body.get("secret"), None, "with the key, a known name can be looked up");
    let list = send(ask(Method::GET, "service")).await.expect(200);
    assert!(!list.body.to_string().contains("ann"), "{list:?}");
    let mut read = Erasures::default();
    assert!(read.add(serde_json::from_value(list.body).unwrap()));
    assert_eq!(
        read.pseudonym(&UserId::new(ANN).unwrap()).unwrap().as_str(),
        step.body["pseudonym"].as_str().unwrap()
    );
    let refused = service.reserve(ANN, &room, 9, 10).await;
    assert_eq!(refused.problem(), (403, "forbidden", ""));
    service.stop().await;
}

#[tokio::test]
async fn a_person_too_many_is_refused_and_one_who_is_listed_is_erased_again() {
    let service = TestService::start().await;
    let erase = async |user: String| {
        let erase = service.request(Method::POST, "/v1/erasures").header("X-User", "olga");
        send(erase.header("X-Roles", "eraser").json(&json!({"user": user}))).await
    };
    let mut listed = 0;
    let refused = loop {
        match erase(format!("invented {listed}")).await {
            answer if answer.status == 200 => listed += 1,
            answer => break answer,
        }
        assert!(listed < 50, "nobody was refused");
    };
    assert_eq!(refused.problem(), (429, "too-many-requests", ""));
    assert!((1..=10).contains(&refused.header("retry-after").parse::<u32>().unwrap()), "{refused:?}");
    assert!(listed >= 10, "{listed}");
    let again = erase("invented 0".to_owned()).await.expect(200);
    assert_eq!(again.body["done"], json!(true));
    service.stop().await;
}

#[tokio::test]
async fn a_list_that_is_full_takes_nobody_more() {
    let service = TestService::start().await;
    let mut database = service.store.database().connect().await;
    database.execute("UPDATE erasure_list SET epoch = 1000000").await.unwrap();
    let person = json!({"user": ANN});
    let refused = send(service.admin(Method::POST, "/v1/erasures").json(&person)).await;
    assert_eq!(refused.problem(), (503, "unavailable", ""));
    assert_eq!(columns_that_hold(&service.store, "erased-").await, Vec::<String>::new());
    service.stop().await;
}

#[tokio::test]
async fn a_list_of_two_hundred_thousand_is_read_in_pages_and_takes_one_more() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let mut database = service.store.database().connect().await;
    let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
                  UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let fill = format!(
        "INSERT INTO erasures (fingerprint, pseudonym, masked_to) \
         SELECT UNHEX(SHA2(n, 256)), CONCAT('erased-', n), NULL FROM (SELECT a.d + 10 * b.d + 100 * c.d + \
         1000 * e.d + 10000 * f.d + 100000 * g.d n FROM {digits} a, {digits} b, {digits} c, {digits} e, {digits} f, \
         (SELECT 0 d UNION ALL SELECT 1) g) numbers ORDER BY n"
    );
    database.execute(fill.as_str()).await.unwrap();
    database.execute("UPDATE erasure_list SET epoch = 200000").await.unwrap();
    // The writer reads the list when an append tells it of another epoch.
    service.reserve(ANN, &room, 9, 10).await.expect(201);
    let page = async |after: u64, limit: u32| {
        let ask = service.request(Method::GET, &format!("/v1/erasures?after={after}&limit={limit}"));
        let page = send(ask.header("X-User", "query-service").header("X-Roles", "service")).await.expect(200);
        serde_json::from_value::<ErasuresPage>(page.body).unwrap()
    };
    let mut list = Erasures::default();
    let mut pages = 1;
    while !list.add(page(list.after(), 10_000).await) {
        pages += 1;
    }
    assert_eq!((list.epoch, list.persons.len(), pages), (200_000, 200_000, 21));
    let person = json!({"user": ANN});
    send(service.admin(Method::POST, "/v1/erasures").json(&person)).await.expect(200);
    let next = page(list.after(), 10_000).await;
    assert_eq!((next.persons.len(), next.next), (2, None), "the last known one and the new one");
    assert!(list.add(next));
    assert!(list.pseudonym(&UserId::new(ANN).unwrap()).is_some());
    let refused = service.reserve(ANN, &room, 11, 12).await;
    assert_eq!(refused.problem(), (403, "forbidden", ""));
    for (query, field) in
        [("limit=0", "limit"), ("limit=10001", "limit"), ("after=-1", "after"), ("x=1", "x")]
    {
        let refused = send(service.admin(Method::GET, &format!("/v1/erasures?{query}"))).await;
        assert_eq!((refused.problem().0, refused.problem().2), (400, field), "{query}");
    }
    service.stop().await;
}

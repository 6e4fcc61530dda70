//! Errors of MySQL that pass: 503 with `Retry-After` while they last, and well again by itself.

use std::time::Duration;

use command_service::writer::Options;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use service_kit::ids;
use shared_events::RoomId;
use sqlx::{Connection, Executor, Row};

use crate::{
    own_mysql::OwnMySql,
    servers::Database,
    test_service::{Answer, TestService, keyed, send, stay},
    test_store::TestStore,
};

/// A service at this URL whose commands wait for a second.
async fn service(url: &str) -> TestService {
    let database = Database { url: url.to_owned() };
    database.open().migrate().await.unwrap();
    let options = Options { deadline: Duration::from_secs(1), ..Options::default() };
    TestService::start_closed(TestStore::MySql(database)).open_with(&options).await
}

async fn register(service: &TestService) -> Answer {
    let body = json!({"name": ids::new_id(), "kind": "meeting", "capacity": 4, "timeZone": "UTC"});
    send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&body)).await
}

#[track_caller]
fn assert_passes(answer: &Answer) {
    assert_eq!((answer.problem(), answer.header("retry-after")), ((503, "unavailable", ""), "1"));
}

/// A new user with this limit and all rights to a database, without those of an administrator; and its URL.
async fn user_url(server: &OwnMySql, url: &str, limit: &str) -> (&'static str, String) {
    let (user, database) = ("'limited'@'%'", url.rsplit_once('/').unwrap().1);
    server.run(&format!("CREATE USER {user} IDENTIFIED BY 'secret' {limit}")).await;
    server.run(&format!("GRANT ALL ON {database}.* TO {user}")).await;
    (user, format!("mysql://limited:secret@{}/{database}", server.address()))
}

#[tokio::test]
async fn errors_that_pass_are_503_while_they_last_and_the_next_command_is_carried_out() {
    let mut server = OwnMySql::start().await;
    let url = Database::missing_on(&server.url).url.clone();
    let service = service(&url).await;
    let room = service.room("Blue", json!({})).await;
    let reservation = service.reserve("ann", &room, 9, 10).await.expect(201);

    // 1461: nothing more can be prepared. The writer has no statement for two events yet, readers none for a kind.
    let other_room = service.room("Red", json!({})).await;
    let path = format!("/v1/rooms/{room}/reservations/{}/move", reservation.text("reservation"));
    let move_it = || keyed(service.user("ann", Method::POST, &path)).json(&json!({"toRoom": other_room}));
    let any = || keyed(service.user("ann", Method::POST, "/v1/kinds/desk/reservations")).json(&stay(9, 10));
    for (command, status) in [(&move_it as &dyn Fn() -> RequestBuilder, 200), (&any, 404)] {
        server.run("SET GLOBAL max_prepared_stmt_count = 0").await;
        let answer = send(command()).await;
        server.run("SET GLOBAL max_prepared_stmt_count = DEFAULT").await;
        assert_passes(&answer);
        send(command()).await.expect(status);
    }

    // 1205: another transaction keeps a lock.
    let mut other = service.store.database().connect().await;
    other.execute("BEGIN").await.unwrap();
    other.execute("SELECT * FROM erasure_list FOR UPDATE").await.unwrap();
    assert_passes(&register(&service).await);
    other.execute("ROLLBACK").await.unwrap();
    register(&service).await.expect(201);

    // 1290: the server is read-only.
    server.run("SET GLOBAL super_read_only = ON").await;
    assert_passes(&register(&service).await);
    server.run("SET GLOBAL read_only = OFF").await;
    register(&service).await.expect(201);

    // 1792: transactions of sessions that begin now are read-only, for as long as the sessions live.
    server.run("SET GLOBAL transaction_read_only = ON").await;
    let late = self::service(&url).await;
    assert_passes(&register(&late).await);
    let mut other = server.connect().await;
    other.execute("SET SESSION transaction_read_only = OFF").await.unwrap();
    other.execute("SET GLOBAL transaction_read_only = OFF").await.unwrap();
    register(&late).await.expect(201);

    // The server is shut down, and started again.
    server.end().await;
    assert_passes(&register(&service).await);
    server.begin().await;
    register(&service).await.expect(201);
}

#[tokio::test]
async fn a_user_whose_limits_are_reached_is_served_again_when_they_are_raised() {
    let server = OwnMySql::start().await;
    let database = Database::missing_on(&server.url);
    database.open().migrate().await.unwrap();

    // 1226: queries of an hour.
    let (user, url) = user_url(&server, &database.url, "WITH MAX_QUERIES_PER_HOUR 100").await;
    let limited = service(&url).await;
    let mut made = 0;
    let refused = loop {
        match register(&limited).await {
            answer if answer.status == 201 => made += 1,
            answer => break answer,
        }
    };
    assert!(made > 0);
    // The last query may be a COMMIT.
    if refused.problem().1 != "outcome-unknown" {
        assert_passes(&refused);
    }
    server.run(&format!("ALTER USER {user} WITH MAX_QUERIES_PER_HOUR 0")).await;
    register(&limited).await.expect(201);

    // 1226: connections. 1040: connections of all.
    let mut admin = server.connect().await;
    for (set, reset) in [
        (
            format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 1"),
            format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 0"),
        ),
        ("SET GLOBAL max_connections = 1".to_owned(), "SET GLOBAL max_connections = DEFAULT".to_owned()),
    ] {
        admin.execute(set.as_str()).await.unwrap();
        let own = format!(
            "SELECT id FROM information_schema.processlist WHERE user = {}",
            user.split('@').next().unwrap()
        );
        for row in admin.fetch_all(own.as_str()).await.unwrap() {
            let id: u64 = row.get(0);
            admin.execute(format!("KILL {id}").as_str()).await.unwrap();
        }
        let taken = sqlx::MySqlConnection::connect(&url).await;
        assert_passes(&register(&limited).await);
        drop(taken);
        admin.execute(reset.as_str()).await.unwrap();
        register(&limited).await.expect(201);
    }
}

#[tokio::test]
async fn the_victim_of_a_deadlock_is_carried_out_all_the_same() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let id: RoomId = room.parse().unwrap();
    let mut other = service.store.database().connect().await;
    other.execute("BEGIN").await.unwrap();
    // The server rolls back the transaction that has written less.
    let rows: Vec<_> = (1_000_000..1_000_500).map(|position| format!("({position},0)")).collect();
    other.execute(format!("INSERT INTO outbox VALUES {}", rows.join(",")).as_str()).await.unwrap();
    let event = format!(
        "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) \
         VALUES (x'{}', 2, 'other', '{{}}', '{{}}', 0)",
        id.0.simple()
    );
    other.execute(event.as_str()).await.unwrap();
    let command = service.reserve("ann", &room, 9, 10);
    let meets = async {
        let waits = "SELECT COUNT(*) FROM performance_schema.data_locks \
                     WHERE object_schema = DATABASE() AND object_name = 'events' AND lock_status = 'WAITING'";
        let mut watch = service.store.database().connect().await;
        while watch.fetch_one(waits).await.unwrap().get::<i64, _>(0) == 0 {}
        other.execute("UPDATE erasure_list SET epoch = epoch").await.unwrap();
        other.execute("ROLLBACK").await.unwrap();
    };
    let (answer, ()) = tokio::join!(command, meets);
    answer.expect(201);
}

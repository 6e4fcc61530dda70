//! The address of the event store leads to another primary while the service runs.

use std::time::Duration;

use command_service::event_store::{Append as _, EventLog as _, Outbox as _};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Executor as _, mysql::MySqlDatabaseError};
use tokio::time::{Instant, timeout};

use crate::{
    own_mysql::OwnMySql,
    proxy::{Cut, Proxy},
    samples::{event, events, room},
    serve::{Running, keys, output},
    servers::{Database, PATIENCE, Topic, brokers, eventually},
};

/// Longest time from the promotion of a server until everything is there.
const LIMIT: Duration = Duration::from_secs(15);

/// Holds within [`LIMIT`] from `start` on.
async fn soon(what: &str, start: Instant, holds: impl AsyncFn() -> bool) {
    eventually(what, holds).await;
    assert!(start.elapsed() < LIMIT, "{what}: only after {:?}", start.elapsed());
}

struct Desk {
    http: Client,
    url: String,
    token: String,
}

impl Desk {
    fn request(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token).header("Idempotency-Key", service_kit::ids::new_id().to_string())
    }

    /// Registers a room and returns the status and the body.
    async fn register(&self) -> (u16, Value) {
        let name = service_kit::ids::new_id().to_string();
        let body = json!({"name": name, "kind": "meeting", "capacity": 2, "timeZone": "UTC"});
        let request = self.request(self.http.post(format!("{}/v1/rooms", self.url))).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The rooms that the service reads.
    async fn rooms(&self) -> usize {
        let request = self.request(self.http.get(format!("{}/v1/streams?limit=500", self.url)));
        let page: Value = request.send().await.unwrap().json().await.unwrap();
        page["items"].as_array().map_or(0, Vec::len)
    }
}

/// The messages in a topic.
pub(crate) fn messages(topic: &Topic) -> i64 {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers()).create().unwrap();
    let end = |partition| client.fetch_watermarks(&topic.options.topic, partition, LIMIT).unwrap().1;
    (0..topic.options.partitions).map(end).sum()
}

/// The service's connections to a server.
async fn connections(server: &OwnMySql, database: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_db = '{database}'");
    server.number(&sql).await
}

#[tokio::test]
async fn a_service_follows_its_address_to_another_primary_with_and_without_traffic() {
    follow_the_address("table").await;
}

#[tokio::test]
async fn a_relay_of_the_binary_log_follows_the_address_too() {
    follow_the_address("log").await;
}

async fn follow_the_address(mode: &str) {
    let one = OwnMySql::start().await;
    let other = OwnMySql::replica_of(&one).await;
    let database = Database::missing_on(&one.url);
    let name = database.url.rsplit_once('/').unwrap().1.to_owned();
    let proxy = Proxy::start(&database, Cut::Answer, None).await;
    let folder = tempfile::tempdir().unwrap();
    let (jwks, brokers, topic) = (keys(folder.path()), brokers(), Topic::missing());
    let mut service = Running::start(&[
        ("MYSQL_URL", &proxy.url),
        ("KAFKA_BROKERS", &brokers),
        ("KAFKA_TOPIC", &topic.options.topic),
        ("JWKS_FILE", &jwks),
    ]);
    service.until_ready().await;
    let (url, wanted) = (proxy.url.clone(), mode.to_owned());
    let switch = move || output(&[("MYSQL_URL", &url)], &["relay", "mode", &wanted]);
    let switched = tokio::task::spawn_blocking(switch).await.unwrap();
    assert!(switched.status.success(), "{switched:?}");
    let folder = folder.path().to_str().unwrap();
    let token = output(&[], &["token", "--user", "root", "--admin", "--dir", folder]);
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
    let desk = Desk { http: Client::new(), url: service.url.clone(), token };
    let count = |table: &str| format!("SELECT COUNT(*) FROM {name}.{table}");
    for _ in 0..3 {
        assert_eq!(desk.register().await.0, 201);
    }

    // With traffic: a command each moment, and reads.
    one.run("SET GLOBAL super_read_only = ON").await;
    proxy.lead_to(other.address().to_owned());
    // A command waits for its time limit, so it may be carried out without having been refused.
    let commands = async {
        loop {
            match desk.register().await {
                (201, _) => break,
                (503, problem) => assert_eq!(problem["type"], "/problems/unavailable", "{problem}"),
                wrong => panic!("{wrong:?}"),
            }
        }
    };
    let promotion = async {
        eventually("the service is not ready", async || service.ready().await.0 == 503).await;
        other.promote(&one).await;
        Instant::now()
    };
    let both = timeout(PATIENCE, async { tokio::join!(commands, promotion) });
    let ((), promoted) = both.await.expect("a command is carried out");
    assert!(promoted.elapsed() < LIMIT, "a command: only after {:?}", promoted.elapsed());
    soon("the service is ready", promoted, async || service.ready().await.0 == 200).await;
    soon("no connection is left", promoted, async || connections(&one, &name).await == 0).await;
    assert_eq!((one.number(&count("events")).await, other.number(&count("events")).await), (3, 4));
    soon("the relay has delivered", promoted, async || messages(&topic) >= 4).await;
    let beats =
        format!("SELECT CAST(SUM(heartbeat) AS SIGNED) FROM {name}.leases WHERE name LIKE 'member/%'");
    let beat = other.number(&beats).await;
    soon("leases are renewed", promoted, async || other.number(&beats).await > beat).await;
    assert_eq!(desk.rooms().await, 4);

    // Back again, without a command.
    other.run("SET GLOBAL super_read_only = ON").await;
    one.follow(&other).await;
    proxy.lead_to(one.address().to_owned());
    one.promote(&other).await;
    let promoted = Instant::now();
    soon("no connection is left", promoted, async || connections(&other, &name).await == 0).await;
    soon("the service is ready", promoted, async || service.ready().await.0 == 200).await;
    let beat = one.number(&beats).await;
    soon("leases are renewed", promoted, async || one.number(&beats).await > beat).await;
    assert_eq!(desk.register().await.0, 201, "the first command after the switch");
    assert_eq!((one.number(&count("events")).await, other.number(&count("events")).await), (5, 4));
    soon("the relay has delivered", promoted, async || messages(&topic) >= 5).await;
    assert_eq!(desk.rooms().await, 5);
}

#[tokio::test]
async fn a_commit_on_a_server_that_has_become_read_only_leaves_nothing_there() {
    let server = OwnMySql::start().await;
    let database = Database::missing_on(&server.url);
    let store = database.open();
    store.migrate().await.unwrap();
    let mut late = database.connect().await;
    late.execute("BEGIN").await.unwrap();
    late.execute("INSERT INTO outbox VALUES (1, 0)").await.unwrap();
    server.run("SET GLOBAL super_read_only = ON").await;
    let error = late.execute("COMMIT").await.unwrap_err();
    let error = error.as_database_error().unwrap().downcast_ref::<MySqlDatabaseError>().number();
    assert_eq!(error, 1290);
    late.execute("ROLLBACK").await.unwrap();
    server.run("SET GLOBAL read_only = OFF").await;
    assert_eq!(store.backlog().await.unwrap().events, 0);
}

#[tokio::test]
async fn a_read_only_server_is_not_read() {
    let server = OwnMySql::start().await;
    let database = Database::missing_on(&server.url);
    database.open().migrate().await.unwrap();
    database.open().append(&events(vec![event(room(1), 1)])).await.unwrap();
    let store = database.open();
    for (refused, setting) in
        [(true, "super_read_only = ON"), (true, "super_read_only = OFF"), (false, "read_only = OFF")]
    {
        server.run(&format!("SET GLOBAL {setting}")).await;
        assert_eq!(store.heads(&[room(1)]).await.is_err(), refused, "{setting}");
    }
}

#[tokio::test]
async fn a_connection_that_is_always_in_use_is_replaced_all_the_same() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database, Cut::Answer, None).await;
    let store = proxy.open();
    let start = Instant::now();
    while proxy.connections() < 3 {
        assert!(start.elapsed() < 2 * LIMIT, "{} connections", proxy.connections());
        store.heads(&[room(1)]).await.unwrap();
    }
}

//! Many commands in one request, over real HTTP.

use std::sync::Arc;

use command_service::{
    http::Backend,
    outbox::handoff,
    writer::{Options, WriterStore, writer},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared_events::Version;

use crate::{
    hooked_store::WatchedIndex,
    test_service::{Answer, TestService, send, stay},
    test_store::TestStore,
};

pub(crate) const MEDIA_TYPE: &str = "application/x-ndjson";

pub(crate) fn post(key: &str, path: &str, body: Value) -> Value {
    json!({"key": key, "method": "POST", "path": path, "body": body})
}

pub(crate) fn reserve(key: &str, room: &str, from: u32) -> Value {
    post(key, &format!("/v1/rooms/{room}/reservations"), stay(from, from + 1))
}

pub(crate) fn file(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub(crate) fn request(service: &TestService, user: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    service.user(user, Method::POST, "/v1/commands").header("content-type", MEDIA_TYPE).body(body)
}

pub(crate) async fn answered(request: RequestBuilder) -> Vec<Value> {
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
    let text = response.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) async fn many(service: &TestService, user: &str, lines: &[Value]) -> Vec<Value> {
    answered(request(service, user, file(lines))).await
}

pub(crate) fn statuses(answers: &[Value]) -> Vec<u64> {
    answers.iter().map(|answer| answer["status"].as_u64().unwrap()).collect()
}

pub(crate) fn kind(answer: &Value) -> &str {
    answer["problem"]["type"].as_str().unwrap_or_default().trim_start_matches("/problems/")
}

/// A service on each kind of store.
pub(crate) async fn both() -> Vec<TestService> {
    let mut services = Vec::new();
    for store in TestStore::both().await {
        services.push(TestService::start_closed(store).open().await);
    }
    services
}

/// A single request with the parts of a line.
async fn alone(service: &TestService, user: &str, line: &Value) -> Answer {
    let method = line["method"].as_str().unwrap().parse().unwrap();
    let mut request = service.user(user, method, line["path"].as_str().unwrap());
    if let Some(key) = line["key"].as_str() {
        request = request.header("Idempotency-Key", key);
    }
    if let Some(tag) = line["ifMatch"].as_str() {
        request = request.header("If-Match", tag);
    }
    if !line["body"].is_null() {
        request = request.header("content-type", "application/json").body(line["body"].to_string());
    }
    send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_can_be_a_line_and_a_line_that_fails_fails_alone() {
    for service in both().await {
        let (blue, red) = (service.room("Blue", json!({})).await, service.room("Red", json!({})).await);
        let id = service.reserve("ann", &blue, 9, 10).await.expect(201).text("reservation");
        let path = format!("/v1/rooms/{blue}/reservations/{id}");
        let lines = [
            post("1", "/v1/rooms", json!({"name": "Green", "kind": "k", "capacity": 1, "timeZone": "UTC"})),
            json!({"key": "2", "method": "PATCH", "path": format!("/v1/rooms/{red}"), "body": {"capacity": 9}}),
            reserve("3", &blue, 10),
            reserve("4", &blue, 10),
            json!({"key": "5", "method": "PATCH", "path": path, "ifMatch": "\"1\"", "body": {"people": 3}}),
            json!({"method": "DELETE", "path": path, "ifMatch": "\"1\""}),
            json!({"method": "DELETE", "path": path}),
            post("8", &format!("{path}/restore"), json!({"revision": 2})),
            post("9", &format!("{path}/move"), json!({"toRoom": red})),
            post("10", "/v1/kinds/meeting/reservations", stay(10, 11)),
            json!({"key": "11", "method": "DELETE", "path": format!("/v1/rooms/{red}")}),
            reserve("12", "seven", 12),
        ];
        let body = format!("{}\n{{\"key\": \"bad\", \n{}", file(&lines[..6]), file(&lines[6..]));
        let as_admin = request(&service, "root", body).header("X-Roles", "admin");
        let answers = answered(as_admin).await;
        assert_eq!(
            statuses(&answers),
            [201, 200, 201, 409, 200, 412, 400, 200, 200, 200, 201, 409, 400],
            "{answers:?}"
        );
        let numbers: Vec<_> = answers.iter().map(|answer| answer["line"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14], "blank lines are counted");
        assert_eq!((kind(&answers[3]), kind(&answers[6])), ("overlap", "malformed"));
        assert_eq!((&answers[5]["key"], kind(&answers[5])), (&Value::Null, "stale"));
        let made = &answers[2];
        let made_id = made["body"]["reservation"].as_str().unwrap();
        assert_eq!(
            (&made["key"], &made["body"]["room"], &made["body"]["version"], &made["replayed"]),
            (&json!("3"), &json!(blue), &json!(3), &json!(false))
        );
        assert_eq!(made["location"], json!(format!("/v1/reservations/{made_id}")));
        assert!(made["consistencyToken"].as_str().is_some_and(|token| !token.is_empty()));
        assert_eq!((&answers[9]["body"]["room"], &answers[9]["body"]["revision"]), (&json!(red), &json!(5)));
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_and_its_single_request_are_the_same_request() {
    for service in both().await {
        let room = service.room("Blue", json!({})).await;
        let (first, second) = (reserve("a", &room, 10), reserve("b", &room, 11));
        let single = alone(&service, "ann", &first).await.expect(201);
        let answers = many(&service, "ann", &[first.clone(), second.clone()]).await;
        assert_eq!(statuses(&answers), [201, 201], "{answers:?}");
        assert_eq!((&answers[0]["replayed"], &answers[1]["replayed"]), (&json!(true), &json!(false)));
        assert_eq!(answers[0]["body"], single.body);
        assert_eq!(answers[0]["consistencyToken"], json!(single.header("consistency-token")));
        assert_eq!(answers[0]["location"], json!(single.header("location")));
        let again = alone(&service, "ann", &second).await.expect(201);
        assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &answers[1]["body"]));
        // Another request with the key, by itself and as a line, and the key of somebody else.
        let other = reserve("b", &room, 12);
        assert_eq!(alone(&service, "ann", &other).await.problem(), (422, "key-reused", ""));
        assert_eq!(kind(&many(&service, "ann", std::slice::from_ref(&other)).await[0]), "key-reused");
        assert_eq!(statuses(&many(&service, "bob", &[other]).await), [201]);
        assert_eq!(service.events(&room).await.len(), 4);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_twice_in_one_request_has_one_effect() {
    for service in both().await {
        let room = service.room("Blue", json!({})).await;
        let line = reserve("a", &room, 10);
        let answers = many(&service, "ann", &[line.clone(), line.clone(), reserve("a", &room, 11)]).await;
        assert_eq!(statuses(&answers), [201, 201, 422], "{answers:?}");
        assert_eq!(answers[0]["body"], answers[1]["body"]);
        assert_eq!((&answers[1]["replayed"], kind(&answers[2])), (&json!(true), "key-reused"));
        assert_eq!(service.events(&room).await.len(), 2);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_one_room_are_decided_in_their_order_and_answered_in_it() {
    for service in both().await {
        let rooms = [service.room("Blue", json!({})).await, service.room("Red", json!({})).await];
        let minute = |minutes: u32| {
            format!("2026-03-{:02}T{:02}:{:02}:00Z", 4 + minutes / 1440, minutes / 60 % 24, minutes % 60)
        };
        let line = |number: u32| {
            let room = &rooms[number as usize % 2];
            let (from, to) = (minute(number / 2 * 5), minute(number / 2 * 5 + 5));
            let body = json!({"from": from, "to": to, "people": 1});
            post(&number.to_string(), &format!("/v1/rooms/{room}/reservations"), body)
        };
        let lines: Vec<_> = (0..1_000).map(line).collect();
        let answers = many(&service, "ann", &lines).await;
        assert_eq!(statuses(&answers), vec![201; 1_000]);
        for (number, answer) in (0_u64..).zip(&answers) {
            let version = &answer["body"]["version"];
            assert_eq!((&answer["line"], version), (&json!(number + 1), &json!(number / 2 + 2)));
        }
        let again = many(&service, "ann", &lines).await;
        assert!(again.iter().all(|answer| answer["replayed"] == true));
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_about_one_reservation_keep_their_order_also_when_its_room_has_forgotten_it() {
    for service in both().await {
        let room = service.room("Blue", json!({})).await;
        let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
        let path = format!("/v1/rooms/{room}/reservations/{id}");
        let delete = || json!({"method": "DELETE", "path": path});
        let restore =
            |key: &str, revision: u32| post(key, &format!("{path}/restore"), json!({"revision": revision}));
        send(service.user("ann", Method::DELETE, &path)).await.expect(200);
        // Cancelled, so that there is none to cancel; then live, cancelled, live.
        let lines = [delete(), restore("1", 1), delete(), delete(), restore("2", 1), reserve("3", &room, 10)];
        let answers = many(&service, "ann", &lines).await;
        assert_eq!(statuses(&answers), [404, 200, 200, 404, 200, 409], "{answers:?}");
        let revisions = [1, 2, 4].map(|line| answers[line]["body"]["revision"].as_u64());
        assert_eq!(revisions, [Some(3), Some(4), Some(5)]);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_needs_the_role_of_its_command() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let id = service.reserve("bob", &room, 9, 10).await.expect(201).text("reservation");
    let heads = service.heads().await;
    let new_room = json!({"name": "Green", "kind": "k", "capacity": 1, "timeZone": "UTC"});
    let lines = [
        post("1", "/v1/rooms", new_room),
        json!({"method": "PATCH", "path": format!("/v1/rooms/{room}"), "body": {"capacity": 9}}),
        json!({"method": "DELETE", "path": format!("/v1/rooms/{room}")}),
        json!({"method": "DELETE", "path": format!("/v1/rooms/{room}/reservations/{id}")}),
    ];
    let answers = many(&service, "ann", &lines).await;
    assert_eq!(statuses(&answers), [403; 4], "{answers:?}");
    assert_eq!(service.heads().await, heads);
    let nobody = service.request(Method::POST, "/v1/commands").header("content-type", MEDIA_TYPE);
    assert_eq!(send(nobody.body(file(&lines))).await.problem().0, 401);
    service.stop().await;
}

/// A service whose writer begins when the second value is polled.
pub(crate) async fn waiting(options: &Options) -> (TestService, impl Future<Output = ()> + Send + use<>) {
    let service = TestService::start_closed(TestStore::mysql().await);
    let writing = service.writer(options).await;
    (service, writing)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_restores_the_revision_that_an_earlier_line_makes() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let index = WatchedIndex::over(&opened);
        let watched = WriterStore { index: Arc::clone(&index) as _, ..Arc::clone(&opened).into() };
        let service = TestService::start_closed(store);
        let (writer, writing) = writer(watched, service.clock.clone(), handoff().0, &Options::default());
        service.gate.open(Backend::new(writer, opened));
        let writing = tokio::spawn(writing);
        let room = service.room("Blue", json!({})).await;
        let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
        let path = format!("/v1/rooms/{room}/reservations/{id}");
        let patch = |people: u32| json!({"method": "PATCH", "path": path, "body": {"people": people}});
        let restore = post("1", &format!("{path}/restore"), json!({"revision": 2}));
        let answers = many(&service, "ann", &[patch(3), patch(4), restore]).await;
        let revisions: Vec<_> = answers.iter().map(|answer| answer["body"]["revision"].as_u64()).collect();
        assert_eq!(revisions, [Some(2), Some(3), Some(4)], "{answers:?}");
        assert_eq!(index.first.get(), Some(&Version::from(4)), "the revision is read once it is made");
        service.stop().await;
        writing.await.unwrap();
    }
}

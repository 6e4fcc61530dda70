//! Many commands in one request, over real HTTP.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use command_service::{
    commands::{Action, RegisterRoom},
    event_store::EventStore,
    http::Backend,
    outbox::handoff,
    writer::{Failure, Options, writer},
};
use futures_util::{StreamExt, future::join_all, poll};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use service_kit::clock::Clock;

use crate::{
    servers::{PATIENCE, eventually},
    test_service::{Answer, TestService, send, stay},
    test_store::TestStore,
    writer_rig::{NOON, by, settings},
};

const MEDIA_TYPE: &str = "application/x-ndjson";

fn post(key: &str, path: &str, body: Value) -> Value {
    json!({"key": key, "method": "POST", "path": path, "body": body})
}

fn reserve(key: &str, room: &str, from: u32) -> Value {
    post(key, &format!("/v1/rooms/{room}/reservations"), stay(from, from + 1))
}

fn file(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn request(service: &TestService, user: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    service.user(user, Method::POST, "/v1/commands").header("content-type", MEDIA_TYPE).body(body)
}

async fn answered(request: RequestBuilder) -> Vec<Value> {
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
    let text = response.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn many(service: &TestService, user: &str, lines: &[Value]) -> Vec<Value> {
    answered(request(service, user, file(lines))).await
}

fn statuses(answers: &[Value]) -> Vec<u64> {
    answers.iter().map(|answer| answer["status"].as_u64().unwrap()).collect()
}

fn kind(answer: &Value) -> &str {
    answer["problem"]["type"].as_str().unwrap_or_default().trim_start_matches("/problems/")
}

/// A service on each kind of store.
async fn both() -> Vec<TestService> {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_does_nothing() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let heads = service.heads().await;
    let lines: Vec<_> = (0..1_001).map(|number| reserve(&number.to_string(), &room, 10)).collect();
    let too_many = send(request(&service, "ann", file(&lines))).await;
    assert_eq!(too_many.problem(), (413, "too-large", ""));
    assert_eq!(too_many.body["limit"], json!(1_000));
    let too_long = format!("{}{}", file(&lines[..1]), " ".repeat(1024 * 1024));
    let too_long = send(request(&service, "ann", too_long)).await;
    assert_eq!((too_long.problem().0, &too_long.body["limit"]), (413, &json!(1_048_576)));
    let json = service.user("ann", Method::POST, "/v1/commands").json(&lines[0]);
    assert_eq!(send(json).await.problem(), (415, "unsupported-media-type", "Content-Type"));
    assert_eq!(service.heads().await, heads);
    // 2,000 requests go at once, and one more each millisecond.
    let lines: Vec<_> = (0..1_000).map(|_| json!({})).collect();
    let mut refused = None;
    for _ in 0..20 {
        let response = request(&service, "ben", file(&lines)).send().await.unwrap();
        if response.status().as_u16() == 429 {
            refused = Some(response);
            break;
        }
    }
    assert!(refused.is_some_and(|response| response.headers().contains_key("retry-after")));
    service.stop().await;
}

/// A service whose writer begins when the second value is polled.
async fn waiting(options: &Options) -> (TestService, impl Future<Output = ()> + Send + use<>) {
    let service = TestService::start_closed(TestStore::mysql().await);
    let writing = other_writer(&service, options).await;
    (service, writing)
}

/// Gives the service another writer, which begins when it is polled.
async fn other_writer(service: &TestService, options: &Options) -> impl Future<Output = ()> + Send + use<> {
    let store: Arc<dyn EventStore> = service.store.open(None).await;
    let (writer, writing) = writer(Arc::clone(&store).into(), service.clock.clone(), handoff().0, options);
    let (log, erasures) = (Arc::clone(&store) as _, Arc::clone(&store) as _);
    service.gate.open(Backend { writer, log, erasures, outbox: store });
    writing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_restores_the_revision_that_an_earlier_line_makes() {
    for service in both().await {
        let room = service.room("Blue", json!({})).await;
        let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
        let path = format!("/v1/rooms/{room}/reservations/{id}");
        let writing = other_writer(&service, &Options::default()).await;
        let patch = |people: u32| json!({"method": "PATCH", "path": path, "body": {"people": people}});
        let restore = post("1", &format!("{path}/restore"), json!({"revision": 2}));
        let sent = request(&service, "ann", file(&[patch(3), patch(4), restore])).send().await.unwrap();
        // Enough to read the revision, if it were read now.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let writing = tokio::spawn(writing);
        let text = sent.text().await.unwrap();
        let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let revisions: Vec<_> = answers.iter().map(|answer| answer["body"]["revision"].as_u64()).collect();
        assert_eq!(revisions, [Some(2), Some(3), Some(4)], "{answers:?}");
        service.stop().await;
        writing.await.unwrap();
    }
}

fn new_rooms(first: u32, last: u32) -> Vec<Value> {
    let room = |number: u32| {
        let body = json!({"name": format!("Room {number}"), "kind": "k", "capacity": 1, "timeZone": "UTC"});
        post(&number.to_string(), "/v1/rooms", body)
    };
    (first..=last).map(room).collect()
}

#[tokio::test]
async fn lines_leave_most_of_the_queue_to_single_requests() {
    for store in TestStore::both().await {
        let store = store.open(None).await;
        let options = Options { queue_capacity: 8, ..Options::default() };
        let clock = Clock::standing_at(NOON.parse().unwrap());
        // Nobody takes from the queue yet.
        let (writer, writing) = writer(store.into(), clock, handoff().0, &options);
        let room = |number: u32| {
            let settings = settings(&format!("Room {number}"), "k");
            let mut register = by("root", Action::RegisterRoom(RegisterRoom::new(settings)));
            register.command.actor.admin = true;
            register
        };
        let (lines, others) = (writer.lines(), writer.lines());
        let mut begun = vec![lines.queue(room(0)).await.unwrap(), others.queue(room(1)).await.unwrap()];
        let (mut third, mut fourth) = (Box::pin(lines.queue(room(2))), Box::pin(others.queue(room(3))));
        assert!(
            poll!(&mut third).is_pending() && poll!(&mut fourth).is_pending(),
            "a quarter of the queue is full"
        );
        let mut singles: Vec<_> = (4..10).map(|number| Box::pin(writer.submit(room(number)))).collect();
        for single in &mut singles {
            assert!(poll!(single).is_pending(), "it is queued");
        }
        assert_eq!(writer.submit(room(10)).await, Err(Failure::Overloaded));
        tokio::spawn(writing);
        begun.extend([third.await.unwrap(), fourth.await.unwrap()]);
        for reply in join_all(begun).await.into_iter().chain(join_all(singles).await) {
            let decided = reply.unwrap();
            assert!(decided.result.is_ok(), "{decided:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_few_such_requests_at_once() {
    let (service, writing) = waiting(&Options::default()).await;
    let send_one = |number: u32| {
        let lines = new_rooms(number, number);
        Box::pin(request(&service, "root", file(&lines)).header("X-Roles", "admin").send())
    };
    let mut running = Vec::new();
    for number in 0..8 {
        running.push(send_one(number).await.unwrap());
    }
    let refused = send_one(8).await.unwrap();
    assert_eq!(refused.status().as_u16(), 429);
    let writing = tokio::spawn(writing);
    for response in running {
        assert_eq!(response.status().as_u16(), 200);
        let _ = response.text().await.unwrap();
    }
    let ended = async || send_one(9).await.unwrap().status().as_u16() == 200;
    eventually("their places are free again", ended).await;
    service.stop().await;
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_is_carried_out_when_the_client_goes_and_the_rest_is_not_begun() {
    let (service, writing) = waiting(&Options::default()).await;
    let lines = new_rooms(1, 1_000);
    let response = request(&service, "root", file(&lines)).header("X-Roles", "admin").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    // 100 lines are queued, and wait.
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(response);
    let writing = tokio::spawn(writing);
    let again = request(&service, "root", file(&lines)).header("X-Roles", "admin");
    let answers = answered(again).await;
    assert_eq!(statuses(&answers), vec![201; 1_000]);
    // The server notices at a write that the client is gone.
    let begun = answers.iter().take_while(|answer| answer["replayed"] == true).count();
    assert!((100..1_000).contains(&begun), "{begun}");
    assert!(answers[begun..].iter().all(|answer| answer["replayed"] == false));
    service.stop().await;
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answer_holds_up_itself_alone() {
    // Two places for lines.
    let options = Options { queue_capacity: 8, ..Options::default() };
    let service = TestService::start_closed(TestStore::mysql().await).open_with(&options).await;
    let mut lines = new_rooms(1, 300);
    for line in &mut lines {
        line["key"] = json!(format!("{:0>250}", line["key"].as_str().unwrap()));
    }
    let slow = request(&service, "root", file(&lines)).header("X-Roles", "admin").send().await.unwrap();
    let room = service.room("Blue", json!({})).await;
    let answers = many(&service, "ann", &[reserve("1", &room, 10)]).await;
    assert_eq!(statuses(&answers), [201]);
    let text = slow.text().await.unwrap();
    assert_eq!(text.lines().count(), 300);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_refused_once_the_token_has_expired() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let heads = service.heads().await;
    let lines = [reserve("1", &room, 10)];
    let (to_send, body) = tokio::sync::mpsc::unbounded_channel::<String>();
    let body = futures_util::stream::unfold(body, |mut body| async move {
        body.recv().await.map(|text| (Ok::<_, std::io::Error>(text), body))
    });
    let request = service.request(Method::POST, "/v1/commands").bearer_auth(service.token());
    let request = request.header("content-type", MEDIA_TYPE).body(reqwest::Body::wrap_stream(body));
    let answer = tokio::spawn(request.send());
    to_send.send(file(&lines)).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Clocks may be 30 s apart.
    service.clock.advance(TimeDelta::seconds(3630));
    drop(to_send);
    let text = answer.await.unwrap().unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&answer["status"], kind(&answer)), (&json!(401), "unauthenticated"));
    assert_eq!(service.heads().await, heads);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_breaks_off_when_the_service_ends_and_all_that_was_begun_is_answered() {
    let (service, writing) = waiting(&Options::default()).await;
    let lines = new_rooms(1, 300);
    let response = request(&service, "root", file(&lines)).header("X-Roles", "admin").send().await.unwrap();
    service.ask_to_end();
    let writing = tokio::spawn(writing);
    let mut answer = response.bytes_stream();
    let (mut text, mut broke_off) = (Vec::new(), false);
    while let Some(chunk) = tokio::time::timeout(PATIENCE, answer.next()).await.unwrap() {
        match chunk {
            Ok(chunk) => text.extend_from_slice(&chunk),
            Err(_) => {
                broke_off = true;
                break;
            }
        }
    }
    assert!(broke_off, "an end that looks whole would hide that lines are missing");
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!((1..=100).contains(&lines), "{lines}");
    service.stop().await;
    writing.await.unwrap();
}

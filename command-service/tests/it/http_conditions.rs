//! Conditions of commands, and the paths of a repeated request, over real HTTP on real MySQL.

use reqwest::Method;
use serde_json::json;

use crate::test_service::{TestService, keyed, send, stay};

#[tokio::test(flavor = "multi_thread")]
async fn if_match_refuses_what_is_no_longer_current() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
    let path = format!("/v1/rooms/{room}/reservations/{id}");
    let patch = |tag: &str, people: u32| {
        let request = service.user("ann", Method::PATCH, &path).header("If-Match", tag);
        send(request.json(&json!({"people": people})))
    };
    patch("\"1\"", 3).await.expect(200);
    for tag in ["\"1\"", "W/\"1\"", "\"two\"", "\"1.0123456789abcdef\""] {
        let stale = patch(tag, 4).await;
        assert_eq!(stale.problem(), (412, "stale", "If-Match"), "{tag}");
        assert_eq!((&stale.body["revision"], &stale.body["version"]), (&json!(2), &json!(3)), "{tag}");
    }
    for tag in ["2", "\"1\", \"2\""] {
        assert_eq!(patch(tag, 4).await.problem(), (400, "invalid-value", "If-Match"), "{tag}");
    }
    patch("*", 4).await.expect(200);
    // As it comes back from a proxy that compresses, and as a query gives it.
    let weak = patch("W/\"3\"", 2).await.expect(200);
    assert_eq!((weak.header("etag"), weak.header("cache-control")), ("\"4\"", "no-store, no-transform"));
    patch("\"4.0123456789abcdef\"", 1).await.expect(200);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_a_command_cannot_have_is_refused_and_if_none_match_holds_for_nothing() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
    let room_path = format!("/v1/rooms/{room}");
    let path = format!("{room_path}/reservations/{id}");
    let (patch, to) = (json!({"people": 3}), json!({"toRoom": room}));
    let body = json!({"name": "Red", "kind": "a", "capacity": 1, "timeZone": "UTC"});
    let versioned = [
        service.admin(Method::PATCH, &room_path).json(&json!({"capacity": 9})),
        service.admin(Method::DELETE, &room_path),
        service.user("ann", Method::PATCH, &path).json(&patch),
        service.user("ann", Method::DELETE, &path),
        keyed(service.user("ann", Method::POST, &format!("{path}/move"))).json(&to),
        keyed(service.user("ann", Method::POST, &format!("{path}/restore"))).json(&json!({"revision": 1})),
    ];
    let with = |request: &reqwest::RequestBuilder, name: &str, value: &str| {
        send(request.try_clone().unwrap().header(name, value))
    };
    let date = "Mon, 02 Mar 2026 08:00:00 GMT";
    for (at, request) in versioned.iter().enumerate() {
        let refused = with(request, "If-None-Match", "*").await;
        assert_eq!(refused.problem(), (412, "stale", "If-None-Match"), "{at}");
        assert_eq!(refused.body["revision"], 1, "{at}");
        for (name, value) in [("If-None-Match", "\"2\""), ("If-Unmodified-Since", date)] {
            assert_eq!(with(request, name, value).await.problem(), (400, "invalid-value", name), "{at}");
        }
    }
    let nowhere = service.user("ann", Method::DELETE, &path.replace(&id, &room));
    assert_eq!(with(&nowhere, "If-None-Match", "*").await.problem().0, 404);
    let lines = service.admin(Method::POST, "/v1/import").header("Content-Type", "application/x-ndjson");
    let others = [
        keyed(service.admin(Method::POST, "/v1/rooms")).json(&body),
        keyed(service.user("ann", Method::POST, &format!("{room_path}/reservations"))).json(&stay(12, 13)),
        keyed(service.user("ann", Method::POST, "/v1/kinds/meeting/reservations")).json(&stay(12, 13)),
        lines.body(""),
        service.user("ann", Method::POST, "/v1/commands").header("Content-Type", "application/x-ndjson"),
        service.admin(Method::POST, "/v1/erasures").json(&json!({"user": "bob"})),
        service.admin(Method::PUT, "/v1/admin/log-level").json(&json!({"level": "info"})),
    ];
    for (at, request) in others.iter().enumerate() {
        for (name, value) in
            [("If-Match", "*"), ("If-Match", "\"1\""), ("If-None-Match", "*"), ("If-Unmodified-Since", date)]
        {
            assert_eq!(
                with(request, name, value).await.problem(),
                (400, "invalid-value", name),
                "{at} {name}"
            );
        }
    }
    assert_eq!(service.events(&room).await, ["room-registered", "reservation-made"], "nothing was done");
    with(&versioned[2], "If-Modified-Since", date).await.expect(200);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_by_another_form_of_the_path_is_the_same_request_alone_and_as_a_line() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({"kind": "Büro/2"})).await;
    let kinds = [
        "/v1/kinds/B%C3%BCro%2F2/reservations",
        "/v1/kinds/B%c3%bcro%2f2/reservations",
        "/v1/kinds/%42%C3%BCro%2F%32/reservations",
    ];
    let rooms = [
        format!("/v1/rooms/{room}/reservations"),
        format!("/v1/rooms/{}/reservations", room.to_uppercase()),
        format!("/v1/rooms/{}/reservations", room.replace('-', "")),
    ];
    for (key, paths, from) in [("k-1", kinds.map(str::to_owned), 10), ("k-2", rooms, 12)] {
        let body = stay(from, from + 1);
        let [first, others @ ..] = &paths;
        let alone =
            |path: &str| service.user("ann", Method::POST, path).header("Idempotency-Key", key).json(&body);
        let made = send(alone(first)).await.expect(201);
        for path in others {
            let again = send(alone(path)).await.expect(201);
            assert_eq!((&again.body, again.header("idempotency-replayed")), (&made.body, "true"), "{path}");
            let line = json!({"key": key, "method": "POST", "path": path, "body": body}).to_string();
            let request = service.user("ann", Method::POST, "/v1/commands").body(line);
            let answer = send(request.header("Content-Type", "application/x-ndjson")).await.expect(200).body;
            assert_eq!(
                (&answer["body"], &answer["replayed"]),
                (&made.body, &json!(true)),
                "{path}: {answer}"
            );
        }
    }
    service.stop().await;
}

//! Conditions, media types, integers and paths of commands, over real HTTP on real MySQL.

use reqwest::Method;
use serde_json::{Value, json};

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
async fn a_patch_may_be_a_merge_patch_that_does_what_its_media_type_says() {
    let service = TestService::start().await;
    let hours = json!({"opens": "08:00", "closes": "18:00"});
    let rules = json!({"minMinutes": 60, "openingHours": {"monday": hours, "tuesday": hours}});
    let room = service.room("Blue", rules).await;
    let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
    let path = format!("/v1/rooms/{room}");
    let merge = |request: reqwest::RequestBuilder, body: &Value| {
        send(request.header("Content-Type", "application/merge-patch+json").body(body.to_string()))
    };
    let reservation = format!("{path}/reservations/{id}");
    merge(service.user("ann", Method::PATCH, &reservation), &json!({"title": "Plans", "people": 2.0}))
        .await
        .expect(200);
    merge(service.user("ann", Method::PATCH, &reservation), &json!({"title": null})).await.expect(200);
    merge(service.admin(Method::PATCH, &path), &json!({"minMinutes": null, "capacity": 5})).await.expect(200);
    // What must be there can't be removed, and a part of the week would replace it.
    for (body, field) in [
        (json!({"capacity": null}), "/capacity"),
        (json!({"openingHours": {"saturday": hours}}), "/openingHours"),
        (json!({"openingHours": {"monday": null}}), "/openingHours"),
    ] {
        let refused = merge(service.admin(Method::PATCH, &path), &body).await;
        assert_eq!(refused.problem(), (400, "invalid-value", field), "{body}");
    }
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "sunday"];
    let mut week = json!({"saturday": hours});
    for day in days {
        week[day] = Value::Null;
    }
    merge(service.admin(Method::PATCH, &path), &json!({"openingHours": week})).await.expect(200);
    let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
    let settings = &page["items"].as_array().unwrap().last().unwrap()["data"]["room"]["settings"];
    assert_eq!((settings.get("minMinutes"), &settings["capacity"]), (None, &json!(5)));
    assert_eq!(settings["openingHours"].as_object().unwrap().keys().collect::<Vec<_>>(), ["saturday"]);
    let both = "application/json, application/merge-patch+json";
    let text =
        service.user("ann", Method::PATCH, &reservation).header("Content-Type", "text/plain").body("{}");
    let refused = send(text).await;
    assert_eq!(
        (refused.problem(), refused.header("accept-patch")),
        ((415, "unsupported-media-type", "Content-Type"), both)
    );
    let options = send(service.request(Method::OPTIONS, &reservation)).await.expect(204);
    assert_eq!((options.header("allow"), options.header("accept-patch")), ("PATCH, DELETE, OPTIONS", both));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integer_is_one_however_it_is_written_alone_as_a_line_and_in_an_import() {
    let service = TestService::start().await;
    let room = json!({"name": "Blue", "kind": "a", "capacity": 4.0, "timeZone": "UTC", "slotMinutes": 30.0})
        .to_string();
    let posted = |path: &str, body: String| {
        keyed(service.admin(Method::POST, path)).header("Content-Type", "application/json").body(body)
    };
    let room = send(posted("/v1/rooms", room.replace("30.0", "3e1"))).await.expect(201).text("room");
    let path = format!("/v1/rooms/{room}/reservations");
    let with = |people: &str, from: u32| {
        stay(from, from + 1).to_string().replace("\"people\":2", &format!("\"people\":{people}"))
    };
    send(posted(&path, with("2.0", 10))).await.expect(201);
    send(posted(&path, with("2e0", 11))).await.expect(201);
    for bad in ["2.5", "-2.0", "\"2.0\"", "4294967296.0"] {
        assert_eq!(
            send(posted(&path, with(bad, 12))).await.problem(),
            (400, "invalid-value", "/people"),
            "{bad}"
        );
    }
    let lines = |path: &str, body: String| {
        send(service.admin(Method::POST, path).header("Content-Type", "application/x-ndjson").body(body))
    };
    let line = |people: &str| {
        let body = with(people, 13);
        format!("{{\"key\": \"k\", \"method\": \"POST\", \"path\": \"{path}\", \"body\": {body}}}")
    };
    assert_eq!(lines("/v1/commands", line("2.0")).await.expect(200).body["status"], 201);
    let refused = lines("/v1/commands", line("2.5").replace("\"k\"", "\"l\"")).await.expect(200).body;
    assert_eq!((&refused["status"], &refused["problem"]["field"]), (&json!(400), &json!("/people")));
    let imported = format!(
        "{{\"key\": \"i\", \"at\": \"2026-03-02T07:00:00Z\", \"user\": \"ann\", \"command\": \"reserve\", \"room\": \"{room}\", {}",
        &with("2.0", 15)[1..]
    );
    // It may come too late for the room, but it is read.
    let outcome = lines("/v1/import", imported.clone()).await.expect(200).body;
    assert_ne!(outcome["outcome"], "failed", "{outcome}");
    let outcome = lines("/v1/import", imported.replace("2.0", "2.5")).await.expect(200).body;
    assert_eq!((&outcome["outcome"], &outcome["problem"]["field"]), (&json!("failed"), &json!("/people")));
    let limited = send(service.admin(Method::GET, "/v1/streams?limit=1.0")).await.expect(200);
    assert_eq!(limited.body["items"].as_array().unwrap().len(), 1);
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

//! Bad input: each gets a problem that names field and reason, and has no effect.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::test_service::{TestService, hour, keyed, send, stay};

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

fn room() -> Value {
    json!({"name": "Red", "kind": "meeting", "capacity": 4, "timeZone": "UTC"})
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_of_a_room_are_named() {
    let service = TestService::start().await;
    let id = service.room("Blue", json!({})).await;
    let before = service.heads().await;
    let huge = "x".repeat(10_000);
    let cases = [
        (with(room(), "name", json!("")), "invalid-value", "/name"),
        (with(room(), "name", json!(" \t ")), "invalid-value", "/name"),
        (with(room(), "name", json!("a\u{7}b")), "invalid-value", "/name"),
        (with(room(), "name", json!(huge)), "invalid-value", "/name"),
        (with(room(), "name", json!(null)), "invalid-value", "/name"),
        (with(room(), "kind", json!("x".repeat(201))), "invalid-value", "/kind"),
        (with(room(), "capacity", json!(0)), "invalid-value", "/capacity"),
        (with(room(), "capacity", json!(-1)), "invalid-value", "/capacity"),
        (with(room(), "capacity", json!("4")), "invalid-value", "/capacity"),
        (with(room(), "capacity", json!(1.5)), "invalid-value", "/capacity"),
        (with(room(), "timeZone", json!("Europe/Atlantis")), "invalid-value", "/timeZone"),
        (with(room(), "slotMinutes", json!(7)), "invalid-value", "/slotMinutes"),
        (with(room(), "minMinutes", json!(0)), "invalid-value", "/minMinutes"),
        (
            with(with(room(), "minMinutes", json!(60)), "maxMinutes", json!(30)),
            "invalid-value",
            "/minMinutes",
        ),
        (
            with(room(), "openingHours", json!({"monday": {"opens": "9", "closes": "17:00"}})),
            "invalid-value",
            "/openingHours/monday",
        ),
        (with(room(), "openingHours", json!({"someday": {}})), "unknown-field", "/openingHours/someday"),
        (with(room(), "colour", json!("red")), "unknown-field", "/colour"),
        (json!({"name": "Red", "kind": "meeting", "capacity": 4}), "invalid-value", "/timeZone"),
    ];
    for (body, kind, field) in cases {
        let refused = send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&body)).await;
        assert_eq!(refused.problem(), (400, kind, field), "{body:.200}");
        assert!(!refused.text("detail").is_empty());
    }
    let patches = [
        (json!({"name": null}), "invalid-value", "/name"),
        (json!({"capacity": null}), "invalid-value", "/capacity"),
        (json!({"slotMinutes": 0}), "invalid-value", "/slotMinutes"),
        (json!({"minMinutes": 5, "maxMinutes": 4}), "invalid-value", "/minMinutes"),
        (json!({"id": id}), "unknown-field", "/id"),
    ];
    for (body, kind, field) in patches {
        let refused = send(service.admin(Method::PATCH, &format!("/v1/rooms/{id}")).json(&body)).await;
        assert_eq!(refused.problem(), (400, kind, field), "{body}");
    }
    assert_eq!(service.heads().await, before);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_stays_are_named() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
    let before = service.heads().await;
    let cases = [
        (with(stay(12, 13), "from", json!(hour(13))), "invalid-value", "/from"),
        (with(stay(12, 13), "from", json!(hour(14))), "invalid-value", "/from"),
        (with(stay(12, 13), "from", json!("2026-03-03T12:00:00")), "invalid-value", "/from"),
        (with(stay(12, 13), "from", json!("2026-03-03T12:00:01Z")), "invalid-value", "/from"),
        (with(stay(12, 13), "from", json!("2026-02-30T12:00:00Z")), "invalid-value", "/from"),
        (with(stay(12, 13), "from", json!(1_772_539_200)), "invalid-value", "/from"),
        (with(stay(12, 13), "to", json!("3026-03-03T12:00:00Z")), "invalid-value", "/to"),
        (with(stay(12, 13), "to", json!("99999-03-03T12:00:00Z")), "invalid-value", "/to"),
        (with(stay(12, 13), "people", json!(0)), "invalid-value", "/people"),
        (with(stay(12, 13), "people", json!(4_294_967_296_u64)), "invalid-value", "/people"),
        (with(stay(12, 13), "people", json!(true)), "invalid-value", "/people"),
        (with(stay(12, 13), "title", json!("x".repeat(201))), "invalid-value", "/title"),
        (with(stay(12, 13), "reservedFor", json!("a\nb")), "invalid-value", "/reservedFor"),
        (with(stay(12, 13), "room", json!(room)), "unknown-field", "/room"),
        (json!({"from": hour(12), "to": hour(13)}), "invalid-value", "/people"),
        (json!([]), "invalid-value", ""),
    ];
    let path = format!("/v1/rooms/{room}/reservations");
    for path in [path.as_str(), "/v1/kinds/meeting/reservations"] {
        for (body, kind, field) in &cases {
            let refused = send(keyed(service.user("ann", Method::POST, path)).json(body)).await;
            assert_eq!(refused.problem(), (400, *kind, *field), "{body:.200}");
        }
    }
    let patches = [
        (json!({"from": null}), "/from"),
        (json!({"from": hour(11)}), "/from"),
        (json!({"to": "2027-03-05T12:00:00Z"}), "/to"),
        (json!({"people": 0}), "/people"),
        (json!({"title": 5}), "/title"),
    ];
    for (body, field) in patches {
        let refused = send(service.user("ann", Method::PATCH, &format!("{path}/{id}")).json(&body)).await;
        assert_eq!(refused.problem(), (400, "invalid-value", field), "{body}");
    }
    let moves = [(json!({}), "/toRoom"), (json!({"toRoom": "blue"}), "/toRoom")];
    for (body, field) in moves {
        let request = keyed(service.user("ann", Method::POST, &format!("{path}/{id}/move"))).json(&body);
        assert_eq!(send(request).await.problem(), (400, "invalid-value", field), "{body}");
    }
    assert_eq!(service.heads().await, before);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_read_are_refused() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let before = service.heads().await;
    let path = format!("/v1/rooms/{room}/reservations");
    let post = |path: &str| keyed(service.user("ann", Method::POST, path));
    let text = |request: RequestBuilder, body: &'static str| {
        request.header("content-type", "application/json").body(body)
    };
    let plain = |key: &'static str| service.user("ann", Method::POST, &path).header("Idempotency-Key", key);
    let large = with(stay(12, 13), "title", json!("x".repeat(70_000)));
    let unknown = "0190a5b0-0000-7000-8000-000000000001";
    let cases = [
        (text(post(&path), "{\"from\": "), (400, "malformed", "")),
        (text(post(&path), ""), (400, "malformed", "")),
        (text(post(&path), "{} {}"), (400, "invalid-value", "/from")),
        (post(&path).body("from=now"), (415, "unsupported-media-type", "Content-Type")),
        (post(&path).json(&large), (413, "too-large", "")),
        (post("/v1/rooms/blue/reservations").json(&stay(12, 13)), (400, "invalid-value", "room")),
        (post(&format!("/v1/rooms/{unknown}/reservations")).json(&stay(12, 13)), (404, "unknown-room", "")),
        (post(&format!("{path}?dryRun=true")).json(&stay(12, 13)), (400, "unknown-field", "dryRun")),
        (post("/v1/kinds/%07/reservations").json(&stay(12, 13)), (400, "invalid-value", "kind")),
        (post("/v1/nothing").json(&stay(12, 13)), (404, "not-found", "")),
        (service.user("ann", Method::PUT, &path).json(&stay(12, 13)), (405, "method-not-allowed", "")),
        (service.user("ann", Method::GET, &path), (405, "method-not-allowed", "")),
        (service.user("ann", Method::DELETE, &format!("{path}/{unknown}")), (404, "unknown-reservation", "")),
        (service.user("ann", Method::DELETE, &format!("{path}/one")), (400, "invalid-value", "reservation")),
        (
            service.user("ann", Method::POST, &path).json(&stay(12, 13)),
            (400, "missing-idempotency-key", "Idempotency-Key"),
        ),
        (plain("with space").json(&stay(12, 13)), (400, "invalid-idempotency-key", "Idempotency-Key")),
        (plain("\"\"").json(&stay(12, 13)), (400, "invalid-idempotency-key", "Idempotency-Key")),
        (
            service
                .user("ann", Method::POST, &path)
                .header("Idempotency-Key", "x".repeat(256))
                .json(&stay(12, 13)),
            (400, "invalid-idempotency-key", "Idempotency-Key"),
        ),
        (service.admin(Method::GET, "/v1/streams?limit=0"), (400, "invalid-value", "limit")),
        (service.admin(Method::GET, "/v1/streams?limit=501"), (400, "invalid-value", "limit")),
        (service.admin(Method::GET, "/v1/streams?page=2"), (400, "unknown-field", "page")),
        (service.admin(Method::GET, "/v1/streams?cursor=tampered"), (400, "invalid-value", "cursor")),
        (
            service.admin(Method::GET, &format!("/v1/streams/{room}/events?after=-1")),
            (400, "invalid-value", "after"),
        ),
        (
            service.admin(Method::GET, &format!("/v1/streams/{room}/events?after={}", u64::MAX)),
            (400, "invalid-value", "after"),
        ),
    ];
    for (request, expected) in cases {
        let shown = format!("{request:?}");
        let refused = send(request).await;
        assert_eq!(refused.problem(), expected, "{shown:.300}");
    }
    let refused = send(service.user("ann", Method::PUT, &path)).await;
    assert_eq!(refused.header("allow"), "POST, OPTIONS");
    assert_eq!(service.heads().await, before);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_ten_megabytes_is_refused_without_being_read_whole() {
    let service = TestService::start().await;
    let body = with(room(), "name", json!("x".repeat(10 * 1024 * 1024)));
    let request = keyed(service.admin(Method::POST, "/v1/rooms")).json(&body);
    // The service may close the connection while the rest is still being sent.
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status().as_u16(), 413);
    }
    assert_eq!(service.heads().await, json!([]));
    service.stop().await;
}

//! Invalid requests are refused with a problem that names field and reason. They have no effect.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Call, Client, Room, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    malformed_bodies_are_refused_with_the_field
    impossible_intervals_are_refused
    impossible_rooms_are_refused
    oversized_bodies_are_refused
    missing_and_malformed_keys_are_refused
    wrong_methods_media_types_and_ids_are_refused
    impossible_queries_are_refused
    altered_cursors_are_refused
    malformed_headers_of_queries_are_refused
}

const FROM: &str = "2031-01-06T10:00:00Z";
const TO: &str = "2031-01-06T11:00:00Z";

/// The call is refused, and the problem names the field.
async fn refused(call: Call, status: u16, slug: &str, field: Option<&str>) {
    let problem = call.send().await.problem(status, slug);
    assert_eq!(problem["field"].as_str(), field, "{problem}");
}

/// The room has not changed since its registration.
async fn untouched(client: &Client, room: &Room) {
    assert_eq!(client.versions(&room.id).await, [1]);
}

async fn malformed_bodies_are_refused_with_the_field(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.reservations();
    for text in ["", "{", "{\"from\": }", "<from/>", "\u{feff}{}"] {
        let call = client
            .command(Method::POST, &path)
            .key(&unique("key"))
            .header("Content-Type", "application/json");
        refused(call.body(text.to_owned()), 400, "malformed", None).await;
    }
    let binary =
        client.command(Method::POST, &path).key(&unique("key")).header("Content-Type", "application/json");
    refused(binary.body(vec![0xff, 0xfe, 0x00]), 400, "malformed", None).await;
    for (change, slug, field) in [
        (json!({"colour": "red"}), "unknown-field", "/colour"),
        (json!({"peeple": 2}), "unknown-field", "/peeple"),
        (json!({"people": "two"}), "invalid-value", "/people"),
        (json!({"people": 2.5}), "invalid-value", "/people"),
        (json!({"people": -1}), "invalid-value", "/people"),
        (json!({"people": 0}), "invalid-value", "/people"),
        (json!({"people": null}), "invalid-value", "/people"),
        (json!({"people": 99_999_999_999_u64}), "invalid-value", "/people"),
        (json!({"from": 7}), "invalid-value", "/from"),
        (json!({"from": "tomorrow"}), "invalid-value", "/from"),
        (json!({"title": ["a"]}), "invalid-value", "/title"),
        (json!({"title": "x".repeat(201)}), "invalid-value", "/title"),
        (json!({"title": "a\u{0}b"}), "invalid-value", "/title"),
        (json!({"reservedFor": "a\nb"}), "invalid-value", "/reservedFor"),
    ] {
        let mut body = json!({"from": FROM, "to": TO, "people": 2});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        refused(client.post(&path, &body), 400, slug, Some(field)).await;
    }
    for missing in ["from", "to", "people"] {
        let mut body = json!({"from": FROM, "to": TO, "people": 2});
        body.as_object_mut().unwrap().remove(missing);
        refused(client.post(&path, &body), 400, "invalid-value", Some(&format!("/{missing}"))).await;
    }
    untouched(client, &room).await;
}

async fn impossible_intervals_are_refused(client: &Client) {
    let room = client.register(json!({})).await;
    for (from, to, status, slug, field) in [
        (TO, FROM, 400, "invalid-value", Some("/from")),
        (FROM, FROM, 400, "invalid-value", Some("/from")),
        ("2031-01-06T10:00:00", TO, 400, "invalid-value", Some("/from")),
        (FROM, "2031-01-06T11:00:00", 400, "invalid-value", Some("/to")),
        ("2031-01-06", TO, 400, "invalid-value", Some("/from")),
        ("2031-01-06T10:00:30Z", TO, 400, "invalid-value", Some("/from")),
        ("2031-02-30T10:00:00Z", TO, 400, "invalid-value", Some("/from")),
        (FROM, "3031-01-06T10:00:00Z", 400, "invalid-value", Some("/to")),
        (FROM, "2032-01-08T10:00:00Z", 400, "invalid-value", Some("/to")),
        (FROM, "99999-01-06T10:00:00Z", 400, "invalid-value", Some("/to")),
        ("2020-01-06T10:00:00Z", "2020-01-06T11:00:00Z", 422, "in-the-past", None),
        ("2020-01-06T10:00:00Z", "2020-12-06T11:00:00Z", 422, "in-the-past", None),
    ] {
        refused(client.reserve(&room.id, from, to), status, slug, field).await;
    }
    untouched(client, &room).await;
}

async fn impossible_rooms_are_refused(client: &Client) {
    let kind = unique("kind");
    let hours =
        |opens: &str, closes: &str| json!({"openingHours": {"monday": {"opens": opens, "closes": closes}}});
    for (change, slug, field) in [
        (json!({"name": ""}), "invalid-value", "/name"),
        (json!({"name": "   "}), "invalid-value", "/name"),
        (json!({"name": "x".repeat(201)}), "invalid-value", "/name"),
        (json!({"name": "a\u{7}b"}), "invalid-value", "/name"),
        (json!({"name": "a\r\nb"}), "invalid-value", "/name"),
        (json!({"kind": "k".repeat(201)}), "invalid-value", "/kind"),
        (json!({"kind": "a\tb"}), "invalid-value", "/kind"),
        (json!({"capacity": 0}), "invalid-value", "/capacity"),
        (json!({"timeZone": "Mars/Olympus"}), "invalid-value", "/timeZone"),
        (json!({"timeZone": ""}), "invalid-value", "/timeZone"),
        (json!({"timeZone": "../../etc/passwd"}), "invalid-value", "/timeZone"),
        (json!({"slotMinutes": 0}), "invalid-value", "/slotMinutes"),
        (json!({"slotMinutes": 7}), "invalid-value", "/slotMinutes"),
        (json!({"slotMinutes": 2880}), "invalid-value", "/slotMinutes"),
        (json!({"maxMinutes": 0}), "invalid-value", "/maxMinutes"),
        (hours("08:00", "08:00"), "invalid-value", "/openingHours/monday"),
        (hours("8:00", "18:00"), "invalid-value", "/openingHours/monday"),
        (hours("08:00", "32:01"), "invalid-value", "/openingHours/monday"),
        (hours("24:00", "25:00"), "invalid-value", "/openingHours/monday"),
        (hours("08:00", "48:00"), "invalid-value", "/openingHours/monday"),
        (
            json!({"openingHours": {"monday": [
                {"opens": "08:00", "closes": "12:00"}, {"opens": "11:59", "closes": "18:00"}]}}),
            "invalid-value",
            "/openingHours/monday",
        ),
        (
            json!({"openingHours": {"monday": [{"opens": "08:00", "closes": "12:00"}, {"opens": "8"}]}}),
            "invalid-value",
            "/openingHours/monday/1/closes",
        ),
        (json!({"openingHours": {"monday": "08:00"}}), "invalid-value", "/openingHours/monday"),
        (
            json!({"openingHours": {"funday": {"opens": "08:00", "closes": "18:00"}}}),
            "unknown-field",
            "/openingHours/funday",
        ),
        (json!({"size": 3}), "unknown-field", "/size"),
    ] {
        let mut body = json!({"name": unique("room"), "kind": kind, "capacity": 2, "timeZone": "UTC"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        refused(client.post("/v1/rooms", &body), 400, slug, Some(field)).await;
    }
    // None of them exists, not even after a later room is shown.
    let last = client.register(json!({"kind": kind})).await;
    let shown = client.get("/v1/rooms").with(&[("kind", &kind)]).after(&last.token).send().await.expect(200);
    assert_eq!(shown["items"].as_array().unwrap().len(), 1);

    let path = last.path();
    for (change, field) in [
        (json!({"timeZone": "Nowhere"}), "/timeZone"),
        (json!({"capacity": 0}), "/capacity"),
        (json!({"capacity": null}), "/capacity"),
        (json!({"name": "a\u{1b}[31m"}), "/name"),
    ] {
        let call = client.patch(&path, &change);
        refused(call, 400, "invalid-value", Some(field)).await;
    }
    untouched(client, &last).await;
}

async fn oversized_bodies_are_refused(client: &Client) {
    let room = client.register(json!({})).await;
    for size in [64 * 1024 + 1, 10 * 1024 * 1024] {
        let body = json!({"name": "n".repeat(size), "kind": "any", "capacity": 2, "timeZone": "UTC"});
        refused(client.post("/v1/rooms", &body), 413, "too-large", None).await;
        let body = json!({"from": FROM, "to": TO, "people": 2, "title": "t".repeat(size)});
        refused(client.post(&room.reservations(), &body), 413, "too-large", None).await;
    }
    // A long name in a body of an allowed size.
    let body = json!({"name": "n".repeat(60_000), "kind": "any", "capacity": 2, "timeZone": "UTC"});
    refused(client.post("/v1/rooms", &body), 400, "invalid-value", Some("/name")).await;
    untouched(client, &room).await;
}

async fn missing_and_malformed_keys_are_refused(client: &Client) {
    let room = client.register(json!({})).await;
    let body = json!({"from": FROM, "to": TO, "people": 2});
    let call = || client.command(Method::POST, &room.reservations()).json(&body);
    refused(call(), 400, "missing-idempotency-key", Some("Idempotency-Key")).await;
    for key in ["", " ", "a b", &"k".repeat(256), "ü"] {
        refused(call().key(key), 400, "invalid-idempotency-key", Some("Idempotency-Key")).await;
    }
    refused(call().key("one").key("two"), 400, "invalid-idempotency-key", Some("Idempotency-Key")).await;
    untouched(client, &room).await;
    call().key(&format!("{}{}", unique("k"), "~".repeat(200))).send().await.expect(201);
}

async fn wrong_methods_media_types_and_ids_are_refused(client: &Client) {
    let room = client.register(json!({})).await;
    for (call, allowed) in [
        (client.command(Method::PUT, "/v1/rooms"), "POST"),
        (client.command(Method::GET, &room.reservations()), "POST"),
        (client.command(Method::POST, "/v1/streams").key("k"), "GET"),
        (client.query(Method::POST, "/v1/rooms"), "GET"),
        (client.query(Method::DELETE, &room.path()), "GET"),
    ] {
        let answer = call.send().await;
        answer.problem(405, "method-not-allowed");
        assert!(answer.header("allow").unwrap().contains(allowed), "{answer:?}");
    }
    let body = json!({"from": FROM, "to": TO, "people": 2}).to_string();
    for media_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"] {
        let call = client.command(Method::POST, &room.reservations()).key(&unique("key"));
        let call = call.header("Content-Type", media_type).body(body.clone());
        refused(call, 415, "unsupported-media-type", Some("Content-Type")).await;
        let import = client.command(Method::POST, "/v1/import").header("Content-Type", media_type);
        refused(import.body(body.clone()), 415, "unsupported-media-type", Some("Content-Type")).await;
    }
    let without = client.command(Method::POST, &room.reservations()).key(&unique("key")).body(body);
    refused(without, 415, "unsupported-media-type", Some("Content-Type")).await;

    for id in ["1", "not-an-id", "0199aaaa-bbbb-7ccc-8ddd-eeeeffff000z", "%00", "..%2F.."] {
        let call = client.reserve(id, FROM, TO);
        refused(call, 400, "invalid-value", Some("room")).await;
        let call = client.delete(&room.reservation(id));
        refused(call, 400, "invalid-value", Some("reservation")).await;
        refused(client.get(&format!("/v1/rooms/{id}")), 400, "invalid-value", Some("room")).await;
        refused(client.get(&format!("/v1/reservations/{id}")), 400, "invalid-value", Some("reservation"))
            .await;
    }
    let call = client.post(&format!("{}?dryRun=true", room.reservations()), &json!({}));
    refused(call, 400, "unknown-field", Some("dryRun")).await;
    untouched(client, &room).await;
}

async fn impossible_queries_are_refused(client: &Client) {
    let room = client.register(json!({})).await;
    let schedule = format!("/v1/rooms/{}/schedule", room.id);
    let good = [("from", FROM), ("to", TO)];
    for (parameters, slug, field) in [
        (vec![("from", FROM)], "invalid-value", "to"),
        (vec![("from", TO), ("to", FROM)], "invalid-value", "from"),
        (vec![("from", "2031-01-06T10:00:00"), ("to", TO)], "invalid-value", "from"),
        (vec![("from", "now"), ("to", TO)], "invalid-value", "from"),
        (vec![("from", FROM), ("to", "3031-01-06T11:00:00Z")], "invalid-value", "to"),
        (vec![("from", FROM), ("to", "2032-01-08T10:00:00Z")], "invalid-value", "to"),
        (vec![good[0], good[1], ("limit", "0")], "invalid-value", "limit"),
        (vec![good[0], good[1], ("limit", "501")], "invalid-value", "limit"),
        (vec![good[0], good[1], ("limit", "many")], "invalid-value", "limit"),
        (vec![good[0], good[1], ("colour", "red")], "unknown-field", "colour"),
        (vec![good[0], good[0], good[1]], "invalid-value", "from"),
    ] {
        for path in [schedule.as_str(), "/v1/statistics/busiest-times", "/v1/availability"] {
            refused(client.get(path).with(&parameters), 400, slug, Some(field)).await;
        }
    }
    for (path, name, value) in [
        ("/v1/rooms", "people", "0"),
        ("/v1/rooms", "people", "-3"),
        ("/v1/rooms", "people", "some"),
        ("/v1/rooms", "kind", "a\u{0}b"),
    ] {
        refused(client.get(path).with(&[(name, value)]), 400, "invalid-value", Some(name)).await;
    }
}

async fn altered_cursors_are_refused(client: &Client) {
    let (kind, other) = (unique("kind"), unique("kind"));
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(client.register(json!({"kind": kind})).await.token);
    }
    let page = |kind: &str| client.get("/v1/rooms").with(&[("kind", kind), ("limit", "1")]);
    let cursor =
        page(&kind).after(&tokens.join(",")).send().await.expect(200)["next"].as_str().unwrap().to_owned();
    page(&kind).with(&[("cursor", &cursor)]).send().await.expect(200);
    let flip = |place: usize| {
        let mut bytes = cursor.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut bad: Vec<String> = (0..cursor.len()).step_by(5).map(flip).collect();
    bad.extend(["", "x", "%00", "../..", &cursor[1..], &cursor[..cursor.len() - 1]].map(str::to_owned));
    bad.push("A".repeat(5_000));
    for cursor in &bad {
        refused(page(&kind).with(&[("cursor", cursor)]), 400, "invalid-value", Some("cursor")).await;
    }
    // A cursor is valid for its query only.
    refused(page(&other).with(&[("cursor", &cursor)]), 400, "invalid-value", Some("cursor")).await;
    refused(client.get("/v1/kinds").with(&[("cursor", &cursor)]), 400, "invalid-value", Some("cursor")).await;
    let streams = client.command(Method::GET, "/v1/streams").with(&[("cursor", "x")]);
    refused(streams, 400, "invalid-value", Some("cursor")).await;
}

async fn malformed_headers_of_queries_are_refused(client: &Client) {
    let call = || client.get("/v1/rooms");
    for token in ["nonsense", "AQ==", "", "AAAA,BBBB"] {
        refused(call().header("Consistency-Token", token), 400, "invalid-value", Some("Consistency-Token"))
            .await;
    }
    refused(call().header("Prefer", "wait=soon"), 400, "invalid-value", Some("Prefer")).await;
    let room = client.register(json!({})).await;
    let call = client.command(Method::PATCH, &room.path()).header("If-Match", "3");
    refused(call.json(&json!({"capacity": 3})), 400, "invalid-value", Some("If-Match")).await;
    untouched(client, &room).await;
    // Unknown preferences are ignored (RFC 7240).
    let fine: Value = client.get("/v1/kinds").header("Prefer", "respond-async").send().await.expect(200);
    assert!(fine["items"].is_array());
}

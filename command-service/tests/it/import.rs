//! The import over real HTTP on real MySQL.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    test_service::{TestService, send, stay},
    test_store::TestStore,
};

/// A line of the import: reserves a room of the kind `meeting`.
pub(crate) fn reserve(key: &str, user: &str, at: &str, from: u32, to: u32) -> Value {
    let mut line = stay(from, to);
    let more = json!({"key": key, "at": at, "user": user, "command": "reserve", "kind": "meeting"});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn about(key: &str, at: &str, command: &str, made_by: &str, more: Value) -> Value {
    let mut line =
        json!({"key": key, "at": at, "user": "ann", "command": command, "reservationKey": made_by});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

pub(crate) fn file(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

async fn import_as(service: &TestService, user: &str, body: String) -> Vec<Value> {
    let request = service.user(user, Method::POST, "/v1/import").header("X-Roles", "admin");
    let response = request.header("content-type", "application/x-ndjson").body(body).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn import(service: &TestService, lines: &[Value]) -> Vec<Value> {
    import_as(service, "root", file(lines)).await
}

fn outcomes(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|answer| answer["outcome"].as_str().unwrap()).collect()
}

pub(crate) fn kind(answer: &Value) -> &str {
    answer["problem"]["type"].as_str().unwrap_or_default()
}

pub(crate) const EARLY: &str = "2026-01-01T08:00:00Z";
const LATER: &str = "2026-01-02T08:00:00Z";
const LAST: &str = "2026-01-03T08:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_sent_again_changes_nothing() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let lines = [
        reserve("1", "ann", EARLY, 10, 11),
        reserve("2", "bob", EARLY, 10, 11),
        about("3", LATER, "reschedule", "1", json!({"people": 3, "title": "Plans"})),
        about("4", LAST, "cancel", "1", json!({})),
    ];
    let first = import(&service, &lines).await;
    assert_eq!(outcomes(&first), ["done", "rejected", "done", "done"]);
    let id = first[0]["reservation"].clone();
    let expected = json!({
        "line": 1, "key": "1", "outcome": "done", "room": room, "reservation": id, "version": 2, "revision": 1
    });
    assert_eq!(first[0], expected);
    assert_eq!(kind(&first[1]), "/problems/no-free-room");
    assert_eq!((&first[3]["reservation"], &first[3]["revision"]), (&id, &json!(3)));

    let before = service.heads().await;
    // The room has a free hour by now, but the rejection of line 2 was recorded.
    let second = import_as(&service, "another administrator", file(&lines)).await;
    assert_eq!(outcomes(&second), ["repeated"; 4]);
    for (first, second) in first.iter().zip(&second) {
        for member in ["room", "reservation", "version", "revision"] {
            assert_eq!(first.get(member), second.get(member));
        }
    }
    assert_eq!(kind(&second[1]), "/problems/no-free-room");
    assert_eq!(service.heads().await, before);

    let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.expect(200).body;
    let made = &page["items"][1];
    assert_eq!((&made["time"], &made["actor"]), (&json!("2026-01-01T08:00:00.000Z"), &json!("ann")));
    assert_eq!(made["data"]["reservation"]["reservedBy"], json!("ann"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_fails_alone() {
    let service = TestService::start().await;
    service.room("Blue", json!({})).await;
    let long = format!("{{\"key\": \"{}\"}}", "x".repeat(70_000));
    let bad_field = reserve("3", "ann", EARLY, 12, 13).to_string().replace("people", "poeple");
    let (one, last) = (reserve("1", "ann", EARLY, 10, 11), reserve("4", "ann", EARLY, 11, 12));
    let body = format!("{one}\n{{\"key\": \"2\", \n\n{long}\n{bad_field}\r\n{last}");
    let answers = import_as(&service, "root", body).await;
    assert_eq!(outcomes(&answers), ["done", "failed", "failed", "failed", "done"]);
    let lines: Vec<_> = answers.iter().map(|answer| answer["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 2, 4, 5, 6], "blank lines are counted and passed over");
    let kinds: Vec<_> = answers.iter().map(kind).collect();
    assert_eq!(kinds, ["", "/problems/malformed", "/problems/too-large", "/problems/unknown-field", ""]);
    assert_eq!((&answers[3]["key"], &answers[3]["problem"]["field"]), (&json!("3"), &json!("/poeple")));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_is_found_by_the_key_of_its_line_also_after_a_move() {
    let service = TestService::start().await;
    let (blue, red) =
        (service.room("Blue", json!({})).await, service.room("Red", json!({"kind": "other"})).await);
    let lines = [
        reserve("1", "ann", EARLY, 10, 11),
        about("2", LATER, "move", "1", json!({"toRoom": red})),
        about("3", LATER, "reschedule", "1", json!({"to": "2026-03-03T12:00:00Z"})),
        about("4", LATER, "move", "1", json!({"toRoom": blue, "from": "2026-03-03T09:00:00Z"})),
    ];
    let answers = import(&service, &lines).await;
    assert_eq!(outcomes(&answers), ["done"; 4], "{answers:?}");
    let rooms: Vec<_> = answers.iter().map(|answer| answer["room"].as_str().unwrap()).collect();
    assert_eq!(rooms, [&blue, &red, &red, &blue]);
    // In another file, and by its id.
    let id = answers[0]["reservation"].as_str().unwrap();
    let lines = [
        json!({"key": "5", "at": LAST, "user": "ann", "command": "reschedule", "reservation": id, "people": 1}),
        about("6", LAST, "cancel", "1", json!({})),
        about("7", LAST, "cancel", "1", json!({})),
        about("8", LAST, "cancel", "never", json!({})),
    ];
    let answers = import(&service, &lines).await;
    assert_eq!(outcomes(&answers), ["done", "done", "rejected", "rejected"], "{answers:?}");
    assert_eq!(kind(&answers[2]), "/problems/unknown-reservation");
    assert_eq!(kind(&answers[3]), "/problems/unknown-reservation");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_decided_in_their_order_at_their_time_by_their_user() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let by_bob = json!({"key": "4", "at": LAST, "user": "bob", "command": "cancel", "reservationKey": "1"});
    let past = {
        let mut line = reserve("5", "ann", LAST, 10, 11);
        line["from"] = json!("2026-01-02T10:00:00Z");
        line["to"] = json!("2026-01-02T11:00:00Z");
        line
    };
    let lines = [
        reserve("1", "ann", LATER, 10, 11),
        about("2", EARLY, "cancel", "1", json!({})),
        reserve("3", "ann", "2026-03-02T08:00:00.001Z", 12, 13),
        by_bob,
        past,
    ];
    let answers = import(&service, &lines).await;
    assert_eq!(outcomes(&answers), ["done", "rejected", "rejected", "rejected", "rejected"]);
    let kinds: Vec<_> = answers.iter().skip(1).map(kind).collect();
    let expected =
        ["/problems/out-of-order", "/problems/invalid-value", "/problems/forbidden", "/problems/in-the-past"];
    assert_eq!(kinds, expected);
    assert_eq!(answers[2]["problem"]["field"], json!("/at"));
    assert_eq!(
        (&answers[3]["problem"]["room"], &answers[3]["problem"]["version"]),
        (&json!(room), &json!(2))
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_line() {
    let service = TestService::start().await;
    service.room("Blue", json!({})).await;
    let line = reserve("1", "ann", EARLY, 10, 11);
    let other = reserve("1", "ann", EARLY, 11, 12);
    let answers = import(&service, &[line.clone(), line.clone(), other]).await;
    assert_eq!(outcomes(&answers), ["done", "repeated", "failed"]);
    assert_eq!(kind(&answers[2]), "/problems/key-reused");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_is_read_past_and_another_encoding_is_named() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        service.room("Blue", json!({})).await;
        let lines =
            [reserve("1", "ann", EARLY, 10, 11), about("2", LATER, "reschedule", "1", json!({"people": 3}))];
        let marked = format!("\u{feff}{}", file(&lines));
        let answers = import_as(&service, "root", marked).await;
        assert_eq!(outcomes(&answers), ["done", "done"], "{answers:?}");
        let answers = import(&service, &lines).await;
        assert_eq!(outcomes(&answers), ["repeated", "repeated"], "the mark is no part of the line");

        let request = service.user("root", Method::POST, "/v1/import").header("X-Roles", "admin");
        let utf_16: Vec<u8> =
            format!("\u{feff}{}", file(&lines)).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let request = request.header("content-type", "application/x-ndjson").body(utf_16);
        let text = request.send().await.unwrap().text().await.unwrap();
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&first["outcome"], kind(&first)), (&json!("failed"), "/problems/malformed"));
        assert!(first["problem"]["detail"].as_str().unwrap().contains("UTF-16"), "{first}");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_line_may_be_corrected_under_its_key_and_so_are_those_that_build_on_it() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let taken = reserve("1", "ann", EARLY, 10, 11);
        let on_it = about("3", LATER, "reschedule", "2", json!({"people": 3}));
        let lines = [taken.clone(), reserve("2", "ann", EARLY, 10, 11), on_it.clone()];
        assert_eq!(outcomes(&import(&service, &lines).await), ["done", "rejected", "rejected"]);

        let corrected = [taken, reserve("2", "ann", EARLY, 11, 12), on_it];
        let answers = import(&service, &corrected).await;
        assert_eq!(outcomes(&answers), ["repeated", "done", "done"], "{answers:?}");
        assert_eq!((&answers[2]["room"], &answers[2]["revision"]), (&json!(room), &json!(2)));
        assert_eq!(outcomes(&import(&service, &corrected).await), ["repeated"; 3]);
        // A done line may not.
        let other = import(&service, &[reserve("2", "ann", EARLY, 12, 13)]).await;
        assert_eq!((outcomes(&other), kind(&other[0])), (vec!["failed"], "/problems/key-reused"));
        // A line that is rejected again is recorded with its new content.
        let (first, second) = (reserve("4", "ann", EARLY, 10, 11), reserve("4", "ann", EARLY, 11, 12));
        assert_eq!(
            outcomes(&import(&service, &[first.clone(), second.clone()]).await),
            ["rejected", "rejected"]
        );
        assert_eq!(outcomes(&import(&service, &[second, first]).await), ["repeated", "rejected"]);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_imported_into_a_room_in_use_where_nothing_overlaps() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let now = service.user("bob", Method::POST, &format!("/v1/rooms/{room}/reservations"));
        send(now.header("Idempotency-Key", "now").json(&stay(10, 11))).await.expect(201);
        let past = |key: &str, from: u32, to: u32| {
            let mut line = reserve(key, "ann", "2025-01-01T08:00:00Z", from, to);
            for end in ["from", "to"] {
                line[end] = json!(line[end].as_str().unwrap().replace("2026-", "2025-"));
            }
            line
        };
        let lines = [
            past("1", 10, 12),
            past("2", 11, 13),
            about("3", "2025-01-02T08:00:00Z", "reschedule", "1", json!({"people": 3})),
            about("4", "2025-01-01T09:00:00Z", "cancel", "1", json!({})),
            past("5", 12, 13),
            about("6", "2025-01-03T08:00:00Z", "cancel", "1", json!({})),
            past("7", 10, 12),
        ];
        let answers = import(&service, &lines).await;
        let expected = ["done", "rejected", "done", "rejected", "done", "done", "done"];
        assert_eq!(outcomes(&answers), expected, "{answers:?}");
        assert_eq!(
            (kind(&answers[1]), kind(&answers[3])),
            ("/problems/no-free-room", "/problems/out-of-order")
        );
        assert_eq!(answers[3]["problem"]["lastChange"], json!("2025-01-02T08:00:00.000Z"));

        let page =
            send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.expect(200).body;
        let events = page["items"].as_array().unwrap();
        let versions: Vec<_> = events
            .iter()
            .map(|event| event["sequence"].as_str().unwrap().trim_start_matches('0').parse::<u64>().unwrap())
            .collect();
        assert_eq!(versions, (1..=7).collect::<Vec<_>>());
        let recorded: Vec<_> = events.iter().map(|event| event["recordedtime"].as_str().unwrap()).collect();
        assert!(recorded.is_sorted(), "{recorded:?}");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_staff_acts_as_an_administrator() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        service.room("Blue", json!({})).await;
        let by_staff = |key: &str| {
            let mut line = about(key, LATER, "cancel", "1", json!({}));
            line["user"] = json!("desk");
            line
        };
        let mut as_admin = by_staff("3");
        as_admin["as"] = json!("admin");
        let answers = import(&service, &[reserve("1", "ann", EARLY, 10, 11), by_staff("2"), as_admin]).await;
        assert_eq!(outcomes(&answers), ["done", "rejected", "done"], "{answers:?}");
        assert_eq!(kind(&answers[1]), "/problems/forbidden");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_thousands_of_lines_keeps_their_order() {
    let service = TestService::start().await;
    for number in 0..4 {
        service.room(&format!("Room {number}"), json!({})).await;
    }
    let line = |number: u32| {
        let minute = |minutes: u32| {
            format!("2026-03-{:02}T{:02}:{:02}:00Z", 3 + minutes / 1440, minutes / 60 % 24, minutes % 60)
        };
        let mut line = reserve(&number.to_string(), "ann", EARLY, 10, 11);
        line["from"] = json!(minute(number / 4 * 10));
        line["to"] = json!(minute(number / 4 * 10 + 10));
        line
    };
    let lines: Vec<_> = (0..5_000).map(line).collect();
    let answers = import(&service, &lines).await;
    let numbers: Vec<_> = answers.iter().map(|answer| answer["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=5_000).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| answer["outcome"] == "done"));
    let again = import(&service, &lines).await;
    assert!(again.iter().all(|answer| answer["outcome"] == "repeated"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_another_media_type_is_refused() {
    let service = TestService::start().await;
    let request = service.admin(Method::POST, "/v1/import").json(&json!({}));
    assert_eq!(send(request).await.problem(), (415, "unsupported-media-type", "Content-Type"));
    service.stop().await;
}

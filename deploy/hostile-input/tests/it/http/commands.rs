//! Commands: what is well formed finds no event store here, so that reading is all that happens.

use std::{collections::BTreeMap, sync::Arc};

use actix_web::{
    body::to_bytes,
    dev::Service,
    test::{TestRequest, init_service},
};
use command_service::{
    event_store::{EventStore, sqlite::SqliteStore},
    http::{Api, Backend, Gate, OPENAPI, configure},
    outbox::handoff,
    writer::{Options, writer},
};
use hostile_input::{cases, hostile};
use serde_json::Value;
use service_kit::{
    auth::{Authenticator, TokenRules},
    clock::Clock,
    http::server::{HttpParts, app, endpoints},
    readiness::Readiness,
    telemetry::Metrics,
};
use tokio_util::sync::CancellationToken;

use super::{Sample, answer, ask, heads::send_heads};

const KEYED: &[(&str, &str)] = &[
    ("x-user", "Zoë"),
    ("x-roles", "admin, service"),
    ("content-type", "application/json; charset=utf-8"),
    ("idempotency-key", "\"a\\\"key\""),
    ("prefer", "wait=1"),
    ("x-request-id", "r-1"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
];
/// The same for what has a revision.
const OF_A_REVISION: &[(&str, &str)] = &[
    ("x-user", "Zoë"),
    ("x-roles", "admin, service"),
    ("content-type", "application/json; charset=utf-8"),
    ("idempotency-key", "\"a\\\"key\""),
    ("prefer", "wait=1"),
    ("x-request-id", "r-1"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("if-match", "W/\"3.0123456789abcdef\""),
];
/// The same for what is read.
const READ: &[(&str, &str)] = &[
    ("x-user", "Zoë"),
    ("x-roles", "admin, service"),
    ("content-type", "application/json; charset=utf-8"),
    ("idempotency-key", "\"a\\\"key\""),
    ("prefer", "wait=1"),
    ("x-request-id", "r-1"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("if-none-match", "W/\"3\""),
];
const STAY: &str = r#"{"from": "2030-01-01T10:00:00Z", "to": "2030-01-01T11:00:00+00:00", "people": 2, "title": "t",
    "reservedFor": null}"#;
const SERIES: &str = r#"{"from": "2030-01-01T10:00:00Z", "to": "2030-01-01T11:00:00+00:00", "people": 2, "reservedBy": "bob",
    "recurrence": "FREQ=MONTHLY;BYDAY=1TU,-1FR;INTERVAL=2;UNTIL=20311231T230000Z", "exceptions": ["2030-02-01"],
    "onConflict": "skip", "dryRun": true}"#;
const SETTINGS: &str = r#"{"name": "Sala", "kind": "meeting", "capacity": 8, "timeZone": "Europe/Lisbon",
    "openingHours": {"monday": {"opens": "08:00", "closes": "24:00"}}, "slotMinutes": 15, "minMinutes": 15,
    "maxMinutes": 480, "maxDaysAhead": 90}"#;
const QUESTION: &str = r#"{"items": [{"room": "0190a5b0-0000-7000-8000-000000000001", "after": 7, "upTo": 9},
    {"room": "0190a5b0-0000-7000-8000-000000000002", "after": 0}]}"#;
const ROOM: &str = "/v1/rooms/0190a5b0-0000-7000-8000-000000000001";

const SAMPLES: &[Sample] = &[
    Sample { method: "POST", path: "/v1/rooms", headers: KEYED, body: SETTINGS },
    Sample { method: "PATCH", path: ROOM, headers: OF_A_REVISION, body: SETTINGS },
    Sample { method: "DELETE", path: ROOM, headers: OF_A_REVISION, body: "" },
    Sample {
        method: "POST",
        path: "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/reservations",
        headers: KEYED,
        body: STAY,
    },
    Sample { method: "POST", path: "/v1/kinds/a%20kind/reservations", headers: KEYED, body: STAY },
    Sample {
        method: "PATCH",
        path: "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/reservations/0190a5b0-0000-7000-8000-000000000002",
        headers: OF_A_REVISION,
        body: STAY,
    },
    Sample {
        method: "POST",
        path: "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/reservations/0190a5b0-0000-7000-8000-000000000002/move",
        headers: OF_A_REVISION,
        body: r#"{"toRoom": "0190a5b0-0000-7000-8000-000000000003", "from": "2030-01-01T10:00:00Z"}"#,
    },
    Sample {
        method: "POST",
        path: "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/reservations/0190a5b0-0000-7000-8000-000000000002/restore",
        headers: OF_A_REVISION,
        body: r#"{"revision": 1}"#,
    },
    Sample {
        method: "POST",
        path: "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/series",
        headers: KEYED,
        body: SERIES,
    },
    Sample {
        method: "PATCH",
        path: "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/series/0190a5b0-0000-7000-8000-000000000002",
        headers: KEYED,
        body: STAY,
    },
    Sample {
        method: "GET",
        path: "/v1/streams?limit=5&cursor=AZClsAAAcACAAAAAAAAAAQ",
        headers: READ,
        body: "",
    },
    Sample {
        method: "GET",
        path: "/v1/streams/0190a5b0-0000-7000-8000-000000000001/events?after=7&upTo=9&limit=500",
        headers: READ,
        body: "",
    },
    Sample {
        method: "GET",
        path: "/v1/streams/0190a5b0-0000-7000-8000-000000000001/events/7",
        headers: READ,
        body: "",
    },
    Sample { method: "POST", path: "/v1/events/query", headers: READ, body: QUESTION },
    Sample { method: "QUERY", path: "/v1/events", headers: READ, body: QUESTION },
];

const LINES: &[&[u8]] = &[
    br#"{"key": "a", "at": "2026-01-01T00:00:00Z", "user": "ann", "command": "reserve", "kind": "meeting",
        "from": "2026-02-01T10:00:00Z", "to": "2026-02-01T11:00:00Z", "people": 2, "title": "t", "reservedFor": "g"}"#,
    br#"{"key": "b", "at": "2026-01-01T00:00:00+01:00", "user": "ann", "command": "reschedule", "reservationKey": "a",
        "from": "2026-02-01T10:00:00Z", "people": 3, "title": null}"#,
    br#"{"key": "c", "at": "2026-01-01T00:00:00.5Z", "user": "ann", "command": "move", "reservationKey": "a",
        "toRoom": "0190a5b0-0000-7000-8000-000000000003"}"#,
    br#"{"key": "d", "at": "2026-01-01T00:00:00Z", "user": "ann", "command": "cancel",
        "reservation": "0190a5b0-0000-7000-8000-000000000002"}"#,
    br#"{"key": "e", "at": "2026-01-01T00:00:00Z", "user": "ann", "as": "delegate", "command": "reserveSeries",
        "room": "0190a5b0-0000-7000-8000-000000000003", "from": "2026-02-01T10:00:00Z", "to": "2026-02-01T11:00:00Z",
        "people": 2, "reservedBy": "bob", "recurrence": "FREQ=DAILY;COUNT=3", "onConflict": "skip"}"#,
    br#"{"key": "f", "at": "2026-01-01T00:00:00Z", "user": "ann", "command": "changeSeries", "seriesKey": "e",
        "since": "2026-02-02T10:00:00Z", "from": "2026-02-02T12:00:00Z", "title": null}"#,
    br#"{"key": "g", "at": "2026-01-01T00:00:00Z", "user": "ann", "command": "cancelSeries",
        "room": "0190a5b0-0000-7000-8000-000000000003", "series": "0190a5b0-0000-7000-8000-000000000004"}"#,
];

const COMMAND_LINES: &[&[u8]] = &[
    br#"{"key": "a", "method": "POST", "path": "/v1/rooms", "ifMatch": "*",
        "body": {"name": "Sala", "kind": "meeting", "capacity": 8, "timeZone": "Europe/Lisbon"}}"#,
    br#"{"key": "b", "method": "POST", "path": "/v1/kinds/a%20kind/reservations",
        "body": {"from": "2030-01-01T10:00:00Z", "to": "2030-01-01T11:00:00+00:00", "people": 2, "title": "t"}}"#,
    br#"{"key": "c", "method": "PATCH", "ifMatch": "\"3\"", "body": {"people": 3, "title": null},
        "path": "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/reservations/0190a5b0-0000-7000-8000-000000000002"}"#,
    br#"{"method": "DELETE", "path": "/v1/rooms/0190a5b0-0000-7000-8000-000000000001"}"#,
    br#"{"key": "e", "method": "POST", "body": {"revision": 1},
        "path": "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/reservations/0190a5b0-0000-7000-8000-000000000002/restore"}"#,
];

pub(super) fn parts(clock: &Clock) -> HttpParts {
    HttpParts {
        service: "command-service",
        authenticator: Authenticator::new(None, TokenRules::default(), true, clock.clone()),
        readiness: Readiness::new(clock.clone()),
        metrics: Metrics::install().unwrap(),
        openapi: OPENAPI,
        request_timeout: std::time::Duration::from_secs(30),
    }
}

#[actix_web::test]
async fn any_command_is_a_problem_of_the_clients_or_finds_no_store() {
    let clock = Clock::system();
    let parts = parts(&clock);
    let api = Api::new(Gate::default(), clock, CancellationToken::new());
    let app = init_service(app(&parts, endpoints(true, configure(api)))).await;
    // 200: an address of operators, which a path may turn into.
    ask(async |request| answer(app.call(request.to_request()).await), SAMPLES, &[503, 200]).await;
}

#[tokio::test]
async fn any_head_sent_to_the_command_service_is_refused_or_answered_and_the_next_one_too() {
    let clock = Clock::system();
    let api = Api::new(Gate::default(), clock.clone(), CancellationToken::new());
    send_heads(parts(&clock), configure(api)).await;
}

/// How many lines one request has.
const LINES_AT_ONCE: u64 = 100;

/// Sends hostile lines in requests of many, and gives each line of the answers to `check`.
async fn ask_in_lines(uri: &str, lines: &[&[u8]], mut check: impl FnMut(&Value)) {
    let (clock, folder) = (Clock::system(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(&folder.path().join("events.sqlite"), None).await.unwrap();
    let store: Arc<dyn EventStore> = Arc::new(store);
    let (writer, task) = writer(Arc::clone(&store).into(), clock.clone(), handoff().0, &Options::default());
    let writing = tokio::spawn(task);
    let gate = Gate::default();
    gate.open(Backend::new(writer, store));
    let api = Api::new(gate.clone(), clock.clone(), CancellationToken::new());
    let app = init_service(app(&parts(&clock), endpoints(true, configure(api)))).await;
    // Outside of what spans lines, so that one line stays one.
    let good: Vec<Vec<u8>> =
        lines.iter().map(|line| line.split(|byte| *byte == b'\n').flatten().copied().collect()).collect();
    let good: Vec<&[u8]> = good.iter().map(Vec::as_slice).collect();
    for first in (0..cases()).step_by(usize::try_from(LINES_AT_ONCE).unwrap()) {
        let lines: Vec<Vec<u8>> =
            (first..first + LINES_AT_ONCE).map(|number| hostile(&good, number)).collect();
        let body = lines.join(&b'\n');
        let sent = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        let request = TestRequest::post()
            .uri(uri)
            .append_header(("x-user", "root"))
            .append_header(("x-roles", "admin"))
            .append_header(("content-type", "application/x-ndjson"))
            .set_payload(body);
        let response = answer(app.call(request.to_request()).await);
        if response.status() == 413 && uri == "/v1/commands" {
            // Hostile lines may have line feeds of their own, or megabytes.
            continue;
        }
        assert_eq!(response.status(), 200);
        let answered = to_bytes(response.into_body()).await.unwrap();
        let answered: Vec<&[u8]> =
            answered.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(answered.len(), sent, "lines from {first}");
        for line in answered {
            let outcome: Value = serde_json::from_slice(line).unwrap();
            let status = outcome["problem"]["status"].as_u64().unwrap_or(200);
            assert!(status < 500, "{outcome} in lines from {first}");
            check(&outcome);
        }
    }
    gate.close();
    drop(app);
    writing.await.unwrap();
}

#[actix_web::test]
async fn any_line_of_an_import_has_one_outcome_and_never_blames_the_service() {
    let mut outcomes = BTreeMap::<String, u64>::new();
    let count = |outcome: &Value| *outcomes.entry(outcome["outcome"].to_string()).or_default() += 1;
    ask_in_lines("/v1/import", LINES, count).await;
    assert!(outcomes.contains_key("\"failed\"") && outcomes.contains_key("\"rejected\""), "{outcomes:?}");
}

#[actix_web::test]
async fn any_line_of_many_commands_has_the_answer_of_its_client_and_never_blames_the_service() {
    let mut statuses = BTreeMap::<u64, u64>::new();
    let count = |answer: &Value| *statuses.entry(answer["status"].as_u64().unwrap()).or_default() += 1;
    ask_in_lines("/v1/commands", COMMAND_LINES, count).await;
    assert!(statuses.contains_key(&400) && statuses.contains_key(&404), "{statuses:?}");
}

//! An administrator's readings of other persons' values leave audit lines. The OpenAPI document names the operations.

use std::{
    collections::HashSet,
    fmt::Debug,
    sync::{Mutex, Once},
};

use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, filter::filter_fn, layer::Context, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    events::{DAY, Stream},
    test_service::{TestService, range},
};

/// Another person, whose values an administrator reads.
const OTHER: &str = "zoe-anders";
/// Fields that tell of a person.
const PERSONAL: [&str; 4] = ["reservedBy", "reservedFor", "title", "user"];

/// The audit lines of this process.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static STARTED: Once = Once::new();

struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LINES.lock().unwrap().push(line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

fn lines_of(actor: &str) -> Vec<String> {
    let actor = format!("actor={actor:?} ");
    LINES.lock().unwrap().iter().filter(|line| line.contains(&actor)).cloned().collect()
}

/// Whether values of this schema have a field that tells of a person.
fn tells_of_persons<'a>(document: &'a Value, schema: &'a Value, seen: &mut HashSet<&'a str>) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, member)| match (name.as_str(), member) {
            ("$ref", Value::String(place)) => {
                let known = document.pointer(place.trim_start_matches('#')).unwrap();
                seen.insert(place) && tells_of_persons(document, known, seen)
            }
            ("properties", Value::Object(fields)) => {
                fields.keys().any(|field| PERSONAL.contains(&field.as_str()))
                    || fields.values().any(|field| tells_of_persons(document, field, seen))
            }
            _ => tells_of_persons(document, member, seen),
        }),
        Value::Array(members) => members.iter().any(|member| tells_of_persons(document, member, seen)),
        _ => false,
    }
}

#[tokio::test]
async fn every_operation_that_shows_an_administrator_anothers_values_leaves_an_audit_line() {
    STARTED.call_once(|| {
        let lines = Lines.with_filter(filter_fn(|line| line.target() == "audit"));
        tracing_subscriber::registry().with(lines).init();
    });
    let mut stream = Stream::new("Blue");
    let reservation = stream.reserve(OTHER, 9, 10);
    let service = TestService::of(&[&stream]).await;
    let document: Value = serde_json::from_str(query_service::http::OPENAPI).unwrap();
    let mut shown = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let answer = &operation["responses"]["200"]["content"];
            let is_personal = tells_of_persons(&document, answer, &mut HashSet::new());
            if method != "get" {
                assert!(!is_personal, "{method} {path}: this test reads only");
                continue;
            }
            let has_range =
                operation["parameters"].as_array().into_iter().flatten().any(|it| it["name"] == "to");
            let at = path
                .replace("{room}", &stream.room.to_string())
                .replace("{reservation}", &reservation.id.to_string())
                .replace("{user}", OTHER);
            let at = match path.as_str() {
                "/v1/schedule" => format!("{at}?date={DAY}"),
                _ if has_range => format!("{at}?{}", range()),
                _ => at,
            };
            let actor = format!("root of {path}");
            let request = service.request(&at).header("X-User", &actor).header("X-Roles", "admin");
            let answer = service.send(request).await.body.to_string();
            // An administrator has no reservations in these lists.
            let of_caller = path == "/v1/me" || path.starts_with("/v1/me/");
            assert_eq!(answer.contains(OTHER), is_personal && !of_caller, "{path}: {answer}");
            let lines = lines_of(&actor);
            assert!(!answer.contains(OTHER) || lines.len() == 1, "{path}: {lines:?}");
            assert!(lines.iter().all(|line| !line.contains(OTHER)), "{path}: {lines:?}");
            shown += usize::from(answer.contains(OTHER));
        }
    }
    assert_eq!(shown, 6, "a reservation, its revisions, two schedules, a user's reservations and history");
    let schedule = format!("/v1/rooms/{}/schedule?{}", stream.room, range());
    for (user, roles) in [(OTHER, "admin"), (OTHER, ""), ("bob", "")] {
        service.send(service.request(&schedule).header("X-User", user).header("X-Roles", roles)).await;
        assert!(lines_of(user).is_empty(), "own values, or times alone");
    }
    service.stop().await;
}

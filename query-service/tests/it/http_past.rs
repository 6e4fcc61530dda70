//! The past over HTTP.

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::{
    events::{DAY, Stream},
    test_service::{TestService, range},
};

/// The time at which [`Stream`] records a version, in milliseconds since 1970.
fn recorded(version: i64) -> String {
    shared_events::Timestamp::from_epoch_millis(1_800_000_000_000 + version).to_string()
}

async fn get(service: &TestService, user: &str, path: &str) -> Response {
    let roles = if user == "root" { "admin" } else { "" };
    service.request(path).header("X-User", user).header("X-Roles", roles).send().await.unwrap()
}

async fn json(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The problem's status, type and field.
async fn problem(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let text =
        |name: &str| body[name].as_str().unwrap_or_default().trim_start_matches("/problems/").to_owned();
    (status, text("type"), text("field"))
}

/// Blue: registered, Ann's stay made at 10, Bob's at 12; Ann's moved to 14, the room renamed, Ann's cancelled.
async fn past() -> (TestService, Stream, String) {
    let mut stream = Stream::new("Blue");
    let made = stream.reserve("ann", 10, 11);
    stream.reserve("bob", 12, 13);
    let later = stream.reschedule(&made, 14, 15);
    stream.change("Azure");
    stream.cancel(&later);
    (TestService::of(&[&stream]).await, stream, made.id.to_string())
}

#[tokio::test]
async fn a_reservation_a_room_and_a_schedule_are_shown_as_they_were_with_the_headers_of_a_memento() {
    let (service, stream, reservation) = past().await;
    let path = format!("/v1/reservations/{reservation}");
    for as_of in [format!("asOf={}", recorded(3)), "revision=1".to_owned()] {
        let answer = get(&service, "ann", &format!("{path}?{as_of}")).await;
        assert!(header(&answer, "etag").starts_with("\"1."));
        // In whole seconds.
        assert_eq!(header(&answer, "memento-datetime"), "Fri, 15 Jan 2027 08:00:00 GMT");
        let link = format!("<{path}>; rel=\"original\", <{path}/revisions>; rel=\"timemap\"");
        assert_eq!(header(&answer, "link"), link);
        assert_eq!(header(&answer, "cache-control"), "private, no-cache");
        let body = json(answer).await;
        assert_eq!((&body["from"], &body["status"]), (&format!("{DAY}T10:00:00Z").into(), &"live".into()));
        assert_eq!(body["version"], 2);
    }
    let now = json(get(&service, "ann", &path).await).await;
    assert_eq!((&now["revision"], &now["status"]), (&3.into(), &"cancelled".into()));

    let path = format!("/v1/rooms/{}", stream.room);
    for (as_of, version, name) in [
        (format!("asOf={}", recorded(4)), 1, "Blue"),
        ("version=4".to_owned(), 4, "Blue"),
        (format!("asOf={}", recorded(5)), 5, "Azure"),
        ("asOf=2030-12-31T23:59:00%2B00:00".to_owned(), 5, "Azure"),
    ] {
        let answer = get(&service, "bob", &format!("{path}?{as_of}")).await;
        assert_eq!(header(&answer, "link"), format!("<{path}>; rel=\"original\""));
        let body = json(answer).await;
        assert_eq!((&body["version"], &body["name"]), (&version.into(), &name.into()), "{as_of}");
    }

    let path = format!("/v1/rooms/{}/schedule?{}", stream.room, range());
    let hours = async |user: &str, as_of: &str| {
        let body = json(get(&service, user, &format!("{path}{as_of}")).await).await;
        let hour = |item: &Value| item["from"].as_str().unwrap()[11..13].to_owned();
        (
            body["version"].as_u64().unwrap(),
            body["items"].as_array().unwrap().iter().map(hour).collect::<Vec<_>>(),
        )
    };
    let at = |version| format!("&asOf={}", recorded(version));
    assert_eq!(hours("ann", &at(1)).await, (1, vec![]));
    assert_eq!(hours("ann", &at(3)).await, (3, vec!["10".to_owned(), "12".to_owned()]));
    assert_eq!(hours("ann", "&version=5").await, (5, vec!["12".to_owned(), "14".to_owned()]));
    assert_eq!(hours("ann", &at(6)).await, (6, vec!["12".to_owned()]));
    assert_eq!(hours("ann", "").await, (6, vec!["12".to_owned()]));
    service.stop().await;
}

#[tokio::test]
async fn of_the_past_a_caller_sees_no_more_than_of_the_present() {
    let (service, stream, reservation) = past().await;
    for path in ["", "?revision=1", "/revisions"] {
        let path = format!("/v1/reservations/{reservation}{path}");
        assert_eq!(get(&service, "bob", &path).await.status(), 403, "{path}");
        assert_eq!(get(&service, "root", &path).await.status(), 200, "{path}");
    }
    let path = format!("/v1/rooms/{}/schedule?{}&version=3", stream.room, range());
    let body = json(get(&service, "bob", &path).await).await;
    assert_eq!(body["items"][0].as_object().unwrap().len(), 2, "Ann's is only busy: {body}");
    assert_eq!(body["items"][1]["reservedBy"], "bob");
    service.stop().await;
}

#[tokio::test]
async fn a_moment_in_the_future_or_before_the_beginning_and_a_number_that_is_not_there_are_problems() {
    let (service, stream, reservation) = past().await;
    let (room, range) = (stream.room, range());
    let of_reservation = format!("/v1/reservations/{reservation}?");
    let paths = [format!("/v1/rooms/{room}?"), format!("/v1/rooms/{room}/schedule?{range}&"), of_reservation];
    for (at, path) in paths.iter().enumerate() {
        let is_room = at < 2;
        let number = if is_room { "version" } else { "revision" };
        let unknown = if is_room { "unknown-room" } else { "unknown-reservation" };
        for (parameters, expected) in [
            ("asOf=2031-01-01T00:00:00.001Z".to_owned(), (400, "invalid-value", "asOf")),
            ("asOf=yesterday".to_owned(), (400, "invalid-value", "asOf")),
            ("asOf=2030-01-01T00:00:00".to_owned(), (400, "invalid-value", "asOf")),
            ("asOf=1969-12-31T23:59:59Z".to_owned(), (400, "invalid-value", "asOf")),
            ("asOf=1970-01-01T00:00:00Z".to_owned(), (404, unknown, "")),
            (format!("asOf={}&{number}=1", recorded(2)), (400, "invalid-value", number)),
            (format!("{number}=0"), (400, "invalid-value", number)),
            (format!("{number}=-1"), (400, "invalid-value", number)),
            (format!("{number}=7"), (404, unknown, "")),
            (format!("{number}=1&{number}=2"), (400, "invalid-value", number)),
            ("generation=7".to_owned(), (400, "invalid-value", "generation")),
            ("generation=".to_owned(), (400, "invalid-value", "generation")),
            ("generation=1&generation=1".to_owned(), (400, "invalid-value", "generation")),
        ] {
            let user = if is_room || parameters.contains("generation") { "root" } else { "ann" };
            let found = problem(get(&service, user, &format!("{path}{parameters}")).await).await;
            let (status, kind, field) = expected;
            assert_eq!(found, (status, kind.to_owned(), field.to_owned()), "{path}{parameters}");
        }
        let of_others = get(&service, "bob", &format!("{path}generation=1")).await;
        assert_eq!(of_others.status(), 403, "a frozen generation is for administrators");
    }
    // Young answers are not final.
    let path = format!("/v1/rooms/{room}?asOf=2030-12-31T23:59:45Z");
    assert_eq!(header(&get(&service, "bob", &path).await, "cache-control"), "no-store, no-transform");
    let path = format!("/v1/reservations/{}/revisions", uuid::Uuid::nil());
    assert_eq!(problem(get(&service, "ann", &path).await).await.1, "unknown-reservation");
    service.stop().await;
}

#[tokio::test]
async fn revisions_tell_when_who_and_what_in_pages() {
    let (service, _, reservation) = past().await;
    let path = format!("/v1/reservations/{reservation}/revisions?limit=2");
    let first = json(get(&service, "ann", &path).await).await;
    let cursor = first["next"].as_str().unwrap();
    let rest = json(get(&service, "ann", &format!("{path}&cursor={cursor}")).await).await;
    assert!(rest.get("next").is_none());
    let items: Vec<&Value> =
        [&first, &rest].into_iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    let told: Vec<(&str, &str, String)> = items
        .iter()
        .map(|item| {
            let text = |name: &str| item[name].as_str().unwrap();
            (text("what"), text("by"), item["changed"].to_string())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("made", "ann", "[]".to_owned()),
            ("changed", "ann", "[\"from\",\"to\"]".to_owned()),
            ("cancelled", "ann", "[\"status\"]".to_owned()),
        ]
    );
    assert_eq!(items[1]["recordedAt"], recorded(4));
    assert_eq!(items[1]["after"]["from"], format!("{DAY}T14:00:00Z"));
    service.stop().await;
}

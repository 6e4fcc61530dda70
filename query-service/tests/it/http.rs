//! The API over HTTP, as clients use it.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use shared_events::RoomId;
use uuid::Uuid;

use crate::{
    events::{DAY, Stream, hour},
    feed_double::FeedDouble,
    pipelines::until,
    test_service::{Answer, TestService, range, token},
};

#[tokio::test]
async fn every_impossible_parameter_is_refused_by_name() {
    let stream = Stream::new("Blue");
    let service = TestService::of(&[&stream]).await;
    let room = stream.room;
    let time = format!("{DAY}T10:00:00Z");
    let cases = [
        ("/v1/rooms?colour=red".to_owned(), "unknown-field", "colour"),
        ("/v1/rooms?limit=0".to_owned(), "invalid-value", "limit"),
        ("/v1/rooms?limit=501".to_owned(), "invalid-value", "limit"),
        ("/v1/rooms?limit=many".to_owned(), "invalid-value", "limit"),
        ("/v1/rooms?limit=1&limit=2".to_owned(), "invalid-value", "limit"),
        ("/v1/rooms?people=0".to_owned(), "invalid-value", "people"),
        ("/v1/rooms?people=-1".to_owned(), "invalid-value", "people"),
        ("/v1/rooms?kind=".to_owned(), "invalid-value", "kind"),
        (format!("/v1/rooms?kind={}", "k".repeat(201)), "invalid-value", "kind"),
        ("/v1/rooms?kind=a%0Ab".to_owned(), "invalid-value", "kind"),
        ("/v1/rooms?cursor=AAAA".to_owned(), "invalid-value", "cursor"),
        ("/v1/rooms/seven".to_owned(), "invalid-value", "room"),
        (format!("/v1/rooms/{room}?x=1"), "unknown-field", "x"),
        ("/v1/reservations/7".to_owned(), "invalid-value", "reservation"),
        (format!("/v1/rooms/{room}/schedule"), "invalid-value", "from"),
        (format!("/v1/rooms/{room}/schedule?from={time}"), "invalid-value", "to"),
        (format!("/v1/rooms/{room}/schedule?from={time}&to={time}"), "invalid-value", "from"),
        (format!("/v1/rooms/{room}/free?from={DAY}T10:00:00&to={time}"), "invalid-value", "from"),
        (format!("/v1/rooms/{room}/free?from={DAY}T10:00:30Z&to={time}"), "invalid-value", "from"),
        (format!("/v1/rooms/{room}/free?from={time}&to=3031-01-01T00:00:00Z"), "invalid-value", "to"),
        (format!("/v1/availability?from={time}&to=tomorrow&people=2"), "invalid-value", "to"),
        (format!("/v1/me/reservations?from={time}&to=2020-01-01T00:00:00Z"), "invalid-value", "from"),
        (format!("/v1/statistics/busiest-times?from={time}&to=2032-12-01T00:00:00Z"), "invalid-value", "to"),
        (format!("/v1/statistics/busiest-times?{}&cursor=AQ", range()), "invalid-value", "cursor"),
        (format!("/v1/statistics/busiest-times?{}&by=month", range()), "invalid-value", "by"),
        (format!("/v1/statistics/busiest-times?{}&measure=", range()), "invalid-value", "measure"),
        (
            format!("/v1/statistics/busiest-times?from={time}&to=2031-06-06T10:01:00Z&by=date"),
            "invalid-value",
            "to",
        ),
        ("/v1/schedule".to_owned(), "invalid-value", "date"),
        ("/v1/schedule?date=2031-02-29".to_owned(), "invalid-value", "date"),
        ("/v1/schedule?date=2031-2-28".to_owned(), "invalid-value", "date"),
        ("/v1/schedule?date=2031-02-%0928".to_owned(), "invalid-value", "date"),
        ("/v1/schedule?date=1970-01-01".to_owned(), "invalid-value", "date"),
        ("/v1/schedule?date=9999-01-01".to_owned(), "invalid-value", "date"),
        (format!("/v1/schedule?date={time}"), "invalid-value", "date"),
        (format!("/v1/schedule?date={DAY}&days=0"), "invalid-value", "days"),
        (format!("/v1/schedule?date={DAY}&days=8"), "invalid-value", "days"),
        (format!("/v1/schedule?date={DAY}&days=257"), "invalid-value", "days"),
        (format!("/v1/schedule?date={DAY}&to={time}"), "unknown-field", "to"),
        (format!("/v1/schedule?date={DAY}&cursor=AQ"), "invalid-value", "cursor"),
    ];
    for (path, kind, field) in cases {
        assert_eq!(service.get("ann", &path).await.problem(), (400, kind, field), "{path}");
    }
    let unknown = format!("/v1/rooms/{}", RoomId(service_kit::ids::new_id()));
    assert_eq!(service.get("ann", &unknown).await.problem().1, "unknown-room");
    assert_eq!(service.get("ann", &format!("{unknown}/free?{}", range())).await.problem().1, "unknown-room");
    assert_eq!(service.get("ann", "/v1/nothing").await.problem().0, 404);
    let post = service.call(Method::POST, "/v1/rooms").header("X-User", "ann");
    assert_eq!(service.send(post).await.problem().1, "method-not-allowed");
    service.stop().await;
}

#[tokio::test]
async fn nobody_is_told_nothing_and_others_see_busy_times_only() {
    let mut stream = Stream::new("Blue");
    let reservation = stream.reserve("ann", 9, 10);
    stream.reserve("bob", 11, 12);
    let service = TestService::of(&[&stream]).await;
    let room = stream.room;
    assert_eq!(service.send(service.request("/v1/rooms?colour=red")).await.problem().1, "unauthenticated");

    let schedule = service.get("ann", &format!("/v1/rooms/{room}/schedule?{}", range())).await;
    assert_eq!((&schedule.body["room"], &schedule.body["version"]), (&room.to_string().into(), &3.into()));
    let [mine, others] = schedule.items().as_slice() else { panic!("{}", schedule.body) };
    assert_eq!(
        (&mine["reservedBy"], &mine["people"], &mine["title"]),
        (&"ann".into(), &2.into(), &"$5 lunch $$x".into())
    );
    let fields: BTreeMap<&str, &Value> =
        others.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v)).collect();
    let (from, to) = (format!("{DAY}T11:00:00Z").into(), format!("{DAY}T12:00:00Z").into());
    assert_eq!(fields, BTreeMap::from([("from", &from), ("to", &to)]), "the time alone");
    let all = service.get_as_admin(&format!("/v1/rooms/{room}/schedule?{}", range())).await;
    assert!(all.items().iter().all(|item| item["reservedBy"].is_string()));

    let path = format!("/v1/reservations/{}", reservation.id);
    assert_eq!(service.get("bob", &path).await.problem(), (403, "forbidden", ""));
    assert_eq!(service.get("ann", &path).await.body["status"], "live");
    for path in ["/v1/users/ann/reservations", "/v1/users/ann/history"] {
        assert_eq!(service.get("ann", path).await.problem().0, 403, "{path}");
        assert_eq!(service.get_as_admin(path).await.items().len(), 1, "{path}");
    }
    let mine = service.get("ann", "/v1/me/reservations").await;
    assert_eq!(mine.items()[0]["reservation"], reservation.id.to_string());
    let history = service.get("ann", "/v1/me/history").await;
    assert_eq!((&history.items()[0]["what"], &history.items()[0]["revision"]), (&"made".into(), &1.into()));
    service.stop().await;
}

#[tokio::test]
async fn a_query_with_a_token_shows_the_write_or_says_that_it_cannot_yet() {
    let mut stream = Stream::new("Blue");
    let service = TestService::of(&[&stream]).await;
    stream.reserve("ann", 9, 10);
    let path = format!("/v1/rooms/{}/schedule?{}", stream.room, range());
    let with = |token: &str, prefer: &str| {
        let request = service.request(&path).header("X-User", "ann");
        request.header("Consistency-Token", token).header("Prefer", prefer)
    };
    let token = token(stream.room, 2);
    let early = service.send(with(&token, "wait=0")).await;
    assert_eq!((early.problem().1, early.retry_after.as_deref()), ("not-yet-visible", Some("1")));
    let asked = service.send(with(&token, "wait=10"));
    let written = service.publish(&stream.events[1]);
    let (answer, ()) = tokio::join!(asked, written);
    assert_eq!((answer.items().len(), answer.body["version"].as_u64()), (1, Some(2)));
    let of_token = service.send(with("AAAA", "wait=1")).await;
    assert_eq!(of_token.problem(), (400, "invalid-value", "Consistency-Token"));
    assert_eq!(service.send(with(&token, "wait=x")).await.problem(), (400, "invalid-value", "Prefer"));
    service.stop().await;
}

#[tokio::test]
async fn tokens_of_200_rooms_are_waited_for_together_and_one_room_too_many_is_told() {
    let mut streams: Vec<Stream> = (0..200).map(|number| Stream::new(&format!("Room {number}"))).collect();
    let service = TestService::of(&streams.iter().collect::<Vec<_>>()).await;
    let mut tokens = Vec::new();
    for stream in &mut streams {
        for hour in 9..11 {
            stream.reserve("ann", hour, hour + 1);
            tokens.push(token(stream.room, stream.head()));
        }
    }
    let path = format!("/v1/me/reservations?{}&limit=500", range());
    let query = |tokens: &[String]| {
        let request = service.request(&path).header("X-User", "ann").header("Prefer", "wait=10");
        request.header("Consistency-Token", tokens.join(","))
    };
    let written = async {
        for event in streams.iter().flat_map(|stream| &stream.events[1..]) {
            service.publish(event).await;
        }
    };
    let (answer, ()) = tokio::join!(service.send(query(&tokens)), written);
    assert_eq!(answer.items().len(), 400);
    assert_eq!(service.get("ann", &path).await.items().len(), 400, "what was shown stays visible");
    let too_many: Vec<_> = (0..257).map(|number| token(RoomId(Uuid::from_u128(number)), 1)).collect();
    let refused = service.send(query(&too_many)).await;
    assert_eq!(refused.problem(), (400, "invalid-value", "Consistency-Token"));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("more than 256 rooms") && detail.contains("need not be sent again"), "{detail}");
    service.stop().await;
}

#[tokio::test]
async fn administrators_are_shown_parked_rooms_and_generations() {
    let (mut bad, mut good) = (Stream::new("Blue"), Stream::new("Green"));
    bad.reserve("ann", 1, 2);
    good.reserve("ann", 1, 2);
    bad.events[1].payload = b"{\"reservation\":17}".to_vec();
    let service = TestService::of(&[&bad, &good]).await;
    service.publish(&bad.events[1]).await;
    let parked = || async { service.get_as_admin("/v1/admin/parked-rooms").await };
    until("the room is parked", async || !parked().await.items().is_empty()).await;
    let parked = parked().await;
    assert_eq!(parked.items().len(), 1);
    let shown = &parked.items()[0];
    assert_eq!((&shown["room"], &shown["version"]), (&bad.room.to_string().into(), &2.into()));
    assert!(!shown["reason"].as_str().unwrap().is_empty());

    let generations = service.get_as_admin("/v1/admin/generations").await;
    let [only] = generations.items().as_slice() else { panic!("{}", generations.body) };
    assert_eq!((&only["number"], &only["state"]), (&1.into(), &"live".into()));
    assert!(only["madeAt"].is_string() && only.get("until").is_none());

    for path in ["/v1/admin/parked-rooms", "/v1/admin/generations"] {
        assert_eq!(service.get("ann", path).await.status, 403, "{path}");
    }
    service.stop().await;
}

#[tokio::test]
async fn lists_go_on_where_their_page_ended_and_only_there() {
    let streams: Vec<Stream> = ["Blue", "Green", "Red"].map(Stream::new).into();
    let service = TestService::of(&streams.iter().collect::<Vec<_>>()).await;
    let mut names = Vec::new();
    let mut path = "/v1/rooms?limit=1".to_owned();
    let mut first_cursor = None;
    loop {
        let page = service.get("ann", &path).await;
        names.extend(page.items().iter().map(|room| room["name"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next"].as_str() else { break };
        first_cursor.get_or_insert_with(|| next.to_owned());
        path = format!("/v1/rooms?limit=1&cursor={next}");
    }
    assert_eq!(names, ["Blue", "Green", "Red"]);
    let cursor = first_cursor.unwrap();
    let elsewhere = service.get("ann", &format!("/v1/kinds?cursor={cursor}")).await;
    assert_eq!(elsewhere.problem(), (400, "invalid-value", "cursor"));
    let kinds = service.get("ann", "/v1/kinds").await;
    assert_eq!(kinds.items(), &vec![serde_json::json!({"kind": "meeting", "rooms": 3})]);
    service.stop().await;
}

#[tokio::test]
async fn availability_and_statistics_are_answered() {
    let (mut blue, green) = (Stream::new("Blue"), Stream::new("Green"));
    blue.reserve("ann", 9, 11);
    let service = TestService::of(&[&blue, &green]).await;
    // An offset's + need not be encoded.
    let stay = format!("from={DAY}T10:00:00+00:00&to={DAY}T12:00:00Z");
    let free = service.get("ann", &format!("/v1/availability?{stay}&people=2&kind=meeting")).await;
    let names: Vec<_> = free.items().iter().map(|room| room["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Green"]);
    let none = service.get("ann", &format!("/v1/availability?{stay}&people=9")).await;
    assert!(none.items().is_empty());
    let free = service.get("ann", &format!("/v1/rooms/{}/free?{}", blue.room, range())).await;
    assert_eq!(free.items().len(), 2, "{}", free.body);
    let popular = service.get("ann", &format!("/v1/statistics/popular-rooms?{}", range())).await;
    let expected = serde_json::json!([{"room": blue.room, "name": "Blue", "minutes": 120, "reservations": 1, "people": 2, "occupancy": 0.087}]);
    assert_eq!(popular.body["items"], expected);
    let busiest = service.get("ann", &format!("/v1/statistics/busiest-times?{}", range())).await;
    assert_eq!(busiest.items().len(), 168);
    let sum: u64 = busiest.items().iter().map(|row| row["minutes"].as_u64().unwrap()).sum();
    assert_eq!(sum, 120);
    // Lisbon is an hour ahead of UTC.
    let kinds = service.get("ann", &format!("/v1/statistics/kinds?{}", range())).await;
    // Made in 2027.
    let lead = hour(9).epoch_minutes() - 1_800_000_000_000 / 60_000 - 1;
    let expected = serde_json::json!([{
        "kind": "meeting", "reservations": 1, "cancelled": 0, "cancellationRate": 0.0, "made": 1, "leadMinutes": lead,
    }]);
    assert_eq!(kinds.body["items"], expected);
    for (measure, counts) in [("minutes", [60, 60]), ("reservations", [1, 1]), ("people", [2, 2])] {
        let path = format!("/v1/statistics/busiest-times?{}&by=date&measure={measure}", range());
        let rows = [10, 11].into_iter().zip(counts);
        let rows: Vec<_> = rows
            .map(|(hour, count)| serde_json::json!({"date": DAY, "hour": hour, measure: count}))
            .collect();
        assert_eq!(service.get("ann", &path).await.items(), &rows);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_statistic_weighs_more_than_a_schedule() {
    let stream = Stream::new("Blue");
    let service = TestService::of(&[&stream]).await;
    let statistics = ["popular-rooms", "busiest-times", "kinds"];
    let statistics = statistics.map(|name| format!("/v1/statistics/{name}?{}", range()));
    let schedule = format!("/v1/rooms/{}/schedule?{}", stream.room, range());
    let many = async |user, path: &str| join_all((0..100).map(|_| service.get(user, path))).await;
    for (user, path) in ["ann", "bob", "cid"].into_iter().zip(&statistics) {
        let answers = many(user, path).await;
        let refused = |answer: &&Answer| answer.problem() == (429, "too-many-requests", "");
        // Refusals for too many at a time have no limit of requests a second.
        let by_rate = answers.iter().filter(refused).filter(|answer| answer.body["limit"] == 1000).count();
        assert!(by_rate > 0, "{path} counts as one request");
        assert!(answers.iter().any(|answer| answer.status == StatusCode::OK));
    }
    let answers = many("eve", &schedule).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    service.stop().await;
}

#[tokio::test]
async fn nothing_is_answered_from_read_models_that_are_not_rebuilt_yet() {
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 9, 10);
    let feed = FeedDouble::of(&[&stream]);
    feed.out_of_reach.store(true, std::sync::atomic::Ordering::SeqCst);
    let service = TestService::starting(Arc::clone(&feed), 1_000);
    let early = service.get("ann", "/v1/rooms").await;
    assert_eq!(early.problem().1, "unavailable");
    let health = service.send(service.request("/health/ready")).await;
    let state = &health.body["components"]["readModels"]["state"];
    assert_eq!((health.status.as_u16(), state), (503, &"failing".into()));
    feed.out_of_reach.store(false, std::sync::atomic::Ordering::SeqCst);
    service.ready().await;
    assert_eq!(service.get("ann", "/v1/rooms").await.items().len(), 1);
    service.stop().await;
}

#[test]
fn the_committed_description_is_what_the_handlers_say() {
    let generated = query_service::http::document().unwrap();
    assert!(
        query_service::http::OPENAPI == generated,
        "run: cargo run -p query-service -- openapi > query-service/openapi.json"
    );
    let document: Value = serde_json::from_str(&generated).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

//! Rooms are found by what they have, where they are and who may book them.

use serde_json::Value;
use shared_events::{MaxAhead, Reservation, reservation_events::ReservationMade};

use crate::{
    events::{DAY, Stream},
    test_service::{Answer, TestService},
};

fn room(name: &str, kind: &str, place: (&str, &str), attributes: &[&str], roles: &[&str]) -> Stream {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let mut stream = Stream::of_kind(name, kind);
    stream.settings.building = Some(place.0.to_owned());
    stream.settings.floor = Some(place.1.to_owned());
    stream.settings.attributes = words(attributes);
    stream.settings.bookable_by = words(roles);
    stream.change(name);
    stream
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.items().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn rooms_are_found_by_what_they_have_and_where_they_are() {
    let streams = [
        room("Blue", "meeting", ("North", "1"), &["projector", "screen"], &[]),
        room("Green", "meeting", ("North", "2"), &["screen"], &[]),
        room("Hall", "hall", ("Süd", "1"), &["projector"], &[]),
    ];
    let service = TestService::of(&streams.iter().collect::<Vec<_>>()).await;
    let stay = format!("from={DAY}T10:00:00Z&to={DAY}T12:00:00Z");
    for (query, found) in [
        ("building=North", &["Blue", "Green"][..]),
        ("building=%20North&floor=2", &["Green"]),
        ("building=Su%CC%88d", &["Hall"]),
        ("attributes=projector", &["Blue", "Hall"]),
        ("attributes=screen,projector", &["Blue"]),
        ("kinds=meeting,hall,none", &["Blue", "Green", "Hall"]),
        ("kinds=hall,none&attributes=screen", &[]),
        ("floor=1&kind=meeting", &["Blue"]),
    ] {
        for path in ["/v1/rooms?".to_owned(), format!("/v1/availability?{stay}&")] {
            let answer = service.get("ann", &format!("{path}{query}")).await;
            assert_eq!(names(&answer), found, "{path}{query}");
        }
        let day = service.get("ann", &format!("/v1/schedule?date={DAY}&{query}")).await;
        let shown: Vec<_> = day.items().iter().map(|item| item["room"]["name"].as_str().unwrap()).collect();
        assert_eq!(shown, found, "{query}");
    }
    let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    for (query, field) in [
        ("kinds=hall&kind=hall".to_owned(), "kinds"),
        ("kinds=".to_owned(), "kinds"),
        ("kinds=a,,b".to_owned(), "kinds"),
        (format!("kinds={}", many(17)), "kinds"),
        (format!("attributes={}", many(33)), "attributes"),
        ("attributes=a%0Ab".to_owned(), "attributes"),
        ("building=%20".to_owned(), "building"),
        (format!("floor={}", "f".repeat(201)), "floor"),
    ] {
        for path in [
            "/v1/rooms?".to_owned(),
            format!("/v1/availability?{stay}&"),
            format!("/v1/schedule?date={DAY}&"),
        ] {
            let refused = service.get("ann", &format!("{path}{query}")).await;
            assert_eq!(refused.problem(), (400, "invalid-value", field), "{path}{query}");
        }
    }
    let blue = service.get("ann", &format!("/v1/rooms/{}", streams[0].room)).await;
    assert_eq!((&blue.body["building"], &blue.body["floor"]), (&"North".into(), &"1".into()));
    assert_eq!(blue.body["attributes"], serde_json::json!(["projector", "screen"]));
    assert_eq!(blue.body["bookableBy"], Value::Null, "everybody may");
    service.stop().await;
}

#[tokio::test]
async fn a_room_of_some_roles_is_available_to_these_roles_and_to_administrators_alone() {
    let streams = [
        room("Blue", "meeting", ("North", "1"), &[], &["staff", "teacher"]),
        room("Green", "meeting", ("North", "1"), &[], &[]),
    ];
    let service = TestService::of(&streams.iter().collect::<Vec<_>>()).await;
    let path = format!("/v1/availability?from={DAY}T10:00:00Z&to={DAY}T12:00:00Z");
    for (roles, found) in [
        ("", &["Green"][..]),
        ("student", &["Green"]),
        ("student, teacher", &["Blue", "Green"]),
        ("admin", &["Blue", "Green"]),
    ] {
        let request = service.request(&path).header("X-User", "ann").header("X-Roles", roles);
        assert_eq!(names(&service.send(request).await), found, "{roles}");
    }
    let rooms = service.get("ann", "/v1/rooms").await;
    assert_eq!(rooms.items()[0]["bookableBy"], serde_json::json!(["staff", "teacher"]));
    service.stop().await;
}

#[tokio::test]
async fn two_hours_at_any_time_of_two_days_are_found_with_their_times() {
    let mut blue = room("Blue", "meeting", ("North", "1"), &[], &[]);
    blue.settings.slot_minutes = Some(60);
    blue.change("Blue");
    blue.reserve("bob", 2, 12);
    blue.reserve("bob", 13, 22);
    let mut green = room("Green", "meeting", ("North", "1"), &[], &["staff"]);
    green.reserve("bob", 1, 23);
    let service = TestService::of(&[&blue, &green]).await;
    let path = format!("/v1/availability?from={DAY}T00:00:00Z&to=2031-05-06T00:00:00Z&duration=120");
    let found = service.get("ann", &path).await;
    let [found] = found.items().as_slice() else { panic!("{}", found.body) };
    assert_eq!(found["name"], "Blue");
    let times = |found: &Value| {
        let time =
            |time: &Value| time["from"].as_str().unwrap().to_owned() + " " + time["to"].as_str().unwrap();
        found["times"].as_array().unwrap().iter().map(time).collect::<Vec<_>>()
    };
    let expected = ["2031-05-05T00:00:00Z 2031-05-05T02:00:00Z", "2031-05-05T22:00:00Z 2031-05-06T00:00:00Z"];
    assert_eq!(times(found), expected);
    // Each of them is available.
    for time in found["times"].as_array().unwrap() {
        let (from, to) = (time["from"].as_str().unwrap(), time["to"].as_str().unwrap());
        let available = service.get("ann", &format!("/v1/availability?from={from}&to={to}")).await;
        assert_eq!(names(&available), ["Blue"]);
        assert_eq!(available.items()[0].get("times"), None);
    }
    let request =
        service.request(&path.replace("=120", "=60")).header("X-User", "ann").header("X-Roles", "staff");
    assert_eq!(names(&service.send(request).await), ["Blue", "Green"]);
    let odd = service.get("ann", &path.replace("=120", "=90")).await;
    assert!(odd.items().is_empty(), "not whole slots");
    for (query, field) in [
        (path.replace("=120", "=0"), "duration"),
        (path.replace("=120", "=46081"), "duration"),
        (path.replace("=120", "=soon"), "duration"),
        (path.replace("2031-05-06", "2031-06-07"), "to"),
    ] {
        assert_eq!(service.get("ann", &query).await.problem(), (400, "invalid-value", field), "{query}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_room_has_its_earliest_twenty_times() {
    let mut many = Stream::new("Green");
    for minute in 0..30 {
        let made = many.reserve("bob", 0, 1);
        let events = many.events.len();
        many.events.truncate(events - 1);
        let first = made.from.plus(2 * minute).unwrap();
        let reservation = Reservation { from: first, to: first.plus(1).unwrap(), ..made };
        many.push("bob", ReservationMade { reservation }.into());
    }
    let service = TestService::of(&[&many]).await;
    let path = format!("/v1/availability?from={DAY}T00:00:00Z&to=2031-05-06T00:00:00Z&duration=1");
    let many = service.get("ann", &path).await;
    assert_eq!(many.items()[0]["times"].as_array().unwrap().len(), 20);
    service.stop().await;
}

#[tokio::test]
async fn a_room_whose_quota_the_owner_has_used_up_is_not_available_to_the_owner_alone() {
    let quota = |name: &str, reservations: Option<u32>, minutes: Option<u32>| {
        let mut stream = Stream::new(name);
        stream.settings.max_ahead = Some(MaxAhead { reservations, minutes });
        stream.change(name);
        stream
    };
    let mut two = quota("Blue", Some(2), None);
    let mut hours = quota("Green", None, Some(240));
    let mut both = quota("Red", Some(3), Some(60));
    two.reserve("ann", 1, 2);
    let cancelled = two.reserve("ann", 3, 4);
    hours.reserve("ann", 1, 3);
    both.reserve("bob", 5, 6);
    let service = TestService::of(&[&two, &hours, &both, &Stream::new("White")]).await;
    let path =
        |from: u32, to: u32| format!("/v1/availability?from={DAY}T{from:02}:00:00Z&to={DAY}T{to:02}:00:00Z");
    let asked = async |user: &str, role: &str, path: String| {
        service.send(service.request(&path).header("X-User", user).header("X-Roles", role)).await
    };
    // Two reservations are two, two hours and three are five.
    assert_eq!(names(&asked("ann", "", path(10, 11)).await), ["Green", "Red", "White"]);
    assert_eq!(names(&asked("ann", "", path(10, 13)).await), ["White"]);
    assert_eq!(names(&asked("bob", "", path(10, 11)).await), ["Blue", "Green", "White"]);
    assert_eq!(names(&asked("eve", "", path(10, 11)).await), ["Blue", "Green", "Red", "White"]);
    assert_eq!(names(&asked("ann", "admin", path(10, 11)).await), ["Green", "Red", "White"], "as a booking");
    // For another owner.
    for (user, role) in [("office", "delegate"), ("root", "admin"), ("ann", "")] {
        let of_ann = path(10, 11) + "&reservedBy=ann";
        assert_eq!(names(&asked(user, role, of_ann).await), ["Green", "Red", "White"], "{user}");
    }
    let refused = asked("eve", "staff", path(10, 11) + "&reservedBy=ann").await;
    assert_eq!(refused.problem(), (403, "forbidden", ""));
    let invalid = asked("office", "delegate", path(10, 11) + "&reservedBy=").await;
    assert_eq!(invalid.problem(), (400, "invalid-value", "reservedBy"));
    // With a duration, each time alone.
    assert_eq!(names(&asked("ann", "", path(0, 23) + "&duration=120").await), ["Green", "White"]);
    assert_eq!(names(&asked("ann", "", path(0, 23) + "&duration=180").await), ["White"]);
    service.stop().await;

    // What was cancelled does not count.
    two.cancel(&cancelled);
    let service = TestService::of(&[&two]).await;
    assert_eq!(names(&service.get("ann", &path(10, 11)).await), ["Blue"]);
    service.stop().await;
}

//! The schedules of all rooms over HTTP, and in memory.

use query_service::{
    progress::Progress,
    queries::{PageRequest, Schedules},
    stores::{RoomFilter, memory::MemoryReadModels},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use service_kit::ids;
use shared_events::{Minute, Reservation, ReservationId, UserId, reservation_events::ReservationMade};

use crate::{
    conformance::feed,
    events::{DAY, Stream, decoded},
    test_service::{TestService, token},
};

fn in_zone(name: &str, kind: &str, zone: &str) -> Stream {
    let mut stream = Stream::of_kind(name, kind);
    stream.settings.time_zone = zone.parse().unwrap();
    stream.change(name);
    stream
}

fn span(from: &str, to: &str) -> Value {
    json!({ "from": from, "to": to })
}

#[tokio::test]
async fn each_room_shows_the_dates_of_its_own_calendar_and_others_reservations_as_busy_times() {
    let mut lisbon = in_zone("Lisbon", "meeting", "Europe/Lisbon");
    let mut island = in_zone("Island", "meeting", "Pacific/Kiritimati");
    let hall = in_zone("Hall", "hall", "UTC");
    for stream in [&mut lisbon, &mut island] {
        stream.reserve("ann", 9, 11);
        stream.reserve("bob", 11, 12);
    }
    let service = TestService::of(&[&lisbon, &island, &hall]).await;
    let day = service.get("ann", &format!("/v1/schedule?date={DAY}")).await;
    let names: Vec<_> = day.items().iter().map(|item| item["room"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Hall", "Island", "Lisbon"]);
    let [hall, island, lisbon] = day.items().as_slice() else { panic!("{}", day.body) };
    let dates = |item: &Value| span(item["from"].as_str().unwrap(), item["to"].as_str().unwrap());
    assert_eq!(dates(hall), span("2031-05-05T00:00:00Z", "2031-05-06T00:00:00Z"));
    assert_eq!(dates(island), span("2031-05-04T10:00:00Z", "2031-05-05T10:00:00Z"));
    assert_eq!(dates(lisbon), span("2031-05-04T23:00:00Z", "2031-05-05T23:00:00Z"));
    assert_eq!(hall["reservations"], json!([]));
    // The date ends there at 10:00 UTC: Bob's is on the next one.
    assert_eq!(island["reservations"].as_array().unwrap().len(), 1);
    assert_eq!(island["reservations"][0]["reservedBy"], "ann");
    assert_eq!(lisbon["reservations"][0]["title"], "$5 lunch $$x");
    assert_eq!(lisbon["reservations"][1], span("2031-05-05T11:00:00Z", "2031-05-05T12:00:00Z"));
    assert_eq!(lisbon["room"]["version"], 4);
    let both = service.get("ann", &format!("/v1/schedule?date={DAY}&days=2&kind=meeting")).await;
    assert_eq!(both.items().len(), 2);
    assert_eq!(both.items()[0]["reservations"][1], lisbon["reservations"][1]);
    service.stop().await;
}

#[tokio::test]
async fn all_rooms_schedules_come_in_pages_with_a_tag_and_show_what_a_token_names() {
    let mut streams = ["Blue", "Green", "Red"].map(Stream::new);
    let service = TestService::of(&streams.iter().collect::<Vec<_>>()).await;
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.get("ann", &format!("/v1/schedule?date={DAY}&limit=2{cursor}")).await;
        names.extend(page.items().iter().map(|item| item["room"]["name"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["Blue", "Green", "Red"]);
    let elsewhere = service.get("ann", &format!("/v1/schedule?date={DAY}&days=2{cursor}")).await;
    assert_eq!(elsewhere.problem(), (400, "invalid-value", "cursor"));

    let path = format!("/v1/schedule?date={DAY}");
    let tag = service.get("ann", &path).await.etag.unwrap();
    let with_tag = || service.request(&path).header("X-User", "ann").header("If-None-Match", &tag);
    assert_eq!(service.send(with_tag()).await.status, StatusCode::NOT_MODIFIED);
    streams[1].reserve("bob", 9, 10);
    service.publish(&streams[1].events[1]).await;
    let request = with_tag().header("Consistency-Token", token(streams[1].room, 2));
    let later = service.send(request).await;
    assert_eq!(later.items()[1]["reservations"].as_array().unwrap().len(), 1, "{}", later.body);
    service.stop().await;
}

#[tokio::test]
async fn a_page_of_schedules_has_fewer_rooms_if_they_are_full() {
    let models = MemoryReadModels::new();
    let streams = ["Blue", "Green", "Red"].map(Stream::new);
    let first: Minute = format!("{DAY}T00:00:00Z").parse().unwrap();
    let mut events = Vec::new();
    for stream in &streams {
        events.push(stream.events[0].clone().decode().unwrap());
        for minute in 0..5000 {
            let from = first.plus(minute).unwrap();
            let reservation = Reservation {
                id: ReservationId::made_in(stream.room, ids::new_id()),
                revision: 1,
                room: stream.room,
                time_zone: stream.settings.time_zone,
                from,
                to: from.plus(1).unwrap(),
                offsets: None,
                busy: None,
                people: 1,
                title: None,
                reserved_for: None,
                reserved_by: UserId::new("ann").unwrap(),
                booked_by: None,
                series: None,
            };
            let version = u64::try_from(minute).unwrap() + 2;
            events.push(decoded(stream.room, version, minute, "ann", ReservationMade { reservation }.into()));
        }
    }
    feed(&models, &events, 1000).await;
    let query = Schedules { date: DAY.parse().unwrap(), days: 7, filter: RoomFilter::default() };
    let (mut page, mut shown) = (PageRequest::first(500), Vec::new());
    loop {
        let read = query.run(&models, &Progress::default(), &page).await.unwrap();
        shown.push(read.items.iter().map(|one| one.reservations.len()).collect::<Vec<_>>());
        let Some(next) = read.next else { break };
        page = PageRequest { limit: 500, cursor: Some(next) };
    }
    assert_eq!(shown, [vec![5000], vec![5000, 5000]], "15,000 do not fit, and half of three rooms is one");
}

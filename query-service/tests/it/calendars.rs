//! Calendars at secret addresses, in the service as the embedded default composes it, and on both stores.

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use mongodb::options::ClientOptions;
use query_service::{
    calendars::{
        Calendar, Calendars, MOST_CALENDARS, Secret, memory::MemoryCalendars, mongo::MongoCalendars,
    },
    stores::mongo::Connection,
};
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::ids::new_id;
use shared_events::{RoomId, Timestamp, UserId};

use crate::{
    events::Stream,
    feed_double::FeedDouble,
    mongo_database::url,
    notify_world::NotifyDatabase,
    test_service::{Answer, TestService},
};

/// The properties of each event of a calendar, with unfolded lines.
pub(crate) fn events_of(text: &str) -> Vec<BTreeMap<String, String>> {
    assert!(text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"), "{text}");
    let unfolded = text.replace("\r\n ", "");
    let events = unfolded.split("BEGIN:VEVENT\r\n").skip(1);
    let property = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.to_owned())
    };
    events
        .map(|event| event.split("\r\n").take_while(|line| *line != "END:VEVENT").map(property).collect())
        .collect()
}

fn entry(pairs: &[(&str, &dyn Display)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect()
}

async fn call(service: &TestService, method: Method, user: &str, path: &str) -> Answer {
    service.send(service.call(method, path).header("X-User", user)).await
}

/// Makes a calendar and returns its address.
async fn make(service: &TestService, user: &str, path: &str) -> String {
    let made = call(service, Method::POST, user, path).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["address"].as_str().unwrap().to_owned()
}

async fn text(service: &TestService, address: &str) -> String {
    let answer = service.request(address).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{address}");
    assert_eq!(answer.headers()["content-type"], "text/calendar; charset=utf-8");
    assert_eq!(answer.headers()["cache-control"], "private, no-cache");
    answer.text().await.unwrap()
}

/// Sets the time of the latest event.
fn at(stream: &mut Stream, time: &str) {
    let event = stream.events.last_mut().unwrap();
    event.metadata.time = time.parse().unwrap();
    event.recorded_at = event.metadata.time;
}

#[tokio::test]
async fn a_calendar_has_its_users_reservations_and_those_cancelled_in_the_last_thirty_days() {
    let mut stream = Stream::new("Blue; \"the\\ room\", é");
    let first = stream.reserve("ann", 9, 10);
    let first = stream.reschedule(&first, 10, 11);
    at(&mut stream, "2030-12-30T10:00:00.500Z");
    let lately = stream.reserve("ann", 12, 13);
    let lately = stream.cancel(&lately);
    at(&mut stream, "2030-12-02T00:00:00Z");
    let long_ago = stream.reserve("ann", 14, 15);
    stream.cancel(&long_ago);
    at(&mut stream, "2030-12-01T23:59:59.999Z");
    stream.reserve("bob", 16, 17);
    let service = TestService::of(&[&stream]).await;
    let address = make(&service, "ann", "/v1/me/calendars").await;
    let text = text(&service, &address).await;
    for line in ["NAME:Reservations", "REFRESH-INTERVAL;VALUE=DURATION:PT15M", "X-PUBLISHED-TTL:PT15M"] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}: {text}");
    }
    let room = "Blue\\; \"the\\\\ room\"\\, é";
    let expected = [
        entry(&[
            ("UID", &first.id),
            ("SEQUENCE", &1),
            ("DTSTAMP", &"20301230T100000Z"),
            ("DTSTART", &"20310505T100000Z"),
            ("DTEND", &"20310505T110000Z"),
            ("SUMMARY", &"$5 lunch $$x"),
            ("LOCATION", &room),
            ("STATUS", &"CONFIRMED"),
        ]),
        entry(&[
            ("UID", &lately.id),
            ("SEQUENCE", &1),
            ("DTSTAMP", &"20301202T000000Z"),
            ("DTSTART", &"20310505T120000Z"),
            ("DTEND", &"20310505T130000Z"),
            ("SUMMARY", &"$5 lunch $$x"),
            ("LOCATION", &room),
            ("STATUS", &"CANCELLED"),
        ]),
    ];
    assert_eq!(events_of(&text), expected);
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_has_the_text_gets_304_until_something_changes() {
    let mut stream = Stream::new("Blue");
    let mut reservation = stream.reserve("ann", 9, 10);
    let service = TestService::of(&[&stream]).await;
    for (path, hour) in
        [("/v1/me/calendars".to_owned(), 11), (format!("/v1/rooms/{}/calendars", stream.room), 12)]
    {
        let address = make(&service, "ann", &path).await;
        let answer = service.request(&address).send().await.unwrap();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        let ask = async || service.request(&address).header("If-None-Match", &tag).send().await.unwrap();
        let same = ask().await;
        assert_eq!((same.status().as_u16(), &same.headers()["etag"]), (304, &answer.headers()["etag"]));
        assert_eq!(same.text().await.unwrap(), "");
        reservation = stream.reschedule(&reservation, hour, hour + 1);
        service.publish(stream.events.last().unwrap()).await;
        crate::pipelines::until("the change", async || ask().await.status() == 200).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_rooms_calendar_has_its_busy_times_and_tells_of_nobody() {
    let mut stream = Stream::new("Blue");
    let of_ann = stream.reserve("ann", 9, 10);
    let of_bob = stream.reserve("bob", 11, 12);
    let of_bob = stream.reschedule(&of_bob, 13, 14);
    let gone = stream.reserve("bob", 15, 16);
    stream.cancel(&gone);
    let service = TestService::of(&[&stream]).await;
    let path = format!("/v1/rooms/{}/calendars", stream.room);
    let address = make(&service, "ann", &path).await;
    assert!(address.starts_with(&format!("/v1/rooms/{}/calendar.ics?token=", stream.room)), "{address}");
    let own = text(&service, &address).await;
    let others = text(&service, &make(&service, "bob", &path).await).await;
    let mut uids = Vec::new();
    for text in [&own, &others] {
        assert!(text.contains("\r\nNAME:Blue\r\n"), "{text}");
        let mut events = events_of(text);
        for event in &mut events {
            uids.push(event.remove("UID").unwrap());
            // The day on which it was written: not even the time of a change is told.
            assert_eq!(event.remove("DTSTAMP").unwrap(), "20310101T000000Z");
        }
        let busy = |from: &str, to: &str, sequence: u32| {
            entry(&[
                ("SEQUENCE", &sequence),
                ("DTSTART", &format!("20310505T{from}0000Z")),
                ("DTEND", &format!("20310505T{to}0000Z")),
                ("SUMMARY", &"Busy"),
                ("STATUS", &"CONFIRMED"),
            ])
        };
        assert_eq!(events, [busy("09", "10", 0), busy("13", "14", 1)]);
        for told in [of_ann.id.to_string().as_str(), of_bob.id.to_string().as_str(), "ann", "bob", "lunch"] {
            assert!(!text.contains(told), "{told}: {text}");
        }
    }
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), 4, "another calendar has other ids: {uids:?}");
    assert_eq!(own, text(&service, &address).await, "the same calendar has the same ids");
    service.stop().await;
}

#[tokio::test]
async fn an_address_is_shown_once_and_its_owner_alone_can_end_it() {
    let stream = Stream::new("Blue");
    let service = TestService::of(&[&stream]).await;
    let made = call(&service, Method::POST, "ann", "/v1/me/calendars").await;
    let (id, address) = (made.body["calendar"].as_str().unwrap(), made.body["address"].as_str().unwrap());
    let token = address.split_once("token=").unwrap().1;
    let status = async |path: &str| service.request(path).send().await.unwrap().status().as_u16();
    let other = Secret::random(id.parse().unwrap()).reveal();
    for bad in [
        &address[..address.len() - 1],
        &address.replace(token, &other),
        &address.replace(token, ""),
        &format!("/v1/rooms/{}/calendar.ics?token={token}", stream.room),
    ] {
        assert_eq!(status(bad).await, 404, "{bad}");
    }
    assert_eq!(
        service.send(service.request("/v1/me/calendar.ics")).await.problem(),
        (400, "invalid-value", "token")
    );
    let misspelt = service.send(service.request(&address.replace("token", "tokn"))).await;
    assert_eq!(misspelt.problem().1, "unknown-field");
    assert!(!misspelt.body.to_string().contains(token), "{}", misspelt.body);

    let of_ann = call(&service, Method::GET, "ann", "/v1/me/calendars").await;
    assert_eq!(of_ann.items(), &[json!({ "calendar": id, "created": "2031-01-01T00:00:00.000Z" })]);
    assert_eq!(call(&service, Method::GET, "bob", "/v1/me/calendars").await.items(), &Vec::<Value>::new());
    let one = format!("/v1/me/calendars/{id}");
    assert_eq!(call(&service, Method::DELETE, "bob", &one).await.problem().0, 404);
    assert_eq!(status(address).await, 200, "without a user");
    assert_eq!(call(&service, Method::DELETE, "ann", &one).await.status, 204);
    assert_eq!(status(address).await, 404);
    assert_eq!(call(&service, Method::DELETE, "ann", &one).await.problem().0, 404);
    for (method, path) in [
        (Method::GET, "/v1/me/calendars"),
        (Method::POST, "/v1/me/calendars"),
        (Method::DELETE, one.as_str()),
    ] {
        assert_eq!(service.send(service.call(method, path)).await.status, 401, "{path}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_calendar_of_no_room_and_one_too_many_are_refused() {
    let service = TestService::of(&[]).await;
    let unknown = format!("/v1/rooms/{}/calendars", RoomId(new_id()));
    assert_eq!(call(&service, Method::POST, "ann", &unknown).await.problem(), (404, "unknown-room", ""));
    for _ in 0..MOST_CALENDARS {
        make(&service, "ann", "/v1/me/calendars").await;
    }
    let one_more = call(&service, Method::POST, "ann", "/v1/me/calendars").await;
    assert_eq!(one_more.problem(), (409, "too-many-calendars", ""));
    make(&service, "bob", "/v1/me/calendars").await;
    service.stop().await;
}

#[tokio::test]
async fn a_calendar_has_the_earliest_thousand_reservations_and_five_hundred_cancelled_ones() {
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 20, 21);
    for _ in 0..1_000 {
        stream.reserve("ann", 9, 10);
    }
    let late = stream.reserve("ann", 20, 21);
    stream.cancel(&late);
    at(&mut stream, "2030-12-31T00:00:00Z");
    for _ in 0..500 {
        let reservation = stream.reserve("ann", 9, 10);
        stream.cancel(&reservation);
        at(&mut stream, "2030-12-31T00:00:00Z");
    }
    let service = TestService::of(&[&stream]).await;
    let mine = text(&service, &make(&service, "ann", "/v1/me/calendars").await).await;
    let room = format!("/v1/rooms/{}/calendars", stream.room);
    let busy = text(&service, &make(&service, "ann", &room).await).await;
    for (text, count) in [(mine, 1_500), (busy, 1_000)] {
        let events = events_of(&text);
        assert_eq!(events.len(), count);
        assert!(events.iter().all(|event| event["DTSTART"] == "20310505T090000Z"), "the earliest");
    }
    service.stop().await;
}

#[tokio::test]
async fn requests_for_a_calendar_and_guesses_are_bounded_and_hold_up_no_owner() {
    let stream = Stream::new("Blue");
    let service = TestService::with_rate(FeedDouble::of(&[&stream]), 5).await;
    let address = make(&service, "ann", "/v1/me/calendars").await;
    let status = async |path: &str| service.request(path).send().await.unwrap().status().as_u16();
    let until_refused = async |path: &str, expected: u16| {
        for _ in 0..1_000 {
            match status(path).await {
                429 => return,
                other => assert_eq!(other, expected),
            }
        }
        panic!("{path} is not bounded");
    };
    until_refused(&address, 200).await;
    let one = call(&service, Method::GET, "ann", "/v1/me/calendars").await.items()[0]["calendar"].clone();
    until_refused("/v1/me/calendar.ics?token=guess", 404).await;
    let one = format!("/v1/me/calendars/{}", one.as_str().unwrap());
    assert_eq!(call(&service, Method::DELETE, "ann", &one).await.status, 204);
    service.stop().await;
}

#[tokio::test]
async fn both_stores_keep_find_delete_and_erase_calendars_alike() {
    let database = NotifyDatabase::create().await;
    let options = ClientOptions::parse(url()).await.unwrap();
    let connection = Connection::with_options(options, &database.name).unwrap();
    let stores: [Arc<dyn Calendars>; 2] =
        [Arc::new(MemoryCalendars::default()), Arc::new(MongoCalendars::over(&connection))];
    for store in stores {
        let (ann, bob) = (UserId::new("ann").unwrap(), UserId::new("bob").unwrap());
        let calendar = |user: &UserId, room| {
            let secret = Secret::random(new_id());
            let created = Timestamp::from_epoch_millis(1_900_000_000_000);
            Calendar { id: secret.calendar(), user: user.clone(), room, hash: secret.hash(), created }
        };
        let all = [calendar(&ann, None), calendar(&ann, Some(RoomId(new_id()))), calendar(&bob, None)];
        for one in &all {
            assert!(store.create(one).await.unwrap());
            assert_eq!(store.find(one.id).await.unwrap().as_ref(), Some(one));
        }
        assert_eq!(store.of_user(&ann).await.unwrap(), all[..2]);
        assert!(!store.delete(&ann, all[2].id).await.unwrap());
        assert!(store.delete(&bob, all[2].id).await.unwrap());
        assert_eq!(store.find(all[2].id).await.unwrap(), None);
        for _ in 2..MOST_CALENDARS {
            assert!(store.create(&calendar(&ann, None)).await.unwrap());
        }
        let one_more = calendar(&ann, None);
        assert!(!store.create(&one_more).await.unwrap());
        assert_eq!(store.find(one_more.id).await.unwrap(), None);
        assert!(store.create(&calendar(&bob, None)).await.unwrap());
        assert_eq!(store.erase(&ann).await.unwrap(), MOST_CALENDARS as u64);
        assert_eq!(
            (store.of_user(&ann).await.unwrap().len(), store.of_user(&bob).await.unwrap().len()),
            (0, 1)
        );
    }
}

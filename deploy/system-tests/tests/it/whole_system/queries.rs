//! Queries: free time, available rooms, history, pages, and reads of one's own writes.

use chrono::DateTime;
use serde_json::{Value, json};
use system_tests::{Client, YEAR, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    what_is_free_is_open_and_not_reserved
    available_are_the_rooms_that_would_accept
    history_tells_everything_newest_first
    lists_come_in_pages
    a_query_shows_what_its_token_stands_for
    my_reservations_are_cut_to_a_range
}

async fn what_is_free_is_open_and_not_reserved(client: &Client) {
    let day = json!({"opens": "08:00", "closes": "18:00"});
    let room = client
        .register(json!({"timeZone": "Europe/Lisbon", "openingHours": {"monday": day, "tuesday": day}}))
        .await;
    client.reserve(&room.id, "2031-07-07T09:00:00Z", "2031-07-07T10:00:00Z").send().await.expect(201);
    let last = client.reserve(&room.id, "2031-07-08T07:00:00Z", "2031-07-08T17:00:00Z").send().await;
    let path = format!("/v1/rooms/{}/free", room.id);
    let range = [("from", "2031-07-07T00:00:00Z"), ("to", "2031-07-14T08:30:00Z")];
    let free = client.get(&path).with(&range).after(&last.token()).send().await.expect(200);
    assert_eq!(
        free,
        json!({"room": room.id, "version": 3, "items": [
            {"from": "2031-07-07T07:00:00Z", "to": "2031-07-07T09:00:00Z"},
            {"from": "2031-07-07T10:00:00Z", "to": "2031-07-07T17:00:00Z"},
            {"from": "2031-07-14T07:00:00Z", "to": "2031-07-14T08:30:00Z"},
        ]})
    );
}

async fn available_are_the_rooms_that_would_accept(client: &Client) {
    let kind = unique("kind");
    let register = |more: Value| {
        let mut settings = json!({"kind": kind});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.register(settings)
    };
    let good = register(json!({"name": unique("a")})).await;
    let also_good = register(json!({"name": unique("b"), "slotMinutes": 60})).await;
    let taken = register(json!({})).await;
    register(json!({"capacity": 3})).await;
    register(json!({"slotMinutes": 720})).await;
    register(json!({"maxMinutes": 30})).await;
    register(json!({"minMinutes": 180})).await;
    register(json!({"maxDaysAhead": 7})).await;
    register(json!({"openingHours": {"tuesday": {"opens": "00:00", "closes": "24:00"}}})).await;
    let retired = register(json!({})).await;
    client.delete(&retired.path()).send().await.expect(200);
    let (from, to) = ("2031-01-06T10:00:00Z", "2031-01-06T11:00:00Z");
    let last = client.reserve(&taken.id, from, to).send().await;
    let token = format!("{}, {}, {}", last.token(), good.token, also_good.token);
    let parameters = [("from", from), ("to", to), ("people", "4"), ("kind", &kind)];
    let available = client.get("/v1/availability").with(&parameters).after(&token).send().await.expect(200);
    let rooms: Vec<&Value> =
        available["items"].as_array().unwrap().iter().map(|item| &item["room"]).collect();
    assert_eq!(rooms, [&json!(good.id), &json!(also_good.id)]);
    // An available room accepts a reservation, and is then no longer available.
    let made = client.reserve(&good.id, from, to).send().await;
    let available =
        client.get("/v1/availability").with(&parameters).after(&made.token()).send().await.expect(200);
    assert_eq!(available["items"].as_array().unwrap().len(), 1);
    let past = [("from", "2020-01-06T10:00:00Z"), ("to", "2020-01-06T11:00:00Z"), ("kind", &kind)];
    assert_eq!(client.get("/v1/availability").with(&past).send().await.expect(200)["items"], json!([]));
}

async fn history_tells_everything_newest_first(client: &Client) {
    let (first, second) = (client.register(json!({})).await, client.register(json!({})).await);
    let user = client.as_user(&unique("user"));
    let made = user.reserve(&first.id, "2031-01-06T10:00:00Z", "2031-01-06T11:00:00Z").send().await;
    let reservation = made.reservation();
    let path = first.reservation(&reservation);
    user.patch(&path, &json!({"people": 5})).send().await.expect(200);
    let moved = user.post(&format!("{path}/move"), &json!({"toRoom": second.id})).send().await;
    moved.expect(200);
    // The cancellation by an administrator is in both histories.
    let path = second.reservation(&reservation);
    let cancelled = client.delete(&path).send().await;
    let token = format!("{},{}", moved.token(), cancelled.token());

    let history = user.get("/v1/me/history").after(&token).send().await.expect(200);
    let items = history["items"].as_array().unwrap();
    let shown: Vec<_> = items.iter().map(|item| (&item["what"], &item["revision"], &item["room"])).collect();
    let (one, two, three, four) = (json!(1), json!(2), json!(3), json!(4));
    assert_eq!(
        shown,
        [
            (&json!("cancelled"), &four, &json!(second.id)),
            (&json!("moved"), &three, &json!(second.id)),
            (&json!("changed"), &two, &json!(first.id)),
            (&json!("made"), &one, &json!(first.id)),
        ]
    );
    let by: Vec<_> = items.iter().map(|item| item["by"].as_str()).collect();
    assert_eq!(by, [Some(client.name()), None, None, None]);
    assert_eq!(items[1]["previous"]["room"], json!(first.id));
    assert!(items.iter().all(|item| item["reservation"] == reservation && item["reservedBy"] == user.name()));
    let times: Vec<_> = items
        .iter()
        .map(|item| DateTime::parse_from_rfc3339(item["time"].as_str().unwrap()).unwrap())
        .collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier));
    let by_admin = client.get("/v1/me/history").after(&token).send().await.expect(200);
    assert_eq!(by_admin["items"][0]["what"], "cancelled");
    assert_eq!(by_admin["items"][0]["reservedBy"], user.name());
    assert_eq!(by_admin["items"][0]["by"], Value::Null);
}

/// All items of a list, in pages of a size.
async fn paged(client: &Client, path: &str, parameters: &[(&str, &str)], limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut call = client.get(path).with(parameters).with(&[("limit", &limit.to_string())]);
        if let Some(cursor) = &cursor {
            call = call.with(&[("cursor", cursor)]);
        }
        let page = call.send().await.expect(200);
        let found = page["items"].as_array().unwrap();
        assert!(found.len() <= limit);
        items.extend(found.iter().cloned());
        match page["next"].as_str() {
            Some(next) => {
                assert_eq!(found.len(), limit, "a page before the last one is full");
                cursor = Some(next.to_owned());
            }
            None => return items,
        }
    }
}

async fn lists_come_in_pages(client: &Client) {
    let suffix = unique("kind");
    let kind = format!("Büro {suffix}");
    let user = client.as_user(&unique("user"));
    let mut rooms = Vec::new();
    for name in ["Zebra", "Room 10", "apple", "Room 2", "Ärzte"] {
        let name = format!("{suffix} {name}");
        rooms.push(client.register(json!({"kind": kind, "name": name})).await);
    }
    let mut token = String::new();
    for day in 1..=7 {
        let day = |hour: u32| format!("2031-01-{day:02}T{hour:02}:00:00Z");
        let made = user.reserve(&rooms[0].id, &day(10), &day(11)).send().await;
        made.expect(201);
        token = made.token();
    }
    let all_rooms =
        format!("{token},{}", rooms.iter().map(|room| room.token.as_str()).collect::<Vec<_>>().join(","));
    let of_kind = [("kind", kind.as_str())];
    let stay = [("from", "2031-03-01T00:00:00Z"), ("to", "2031-03-02T00:00:00Z"), ("kind", &kind)];
    user.get("/v1/rooms").with(&of_kind).after(&all_rooms).send().await.expect(200);
    client.sees_counted(rooms.iter().map(|room| room.id.as_str())).await;
    let schedule = format!("/v1/rooms/{}/schedule", rooms[0].id);
    let free = format!("/v1/rooms/{}/free", rooms[0].id);
    for (path, parameters, expected) in [
        ("/v1/rooms", &of_kind[..], 5),
        (&schedule, &YEAR[..], 7),
        (&free, &YEAR[..], 8),
        ("/v1/availability", &stay[..], 5),
        ("/v1/me/reservations", &[][..], 7),
        ("/v1/me/history", &[][..], 7),
        ("/v1/statistics/popular-rooms", &[YEAR[0], YEAR[1], of_kind[0]][..], 1),
    ] {
        let whole = paged(&user, path, parameters, 100).await;
        assert_eq!(whole.len(), expected, "{path}");
        for limit in [1, 3, expected] {
            assert_eq!(paged(&user, path, parameters, limit).await, whole, "{path} in pages of {limit}");
        }
    }
    // In any form of the kind.
    let decomposed = format!(" Bu\u{308}ro {suffix}\u{a0}");
    for (path, stay) in [("/v1/rooms", &[][..]), ("/v1/availability", &stay[..2])] {
        let parameters = [stay, &[("kind", decomposed.as_str())]].concat();
        let rooms = paged(&user, path, &parameters, 2).await;
        let names: Vec<_> = rooms.iter().map(|room| room["name"].as_str().unwrap()).collect();
        let sorted = ["apple", "Ärzte", "Room 2", "Room 10", "Zebra"].map(|name| format!("{suffix} {name}"));
        assert_eq!(names, sorted, "{path}");
    }
}

async fn a_query_shows_what_its_token_stands_for(client: &Client) {
    let room = client.register(json!({})).await;
    let path = format!("/v1/rooms/{}/schedule", room.id);
    for day in 1..=28 {
        let day = |hour: u32| format!("2031-01-{day:02}T{hour:02}:00:00Z");
        let made = client.reserve(&room.id, &day(10), &day(11)).send().await;
        let reservation = &made.expect(201)["reservation"];
        let shown = client.get(&path).with(&YEAR).after(&made.token()).send().await.expect(200);
        assert_eq!(shown["version"], made.json()["version"]);
        assert_eq!(&shown["items"].as_array().unwrap().last().unwrap()["reservation"], reservation);
    }
}

async fn my_reservations_are_cut_to_a_range(client: &Client) {
    let room = client.register(json!({})).await;
    let user = client.as_user(&unique("user"));
    let mut token = String::new();
    for day in ["06", "07", "08"] {
        let time = |hour: &str| format!("2031-01-{day}T{hour}:00:00Z");
        token = user.reserve(&room.id, &time("10"), &time("12")).send().await.token();
    }
    let range = [("from", "2031-01-06T12:00:00Z"), ("to", "2031-01-08T10:01:00Z")];
    let mine = user.get("/v1/me/reservations").with(&range).after(&token).send().await.expect(200);
    let starts: Vec<_> = mine["items"].as_array().unwrap().iter().map(|item| item["from"].clone()).collect();
    assert_eq!(starts, ["2031-01-07T10:00:00Z", "2031-01-08T10:00:00Z"]);
}

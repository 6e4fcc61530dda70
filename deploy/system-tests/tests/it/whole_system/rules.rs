//! Rules of rooms: queries and commands answer alike, also on days on which clocks change.

use chrono::{DateTime, Timelike, Utc};
use serde_json::{Value, json};
use system_tests::{Client, Random, Room, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    what_availability_says_is_what_a_booking_gets
    times_that_are_found_and_others_that_are_offered_can_be_booked
    the_running_slot_is_had_until_it_ends
    a_room_that_can_never_be_booked_is_refused
}

/// A zone, and a time near to a change of its clocks.
const CHANGES: [(&str, &str); 17] = [
    ("Atlantic/Azores", "2027-03-28T01:00:00Z"),
    ("Africa/Cairo", "2027-04-29T22:00:00Z"),
    ("Asia/Beirut", "2027-03-27T22:00:00Z"),
    ("America/Santiago", "2027-09-05T04:00:00Z"),
    ("America/Havana", "2027-11-07T05:00:00Z"),
    ("Australia/Lord_Howe", "2027-10-02T15:30:00Z"),
    ("Pacific/Apia", "2027-01-01T10:00:00Z"),
    ("Asia/Kathmandu", "2027-01-01T18:15:00Z"),
    ("Africa/Casablanca", "2027-02-07T02:00:00Z"),
    ("America/Vancouver", "2027-03-14T10:00:00Z"),
    ("America/St_Johns", "2027-03-14T05:30:00Z"),
    ("Europe/Lisbon", "2027-10-31T01:00:00Z"),
    // The other way.
    ("Atlantic/Azores", "2027-10-31T01:00:00Z"),
    ("Africa/Cairo", "2027-10-28T21:00:00Z"),
    ("America/Santiago", "2027-04-04T03:00:00Z"),
    ("Australia/Lord_Howe", "2027-04-03T15:00:00Z"),
    ("America/St_Johns", "2027-11-07T04:30:00Z"),
];

type Stay = (DateTime<Utc>, DateTime<Utc>);

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

async fn what_availability_says_is_what_a_booking_gets(client: &Client) {
    let mut random = Random::new(24);
    let (mut accepted, mut kept, mut refused, mut taken) = (0, 0, 0, 0);
    for (zone, change) in CHANGES {
        let kind = unique("kind");
        let rooms = rooms(client, &mut random, zone, &kind).await;
        let change: DateTime<Utc> = change.parse().unwrap();
        let around = (change - chrono::Duration::days(3), change + chrono::Duration::days(3));
        let mut free = Vec::new();
        for room in &rooms {
            free.push(free_time(client, room, around, &room.token).await);
        }
        let mut tokens: Vec<String> = rooms.iter().map(|room| room.token.clone()).collect();
        for round in 0..12 {
            if round == 6 {
                let closed = closed(client, &rooms[0], change).await;
                free[0] = free_time(client, &rooms[0], around, &closed).await;
                tokens[0] = closed;
            }
            let stay = next(&mut random, change, &free);
            let (from, to) = (text(stay.0), text(stay.1));
            let available = available(client, stay, &kind, &tokens.join(", ")).await;
            for (place, room) in rooms.iter().enumerate() {
                let said = available.contains(&room.id);
                let within = free[place].iter().any(|free| free.0 <= stay.0 && stay.1 <= free.1);
                let cut = stay.1 > around.1;
                assert!(within || cut || !said, "{zone} {from} {to}: not in the free time of {}", room.name);
                let answer = client.reserve(&room.id, &from, &to).send().await;
                assert_eq!(answer.is_success(), said, "{zone} {from} {to} {}: {}", room.name, answer.json());
                if said && random.below(3) == 0 {
                    // It stays: the next ones keep away from it and its buffers.
                    tokens[place] = answer.token();
                    free[place] = free_time(client, room, around, &tokens[place]).await;
                    kept += 1;
                } else if said {
                    let path = room.reservation(&answer.reservation());
                    tokens[place] = client.delete(&path).send().await.token();
                    accepted += 1;
                } else {
                    match (answer.status, answer.json()["type"].as_str().unwrap()) {
                        (422, "/problems/rule") => refused += 1,
                        (409, "/problems/overlap" | "/problems/room-closed") => taken += 1,
                        other => unreachable!("{other:?}"),
                    }
                }
            }
        }
    }
    assert!(accepted >= 50 && refused >= 50, "{accepted} accepted, {refused} refused");
    assert!(kept >= 20 && taken >= 20, "{kept} kept, {taken} taken");
}

async fn times_that_are_found_and_others_that_are_offered_can_be_booked(client: &Client) {
    let mut random = Random::new(25);
    let (mut found, mut offered) = (0, 0);
    for (zone, change) in CHANGES {
        let kind = unique("kind");
        let rooms = rooms(client, &mut random, zone, &kind).await;
        let tokens: Vec<&str> = rooms.iter().map(|room| room.token.as_str()).collect();
        let change: DateTime<Utc> = change.parse().unwrap();
        let (from, to) = (text(change - chrono::Duration::days(2)), text(change + chrono::Duration::days(2)));
        let minutes = [30, 60, 120, 240, 1440][random.index(5)].to_string();
        let parameters =
            [("from", from.as_str()), ("to", &to), ("kind", &kind), ("people", "2"), ("duration", &minutes)];
        let call = client.get("/v1/availability").with(&parameters).after(&tokens.join(", "));
        let answer = call.send().await.expect(200);
        let book = async |room: &Value, stay: &Value| {
            let of = |value: &Value| value.as_str().unwrap().to_owned();
            client.reserve(&of(room), &of(&stay["from"]), &of(&stay["to"])).send().await
        };
        for room in answer["items"].as_array().unwrap() {
            for stay in room["times"].as_array().unwrap() {
                book(&room["room"], stay).await.expect(201);
                found += 1;
            }
        }
        // Offers are in other rooms too, so they come after all times that were found.
        for room in answer["items"].as_array().unwrap() {
            // The first one is taken now.
            let taken = book(&room["room"], &room["times"][0]).await.problem(409, "overlap");
            for offer in taken["alternatives"].as_array().into_iter().flatten() {
                book(&offer["room"], offer).await.expect(201);
                offered += 1;
            }
        }
    }
    assert!(found >= 30 && offered >= 30, "{found} found, {offered} offered");
}

/// Rooms with random rules.
async fn rooms(client: &Client, random: &mut Random, zone: &str, kind: &str) -> Vec<Room> {
    let span = |opens: &str, closes: &str| json!({"opens": opens, "closes": closes});
    let days = [
        span("00:00", "24:00"),
        span("08:00", "18:00"),
        span("00:30", "05:00"),
        span("21:00", "25:30"),
        json!([span("01:00", "03:00"), span("22:00", "26:00")]),
    ];
    let mut rooms = Vec::new();
    while rooms.len() < 5 {
        let name = unique("room");
        let mut settings = json!({"name": name, "kind": kind, "capacity": 8, "timeZone": zone});
        let one_of = |random: &mut Random, values: &[u64]| values[random.index(values.len())];
        if random.below(4) > 0 {
            settings["slotMinutes"] = json!(one_of(random, &[15, 30, 60, 120, 240, 1440]));
        }
        if random.below(2) > 0 {
            settings["minMinutes"] = json!(one_of(random, &[30, 60, 240, 1440]));
            settings["maxMinutes"] = json!(one_of(random, &[60, 240, 1440, 2880]));
        }
        if random.below(2) > 0 {
            let day = &days[random.index(days.len())];
            let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
            settings["openingHours"] = names.iter().map(|name| ((*name).to_owned(), day.clone())).collect();
        }
        for name in ["bufferBefore", "bufferAfter"] {
            if random.below(3) == 0 {
                settings[name] = json!(one_of(random, &[5, 30, 60, 300]));
            }
        }
        // Settings that contradict are refused.
        let answer = client.post("/v1/rooms", &settings).send().await;
        if answer.is_success() {
            let id = answer.json()["room"].as_str().unwrap().to_owned();
            rooms.push(Room { id, name, kind: kind.to_owned(), token: answer.token() });
        } else {
            answer.problem(400, "invalid-value");
        }
    }
    rooms
}

/// Closes a room for some hours around the change, and returns the token.
async fn closed(client: &Client, room: &Room, change: DateTime<Utc>) -> String {
    let (from, to) = (change - chrono::Duration::hours(9), change + chrono::Duration::hours(7));
    let closure = json!({"rooms": [room.id], "from": text(from), "to": text(to), "reason": "Clocks change"});
    let lines = client.post("/v1/closures", &closure).send().await.lines();
    lines[0]["consistencyToken"].as_str().unwrap().to_owned()
}

/// Near to the change, or in what is free.
fn next(random: &mut Random, change: DateTime<Utc>, free: &[Vec<Stay>]) -> Stay {
    let quarters = |quarters: u64| chrono::Duration::minutes(15 * i64::try_from(quarters).unwrap());
    let spans = &free[random.index(free.len())];
    let from = if spans.is_empty() || random.below(3) == 0 {
        change - quarters(24 * 4) + quarters(random.below(48 * 4))
    } else {
        spans[random.index(spans.len())].0 + quarters([0, 0, 4, 8, 96][random.index(5)])
    };
    let lengths = [1, 2, 4, 8, 16, 92, 96, 96, 100, 192];
    (from, from + quarters(lengths[random.index(lengths.len())]))
}

async fn free_time(client: &Client, room: &Room, during: Stay, token: &str) -> Vec<Stay> {
    let (from, to) = (text(during.0), text(during.1));
    let range = [("from", from.as_str()), ("to", to.as_str()), ("limit", "500")];
    let free = client.get(&format!("/v1/rooms/{}/free", room.id)).with(&range).after(token).send().await;
    let time = |value: &Value| value.as_str().unwrap().parse().unwrap();
    let items = free.expect(200)["items"].as_array().unwrap().clone();
    items.iter().map(|item| (time(&item["from"]), time(&item["to"]))).collect()
}

async fn available(client: &Client, stay: Stay, kind: &str, tokens: &str) -> Vec<String> {
    let (from, to) = (text(stay.0), text(stay.1));
    let parameters = [("from", from.as_str()), ("to", &to), ("people", "2"), ("kind", kind)];
    let found = client.get("/v1/availability").with(&parameters).after(tokens).send().await.expect(200);
    let items = found["items"].as_array().unwrap();
    items.iter().map(|item| item["room"].as_str().unwrap().to_owned()).collect()
}

async fn the_running_slot_is_had_until_it_ends(client: &Client) {
    let now = Utc::now();
    // No slot of this room ends while the test runs.
    let zone = if (2..22).contains(&now.hour()) { "UTC" } else { "Asia/Kathmandu" };
    let offset = chrono::Duration::minutes(if zone == "UTC" { 0 } else { 345 });
    let day = chrono::Duration::days(1);
    let begins = (now + offset).date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc() - offset;
    let (today, yesterday) = ((begins, begins + day), (begins - day, begins));
    let room = client.register(json!({"timeZone": zone, "slotMinutes": 1440})).await;
    assert_eq!(available(client, today, &room.kind, &room.token).await, [room.id.as_str()]);
    assert!(available(client, yesterday, &room.kind, &room.token).await.is_empty());
    let week = (begins - day, begins + day * 3);
    assert_eq!(free_time(client, &room, week, &room.token).await, [(begins, begins + day * 3)]);
    let reserve = |(from, to): Stay| client.reserve(&room.id, &text(from), &text(to)).send();
    reserve(yesterday).await.problem(422, "in-the-past");
    let made = reserve(today).await;
    made.expect(201);
    assert_eq!(free_time(client, &room, week, &made.token()).await, [(begins + day, begins + day * 3)]);
    // Ended now, the rest of its day is no whole slot.
    let ended = client.delete(&room.reservation(&made.reservation())).send().await;
    assert_eq!(ended.expect(200)["revision"], 2);
    assert_eq!(free_time(client, &room, week, &ended.token()).await, [(begins + day, begins + day * 3)]);
    assert!(available(client, today, &room.kind, &ended.token()).await.is_empty());
    reserve(today).await.problem(409, "overlap");
}

async fn a_room_that_can_never_be_booked_is_refused(client: &Client) {
    let room =
        client.register(json!({"openingHours": {"monday": {"opens": "08:00", "closes": "18:00"}}})).await;
    for (settings, field, other) in [
        (json!({"slotMinutes": 1440}), "/slotMinutes", "openingHours"),
        (json!({"minMinutes": 601}), "/minMinutes", "openingHours"),
        (json!({"minMinutes": 527_041, "openingHours": null}), "/minMinutes", "366 days"),
        (json!({"slotMinutes": 60, "maxMinutes": 30}), "/slotMinutes", "maxMinutes"),
    ] {
        let changed = client.patch(&room.path(), &settings).send().await.problem(400, "invalid-value");
        let mut body = json!({
            "name": unique("room"), "kind": "any", "capacity": 8, "timeZone": "UTC",
            "openingHours": {"monday": {"opens": "08:00", "closes": "18:00"}},
        });
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let registered = client.post("/v1/rooms", &body).send().await.problem(400, "invalid-value");
        for problem in [changed, registered] {
            assert_eq!(problem["field"], field);
            assert!(problem["detail"].as_str().unwrap().contains(other), "{problem}");
        }
    }
}

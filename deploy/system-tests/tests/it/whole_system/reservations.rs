//! Reservations: made, changed, moved, cancelled, refused.

use chrono::{Duration, Timelike, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Client, Room, YEAR, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    a_reservation_goes_all_its_ways
    two_reservations_of_a_room_never_overlap
    any_free_room_of_a_kind_is_found
    each_rule_of_a_room_is_named_with_its_limit
    a_reservation_belongs_to_the_one_who_made_it
    what_does_not_exist_is_not_found
    a_running_stay_can_only_end_otherwise
    a_change_that_changes_nothing_makes_no_event
}

async fn schedule(client: &Client, room: &Room, token: &str) -> Vec<Value> {
    let path = format!("/v1/rooms/{}/schedule", room.id);
    let answer = client.get(&path).with(&YEAR).after(token).send().await.expect(200);
    assert_eq!(answer["room"], json!(room.id));
    answer["items"].as_array().unwrap().clone()
}

async fn a_reservation_goes_all_its_ways(client: &Client) {
    let (first, second) = (client.register(json!({})).await, client.register(json!({})).await);
    let user = client.as_user(&unique("user"));
    let body = json!({
        "from": "2031-01-06T10:00:00+01:00", "to": "2031-01-06T11:00:00+01:00", "people": 3,
        "title": "$5 lunch, $$x {\"a\": 1}", "reservedFor": "Zoë",
    });
    let made = user.post(&first.reservations(), &body).send().await;
    let reservation = made.reservation();
    assert_eq!(
        made.json(),
        json!({"room": first.id, "version": 2, "reservation": reservation, "revision": 1})
    );
    assert_eq!(made.header("location"), Some(format!("/v1/reservations/{reservation}").as_str()));
    assert_eq!(made.header("etag"), Some("\"1\""));
    let mut expected = json!({
        "reservation": reservation, "room": first.id, "version": 2, "revision": 1, "status": "live",
        "from": "2031-01-06T09:00:00Z", "to": "2031-01-06T10:00:00Z", "people": 3, "title": "$5 lunch, $$x {\"a\": 1}",
        "reservedFor": "Zoë", "reservedBy": user.name(),
    });
    assert_eq!(schedule(&user, &first, &made.token()).await, [expected.clone()]);
    let by_id = format!("/v1/reservations/{reservation}");
    assert_eq!(user.get(&by_id).send().await.expect(200), expected);
    assert_eq!(user.get("/v1/me/reservations").send().await.expect(200)["items"], json!([expected]));

    let place = |room: &Room| room.reservation(&reservation);
    let change = json!({"to": "2031-01-06T12:00:00Z", "title": null});
    let changed = user.command(Method::PATCH, &place(&first)).json(&change).send().await;
    assert_eq!(changed.expect(200)["revision"], 2);
    expected["to"] = json!("2031-01-06T12:00:00Z");
    (expected["version"], expected["revision"]) = (json!(3), json!(2));
    expected.as_object_mut().unwrap().remove("title");
    assert_eq!(user.get(&by_id).after(&changed.token()).send().await.expect(200), expected);

    let to_second = json!({"toRoom": second.id, "from": "2031-01-06T08:00:00Z"});
    let moved = user.post(&format!("{}/move", place(&first)), &to_second).send().await;
    assert_eq!(
        moved.expect(200),
        json!({"room": second.id, "version": 2, "reservation": reservation, "revision": 3})
    );
    (expected["room"], expected["from"]) = (json!(second.id), json!("2031-01-06T08:00:00Z"));
    (expected["version"], expected["revision"]) = (json!(2), json!(3));
    assert_eq!(schedule(&user, &second, &moved.token()).await, [expected.clone()]);
    assert_eq!(schedule(&user, &first, &moved.token()).await, [] as [Value; 0]);
    user.delete(&place(&first)).send().await.problem(404, "unknown-reservation");

    let cancelled = user.delete(&place(&second)).send().await;
    assert_eq!(cancelled.expect(200)["revision"], 4);
    assert_eq!(schedule(&user, &second, &cancelled.token()).await, [] as [Value; 0]);
    assert_eq!(user.get("/v1/me/reservations").send().await.expect(200)["items"], json!([]));
    let shown = user.get(&by_id).send().await.expect(200);
    assert_eq!((&shown["status"], &shown["revision"]), (&json!("cancelled"), &json!(4)));
    user.delete(&place(&second)).send().await.problem(404, "unknown-reservation");
}

async fn two_reservations_of_a_room_never_overlap(client: &Client) {
    let room = client.register(json!({})).await;
    let made =
        client.reserve(&room.id, "2031-01-06T10:00:00Z", "2031-01-06T12:00:00Z").send().await.reservation();
    for (from, to) in [
        ("2031-01-06T10:00:00Z", "2031-01-06T12:00:00Z"),
        ("2031-01-06T09:00:00Z", "2031-01-06T10:01:00Z"),
        ("2031-01-06T11:59:00Z", "2031-01-06T12:30:00Z"),
        ("2031-01-06T11:00:00Z", "2031-01-06T11:01:00Z"),
        ("2031-01-01T00:00:00Z", "2031-02-01T00:00:00Z"),
    ] {
        let refused = client.reserve(&room.id, from, to).send().await.problem(409, "overlap");
        assert_eq!(
            refused["inTheWay"],
            json!({"reservation": made, "from": "2031-01-06T10:00:00Z", "to": "2031-01-06T12:00:00Z"})
        );
        assert_eq!((&refused["room"], &refused["version"]), (&json!(room.id), &json!(2)));
    }
    // Intervals are half-open: the next stay may begin when this one ends.
    for (from, to) in
        [("2031-01-06T12:00:00Z", "2031-01-06T13:00:00Z"), ("2031-01-06T09:00:00Z", "2031-01-06T10:00:00Z")]
    {
        client.reserve(&room.id, from, to).send().await.expect(201);
    }
    let path = room.reservation(&made);
    let later = client.patch(&path, &json!({"to": "2031-01-06T12:01:00Z"}));
    later.send().await.problem(409, "overlap");
    // A reservation does not overlap itself.
    let shorter = json!({"from": "2031-01-06T10:30:00Z", "to": "2031-01-06T11:30:00Z"});
    client.patch(&path, &shorter).send().await.expect(200);
}

async fn any_free_room_of_a_kind_is_found(client: &Client) {
    let kind = unique("Raum 5/6 ü");
    let small = client.register(json!({"kind": kind, "capacity": 2})).await;
    let large = client.register(json!({"kind": kind, "capacity": 9})).await;
    let path = format!("/v1/kinds/{}/reservations", encoded(&kind));
    let ask = |people: u32| {
        let body = json!({"from": "2031-01-06T10:00:00Z", "to": "2031-01-06T12:00:00Z", "people": people});
        client.post(&path, &body)
    };
    assert_eq!(ask(5).send().await.expect(201)["room"], json!(large.id));
    assert_eq!(ask(1).send().await.expect(201)["room"], json!(small.id));
    let refused = ask(1).send().await.problem(409, "no-free-room");
    let mut rooms: Vec<_> =
        refused["rooms"].as_array().unwrap().iter().map(|room| room["room"].clone()).collect();
    rooms.sort_unstable_by_key(Value::to_string);
    let mut both = [json!(small.id), json!(large.id)];
    both.sort_unstable_by_key(Value::to_string);
    assert_eq!(rooms, both);
    // If all rooms of the kind refuse by a rule, the problem names the rule.
    assert_eq!(ask(10).send().await.problem(422, "rule")["limit"], 9);
    let body = json!({"from": "2031-01-06T10:00:00Z", "to": "2031-01-06T12:00:00Z", "people": 1});
    let unknown = format!("/v1/kinds/{}/reservations", unique("kind"));
    client.post(&unknown, &body).send().await.problem(404, "unknown-kind");
}

/// Percent-encoded for a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn each_rule_of_a_room_is_named_with_its_limit(client: &Client) {
    let room = client
        .register(json!({
            "capacity": 4, "timeZone": "Europe/Lisbon", "slotMinutes": 30, "minMinutes": 60, "maxMinutes": 240,
            "openingHours": {"monday": {"opens": "08:00", "closes": "18:00"}},
        }))
        .await;
    let path = room.reservations();
    let ask = |from: &str, to: &str, people: u32| {
        let time = |time: &str| format!("2031-01-06T{time}:00Z");
        client.post(&path, &json!({"from": time(from), "to": time(to), "people": people}))
    };
    for (from, to, people, rule, limit) in [
        ("09:00", "10:00", 5, "capacity", json!(4)),
        ("09:10", "10:10", 1, "slotMinutes", json!(30)),
        ("09:00", "09:30", 1, "minMinutes", json!(60)),
        ("09:00", "13:30", 1, "maxMinutes", json!(240)),
        ("17:00", "18:30", 1, "openingHours", Value::Null),
        ("06:00", "09:00", 1, "openingHours", Value::Null),
    ] {
        let refused = ask(from, to, people).send().await.problem(422, "rule");
        assert_eq!((&refused["rule"], &refused["limit"]), (&json!(rule), &limit), "{from} {to}");
        assert_eq!((&refused["room"], &refused["version"]), (&json!(room.id), &json!(1)));
    }
    assert_eq!(ask("17:00", "18:00", 4).send().await.expect(201)["version"], 2);
    let near = client.register(json!({"maxDaysAhead": 30})).await;
    let refused = client.reserve(&near.id, "2031-01-06T10:00:00Z", "2031-01-06T11:00:00Z").send().await;
    let refused = refused.problem(422, "rule");
    assert_eq!((&refused["rule"], &refused["limit"]), (&json!("maxDaysAhead"), &json!(30)));
    // On the day on which clocks go back in Lisbon, 00:00 to 24:00 is 25 hours, and one local day.
    let daily = client.register(json!({"timeZone": "Europe/Lisbon", "maxMinutes": 24 * 60})).await;
    let long = client.reserve(&daily.id, "2031-10-26T00:00:00+01:00", "2031-10-27T01:00:00Z").send().await;
    assert_eq!(long.problem(422, "rule")["rule"], "maxMinutes");
    let day = client.reserve(&daily.id, "2031-10-26T00:00:00+01:00", "2031-10-27T00:00:00Z").send().await;
    day.expect(201);
}

async fn a_reservation_belongs_to_the_one_who_made_it(client: &Client) {
    let room = client.register(json!({})).await;
    let (owner, other) = (client.as_user(&unique("owner")), client.as_user(&unique("other")));
    let made = owner.reserve(&room.id, "2031-01-06T10:00:00Z", "2031-01-06T12:00:00Z").send().await;
    let reservation = made.reservation();
    let path = room.reservation(&reservation);
    other.patch(&path, &json!({"people": 1})).send().await.problem(403, "forbidden");
    other.delete(&path).send().await.problem(403, "forbidden");
    let to_room = json!({"toRoom": room.id});
    other.post(&format!("{path}/move"), &to_room).send().await.problem(403, "forbidden");

    let by_id = format!("/v1/reservations/{reservation}");
    other.get(&by_id).after(&made.token()).send().await.problem(403, "forbidden");
    assert_eq!(
        schedule(&other, &room, &made.token()).await,
        [json!({"from": "2031-01-06T10:00:00Z", "to": "2031-01-06T12:00:00Z"})]
    );
    for list in ["reservations", "history"] {
        let path = format!("/v1/users/{}/{list}", owner.name());
        other.get(&path).send().await.problem(403, "forbidden");
        let mine = owner.get(&format!("/v1/me/{list}")).send().await.expect(200);
        assert_eq!(mine["items"][0]["reservation"], json!(reservation));
        assert_eq!(client.get(&path).send().await.expect(200), mine);
    }
    assert_eq!(client.get(&by_id).send().await.expect(200)["reservedBy"], json!(owner.name()));
    client.delete(&path).send().await.expect(200);
}

async fn what_does_not_exist_is_not_found(client: &Client) {
    let room = client.register(json!({})).await;
    let nowhere = "00000000-0000-7000-8000-000000000000";
    let (from, to) = ("2031-01-06T10:00:00Z", "2031-01-06T12:00:00Z");
    client.reserve(nowhere, from, to).send().await.problem(404, "unknown-room");
    client.delete(&format!("/v1/rooms/{nowhere}")).send().await.problem(404, "unknown-room");
    let path = room.reservation(nowhere);
    client.delete(&path).send().await.problem(404, "unknown-reservation");
    let made = client.reserve(&room.id, from, to).send().await.reservation();
    let path = room.reservation(&made);
    let moved = client.post(&format!("{path}/move"), &json!({"toRoom": nowhere}));
    moved.send().await.problem(404, "unknown-room");

    client.get(&format!("/v1/rooms/{nowhere}")).send().await.problem(404, "unknown-room");
    let range = [("from", from), ("to", to)];
    client
        .get(&format!("/v1/rooms/{nowhere}/schedule"))
        .with(&range)
        .send()
        .await
        .problem(404, "unknown-room");
    client.get(&format!("/v1/rooms/{nowhere}/free")).with(&range).send().await.problem(404, "unknown-room");
    client.get(&format!("/v1/reservations/{nowhere}")).send().await.problem(404, "unknown-reservation");
    client.get("/v1/nothing").send().await.problem(404, "not-found");
    client.command(Method::GET, "/v1/nothing").send().await.problem(404, "not-found");
}

async fn a_running_stay_can_only_end_otherwise(client: &Client) {
    let room = client.register(json!({})).await;
    // Made an hour ago by an import, it began half an hour ago.
    let now = Utc::now().with_second(0).unwrap().with_nanosecond(0).unwrap();
    let time = |minutes: i64| (now + Duration::minutes(minutes)).to_rfc3339();
    let line = json!({
        "key": unique("line"), "at": time(-60), "user": client.name(), "command": "reserve", "room": room.id,
        "from": time(-30), "to": time(60), "people": 1,
    });
    let made = client.import(&line.to_string()).send().await.lines();
    assert_eq!(made[0]["outcome"], "done", "{made:?}");
    let path = room.reservation(made[0]["reservation"].as_str().unwrap());
    let change = |change: Value| client.patch(&path, &change);
    change(json!({"from": time(-20)})).send().await.problem(422, "in-the-past");
    change(json!({"people": 2})).send().await.problem(422, "in-the-past");
    change(json!({"to": time(-10)})).send().await.problem(422, "in-the-past");
    let other = client.register(json!({})).await;
    let moved = client.post(&format!("{path}/move"), &json!({"toRoom": other.id}));
    moved.send().await.problem(422, "in-the-past");
    assert_eq!(change(json!({"to": time(120)})).send().await.expect(200)["revision"], 2);
    assert_eq!(change(json!({"to": time(30)})).send().await.expect(200)["revision"], 3);
    // Cancelling it gives its time back from the next full minute on, and keeps what has passed.
    let ended = client.delete(&path).send().await;
    assert_eq!(ended.expect(200)["revision"], 4);
    let read = client.get(&format!("/v1/reservations/{}", made[0]["reservation"].as_str().unwrap()));
    let read = read.after(&ended.token()).send().await.expect(200);
    let to: chrono::DateTime<Utc> = read["to"].as_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&(to - now).num_minutes()), "{read}");
}

async fn a_change_that_changes_nothing_makes_no_event(client: &Client) {
    let room = client.register(json!({})).await;
    let made =
        client.reserve(&room.id, "2031-01-06T10:00:00Z", "2031-01-06T12:00:00Z").send().await.reservation();
    let path = room.reservation(&made);
    for same in [json!({}), json!({"people": 2}), json!({"from": "2031-01-06T11:00:00+01:00", "title": null})]
    {
        let answer = client.patch(&path, &same).send().await.expect(200);
        assert_eq!((&answer["version"], &answer["revision"]), (&json!(2), &json!(1)), "{same}");
    }
}

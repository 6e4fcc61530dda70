//! Rooms: registered, shown, changed, retired.

use reqwest::Method;
use serde_json::json;
use system_tests::{Client, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    a_room_is_registered_shown_changed_and_retired
    a_room_keeps_its_name_until_it_is_retired
    a_room_with_a_stay_ahead_is_not_retired
    rooms_are_for_administrators
    a_change_of_what_has_changed_meanwhile_is_refused
}

async fn a_room_is_registered_shown_changed_and_retired(client: &Client) {
    let kind = unique("Besprechung/50% & größer");
    let body = json!({
        "name": unique("room"), "kind": kind, "capacity": 4, "timeZone": "Europe/Lisbon", "slotMinutes": 15,
        "openingHours": {"monday": {"opens": "08:00", "closes": "24:00"}}, "maxDaysAhead": 9000,
    });
    let registered = client.post("/v1/rooms", &body).send().await;
    let room = registered.expect(201)["room"].as_str().unwrap().to_owned();
    assert_eq!(registered.json(), json!({"room": room, "version": 1, "revision": 1}));
    assert_eq!(registered.header("location"), Some(format!("/v1/rooms/{room}").as_str()));
    assert_eq!(registered.header("etag"), Some("\"1\""));

    let path = format!("/v1/rooms/{room}");
    let shown = client.get(&path).after(&registered.token()).send().await;
    let mut expected = body.clone();
    for (name, value) in
        [("room", json!(room)), ("version", json!(1)), ("revision", json!(1)), ("retired", json!(false))]
    {
        expected[name] = value;
    }
    assert_eq!(shown.expect(200), expected);
    let tag = shown.header("etag").unwrap();
    assert!(tag.starts_with("\"1."), "{tag}");
    let unchanged = client.get(&path).header("If-None-Match", tag).send().await;
    assert_eq!(unchanged.status, 304);

    let of_kind = client.get("/v1/rooms").with(&[("kind", &kind)]).send().await.expect(200);
    assert_eq!(of_kind["items"].as_array().unwrap().len(), 1);
    assert_eq!(of_kind["items"][0]["room"], json!(room));
    let large = client.get("/v1/rooms").with(&[("kind", &kind), ("people", "5")]).send().await.expect(200);
    assert_eq!(large["items"], json!([]));
    assert_eq!(count_of_kind(client, &kind, &registered.token()).await, Some(1));

    let changed = client.patch(&path, &json!({"capacity": 6, "slotMinutes": null})).send().await;
    assert_eq!(changed.expect(200), json!({"room": room, "version": 2, "revision": 2}));
    let shown = client.get(&path).after(&changed.token()).send().await.expect(200);
    assert_eq!((&shown["capacity"], shown.get("slotMinutes")), (&json!(6), None));
    assert_eq!((&shown["revision"], &shown["name"]), (&json!(2), &body["name"]));

    let retired = client.delete(&path).send().await;
    assert_eq!(retired.expect(200)["version"], 3);
    let shown = client.get(&path).after(&retired.token()).send().await.expect(200);
    assert_eq!(shown["retired"], true);
    let of_kind = client.get("/v1/rooms").with(&[("kind", &kind)]).send().await.expect(200);
    assert_eq!(of_kind["items"], json!([]));
    assert_eq!(count_of_kind(client, &kind, &retired.token()).await, None);
    client
        .reserve(&room, "2031-01-06T09:00:00Z", "2031-01-06T10:00:00Z")
        .send()
        .await
        .problem(404, "unknown-room");
}

/// Without a token, the count may be a second old.
async fn count_of_kind(client: &Client, kind: &str, token: &str) -> Option<u64> {
    let mut cursor = String::new();
    loop {
        let mut call = client.get("/v1/kinds").with(&[("limit", "500")]).after(token);
        if !cursor.is_empty() {
            call = call.with(&[("cursor", &cursor)]);
        }
        let page = call.send().await.expect(200);
        let found = page["items"].as_array().unwrap().iter().find(|item| item["kind"] == kind);
        if let Some(found) = found {
            return found["rooms"].as_u64();
        }
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return None,
        }
    }
}

async fn a_room_keeps_its_name_until_it_is_retired(client: &Client) {
    let room = client.register(json!({})).await;
    let body = json!({"name": room.name, "kind": "any", "capacity": 1, "timeZone": "UTC"});
    let taken = client.post("/v1/rooms", &body).send().await.problem(409, "name-taken");
    assert_eq!(taken["takenBy"], json!(room.id));
    // White space at the ends of a name does not make it another one.
    let spaced = json!({"name": format!(" {} ", room.name), "kind": "any", "capacity": 1, "timeZone": "UTC"});
    client.post("/v1/rooms", &spaced).send().await.problem(409, "name-taken");
    let other = client.register(json!({})).await;
    // Neither do case and characters that nobody sees.
    let unseen = format!("{}\u{200b}", room.name.to_uppercase());
    let alike = json!({"name": unseen, "kind": "any", "capacity": 1, "timeZone": "UTC"});
    client.post("/v1/rooms", &alike).send().await.problem(409, "name-taken");
    let renamed = client.patch(&other.path(), &json!({"name": room.name}));
    renamed.send().await.problem(409, "name-taken");
    client.delete(&room.path()).send().await.expect(200);
    let again = client.register(json!({"name": room.name})).await;
    assert_ne!(again.id, room.id);
}

async fn a_room_with_a_stay_ahead_is_not_retired(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.path();
    let made =
        client.reserve(&room.id, "2031-01-06T09:00:00Z", "2031-01-06T10:00:00Z").send().await.reservation();
    let refused = client.delete(&path).send().await.problem(409, "reservations-ahead");
    assert_eq!((&refused["version"], &refused["reservations"]), (&json!(2), &json!(1)));
    client.delete(&room.reservation(&made)).send().await.expect(200);
    assert_eq!(client.delete(&path).send().await.expect(200)["version"], 4);
}

async fn rooms_are_for_administrators(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.path();
    let body = json!({"name": unique("room"), "kind": "any", "capacity": 1, "timeZone": "UTC"});
    let user = client.as_user(&unique("user"));
    user.post("/v1/rooms", &body).send().await.problem(403, "forbidden");
    user.patch(&path, &json!({"capacity": 1})).send().await.problem(403, "forbidden");
    user.delete(&path).send().await.problem(403, "forbidden");
    user.import("").send().await.problem(403, "forbidden");
    let nobody = client.as_nobody();
    let refused = nobody.post("/v1/rooms", &body).send().await;
    refused.problem(401, "unauthenticated");
    assert!(refused.header("www-authenticate").is_some());
    nobody.get(&path).send().await.problem(401, "unauthenticated");
    // Everybody may see rooms.
    let shown = user.get(&path).after(&room.token).send().await.expect(200);
    assert_eq!((&shown["version"], &shown["capacity"]), (&json!(1), &json!(8)));
}

async fn a_change_of_what_has_changed_meanwhile_is_refused(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.path();
    let change = |tag: &str, capacity: u32| {
        client.command(Method::PATCH, &path).header("If-Match", tag).json(&json!({"capacity": capacity}))
    };
    change("\"1\"", 5).send().await.expect(200);
    // Reservations do not change the room's tag.
    let made =
        client.reserve(&room.id, "2031-01-06T09:00:00Z", "2031-01-06T10:00:00Z").send().await.reservation();
    let stale = change("\"1\"", 6).send().await.problem(412, "stale");
    assert_eq!((&stale["field"], &stale["revision"]), (&json!("If-Match"), &json!(2)));
    change("\"2\"", 6).send().await.expect(200);

    let reservation = format!("{path}/reservations/{made}");
    let change = |tag: &str, people: u32| {
        client.command(Method::PATCH, &reservation).header("If-Match", tag).json(&json!({"people": people}))
    };
    let changed = change("\"1\"", 3).send().await;
    assert_eq!((changed.expect(200)["revision"].as_u64(), changed.header("etag")), (Some(2), Some("\"2\"")));
    change("\"1\"", 4).send().await.problem(412, "stale");
    client.delete(&reservation).header("If-Match", "\"1\"").send().await.problem(412, "stale");
    let shown = client.get(&format!("/v1/reservations/{made}"));
    let shown = shown.after(&changed.token()).send().await;
    assert_eq!(shown.expect(200)["people"], 3);
    // The tag of a query, also as a proxy that compresses gives it.
    for (tag, people) in [(shown.header("etag").unwrap().to_owned(), 2), ("W/\"3\"".to_owned(), 1)] {
        change(&tag, people).send().await.expect(200);
    }
}

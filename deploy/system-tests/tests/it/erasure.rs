//! An operator erases a person on the real servers. Then no store holds a trace of them.

use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Client, Room, Stack, kafka, unique, until};

use crate::{operators::query_service, relays::until_delivered};

const PARTY: &str = "The party of the erased person";
const GUEST: &str = "The guest of the erased person";

fn at(hour: u32) -> String {
    format!("2031-01-01T{hour:02}:00:00Z")
}

fn stay(hour: u32) -> Value {
    json!({"from": at(hour), "to": at(hour + 1), "people": 2, "title": PARTY, "reservedFor": GUEST})
}

/// The data of other users, and the statistics.
async fn all_else(client: &Client, rooms: &[&Room]) -> Value {
    client.sees_counted(rooms.iter().map(|room| room.id.as_str())).await;
    let mut seen = Vec::new();
    for room in rooms {
        let day = [("from", "2031-01-01T00:00:00Z"), ("to", "2031-01-02T00:00:00Z")];
        let others = client.as_user("carl");
        let schedule = others.get(&format!("/v1/rooms/{}/schedule", room.id)).with(&day).send().await;
        seen.push(schedule.expect(200)["items"].clone());
        seen.push(json!(client.versions(&room.id).await));
        let kind = [("from", "2031-01-01T00:00:00Z"), ("to", "2031-02-01T00:00:00Z"), ("kind", &room.kind)];
        seen.push(client.get("/v1/statistics/popular-rooms").with(&kind).send().await.expect(200));
    }
    let bob = client.as_user("bob");
    seen.push(bob.get("/v1/me/reservations").send().await.expect(200));
    seen.push(bob.get("/v1/me/history").send().await.expect(200));
    json!(seen)
}

/// No table or collection holds the user's name or texts.
async fn nowhere(stack: &Stack, user: &str) {
    for text in [user, PARTY, GUEST] {
        assert_eq!(stack.places_that_hold(text).await, Vec::<String>::new(), "{text}");
    }
}

#[tokio::test]
async fn an_erased_person_is_found_in_no_store_and_all_else_is_as_it_was() {
    let mut stack = Stack::real(2).await;
    let (client, second) = (stack.client(), stack.client_of(1));
    let user = unique("ann@example.com");
    let (ann, ann_at_second) = (client.as_user(&user), second.as_user(&user));
    let (blue, red, parked) = (
        client.register(json!({})).await,
        client.register(json!({})).await,
        client.register(json!({})).await,
    );

    // She uses both instances, which cache her reservations: she reserves, moves, cancels, and imports.
    let kept = ann.post(&blue.reservations(), &stay(8)).send().await.reservation();
    let moved = ann.post(&blue.reservations(), &stay(9)).send().await.reservation();
    let path = format!("{}/move", blue.reservation(&moved));
    ann.post(&path, &json!({"toRoom": red.id})).send().await.expect(200);
    let given_up = ann_at_second.post(&red.reservations(), &stay(11)).send().await.reservation();
    let path = red.reservation(&given_up);
    ann.delete(&path).send().await.expect(200);
    let kind = format!("/v1/kinds/{}/reservations", red.kind);
    ann_at_second.post(&kind, &stay(12)).header("X-Request-Id", &user).send().await.expect(201);
    let mut line = json!({"key": unique("line"), "at": "2019-01-01T08:00:00Z", "user": user, "command": "reserve",
        "room": parked.id});
    line.as_object_mut().unwrap().extend(stay(13).as_object().unwrap().clone());
    let imported = client.import(&format!("{line}\n")).send().await.lines();
    assert_eq!(imported[0]["outcome"], json!("done"));
    let bobs = client.as_user("bob").reserve(&blue.id, &at(14), &at(15)).send().await;
    let bobs = bobs.expect(201);
    assert_eq!(bobs["version"], json!(5));

    // There is a live generation and an old one. Both get an unreadable message with her name.
    let everything = [&blue, &red, &parked];
    let (code, report) = query_service(&stack, &["rebuild"]).await;
    assert_eq!(code, 0, "{report}");
    let id = format!("{}:3", parked.id);
    let headers =
        [("ce_id", id.as_str()), ("ce_type", "reservations.reservation-made.v1"), ("ce_actor", &user)];
    let (brokers, topic) = stack.topic();
    let broken = format!("{{\"reservation\":{{\"reservedBy\":\"{user}\",\"title\":\"{PARTY}\"");
    kafka::send(brokers, topic, &parked.id, &headers, broken.as_bytes()).await.unwrap();
    until(async || match query_service(&stack, &["parked", "list"]).await.1.get(0) {
        Some(_) => Ok(()),
        None => Err("no room is parked".to_owned()),
    })
    .await;
    let before = all_else(&client, &everything).await;
    let held = stack.places_that_hold(&user).await;
    for place in ["events.payload", "events.metadata", "g1_reservations", "g2_history", "g2_parked"] {
        assert!(held.iter().any(|held| held == place), "{place} of {held:?}");
    }

    // She reserves once more while the query service is down: the event stays in Kafka.
    stack.queries[0].kill();
    let late = ann.post(&red.reservations(), &stay(16)).send().await;
    let (token, late) = (late.token(), late.reservation());
    until_delivered(&stack).await;

    // The first run is killed once she is on the list of erased persons. The next run finishes its work.
    let mut erase = stack.queries[0].command(&["erase", "--user", &user]);
    let mut killed = erase.stdout(Stdio::null()).spawn().unwrap();
    until(async || {
        let list = client.as_service().command(Method::GET, "/v1/erasures").send().await.expect(200);
        let listed = list["persons"].as_array().is_some_and(|persons| !persons.is_empty());
        if listed { Ok(()) } else { Err("nobody is listed".to_owned()) }
    })
    .await;
    killed.kill().await.unwrap();
    let (code, erased) = query_service(&stack, &["erase", "--user", &user]).await;
    assert_eq!(code, 0, "{erased}");
    let pseudonym = erased[0]["pseudonym"].as_str().unwrap().to_owned();
    nowhere(&stack, &user).await;

    // The event in Kafka arrives without her name.
    stack.queries[0].start_ready(&[]).await;
    let shown = client.get(&format!("/v1/reservations/{late}")).after(&token).send().await.expect(200);
    assert_eq!((&shown["reservedBy"], shown.get("title")), (&json!(pseudonym), None), "{shown}");
    let cancelled = client.delete(&red.reservation(&late)).send().await;
    let token = cancelled.token();
    client.get(&format!("/v1/reservations/{late}")).after(&token).send().await.expect(200);
    nowhere(&stack, &user).await;

    // Both instances have her reservations in memory and change them.
    let path = blue.reservation(&kept);
    for (client, people) in [(&client, 3), (&second, 2)] {
        let changed = client.patch(&path, &json!({"people": people})).send().await;
        let shown = client.get(&blue.path()).after(&changed.token()).send().await;
        shown.expect(200);
    }
    for asking in [&ann, &ann_at_second] {
        asking.reserve(&red.id, &at(18), &at(19)).send().await.problem(403, "forbidden");
    }
    assert_eq!(client.import(&format!("{line}\n")).send().await.lines()[0]["outcome"], json!("repeated"));
    nowhere(&stack, &user).await;

    // Nothing else has changed, and a rebuild brings nothing back.
    query_service(&stack, &["parked", "redrive", "--all"]).await;
    let (code, verified) = query_service(&stack, &["verify", "--all"]).await;
    assert_eq!((code, &verified["differences"]), (0, &json!([])), "{verified}");
    let (code, report) = query_service(&stack, &["rebuild"]).await;
    assert_eq!((code, &report["differences"]), (0, &json!([])), "{report}");
    nowhere(&stack, &user).await;
    let after = all_else(&client, &everything).await;
    for (at, (before, after)) in before.as_array().unwrap().iter().zip(after.as_array().unwrap()).enumerate()
    {
        let (before, after) = (before.clone(), after.clone());
        match before.as_array() {
            // Later commands have added versions.
            Some(versions) if versions.iter().all(Value::is_number) => {
                assert_eq!(versions.as_slice(), &after.as_array().unwrap()[..versions.len()], "{at}");
            }
            _ => assert_eq!(before, after, "{at}"),
        }
    }
}

#[tokio::test]
async fn a_new_database_that_is_made_of_what_kafka_still_has_holds_no_erased_person() {
    let mut stack = Stack::real(1).await;
    let client = stack.client();
    let user = unique("ann@example.com");
    let room = client.register(json!({})).await;
    let path = room.reservations();
    let made = client.as_user(&user).post(&path, &stay(8)).send().await;
    let token = made.token();
    let reservation = made.reservation();
    let shown = format!("/v1/reservations/{reservation}");
    assert_eq!(client.get(&shown).after(&token).send().await.expect(200)["reservedBy"], json!(user));
    let (code, erased) = query_service(&stack, &["erase", "--user", &user]).await;
    assert_eq!(code, 0, "{erased}");
    nowhere(&stack, &user).await;
    stack.queries[0].kill();
    let (server, name) = stack.read_models();
    system_tests::mongo::drop_database(server, name).await.unwrap();
    // A new group starts at the beginning of the topic, which has the original event.
    let group = format!("{name}-g6");
    stack.queries[0].start_ready(&[("KAFKA_GROUP", &group)]).await;
    let answer = client.get(&shown).after(&token).send().await.expect(200);
    assert_eq!(answer["reservedBy"], erased[0]["pseudonym"], "{answer}");
    nowhere(&stack, &user).await;
}

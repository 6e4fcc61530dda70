//! A person is erased on the real servers, by the command that an operator types; then every store is searched for them.

use std::{process::Stdio, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Client, Room, Stack, kafka, unique};

const PARTY: &str = "The party of the person who goes";
const GUEST: &str = "The guest of the person who goes";

/// Runs a command of the query service: its exit code and what it printed as JSON.
async fn query_service(stack: &Stack, arguments: &[&str]) -> (i32, Value) {
    let output = stack.queries[0].command(arguments).arg("--json").output().await.unwrap();
    let json: Result<Value, _> = serde_json::from_slice(&output.stdout);
    assert!(json.is_ok(), "{output:?}");
    (output.status.code().unwrap(), json.unwrap())
}

fn at(hour: u32) -> String {
    format!("2031-01-01T{hour:02}:00:00Z")
}

fn stay(hour: u32) -> Value {
    json!({"from": at(hour), "to": at(hour + 1), "people": 2, "title": PARTY, "reservedFor": GUEST})
}

/// What everybody else sees, and what is counted.
async fn all_else(client: &Client, rooms: &[&Room]) -> Value {
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

/// Fails where any table or collection holds any of this.
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

    // She books at both instances, which remember it; she moves, cancels, imports, and asks for any room of a kind.
    let of_room = |room: &Room| format!("/v1/rooms/{}/reservations", room.id);
    let kept = ann.post(&of_room(&blue), &stay(8)).send().await.expect(201);
    let moved = ann.post(&of_room(&blue), &stay(9)).send().await.expect(201);
    let path = format!("{}/{}/move", of_room(&blue), moved["reservation"].as_str().unwrap());
    let _ = ann.post(&path, &json!({"toRoom": red.id})).send().await.expect(200);
    let given_up = ann_at_second.post(&of_room(&red), &stay(11)).send().await.expect(201);
    let path = format!("{}/{}", of_room(&red), given_up["reservation"].as_str().unwrap());
    let _ = ann.command(Method::DELETE, &path).send().await.expect(200);
    let kind = format!("/v1/kinds/{}/reservations", red.kind);
    let _ = ann_at_second.post(&kind, &stay(12)).header("X-Request-Id", &user).send().await.expect(201);
    let mut line = json!({"key": unique("line"), "at": "2019-01-01T08:00:00Z", "user": user, "command": "reserve",
        "room": parked.id});
    line.as_object_mut().unwrap().extend(stay(13).as_object().unwrap().clone());
    let imported = client.import(&format!("{line}\n")).send().await.lines();
    assert_eq!(imported[0]["outcome"], json!("done"));
    let bobs = client.as_user("bob").reserve(&blue.id, &at(14), &at(15)).send().await;
    let bobs = bobs.expect(201);
    assert_eq!(bobs["version"], json!(5));

    // A generation that is shown, an old one that is fed, and in both a message that nobody can read, with her in it.
    let everything = [&blue, &red, &parked];
    let (code, report) = query_service(&stack, &["rebuild"]).await;
    assert_eq!(code, 0, "{report}");
    let id = format!("{}:3", parked.id);
    let headers =
        [("ce_id", id.as_str()), ("ce_type", "reservations.reservation-made.v1"), ("ce_actor", &user)];
    let (brokers, topic) = stack.topic();
    let broken = format!("{{\"reservation\":{{\"reservedBy\":\"{user}\",\"title\":\"{PARTY}\"");
    kafka::send(brokers, topic, &parked.id, &headers, broken.as_bytes()).await.unwrap();
    while query_service(&stack, &["parked", "list"]).await.1.get(0).is_none() {}
    let before = all_else(&client, &everything).await;
    let held = stack.places_that_hold(&user).await;
    for place in ["events.payload", "events.metadata", "g1_reservations", "g2_history", "g2_parked"] {
        assert!(held.iter().any(|held| held == place), "{place} of {held:?}");
    }

    // While the read models stand still she books once more: Kafka has it, and keeps it.
    stack.queries[0].kill();
    let late = ann.post(&of_room(&red), &stay(16)).send().await;
    let (token, late) = (late.token(), late.expect(201)["reservation"].as_str().unwrap().to_owned());
    while stack.undelivered().await > 0 {}

    // One try is killed, wherever it is by then; the next one goes on.
    let mut erase = stack.queries[0].command(&["erase", "--user", &user]);
    let mut killed = erase.stdout(Stdio::null()).spawn().unwrap();
    if tokio::time::timeout(Duration::from_millis(500), killed.wait()).await.is_err() {
        killed.kill().await.unwrap();
    }
    let (code, erased) = query_service(&stack, &["erase", "--user", &user]).await;
    assert_eq!(code, 0, "{erased}");
    let pseudonym = erased[0]["pseudonym"].as_str().unwrap().to_owned();
    nowhere(&stack, &user).await;

    // What was on its way arrives without her.
    stack.queries[0].start(&[]);
    stack.queries[0].until_ready().await;
    let shown = client.get(&format!("/v1/reservations/{late}")).after(&token).send().await.expect(200);
    assert_eq!((&shown["reservedBy"], shown.get("title")), (&json!(pseudonym), None), "{shown}");
    let cancelled = client.command(Method::DELETE, &format!("{}/{late}", of_room(&red))).send().await;
    let token = cancelled.token();
    let _ = client.get(&format!("/v1/reservations/{late}")).after(&token).send().await.expect(200);
    nowhere(&stack, &user).await;

    // Both instances have her reservations in memory, and change them.
    let path = format!("{}/{}", of_room(&blue), kept["reservation"].as_str().unwrap());
    for (client, people) in [(&client, 3), (&second, 2)] {
        let changed = client.command(Method::PATCH, &path).json(&json!({"people": people})).send().await;
        let shown = client.get(&format!("/v1/rooms/{}", blue.id)).after(&changed.token()).send().await;
        let _ = shown.expect(200);
    }
    for asking in [&ann, &ann_at_second] {
        asking.reserve(&red.id, &at(18), &at(19)).send().await.problem(403, "forbidden");
    }
    assert_eq!(client.import(&format!("{line}\n")).send().await.lines()[0]["outcome"], json!("repeated"));
    nowhere(&stack, &user).await;

    // Nothing else has changed but for what was done since, and a rebuild brings nothing back.
    let _ = query_service(&stack, &["parked", "redrive", "--all"]).await;
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
            // Versions were added by what was done since.
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
    let path = format!("/v1/rooms/{}/reservations", room.id);
    let made = client.as_user(&user).post(&path, &stay(8)).send().await;
    let token = made.token();
    let reservation = made.expect(201)["reservation"].as_str().unwrap().to_owned();
    let shown = format!("/v1/reservations/{reservation}");
    assert_eq!(client.get(&shown).after(&token).send().await.expect(200)["reservedBy"], json!(user));
    let (code, erased) = query_service(&stack, &["erase", "--user", &user]).await;
    assert_eq!(code, 0, "{erased}");
    nowhere(&stack, &user).await;
    stack.queries[0].kill();
    let (server, name) = stack.read_models();
    system_tests::mongo::drop_database(server, name).await.unwrap();
    // Another group begins at the start of the topic, which has her event as it was sent.
    let group = format!("{name}-g6");
    stack.queries[0].start(&[("KAFKA_GROUP", &group)]);
    stack.queries[0].until_ready().await;
    let answer = client.get(&shown).after(&token).send().await.expect(200);
    assert_eq!(answer["reservedBy"], erased[0]["pseudonym"], "{answer}");
    nowhere(&stack, &user).await;
}

//! Processes die at the worst moment: no acknowledged command is lost, none takes effect twice.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Client, Room, Stack, YEAR, hour_of_year, unique, until};

/// Queries agree with the events of a room: each reservation once, each minute once.
async fn assert_shown(client: &Client, user: &Client, room: &Room) {
    let events = client.events(&room.id).await;
    let path = room.path();
    client
        .until(&path, |answer| answer.status == 200 && answer.json()["version"] == json!(events.len()))
        .await;
    let made: Vec<&Value> = events.iter().filter_map(|event| event["data"].get("reservation")).collect();
    let schedule = client.get(&format!("{path}/schedule?limit=500")).with(&YEAR).send().await.expect(200);
    let ids = |items: &[&Value], name: &str| {
        let mut ids: Vec<String> = items.iter().map(|item| item[name].to_string()).collect();
        ids.sort_unstable();
        ids
    };
    let shown: Vec<&Value> = schedule["items"].as_array().unwrap().iter().collect();
    assert_eq!(ids(&shown, "reservation"), ids(&made, "id"));
    let history = user.get("/v1/me/history?limit=500").send().await.expect(200);
    let history: Vec<&Value> = history["items"].as_array().unwrap().iter().collect();
    assert_eq!(ids(&history, "reservation"), ids(&made, "id"));
    client.sees_counted([room.id.as_str()]).await;
    let popular =
        client.get("/v1/statistics/popular-rooms").with(&YEAR).with(&[("kind", &room.kind)]).send().await;
    assert_eq!(popular.expect(200)["items"][0]["minutes"], json!(made.len() * 60));
}

#[tokio::test]
async fn a_command_service_that_dies_between_commit_and_relay_loses_and_doubles_nothing() {
    die_at("after-commit-before-relay").await;
}

#[tokio::test]
async fn a_command_service_that_dies_before_it_forgets_what_it_relayed_doubles_nothing() {
    die_at("after-send-before-delete").await;
}

async fn die_at(fail_point: &str) {
    let mut stack = Stack::real(1).await;
    let client = stack.client();
    let room = client.register(json!({})).await;
    client.sees(&room, &room.token).await;
    let user = client.as_user(&unique("user"));
    for day in 1..=3 {
        // An orderly end empties the outbox. Otherwise the next start would hit the fail point.
        assert!(stack.commands[0].stop().await.success());
        stack.commands[0].start_ready(&[("FAIL_POINT", fail_point)]).await;
        let key = unique("key");
        let body = json!({
            "from": format!("2031-01-{day:02}T10:00:00Z"), "to": format!("2031-01-{day:02}T11:00:00Z"), "people": 1,
        });
        let path = room.reservations();
        let ask = || user.command(Method::POST, &path).key(&key).json(&body);
        // It dies before or after its answer.
        drop(ask().try_send().await);
        let end = stack.commands[0].until_end().await;
        assert!(!end.success(), "it ended with {end}");
        stack.commands[0].start_ready(&[]).await;
        let again = ask().send().await;
        again.expect(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "the commit was lost");
        assert_shown(&client, &user, &room).await;
    }
    assert_eq!(client.events(&room.id).await.len(), 4);
}

#[tokio::test]
async fn a_query_service_that_dies_between_write_and_offset_shows_everything_once() {
    let mut stack = Stack::real(1).await;
    let client = stack.client();
    let room = client.register(json!({})).await;
    client.sees(&room, &room.token).await;
    let user = client.as_user(&unique("user"));
    for day in 1..=3 {
        assert!(stack.queries[0].stop().await.success());
        stack.queries[0].start(&[("FAIL_POINT", "after-write-before-offset")]);
        let day = |hour: u32| format!("2031-01-{day:02}T{hour:02}:00:00Z");
        user.reserve(&room.id, &day(10), &day(11)).send().await.expect(201);
        let end = stack.queries[0].until_end().await;
        assert!(!end.success(), "it ended with {end}");
        stack.queries[0].start_ready(&[]).await;
        assert_shown(&client, &user, &room).await;
    }
}

/// A request, and its answer if one came.
struct Sent {
    key: String,
    body: Value,
    answered: Option<Answer>,
}

/// Sends reservations of one room until the service dies.
async fn keep_reserving(
    user: Client,
    room: String,
    number: usize,
    next: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> Vec<Sent> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let hour = next.fetch_add(1, Ordering::Relaxed);
        assert!(hour < 8_000, "writer {number} used up the year");
        let body = json!({"from": hour_of_year(hour), "to": hour_of_year(hour + 1), "people": 1});
        let key = unique("key");
        let path = format!("/v1/rooms/{room}/reservations");
        let answered = user.command(Method::POST, &path).key(&key).json(&body).try_send().await.ok();
        let lost = answered.is_none();
        sent.push(Sent { key, body, answered });
        if lost {
            break;
        }
    }
    sent
}

/// Kills the command side during writes, three times. Retries must give the same answers.
async fn kill_during_writes(stack: &mut Stack) {
    let client = stack.client();
    let room = client.register(json!({})).await;
    let user = client.as_user(&unique("user"));
    let next = Arc::new(AtomicUsize::new(0));
    let mut all = 0;
    for round in 1..=3 {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let (user, room) = (user.clone(), room.id.clone());
                tokio::spawn(keep_reserving(user, room, number, Arc::clone(&next), Arc::clone(&stop)))
            })
            .collect();
        until(async || match next.load(Ordering::Relaxed) {
            sent if sent >= round * 60 => Ok(()),
            sent => Err(format!("{sent} requests were sent")),
        })
        .await;
        stack.commands[0].kill();
        stop.store(true, Ordering::Relaxed);
        let sent: Vec<Sent> = join_all(writers).await.into_iter().flat_map(Result::unwrap).collect();
        stack.commands[0].start_ready(&[]).await;
        for Sent { key, body, answered } in sent {
            let path = room.reservations();
            let again = user.command(Method::POST, &path).key(&key).json(&body).send().await;
            let again = again.expect(201);
            if let Some(answered) = answered {
                assert_eq!(again, answered.expect(201), "the answer has changed");
            }
            all += 1;
        }
        assert_eq!(client.events(&room.id).await.len(), 1 + all);
        assert_shown(&client, &user, &room).await;
    }
}

#[tokio::test]
async fn the_embedded_default_that_is_killed_while_it_writes_keeps_what_it_answered() {
    kill_during_writes(&mut Stack::embedded().await).await;
}

#[tokio::test]
async fn a_command_service_that_is_killed_while_it_writes_keeps_what_it_answered() {
    kill_during_writes(&mut Stack::real(1).await).await;
}

#[tokio::test]
async fn the_embedded_default_ends_when_it_is_asked_to_and_has_everything_after_a_restart() {
    let mut stack = Stack::embedded().await;
    let client = stack.client();
    let room = client.register(json!({})).await;
    let user = client.as_user(&unique("user"));
    let made = user.reserve(&room.id, "2031-01-01T10:00:00Z", "2031-01-01T11:00:00Z").send().await;
    made.expect(201);
    let end = stack.commands[0].stop().await;
    assert!(end.success(), "it ended with {end}");
    stack.commands[0].start_ready(&[]).await;
    // Ready means that the read models are complete: the query needs no token.
    let schedule =
        client.get(&format!("/v1/rooms/{}/schedule", room.id)).with(&YEAR).send().await.expect(200);
    assert_eq!(schedule["items"].as_array().unwrap().len(), 1);
    assert_shown(&client, &user, &room).await;
}

#[tokio::test]
async fn another_command_service_publishes_when_one_that_relays_dies() {
    let mut stack = Stack::real(2).await;
    // Each relays some of the rooms: of eight rooms surely both have some. Each dies once.
    let mut rooms = Vec::new();
    for _ in 0..8 {
        rooms.push((stack.client().register(json!({})).await, unique("user")));
    }
    for (day, (dead, alive)) in [(1, 0), (0, 1)].into_iter().enumerate() {
        stack.commands[dead].kill();
        let client = stack.client_of(alive);
        let hour = |hour: u32| format!("2031-01-{:02}T{hour:02}:00:00Z", day + 1);
        for (room, user) in &rooms {
            for start in [10, 11, 12] {
                let made =
                    client.as_user(user).reserve(&room.id, &hour(start), &hour(start + 1)).send().await;
                made.expect(201);
            }
        }
        for (room, user) in &rooms {
            assert_shown(&client, &client.as_user(user), room).await;
        }
        stack.commands[dead].start_ready(&[]).await;
    }
}

//! One key, one effect.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Client, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    a_retry_with_the_same_key_gives_the_same_answer_and_one_event
    a_key_is_good_for_one_request
    many_at_once_with_one_key_have_one_effect
    a_refused_request_is_decided_again
    keys_of_different_callers_are_different_keys
    changes_and_cancellations_take_keys_too
}

fn stay(day: u32) -> Value {
    json!({"from": format!("2031-01-{day:02}T10:00:00Z"), "to": format!("2031-01-{day:02}T11:00:00Z"), "people": 1})
}

fn effect(answer: &Answer) -> (u16, Value, Option<String>, String) {
    let location = answer.header("location").map(str::to_owned);
    (answer.status, answer.json(), location, answer.token())
}

async fn a_retry_with_the_same_key_gives_the_same_answer_and_one_event(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.reservations();
    let key = unique("key");
    let send = || client.command(Method::POST, &path).key(&key).json(&stay(6));
    let first = send().send().await;
    first.expect(201);
    // Later events do not change the answer.
    client.post(&path, &stay(7)).send().await.expect(201);
    let again = send().send().await;
    assert_eq!(effect(&again), effect(&first));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(client.events(&room.id).await.len(), 3);

    let body = json!({"name": unique("room"), "kind": "any", "capacity": 1, "timeZone": "UTC"});
    let register = || client.command(Method::POST, "/v1/rooms").key(&key).json(&body);
    // The same key for another path is another request.
    register().send().await.problem(422, "key-reused");
    let key = unique("key");
    let register = || client.command(Method::POST, "/v1/rooms").key(&key).json(&body);
    let first = register().send().await;
    assert_eq!(effect(&register().send().await), effect(&first));
}

async fn a_key_is_good_for_one_request(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.reservations();
    let key = unique("key");
    let send = |body: &Value| client.command(Method::POST, &path).key(&key).json(body);
    send(&stay(6)).send().await.expect(201);
    send(&stay(7)).send().await.problem(422, "key-reused");
    assert_eq!(client.events(&room.id).await.len(), 2);
}

async fn many_at_once_with_one_key_have_one_effect(client: &Client) {
    let kind = unique("kind");
    for _ in 0..3 {
        client.register(json!({"kind": kind})).await;
    }
    let path = format!("/v1/kinds/{kind}/reservations");
    let key = unique("key");
    let sent = (0..16).map(|_| client.command(Method::POST, &path).key(&key).json(&stay(6)).send());
    let answers = join_all(sent).await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.is_success()).collect();
    assert!(!done.is_empty());
    assert!(done.iter().all(|answer| effect(answer) == effect(done[0])));
    for answer in answers.iter().filter(|answer| !answer.is_success()) {
        answer.problem(409, "in-progress");
        assert!(answer.header("retry-after").is_some());
    }
    let last = client.command(Method::POST, &path).key(&key).json(&stay(6)).send().await;
    assert_eq!(effect(&last), effect(done[0]));
    let stays = client.get("/v1/me/reservations").after(&last.token()).send().await;
    assert_eq!(stays.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn a_refused_request_is_decided_again(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.reservations();
    let made = client.post(&path, &stay(6)).send().await.reservation();
    let key = unique("key");
    let send = || client.command(Method::POST, &path).key(&key).json(&stay(6));
    send().send().await.problem(409, "overlap");
    let in_the_way = format!("{path}/{made}");
    client.delete(&in_the_way).send().await.expect(200);
    send().send().await.expect(201);
}

async fn keys_of_different_callers_are_different_keys(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.reservations();
    let key = unique("key");
    for day in [6, 7] {
        let user = client.as_user(&unique("user"));
        user.command(Method::POST, &path).key(&key).json(&stay(day)).send().await.expect(201);
    }
    // Keys are compared byte by byte.
    client.command(Method::POST, &path).key(&key).json(&stay(8)).send().await.expect(201);
    let upper = key.to_uppercase();
    client.command(Method::POST, &path).key(&upper).json(&stay(9)).send().await.expect(201);
}

async fn changes_and_cancellations_take_keys_too(client: &Client) {
    let room = client.register(json!({})).await;
    let path = room.reservations();
    let made = client.post(&path, &stay(6)).send().await.reservation();
    let path = format!("{path}/{made}");
    let key = unique("key");
    let change = || client.command(Method::PATCH, &path).key(&key).json(&json!({"people": 3}));
    let first = change().send().await.expect(200);
    client.patch(&path, &json!({"people": 4})).send().await.expect(200);
    assert_eq!(change().send().await.expect(200), first);
    let key = unique("key");
    let cancel = || client.delete(&path).key(&key);
    let first = cancel().send().await.expect(200);
    assert_eq!(cancel().send().await.expect(200), first);
    client.delete(&path).send().await.problem(404, "unknown-reservation");
    assert_eq!(client.events(&room.id).await.len(), 5);
}

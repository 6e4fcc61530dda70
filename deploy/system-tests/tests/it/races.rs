//! Races over two command services that share a database.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use system_tests::{Stack, YEAR, hour_of_year, unique};

const CLIENTS: usize = 64;
const ROUNDS: usize = 200;

/// Each round has an hour of its own.
fn slot(round: usize) -> (String, String) {
    (hour_of_year(round), hour_of_year(round + 1))
}

#[tokio::test]
async fn of_64_clients_that_race_for_a_slot_over_two_services_exactly_one_wins_200_times() {
    let stack = Stack::real(2).await;
    let services = [stack.client_of(0), stack.client_of(1)];
    let room = services[0].register(json!({})).await;
    let mut token = String::new();
    let mut winners = [0; 2];
    for round in 0..ROUNDS {
        let (from, to) = slot(round);
        let sent = (0..CLIENTS).map(|client| services[client % 2].reserve(&room.id, &from, &to).send());
        let answers = join_all(sent).await;
        let won: Vec<usize> = (0..CLIENTS).filter(|client| answers[*client].status == 201).collect();
        assert_eq!(won.len(), 1, "round {round}: {won:?} won");
        let winner = &answers[won[0]];
        winners[won[0] % 2] += 1;
        token = winner.token();
        for (client, answer) in answers.iter().enumerate().filter(|(client, _)| *client != won[0]) {
            let problem = answer.problem(409, "overlap");
            assert_eq!(problem["inTheWay"]["reservation"], winner.json()["reservation"], "client {client}");
        }
    }
    println!("the services won {winners:?} rounds");
    let versions = services[1].versions(&room.id).await;
    assert_eq!(versions, (1..=ROUNDS as u64 + 1).collect::<Vec<_>>());
    let path = format!("/v1/rooms/{}/schedule?limit=500", room.id);
    let shown = services[0].get(&path).with(&YEAR).after(&token).send().await.expect(200);
    let stays = shown["items"].as_array().unwrap();
    assert_eq!(stays.len(), ROUNDS);
    assert!(stays.iter().zip(&stays[1..]).all(|(a, b)| a["to"].as_str() <= b["from"].as_str()));
}

#[tokio::test]
async fn a_key_that_is_retried_over_two_services_has_one_effect() {
    let stack = Stack::real(2).await;
    let services = [stack.client_of(0), stack.client_of(1)];
    // Idempotency keys belong to a caller: both services get the same one.
    let services = services.map(|service| service.as_user("ann"));
    let admin = stack.client();
    let kind = unique("kind");
    let mut rooms = Vec::new();
    for _ in 0..8 {
        rooms.push(admin.register(json!({"kind": kind})).await);
    }
    let one_room = &rooms[0].id;
    let (mut of_kind, mut tokens) = (BTreeSet::new(), Vec::new());
    for round in 0..40 {
        let (from, to) = slot(round);
        let body = json!({"from": from, "to": to, "people": 2});
        // With a kind, the attempts may pick different rooms, whose versions do not conflict.
        let path = match round % 2 {
            0 => format!("/v1/rooms/{one_room}/reservations"),
            _ => format!("/v1/kinds/{kind}/reservations"),
        };
        let key = unique("key");
        let send =
            |attempt: usize| services[attempt % 2].command(Method::POST, &path).key(&key).json(&body).send();
        let answers = join_all((0..4).map(send)).await;
        let done: Vec<_> = answers.iter().filter(|answer| answer.is_success()).collect();
        assert!(!done.is_empty(), "round {round}: {answers:?}");
        for answer in &answers {
            if answer.is_success() {
                assert_eq!(answer.json(), done[0].json(), "round {round}");
            } else {
                answer.problem(409, "in-progress");
            }
        }
        of_kind.insert(done[0].json()["reservation"].to_string());
        tokens.push(done[0].token());
    }
    assert_eq!(of_kind.len(), 40);
    let mine = services[0].get("/v1/me/reservations").with(&[("limit", "500")]).after(&tokens.join(","));
    assert_eq!(mine.send().await.expect(200)["items"].as_array().unwrap().len(), 40);
}

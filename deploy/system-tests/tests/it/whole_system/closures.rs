//! Closures and buffers on the whole system.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Client, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    a_closed_kind_takes_no_stays_and_every_query_says_so_until_it_is_lifted
    a_stay_keeps_its_buffers_free_and_every_query_says_so
}

fn at(hour: u32) -> String {
    format!("2031-07-01T{hour:02}:00:00Z")
}

fn minutes(hour: u32, minute: u32) -> String {
    format!("2031-07-01T{hour:02}:{minute:02}:00Z")
}

fn range(from: u32, to: u32) -> [(&'static str, String); 2] {
    [("from", at(from)), ("to", at(to))]
}

async fn shown(client: &Client, path: &str, from: u32, to: u32, token: &str) -> Value {
    let range = range(from, to);
    let range: Vec<(&str, &str)> = range.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.get(path).with(&range).after(token).send().await.expect(200)
}

async fn available(client: &Client, kind: &str, from: u32, to: u32, token: &str) -> usize {
    let path = format!("/v1/availability?people=2&kind={kind}");
    shown(client, &path, from, to, token).await["items"].as_array().unwrap().len()
}

fn tokens(lines: &[Value]) -> String {
    let tokens: Vec<_> = lines.iter().map(|line| line["consistencyToken"].as_str().unwrap()).collect();
    tokens.join(", ")
}

async fn a_closed_kind_takes_no_stays_and_every_query_says_so_until_it_is_lifted(client: &Client) {
    let kind = unique("kind");
    let rooms = [client.register(json!({"kind": kind})).await, client.register(json!({"kind": kind})).await];
    let held = client.reserve(&rooms[0].id, &at(10), &at(11)).send().await;
    let body = json!({"kind": kind, "from": at(9), "to": at(17), "reason": "New floor"});
    let key = unique("key");
    let close = || client.command(Method::POST, "/v1/closures").key(&key).json(&body).send();
    let closed = close().await;
    assert_eq!(closed.status, 200, "{}", closed.text);
    let lines = closed.lines();
    let closure = lines[0]["closure"].as_str().unwrap().to_owned();
    assert_eq!(lines.len(), 2);
    for (line, room) in lines.iter().zip(&rooms) {
        assert_eq!((&line["room"], &line["status"]), (&json!(room.id), &json!(201)), "{line}");
        assert_eq!(line["closure"], json!(closure));
    }
    assert_eq!(lines[0]["hits"], json!([{"reservation": held.reservation(), "from": at(10), "to": at(11)}]));
    assert_eq!(lines[1].get("hits"), None);
    // Sent again, it changes nothing and answers the same.
    for (again, line) in close().await.lines().iter().zip(&lines) {
        assert_eq!((&again["version"], &again["replayed"]), (&line["version"], &json!(true)));
        assert_eq!(again.get("hits"), line.get("hits"));
    }

    let token = tokens(&lines);
    let refused = client.reserve(&rooms[1].id, &at(16), &at(18)).send().await.problem(409, "room-closed");
    let shown_closure = json!({"closure": closure, "from": at(9), "to": at(17), "reason": "New floor"});
    assert_eq!(refused["inTheWay"], shown_closure);
    let stay = json!({"from": at(12), "to": at(13), "people": 2});
    let any = client.post(&format!("/v1/kinds/{kind}/reservations"), &stay).send().await;
    any.problem(409, "no-free-room");
    assert_eq!(available(client, &kind, 12, 13, &token).await, 0);
    assert_eq!(available(client, &kind, 17, 18, &token).await, 2);
    let free = shown(client, &format!("/v1/rooms/{}/free", rooms[0].id), 8, 20, &token).await;
    assert_eq!(free["items"], json!([{"from": at(8), "to": at(9)}, {"from": at(17), "to": at(20)}]));
    let schedule = format!("/v1/rooms/{}/schedule", rooms[0].id);
    let now = shown(client, &schedule, 8, 20, &token).await;
    assert_eq!(now["closures"], json!([shown_closure]));
    assert_eq!(now["items"].as_array().unwrap().len(), 1, "the stay stays");

    // A later room of the kind is open until the same request closes it too.
    let late = client.register(json!({"kind": kind})).await;
    let path = format!("/v1/closures/{closure}");
    let found = client.get(&path).after(&late.token).send().await.expect(200);
    assert_eq!((&found["lacking"], &found["kind"]), (&json!([late.id]), &json!(kind)));
    assert_eq!(found["rooms"].as_array().unwrap().len(), 2);
    let token = tokens(&close().await.lines());
    let found = client.get(&path).after(&token).send().await.expect(200);
    assert_eq!((&found["lacking"], found["rooms"].as_array().unwrap().len()), (&json!([]), 3));

    let lifted = client.delete(&path).send().await;
    let lines = lifted.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let token = tokens(&lines);
    assert_eq!(available(client, &kind, 12, 13, &token).await, 3);
    let found = client.get(&path).after(&token).send().await.expect(200);
    assert_eq!((&found["rooms"], found["lifted"].as_array().unwrap().len()), (&json!([]), 3));
    let then = shown(client, &schedule, 8, 20, &token).await;
    assert_eq!(then["closures"], json!([]));
    let version = now["version"].to_string();
    let was = client
        .get(&schedule)
        .with(&[("from", &at(8)), ("to", &at(20)), ("version", &version)])
        .send()
        .await
        .expect(200);
    assert_eq!(was["closures"], json!([shown_closure]), "as it was");
    client.delete(&path).send().await.problem(404, "unknown-closure");
}

async fn a_stay_keeps_its_buffers_free_and_every_query_says_so(client: &Client) {
    let room = client.register(json!({"bufferBefore": 15, "bufferAfter": 30})).await;
    let made = client.reserve(&room.id, &at(10), &at(12)).send().await;
    let shown_stay = client
        .get(&format!("/v1/reservations/{}", made.reservation()))
        .after(&made.token())
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&shown_stay["busyFrom"], &shown_stay["busyTo"]),
        (&json!(minutes(9, 45)), &json!(minutes(12, 30)))
    );
    let free = shown(client, &format!("/v1/rooms/{}/free", room.id), 8, 20, &made.token()).await;
    let expected = json!([{"from": at(8), "to": minutes(9, 15)}, {"from": minutes(12, 45), "to": at(20)}]);
    assert_eq!(free["items"], expected);
    let schedule = shown(client, &format!("/v1/rooms/{}/schedule", room.id), 8, 20, &made.token()).await;
    assert_eq!(schedule["items"][0]["busyTo"], json!(minutes(12, 30)));
    let refused = client.reserve(&room.id, &minutes(12, 44), &at(13)).send().await.problem(409, "overlap");
    assert_eq!(refused["inTheWay"]["to"], json!(at(12)));
    client.reserve(&room.id, &minutes(12, 45), &at(13)).send().await.expect(201);
    client.patch(&room.path(), &json!({"bufferAfter": 1441})).send().await.problem(400, "invalid-value");
    // The other users see the busy time alone.
    let other = client.as_user("somebody else");
    let schedule = shown(&other, &format!("/v1/rooms/{}/schedule", room.id), 8, 20, &made.token()).await;
    let busy = json!({"from": at(10), "to": at(12), "busyFrom": minutes(9, 45), "busyTo": minutes(12, 30)});
    assert_eq!(schedule["items"][0], busy);
}

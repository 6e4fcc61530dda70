//! Debezium's stock connector in the place of the relay.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use system_tests::{Connect, Stack, kafka, kafka::MessageRow, unique, until};

use crate::relays::{check_topic, keep_reserving, until_delivered, until_made};

/// Runs `command-service relay ARGUMENTS --json`, which must succeed.
async fn relay(stack: &Stack, arguments: &[&str]) -> Value {
    try_relay(stack, arguments).await.unwrap()
}

async fn try_relay(stack: &Stack, arguments: &[&str]) -> Result<Value, String> {
    let arguments: Vec<&str> =
        ["relay"].into_iter().chain(arguments.iter().copied()).chain(["--json"]).collect();
    let output = stack.commands[0].command(&arguments).output().await.unwrap();
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

/// What consumers see of a message. The order of headers does not count.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    partition: i32,
    key: Vec<u8>,
    payload: Vec<u8>,
    headers: BTreeMap<String, Option<String>>,
}

fn seen(messages: &[MessageRow]) -> HashMap<String, Seen> {
    let seen = |message: &MessageRow| {
        let MessageRow { id, partition, key, payload, headers, .. } = message.clone();
        (id, Seen { partition, key, payload, headers })
    };
    messages.iter().map(seen).collect()
}

/// A file of reservations, with everything in it that texts can hold.
fn bookings(room: &str, lines: usize) -> String {
    let line = |number: usize| {
        let (day, hour) = (1 + number / 24 % 28, number % 24);
        let (month, year) = (1 + number / 24 / 28 % 12, 2001 + number / 24 / 28 / 12);
        let from = format!("{year}-{month:02}-{day:02}T{hour:02}:00:00Z");
        let to = format!("{year}-{month:02}-{day:02}T{hour:02}:30:00Z");
        json!({"key": unique("line"), "at": "2000-12-31T00:00:00.120Z", "user": format!("Zoë \"{number}\" — 部屋"), "command": "reserve",
            "room": room, "from": from, "to": to, "people": 1, "title": format!("Lunch \\ \u{1F35C} {number}")})
    };
    (0..lines).map(|number| format!("{}\n", line(number))).collect()
}

async fn until_the_topic_has(stack: &Stack, events: usize) -> Vec<MessageRow> {
    let (brokers, topic) = stack.topic();
    until(async || {
        let messages = kafka::messages(brokers, topic).await.unwrap();
        match seen(&messages).len() {
            there if there >= events => Ok(messages),
            there => Err(format!("the topic has {there} of {events} events")),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debezium_connector_publishes_every_event_as_the_relay_does() {
    const EVENTS: usize = 5_000;
    let stack = Stack::real(1).await;
    let client = stack.client();
    let connect = Connect::start(&stack).await;
    let prepared = relay(&stack, &["prepare-debezium"]).await;
    assert_eq!(prepared["columnsAdded"], 10);
    assert_eq!(relay(&stack, &["prepare-debezium"]).await["columnsAdded"], 0);
    relay(&stack, &["mode", "debezium", "--connect-url", &connect.url()]).await;

    let room = client.register(json!({})).await;
    let answers = client.import(&bookings(&room.id, EVENTS - 1)).send().await.lines();
    let failed = answers.iter().find(|answer| answer["outcome"] != "done");
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(stack.undelivered().await, 0, "appends write no outbox rows");
    let by_debezium = until_the_topic_has(&stack, EVENTS).await;
    // Answered only once the read model has it.
    client.sees(&room, answers.last().unwrap()["consistencyToken"].as_str().unwrap_or(&room.token)).await;

    relay(&stack, &["mode", "table", "--send-again"]).await;
    until_delivered(&stack).await;
    let (brokers, topic) = stack.topic();
    let all = kafka::messages(brokers, topic).await.unwrap();
    let mut counts: HashMap<i32, usize> = HashMap::new();
    for message in &by_debezium {
        *counts.entry(message.partition).or_default() += 1;
    }
    let by_relay: Vec<MessageRow> = all
        .into_iter()
        .filter(|message| match counts.get_mut(&message.partition) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .collect();
    let (by_debezium, by_relay) = (seen(&by_debezium), seen(&by_relay));
    assert_eq!(by_relay.len(), EVENTS);
    for (id, message) in &by_relay {
        assert_eq!(by_debezium.get(id), Some(message), "{id}");
    }
    assert_eq!(relay(&stack, &["undo-debezium"]).await["columnsDropped"], 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hand_overs_to_a_connector_and_back_under_load_and_a_kill_of_the_worker_lose_and_misorder_nothing() {
    let stack = Stack::real(2).await;
    let clients = [stack.client_of(0), stack.client_of(1)];
    let connect = Connect::start(&stack).await;
    let url = connect.url();
    let mut rooms = Vec::new();
    for _ in 0..crate::relays::ROOMS {
        rooms.push(clients[0].register(json!({})).await.id);
    }
    let (rooms, next) = (Arc::new(rooms), Arc::new(AtomicUsize::new(0)));
    let (made, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for client in clients.iter().cycle().take(4) {
        let user = client.as_user(&unique("user"));
        let (rooms, next) = (Arc::clone(&rooms), Arc::clone(&next));
        writers.push(tokio::spawn(keep_reserving(user, rooms, next, Arc::clone(&made), Arc::clone(&stop))));
    }
    let some_more = async || until_made(&made, made.load(Ordering::Relaxed) + 30).await;
    some_more().await;
    relay(&stack, &["prepare-debezium"]).await;
    relay(&stack, &["mode", "debezium", "--connect-url", &url, "--wait", "120"]).await;
    some_more().await;
    connect.kill().await;
    some_more().await;
    connect.start_again().await;
    // The way back finds events that the connector has not sent.
    connect.stop_connector().await;
    some_more().await;
    relay(&stack, &["mode", "table", "--connect-url", &url, "--wait", "120"]).await;
    some_more().await;
    relay(&stack, &["mode", "debezium", "--connect-url", &url, "--wait", "120"]).await;
    some_more().await;
    // An operator stops the connector, and lets it go on if it has not sent enough.
    until(async || {
        let sent = connect.stop_connector().await;
        let back = try_relay(&stack, &["mode", "table", "--drained-to", &sent]).await;
        if back.is_err() {
            connect.resume_connector(&sent).await;
        }
        back
    })
    .await;
    some_more().await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    until_delivered(&stack).await;
    check_topic(&stack, &clients[1]).await;
}

//! What the relay does and Debezium's stock connector can't, as docs/debezium.md says.

use std::collections::HashMap;

use serde_json::{Value, json};
use system_tests::{Room, Stack, hour_of_year, kafka, unique, until};

use crate::{
    debezium::{relay, try_relay, until_the_topic_has, with_a_connector},
    relays::until_delivered,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_publishes_a_name_that_was_erased_while_the_event_waited_and_the_relay_masks_it() {
    let stack = Stack::real(1).await;
    let client = stack.client();
    let connect = with_a_connector(&stack).await;
    let room = client.register(json!({})).await;
    until_the_topic_has(&stack, 1).await;
    let before = connect.stop_connector().await;
    let ann = unique("ann@example.com");
    let made = client.as_user(&ann).reserve(&room.id, &hour_of_year(1), &hour_of_year(2)).send().await;
    // An operator repeats it until it says that it is done.
    until(async || {
        let erased = stack.queries[0].command(&["erase", "--user", &ann]).output().await.unwrap();
        if erased.status.success() { Ok(()) } else { Err(format!("{erased:?}")) }
    })
    .await;
    connect.resume_connector(&before).await;
    until_the_topic_has(&stack, 2).await;
    let (brokers, topic) = stack.topic();
    let names = async || {
        let messages = kafka::messages(brokers, topic).await.unwrap();
        let of_room = messages.iter().filter(|message| message.id == format!("{}:2", room.id));
        let has_name = |payload: &[u8]| String::from_utf8_lossy(payload).contains(&ann);
        of_room.map(|message| has_name(&message.payload)).collect::<Vec<bool>>()
    };
    assert_eq!(names().await, [true]);
    // The reader masks it by the list of erased persons.
    client.sees(&room, &made.token()).await;
    assert_eq!(stack.places_that_hold(&ann).await, Vec::<String>::new());

    relay(&stack, &["mode", "table", "--send-again"]).await;
    until_delivered(&stack).await;
    assert_eq!(names().await, [true, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_kafka_refuses_stops_the_connector_for_all_rooms_and_the_relay_for_one() {
    const LIMIT: usize = 2_000;
    const LARGE: usize = 200;
    let stack = Stack::real(1).await;
    let client = stack.client();
    let (bad, good) = (client.register(json!({})).await, client.register(json!({})).await);
    let connect = with_a_connector(&stack).await;
    let (brokers, topic) = stack.topic();
    until_the_topic_has(&stack, 2).await;
    kafka::limit_messages(brokers, topic, LIMIT).await.unwrap();
    let text = "\u{1F35C}".repeat(LARGE);
    let body = json!({"from": hour_of_year(1), "to": hour_of_year(2), "people": 1, "title": text, "reservedFor": text});
    client.post(&bad.reservations(), &body).send().await.expect(201);
    let why = connect.until_failed().await;
    assert!(why.contains("RecordTooLarge"), "{why}");
    let made = client.reserve(&good.id, &hour_of_year(1), &hour_of_year(2)).send().await;
    assert_eq!(made.status, 201, "{made:?}");
    let url = connect.url();
    let stopped =
        try_relay(&stack, &["mode", "table", "--connect-url", &url, "--wait", "5"]).await.unwrap_err();
    assert!(stopped.contains("has failed") && stopped.contains("RecordTooLarge"), "{stopped}");

    relay(&stack, &["mode", "table", "--send-again"]).await;
    let messages = until_the_topic_has(&stack, 3).await;
    let has = |room: &Room| messages.iter().any(|message| message.id == format!("{}:2", room.id));
    assert!(has(&good) && !has(&bad), "{messages:?}");
    until(async || {
        let output = stack.commands[0].command(&["outbox", "--json"]).output().await.unwrap();
        let outbox: Value = serde_json::from_slice(&output.stdout).unwrap();
        if outbox["heldRooms"][0]["room"] == json!(bad.id) { Ok(()) } else { Err(outbox.to_string()) }
    })
    .await;
    let refused = try_relay(&stack, &["mode", "debezium", "--connect-url", &url]).await.unwrap_err();
    assert!(refused.contains(&format!("room {} is held", bad.id)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_moves_rooms_to_partitions_that_are_added() {
    let stack = Stack::real(1).await;
    let client = stack.client();
    let connect = with_a_connector(&stack).await;
    let mut rooms = Vec::new();
    for _ in 0..crate::relays::ROOMS {
        rooms.push(client.register(json!({})).await);
    }
    let partitions = async |events: usize, version: u64| {
        let messages = until_the_topic_has(&stack, events).await;
        let of_version = messages.into_iter().filter_map(|message| {
            let room = message.id.strip_suffix(&format!(":{version}"))?.to_owned();
            Some((room, message.partition))
        });
        of_version.collect::<HashMap<String, i32>>()
    };
    let before = partitions(rooms.len(), 1).await;
    let (brokers, topic) = stack.topic();
    let number = kafka::partitions(brokers, topic, false).await.unwrap();
    kafka::add_partitions(brokers, topic, number * 2).await.unwrap();
    // Its new producer knows the new number at once.
    let sent = connect.stop_connector().await;
    for room in &rooms {
        let made = client.reserve(&room.id, &hour_of_year(1), &hour_of_year(2)).send().await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    connect.resume_connector(&sent).await;
    let after = partitions(rooms.len() * 2, 2).await;
    assert_eq!(before.len(), after.len());
    assert_ne!(before, after);
}

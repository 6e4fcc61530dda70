//! Command services share the relay. One that was suspended for long does no harm when it wakes up.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;
use system_tests::{Client, Stack, hour_of_year, kafka, unique, until};

pub(crate) const ROOMS: usize = 12;

/// Waits until a command service holds a number of buckets.
async fn until_it_relays(client: &Client, buckets: &str) {
    until(async || {
        let metrics = client.command(Method::GET, "/metrics").send().await.text;
        let held = metrics.lines().find_map(|line| line.strip_prefix("relay_buckets_held "));
        if held == Some(buckets) { Ok(()) } else { Err(format!("it relays {held:?} buckets")) }
    })
    .await;
}

/// Makes reservations in all rooms in turn until `stop`, and counts the successes.
pub(crate) async fn keep_reserving(
    user: Client,
    rooms: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let (room, hour) = (&rooms[number % ROOMS], number / ROOMS);
        let sent = user.reserve(room, &hour_of_year(hour), &hour_of_year(hour + 1)).try_send().await;
        if sent.is_ok_and(|answer| answer.status == 201) {
            made.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(crate) async fn until_made(made: &AtomicUsize, enough: usize) {
    until(async || match made.load(Ordering::Relaxed) {
        made if made >= enough => Ok(()),
        made => Err(format!("{made} of {enough} reservations were made")),
    })
    .await;
}

pub(crate) async fn until_delivered(stack: &Stack) {
    until(async || match stack.undelivered().await {
        0 => Ok(()),
        left => Err(format!("{left} events are not delivered")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_service_that_stands_still_and_wakes_up_after_its_work_was_taken_over_does_no_harm() {
    let mut stack = Stack::real(2).await;
    let clients = [stack.client_of(0), stack.client_of(1)];
    for client in &clients {
        until_it_relays(client, "32").await;
    }
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        rooms.push(clients[0].register(json!({})).await.id);
    }
    let (rooms, next) = (Arc::new(rooms), Arc::new(AtomicUsize::new(0)));
    let (made, stop) = ([0, 1].map(|_| Arc::new(AtomicUsize::new(0))), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for (client, made) in clients.iter().zip(&made) {
        let user = client.as_user(&unique("user"));
        for _ in 0..8 {
            let (rooms, next) = (Arc::clone(&rooms), Arc::clone(&next));
            let (made, stop) = (Arc::clone(made), Arc::clone(&stop));
            writers.push(tokio::spawn(keep_reserving(user.clone(), rooms, next, made, stop)));
        }
    }
    for made in &made {
        until_made(made, 200).await;
    }
    stack.commands[0].pause();
    let paused = Instant::now();
    until_it_relays(&clients[1], "64").await;
    assert!(paused.elapsed() < Duration::from_secs(10), "the other took {:?}", paused.elapsed());
    until_made(&made[1], made[1].load(Ordering::Relaxed) + 200).await;
    stack.commands[0].resume();
    for client in &clients {
        until_it_relays(client, "32").await;
    }
    for made in &made {
        until_made(made, made.load(Ordering::Relaxed) + 200).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    until_delivered(&stack).await;
    check_topic(&stack, &clients[1]).await;
}

/// Checks that the topic has every event, and the first occurrences of a room's versions in order.
pub(crate) async fn check_topic(stack: &Stack, client: &Client) {
    let heads = client.command(Method::GET, "/v1/streams").send().await.expect(200);
    let heads = heads["items"].as_array().unwrap().iter();
    let heads = heads.map(|head| (head["room"].as_str().unwrap(), head["version"].as_u64().unwrap()));
    let mut missing: HashSet<String> =
        heads.flat_map(|(room, head)| (1..=head).map(move |version| format!("{room}:{version}"))).collect();
    let (brokers, topic) = stack.topic();
    let messages = kafka::messages(brokers, topic).await.unwrap();
    for message in &messages {
        missing.remove(&message.id);
    }
    assert!(missing.is_empty(), "the topic lacks {missing:?}");
    let mut last: HashMap<&str, u64> = HashMap::new();
    for message in &messages {
        let (room, version) = message.id.split_once(':').unwrap();
        let (version, last): (u64, _) = (version.parse().unwrap(), last.entry(room).or_default());
        assert!(version <= *last + 1, "room {room}: {version} after {last}");
        *last = version.max(*last);
    }
}

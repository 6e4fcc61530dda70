//! Several command services relay: they share the work, and one that stood still for long does no harm when it wakes up.

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
use system_tests::{Client, Stack, kafka, unique};

const PATIENCE: Duration = Duration::from_secs(60);
const ROOMS: usize = 12;

/// How many buckets a command service says it relays.
async fn buckets_of(client: &Client) -> String {
    let metrics = client.command(Method::GET, "/metrics").send().await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix("relay_buckets_held "));
    line.unwrap_or_default().to_owned()
}

async fn until_it_relays(client: &Client, buckets: u32) {
    let start = Instant::now();
    while buckets_of(client).await != buckets.to_string() {
        assert!(start.elapsed() < PATIENCE, "it relays {} buckets", buckets_of(client).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reserves in one room after the other until told to stop, and counts. What fails is left out.
async fn keep_reserving(
    user: Client,
    rooms: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let (room, hour) = (&rooms[number % ROOMS], number / ROOMS);
        let time = |hour: usize| {
            format!("2031-{:02}-{:02}T{:02}:00:00Z", 1 + hour / 24 / 28, 1 + hour / 24 % 28, hour % 24)
        };
        let asked = user.reserve(room, &time(hour), &time(hour + 1)).try_send().await;
        if asked.is_ok_and(|answer| answer.status == 201) {
            made.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn until(made: &AtomicUsize, enough: usize) {
    let start = Instant::now();
    while made.load(Ordering::Relaxed) < enough {
        assert!(start.elapsed() < PATIENCE, "only {} of {enough} were made", made.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_service_that_stands_still_and_wakes_up_after_its_work_was_taken_over_does_no_harm() {
    let mut stack = Stack::real(2).await;
    let clients = [stack.client_of(0), stack.client_of(1)];
    for client in &clients {
        until_it_relays(client, 32).await;
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
        until(made, 200).await;
    }
    stack.commands[0].pause();
    let paused = Instant::now();
    until_it_relays(&clients[1], 64).await;
    assert!(paused.elapsed() < Duration::from_secs(10), "the other took {:?}", paused.elapsed());
    until(&made[1], made[1].load(Ordering::Relaxed) + 200).await;
    stack.commands[0].resume();
    for client in &clients {
        until_it_relays(client, 32).await;
    }
    for made in &made {
        until(made, made.load(Ordering::Relaxed) + 200).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let start = Instant::now();
    while stack.undelivered().await > 0 {
        assert!(start.elapsed() < PATIENCE, "{} events are left", stack.undelivered().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let heads = clients[1].command(Method::GET, "/v1/streams").send().await.expect(200);
    let heads = heads["items"].as_array().unwrap().iter();
    let heads = heads.map(|head| (head["room"].as_str().unwrap(), head["version"].as_u64().unwrap()));
    let mut missing: HashSet<String> =
        heads.flat_map(|(room, head)| (1..=head).map(move |version| format!("{room}:{version}"))).collect();
    let (brokers, topic) = stack.topic();
    let messages = kafka::messages(brokers, topic).await.unwrap();
    for message in &messages {
        missing.remove(&message.id);
    }
    assert!(missing.is_empty(), "the outbox is empty, but the topic lacks {missing:?}");
    let mut last: HashMap<&str, u64> = HashMap::new();
    for message in &messages {
        let (room, version) = message.id.split_once(':').unwrap();
        let (version, last): (u64, _) = (version.parse().unwrap(), last.entry(room).or_default());
        assert!(version <= *last + 1, "room {room}: {version} after {last}");
        *last = version.max(*last);
    }
}

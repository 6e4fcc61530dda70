//! The topic is deleted, made again by the broker, gets more partitions, or is replaced by another one.

use std::collections::{BTreeMap, HashMap};

use reqwest::Method;
use serde_json::json;
use system_tests::{Client, OwnKafka, Room, ServerUrls, Stack, hour_of_year, kafka, unique, until};

const ROOMS: usize = 12;

/// Rooms with one reservation more at each step, and the tokens that no query has shown yet.
struct Bookings {
    rooms: Vec<Room>,
    hour: usize,
    tokens: Vec<(usize, String)>,
}

impl Bookings {
    async fn new(client: &Client) -> Self {
        let mut rooms = Vec::new();
        for _ in 0..ROOMS {
            rooms.push(client.register(json!({})).await);
        }
        Self { rooms, hour: 0, tokens: Vec::new() }
    }

    /// Books an hour in each room.
    async fn make(&mut self, client: &Client) {
        for (number, room) in self.rooms.iter().enumerate() {
            let [from, to] = [self.hour, self.hour + 1].map(hour_of_year);
            let made = client.reserve(&room.id, &from, &to).send().await;
            assert_eq!(made.status, 201, "{made:?}");
            self.tokens.push((number, made.token()));
        }
        self.hour += 1;
    }

    /// Waits until queries show everything.
    async fn are_visible(&mut self, client: &Client) {
        for (room, token) in std::mem::take(&mut self.tokens) {
            let path = self.rooms[room].path();
            until(async || {
                let answer = client.get(&path).after(&token).send().await;
                if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
            })
            .await;
        }
    }
}

/// Waits until readiness names a reason, or none.
async fn until_missing(server: &system_tests::Server, reason: &str) {
    until(async || {
        let missing = server.missing().await;
        if missing.contains(reason) { Ok(()) } else { Err(format!("{missing} has no {reason:?}")) }
    })
    .await;
}

/// Waits until both services show this number of spare partitions.
async fn until_spare(client: &Client, spare: i32) {
    let expected = format!("topic_spare_partitions {spare}");
    for service in ["command", "query"] {
        until(async || {
            let request = match service {
                "command" => client.command(Method::GET, "/metrics"),
                _ => client.get("/metrics"),
            };
            let metrics = request.send().await.text;
            let shown = metrics.lines().find(|line| line.starts_with("topic_spare_partitions"));
            if shown == Some(&expected) { Ok(()) } else { Err(format!("{service}: {shown:?}")) }
        })
        .await;
    }
}

/// The first occurrences of each room's versions are in order, each room in one partition. Returns the partitions in use.
async fn in_order(brokers: &str, topic: &str) -> Vec<i32> {
    let mut homes: HashMap<String, i32> = HashMap::new();
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for message in kafka::messages(brokers, topic).await.unwrap() {
        let (room, version) = message.id.split_once(':').unwrap();
        let version: u64 = version.parse().unwrap();
        let home = *homes.entry(room.to_owned()).or_insert(message.partition);
        assert_eq!(home, message.partition, "room {room} has one partition");
        let last = last.entry(room.to_owned()).or_insert(version - 1);
        assert!(version <= *last + 1, "room {room}: {version} after {last}");
        *last = version.max(*last);
    }
    let mut used: Vec<i32> = homes.into_values().collect();
    used.sort_unstable();
    used.dedup();
    used
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_the_broker_made_with_one_partition_is_an_alarm_and_one_command_mends_it() {
    let own = OwnKafka::that_makes_topics().await;
    let servers = ServerUrls { brokers: own.brokers(), ..ServerUrls::from_environment().unwrap() };
    let mut stack = Stack::at_rest(&servers).await;
    let topic = stack.topic().1.to_owned();
    let brokers = &servers.brokers;
    let count = async || kafka::partitions(brokers, &topic, false).await.unwrap();

    // A service that looks for the topic does not make it.
    stack.queries[0].start(&[]);
    until_missing(&stack.queries[0], "does not exist yet").await;
    assert!(stack.queries[0].command(&["lag"]).output().await.unwrap().status.success());
    assert_eq!(count().await, 0);
    stack.commands[0].start_ready(&[]).await;
    stack.queries[0].until_ready().await;
    assert_eq!(count().await, 4);
    let client = stack.client();
    let mut bookings = Bookings::new(&client).await;
    bookings.make(&client).await;
    bookings.are_visible(&client).await;

    // It is lost while events are sent. Only the command service makes it again.
    for _ in 0..5 {
        kafka::delete_topic(brokers, &topic).await.unwrap();
        bookings.make(&client).await;
        until(async || if count().await == 4 { Ok(()) } else { Err("it is not made again".to_owned()) })
            .await;
        bookings.are_visible(&client).await;
    }

    // It is lost, and a foreign client asks for it first.
    stack.commands[0].pause();
    stack.queries[0].pause();
    kafka::delete_topic(brokers, &topic).await.unwrap();
    until(async || match kafka::partitions(brokers, &topic, true).await.unwrap() {
        1 => Ok(()),
        other => Err(format!("{other} partitions")),
    })
    .await;
    stack.commands[0].resume();
    stack.queries[0].resume();
    bookings.make(&client).await;
    let command = format!("kafka-topics.sh --alter --topic {topic} --partitions 4");
    until_missing(&stack.commands[0], &command).await;
    until_missing(&stack.queries[0], &command).await;
    until_spare(&client, -3).await;
    assert!(stack.commands[0].log().contains(&command) && stack.queries[0].log().contains(&command));
    bookings.make(&client).await;
    assert_eq!(count().await, 1, "no service changes it by itself");

    kafka::add_partitions(brokers, &topic, 4).await.unwrap();
    stack.commands[0].until_ready().await;
    stack.queries[0].until_ready().await;
    bookings.are_visible(&client).await;
    until_spare(&client, 0).await;
    for server in [&mut stack.commands[0], &mut stack.queries[0]] {
        server.stop().await;
        server.start_ready(&[]).await;
    }
    bookings.make(&client).await;
    bookings.are_visible(&client).await;
    in_order(brokers, &topic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_stay_empty_and_nothing_is_lost_or_out_of_order() {
    let mut stack = Stack::real_with(1, 2).await;
    let (brokers, topic) = stack.topic();
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    let clients = [stack.client_of_both(0, 0), stack.client_of_both(0, 1)];
    let mut bookings = Bookings::new(&clients[0]).await;
    bookings.make(&clients[0]).await;
    bookings.are_visible(&clients[1]).await;
    kafka::add_partitions(&brokers, &topic, 12).await.unwrap();
    bookings.make(&clients[0]).await;
    bookings.are_visible(&clients[0]).await;
    for client in &clients {
        until_spare(client, 8).await;
    }
    for server in [&stack.commands[0], &stack.queries[0], &stack.queries[1]] {
        assert!(server.log().contains("more partitions than KAFKA_PARTITIONS"), "{}", server.log());
    }
    // The services begin again, and the producer learns of all partitions.
    for server in stack.commands.iter_mut().chain(&mut stack.queries) {
        server.stop().await;
        server.start_ready(&[]).await;
    }
    for client in clients.iter().cycle().take(4) {
        bookings.make(client).await;
        bookings.are_visible(client).await;
    }
    let used = in_order(&brokers, &topic).await;
    assert!(used.iter().all(|partition| *partition < 4), "{used:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_topic_with_more_partitions_replaces_the_old_one_while_commands_and_queries_go_on() {
    let mut stack = Stack::real(2).await;
    let brokers = stack.topic().0.to_owned();
    let topic = unique("wider");
    let clients = [stack.client_of(0), stack.client_of(1)];
    let mut bookings = Bookings::new(&clients[0]).await;
    let wider = [("KAFKA_TOPIC", topic.as_str()), ("KAFKA_PARTITIONS", "8")];
    bookings.make(&clients[0]).await;
    // One command service sends to the new topic, the other one still to the old one.
    stack.commands[0].stop().await;
    bookings.make(&clients[1]).await;
    stack.commands[0].start_ready(&wider).await;
    bookings.make(&clients[0]).await;
    bookings.make(&clients[1]).await;
    stack.commands[1].stop().await;
    bookings.make(&clients[0]).await;
    stack.commands[1].start_ready(&wider).await;
    bookings.make(&clients[1]).await;
    stack.queries[0].stop().await;
    stack.queries[0].start_ready(&wider).await;
    bookings.make(&clients[0]).await;
    bookings.are_visible(&clients[1]).await;
    let partitions = kafka::partitions(&brokers, &topic, false).await.unwrap();
    let verified = stack.queries[0].command(&["verify", "--all"]).envs(wider).output().await.unwrap();
    kafka::delete_topic(&brokers, &topic).await.unwrap();
    assert_eq!(partitions, 8);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

//! Debezium's stock connector in the place of the relay.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Url;
use serde_json::{Value, json};
use system_tests::{Connect, Stack, hour_of_year, kafka, kafka::MessageRow, unique, until};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{
    relays::{check_topic, keep_reserving, until_delivered, until_made},
    replay::replayed,
};

/// Runs `command-service relay ARGUMENTS --json`, which must succeed.
pub(crate) async fn relay(stack: &Stack, arguments: &[&str]) -> Value {
    try_relay(stack, arguments).await.unwrap()
}

pub(crate) async fn try_relay(stack: &Stack, arguments: &[&str]) -> Result<Value, String> {
    let arguments: Vec<&str> =
        ["relay"].into_iter().chain(arguments.iter().copied()).chain(["--json"]).collect();
    let output = stack.commands[0].command(&arguments).output().await.unwrap();
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

/// Starts a worker and hands the relay's work over to it.
pub(crate) async fn with_a_connector(stack: &Stack) -> Connect {
    let connect = Connect::start(stack).await;
    relay(stack, &["prepare-debezium"]).await;
    relay(stack, &["mode", "debezium", "--connect-url", &connect.url(), "--wait", "120"]).await;
    connect
}

/// What consumers see of a message. The order of headers does not count.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    partition: i32,
    key: Vec<u8>,
    payload: Vec<u8>,
    headers: Vec<(String, Option<String>)>,
}

/// The messages by `ce_id`. One that was sent again must be the same.
fn seen(messages: &[MessageRow]) -> HashMap<String, Seen> {
    let mut all = HashMap::new();
    for message in messages {
        let MessageRow { id, partition, key, payload, headers, .. } = message.clone();
        let seen = Seen { partition, key, payload, headers };
        if let Some(before) = all.get(&id) {
            assert_eq!(before, &seen, "{id} was sent again");
        }
        all.insert(id, seen);
    }
    all
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

pub(crate) async fn until_the_topic_has(stack: &Stack, events: usize) -> Vec<MessageRow> {
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

/// Makes events of each kind that reservations have: 5,000 and 7. Returns their number, the room and its last token.
async fn make_events(stack: &Stack) -> (usize, system_tests::Room, String) {
    const LINES: usize = 5_000;
    let client = stack.client();
    let (room, other) = (client.register(json!({})).await, client.register(json!({})).await);
    let file = bookings(&room.id, LINES);
    // The answer breaks off when the store does not answer in time. The same file goes on from there.
    let answers = until(async || match client.import(&file).try_send().await.map(|answer| answer.lines()) {
        Ok(answers) if answers.len() == LINES => Ok(answers),
        broken => Err(format!("{broken:?}")),
    })
    .await;
    let failed = answers.iter().find(|answer| answer["outcome"] != "done");
    assert!(failed.is_none(), "{failed:?}");
    // The bookings are older, so they came first.
    let made = client.reserve(&room.id, &hour_of_year(1), &hour_of_year(2)).send().await.reservation();
    let path = room.reservation(&made);
    client.patch(&path, &json!({"people": 3, "title": "Ω"})).send().await.expect(200);
    let moved = client.post(&format!("{path}/move"), &json!({"toRoom": other.id})).send().await;
    moved.expect(200);
    client.delete(&other.reservation(&made)).send().await.expect(200);
    (LINES + 7, room, moved.token())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debezium_connector_publishes_every_event_as_the_relay_does() {
    let stack = Stack::real(1).await;
    let connect = Connect::start(&stack).await;
    let prepared = relay(&stack, &["prepare-debezium"]).await;
    assert_eq!(prepared["columnsAdded"], 10);
    assert_eq!(relay(&stack, &["prepare-debezium"]).await["columnsAdded"], 0);
    relay(&stack, &["mode", "debezium", "--connect-url", &connect.url()]).await;

    let (events, room, token) = make_events(&stack).await;
    assert_eq!(stack.undelivered().await, 0, "appends write no outbox rows");
    let by_debezium = until_the_topic_has(&stack, events).await;
    // Answered only once the read model has it.
    stack.client().sees(&room, &token).await;

    relay(&stack, &["mode", "table", "--send-again"]).await;
    until_delivered(&stack).await;
    let (brokers, topic) = stack.topic();
    let all = kafka::messages(brokers, topic).await.unwrap();
    let mut counts: HashMap<i32, usize> = HashMap::new();
    for message in &by_debezium {
        *counts.entry(message.partition).or_default() += 1;
    }
    let by_table: Vec<MessageRow> = all
        .into_iter()
        .filter(|message| match counts.get_mut(&message.partition) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .collect();

    // The same rows in another database, whose binary log is relayed.
    let logged = Stack::real(1).await;
    relay(&logged, &["mode", "log"]).await;
    logged.copy_events_of(&stack).await;
    let by_log = until_the_topic_has(&logged, events).await;
    assert_eq!(logged.undelivered().await, 0, "appends write no outbox rows");

    let by_debezium = seen(&by_debezium);
    for (relay, messages) in [("the table", by_table), ("the binary log", by_log)] {
        let messages = seen(&messages);
        assert_eq!((messages.len(), by_debezium.len()), (events, events), "{relay}");
        for (id, message) in &messages {
            assert_eq!(by_debezium.get(id), Some(message), "{relay}: {id}");
        }
    }
    assert_eq!(relay(&stack, &["undo-debezium"]).await["columnsDropped"], 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_bookings_come_through_a_connector_whose_worker_is_killed_meanwhile() {
    let stack = Stack::real(1).await;
    let connect = with_a_connector(&stack).await;
    let kill = async {
        until_the_topic_has(&stack, 500).await;
        connect.kill().await;
        connect.start_again().await;
    };
    let (printed, ()) = tokio::join!(replayed(&stack, &["--verify"]), kill);
    assert!(printed.contains("verified in "), "{printed}");
    assert_eq!(stack.undelivered().await, 0, "no relay had anything to send");
    until_the_topic_has(&stack, stack.committed().await).await;
    check_topic(&stack, &stack.client()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_s_user_reads_the_events_and_nothing_else() {
    let stack = Stack::real(1).await;
    let connect = Connect::start(&stack).await;
    for granted in ["SELECT * FROM events", "SHOW BINARY LOGS"] {
        connect.run_as_its_user(granted).await.unwrap();
    }
    for refused in [
        "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES ('', 1, '', '', '', 1)",
        "UPDATE events SET payload = payload",
        "DELETE FROM events",
        "TRUNCATE TABLE events",
        "ALTER TABLE events DROP COLUMN payload",
        "DROP TABLE events",
        "LOCK TABLES events READ",
        "FLUSH TABLES WITH READ LOCK",
        "SELECT * FROM outbox",
        "SELECT * FROM rooms",
        "SELECT * FROM idempotency_keys",
        "SELECT * FROM erasures",
        "SELECT * FROM relay_mode",
        "SELECT * FROM held_rooms",
        "INSERT INTO outbox VALUES (1, 1)",
        "UPDATE relay_mode SET wanted = 'table'",
        "UPDATE relay_place SET problem = ''",
        "CREATE TABLE another (id INT)",
        "CREATE DATABASE another",
        "SELECT user FROM mysql.user",
        "SET GLOBAL gtid_mode = OFF",
        "PURGE BINARY LOGS BEFORE '2000-01-01'",
        "GRANT SELECT ON events TO CURRENT_USER()",
    ] {
        let error = connect.run_as_its_user(refused).await.unwrap_err().to_string();
        assert!(error.contains("denied"), "{refused}: {error}");
    }
}

/// The port of a way to the stack's database on which each new connection takes three seconds.
async fn late_server(stack: &Stack) -> u16 {
    let server = Url::parse(&stack.database_url()).unwrap();
    let server = (server.host_str().unwrap().to_owned(), server.port().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let server = server.clone();
            tokio::spawn(async move {
                sleep(Duration::from_secs(3)).await;
                let mut server = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
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
    // On the way back, the connector reads nothing for a while after it says that it runs.
    connect.stop_connector().await;
    let port = connect.set("database.port", &late_server(&stack).await.to_string()).await;
    some_more().await;
    relay(&stack, &["mode", "table", "--connect-url", &url, "--wait", "120"]).await;
    connect.set("database.port", &port).await;
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

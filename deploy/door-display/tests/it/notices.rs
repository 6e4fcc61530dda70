//! What readers of notices are promised.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use shared_events::{Metadata, notice::Notice};
use system_tests::{Client, Stack, hour_of_year, kafka, until};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    time::timeout,
};

use crate::reader::{Database, Reader, make_topic, tell};

/// Waits until the reader has these versions of a room, then looks at their order.
async fn has(database: &Database, room: &str, last: u64) {
    until(async || match database.versions(room).last() {
        Some(version) if *version >= last => Ok(()),
        other => Err(format!("{room} at {other:?} of {last}")),
    })
    .await;
    let versions = database.versions(room);
    assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>(), "each once, in order");
}

/// The number of requests for events of several rooms that the command service has answered.
async fn questions(client: &Client) -> u64 {
    let metrics = client.command(Method::GET, "/metrics").send().await.text;
    let of_route =
        |line: &&str| line.starts_with("http_requests_total") && line.contains("\"/v1/events/query\"");
    let counts =
        metrics.lines().filter(of_route).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_notices_of_fifty_rooms_lead_to_at_most_200_requests_and_each_version_comes_once_in_order()
 {
    let stack = Stack::real(1).await;
    let client = stack.client();
    let topic = make_topic(&stack).await;
    let mut rooms = Vec::new();
    for _ in 0..50 {
        rooms.push(client.register(json!({})).await);
    }
    let database = Database::default();
    let _reader = Reader::start(&stack, &topic, &database).await;
    for room in &rooms {
        has(&database, &room.id, 1).await;
    }
    let before = questions(&client).await;
    let lines: String = rooms
        .iter()
        .flat_map(|room| {
            (0..200).map(|hour| {
                let line = json!({
                    "key": format!("{}-{hour}", room.id), "at": "2026-01-01T00:00:00Z", "user": "ann",
                    "command": "reserve", "kind": room.kind, "people": 1,
                    "from": hour_of_year(hour), "to": hour_of_year(hour + 1)
                });
                format!("{line}\n")
            })
        })
        .collect();
    let imported = client.import(&lines).send().await;
    assert_eq!(imported.text.matches("\"outcome\":\"done\"").count(), 10_000, "{:.500}", imported.text);
    // Version by version, each room in turn.
    tell(
        &stack,
        &topic,
        (2..=201).flat_map(|version: u64| {
            rooms.iter().map(move |room| Notice { room: room.id.parse().unwrap(), version: version.into() })
        }),
    );
    for room in &rooms {
        has(&database, &room.id, 201).await;
    }
    let requests = questions(&client).await - before;
    assert!((10..=200).contains(&requests), "{requests} requests; an answer has 1,000 events at most");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_comes_before_its_event_is_visible_is_not_lost() {
    let stack = Stack::real(1).await;
    let client = stack.client();
    let topic = make_topic(&stack).await;
    let room = client.register(json!({})).await;
    let database = Database::default();
    let _reader = Reader::start(&stack, &topic, &database).await;
    has(&database, &room.id, 1).await;
    tell(&stack, &topic, [Notice { room: room.id.parse().unwrap(), version: 2.into() }]);
    let asked = questions(&client).await;
    until(async || {
        let asked_since = questions(&client).await - asked;
        if asked_since >= 2 { Ok(()) } else { Err(format!("asked {asked_since} times")) }
    })
    .await;
    client.reserve(&room.id, &hour_of_year(1), &hour_of_year(2)).send().await.expect(201);
    // Far sooner than heads are compared, and without another notice.
    timeout(Duration::from_secs(20), has(&database, &room.id, 2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_writers_and_the_feed_may_die_and_each_version_is_applied_once_in_order() {
    let mut stack = Stack::real_with_notices(2).await;
    let client = stack.client();
    let topic = stack.notices();
    let room = client.register(json!({})).await;
    let mut version = 1;
    let mut reserve = async |client: &Client| {
        version += 1;
        let (from, to) = (hour_of_year(version), hour_of_year(version + 1));
        client.reserve(&room.id, &from, &to).send().await.expect(201);
        version as u64
    };
    until(async || match kafka::partitions(stack.topic().0, &topic, false).await {
        Ok(4) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let database = Database::default();
    let reader = Reader::start(&stack, &topic, &database).await;
    has(&database, &room.id, reserve(&client).await).await;

    // The reader dies, and begins where its database ends.
    drop(reader);
    reserve(&client).await;
    let _reader = Reader::start(&stack, &topic, &database).await;
    has(&database, &room.id, reserve(&client).await).await;

    // One of the query services dies, whichever wrote this room's notices: the other one writes them.
    for writer in 0..2 {
        stack.queries[writer].kill();
        let last = reserve(&client).await;
        has(&database, &room.id, last).await;
        let versions = noticed(&stack, &room.id, last).await;
        assert!(versions.is_sorted_by(|one, other| one < other), "{versions:?}");
        stack.queries[writer].start_ready(&[]).await;
    }

    // The feed dies after the event was published, and before it was fetched.
    let last = reserve(&client).await;
    noticed(&stack, &room.id, last).await;
    stack.commands[0].kill();
    tell(&stack, &topic, [Notice { room: room.id.parse().unwrap(), version: (last + 1).into() }]);
    asked_in_vain(stack.urls().0).await;
    stack.commands[0].start_ready(&[]).await;
    has(&database, &room.id, reserve(&client).await).await;
}

/// Takes the place of a dead feed until a reader asks it for events, and answers nothing.
async fn asked_in_vain(url: &str) {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let listener = TcpListener::bind(address).await.unwrap();
    let asked = async {
        let mut request = String::new();
        while !request.contains("/v1/events/query") {
            request.clear();
            let (connection, _) = listener.accept().await.unwrap();
            // Query services ask for other things.
            BufReader::new(connection).read_line(&mut request).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(60), asked).await.is_ok(), "the reader does not ask");
}

/// Waits for the notice of a version. Returns the versions of the room's notices, in their order.
async fn noticed(stack: &Stack, room: &str, version: u64) -> Vec<u64> {
    until(async || {
        let messages = kafka::messages(stack.topic().0, &stack.notices()).await.unwrap();
        let ids = messages.iter().filter_map(|message| message.id.split_once(':'));
        let versions = ids.filter(|(of, _)| *of == room).map(|(_, version)| version.parse().unwrap());
        let versions: Vec<u64> = versions.collect();
        if versions.contains(&version) {
            Ok(versions)
        } else {
            Err(format!("{versions:?} without {version}"))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_service_that_wakes_up_after_another_took_over_writes_no_lower_version() {
    let mut stack = Stack::real_with_notices(2).await;
    let client = stack.client();
    let mut rooms = Vec::new();
    for _ in 0..8 {
        rooms.push(client.register(json!({})).await);
    }
    let mut hour = 0;
    let mut reserve = async || {
        hour += 1;
        for room in &rooms {
            client.reserve(&room.id, &hour_of_year(hour), &hour_of_year(hour + 1)).send().await.expect(201);
        }
    };
    reserve().await;
    for room in &rooms {
        noticed(&stack, &room.id, 2).await;
    }
    // It owns two of the four partitions, and may be in the middle of a transaction.
    reserve().await;
    stack.queries[0].pause();
    for _ in 0..3 {
        reserve().await;
    }
    for room in &rooms {
        noticed(&stack, &room.id, 6).await;
    }
    stack.queries[0].resume();
    reserve().await;
    for room in &rooms {
        let versions = noticed(&stack, &room.id, 7).await;
        assert!(versions.is_sorted_by(|one, other| one < other), "{versions:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_is_erased_before_the_events_are_fetched_is_named_nowhere_to_the_reader() {
    let stack = Stack::real_with_notices(1).await;
    let client = stack.client();
    let ann = client.as_user(&system_tests::unique("ann"));
    let room = client.register(json!({})).await;
    let made = ann.reserve(&room.id, &hour_of_year(1), &hour_of_year(2)).send().await;
    made.expect(201);
    noticed(&stack, &room.id, 2).await;
    let erase = stack.queries[0]
        .command(&["erase", "--user", ann.name()])
        .env("FEED_TIMEOUT_SECONDS", "60")
        .output()
        .await
        .unwrap();
    assert!(erase.status.success(), "{erase:?}");
    let database = Database::default();
    let _reader = Reader::start(&stack, &stack.notices(), &database).await;
    has(&database, &room.id, 2).await;
    for event in database.events() {
        let Metadata { actor, correlation_id, .. } = &event.metadata;
        let payload = String::from_utf8(event.payload).unwrap();
        for text in [actor.as_str(), correlation_id, &payload] {
            assert!(!text.contains(ann.name()), "{text}");
        }
    }
    let notices = kafka::messages(stack.topic().0, &stack.notices()).await.unwrap();
    assert!(!notices.is_empty());
    assert!(notices.iter().all(|notice| !format!("{notice:?}").contains(ann.name())), "{notices:?}");
}

//! The operator's subcommands, run as a program.

use std::process::{Command, Output};

use command_service::{
    event_store::{Buckets, Leases as _, bucket},
    outbox::{Step, Undelivered, assignment, handoff},
};
use serde_json::{Value, json};
use shared_events::{RawEvent, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    binlog_rig::Rig,
    relay_rig::{Log, commit, relay},
    samples::{event, new_room},
    servers::{eventually, mysql_url},
    test_store::TestStore,
};

pub(crate) fn run(url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_command-service"))
        .env_clear()
        .env("MYSQL_URL", url)
        .args(arguments)
        .output()
        .unwrap()
}

/// What it prints when it succeeds.
fn printed(store: &TestStore, arguments: &[&str]) -> String {
    let ended = run(&store.database().url, arguments);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

#[tokio::test]
async fn the_outbox_is_shown_with_its_holders_and_held_rooms() {
    let store = TestStore::mysql().await;
    assert_eq!(printed(&store, &["migrate"]), "The tables are up to date.\n");
    assert!(printed(&store, &["outbox"]).starts_with("No event waits; no instance relays.\n"));
    let opened = store.open(None).await;
    let (bad, good) = (new_room(), new_room());
    // Recorded by the store's clock.
    let event =
        |room, version| RawEvent { recorded_at: Timestamp::from_epoch_millis(0), ..event(room, version) };
    commit(opened.as_ref(), vec![event(bad, 1)]).await;
    let log = Log::default();
    log.outcomes.lock().unwrap().insert((bad, 1), Undelivered::Refused("too large".into()));
    relay(opened.clone(), log).step().await.unwrap();
    commit(opened.as_ref(), vec![event(good, 1), event(good, 2)]).await;
    let leases = store.database().open();
    leases.beat("one").await.unwrap();
    leases.take("one", &leases.leases().await.unwrap().buckets[..40]).await.unwrap();

    let text = printed(&store, &["outbox"]);
    assert!(text.starts_with("3 events wait, the oldest for "), "{text}");
    assert!(text.contains("; 1 relaying: one.\n"), "{text}");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let events = |of: std::ops::Range<u32>| {
        [(bad, 1), (good, 2)]
            .iter()
            .filter(|(room, _)| of.contains(&bucket(*room)))
            .map(|(_, n)| n)
            .sum::<i32>()
    };
    let (low, high) = (events(0..40).to_string(), events(40..64).to_string());
    assert!(rows.contains(&vec!["0-39", &low, "1", "one"]), "{text}");
    assert!(rows.contains(&vec!["40-63", &high, "0", "-"]), "{text}");
    let held = rows.iter().find(|row| row.first() == Some(&bad.to_string().as_str())).unwrap();
    assert_eq!((held[1], &held[3..]), ("1", &["too", "large"][..]), "{text}");

    let shown: Value = serde_json::from_str(&printed(&store, &["outbox", "--json"])).unwrap();
    assert_eq!((&shown["events"], &shown["instances"]), (&json!(3), &json!(["one"])));
    assert!(shown["oldestAgeMs"].as_i64().unwrap() > 0);
    assert_eq!(shown["buckets"].as_array().unwrap().len(), 64);
    assert_eq!(shown["buckets"][39]["holder"], json!("one"));
    assert_eq!(shown["buckets"][40]["holder"], Value::Null);
    assert_eq!(shown["heldRooms"][0]["room"], json!(bad));
    assert_eq!(shown["heldRooms"][0]["reason"], json!("too large"));
}

#[tokio::test]
async fn a_room_that_is_released_goes_on_in_order_without_a_restart() {
    let store = TestStore::mysql().await;
    let opened = store.open(None).await;
    let (bad, good) = (new_room(), new_room());
    commit(opened.as_ref(), vec![event(bad, 1)]).await;
    let log = Log::default();
    log.outcomes.lock().unwrap().insert((bad, 1), Undelivered::Refused("too large".into()));
    let (committed, handed) = handoff();
    let (_assigner, assigned) = assignment(Buckets::ALL);
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay(opened.clone(), log.clone()).run(assigned, handed, stop.clone()));
    eventually("the room is held", async || !opened.held_rooms().await.unwrap().is_empty()).await;
    // What comes meanwhile waits behind it.
    let later = vec![event(bad, 2), event(bad, 3), event(good, 1)];
    let positions = commit(opened.as_ref(), later.clone()).await;
    committed.send(positions.into_iter().zip(later).collect());
    log.has(1).await;
    assert_eq!(*log.delivered.borrow(), [(good, 1)]);

    let released = run(
        &store.database().url,
        &["release-room", &bad.to_string(), "--reason", "the topic takes more now"],
    );
    assert!(released.status.success());
    assert!(String::from_utf8(released.stdout).unwrap().starts_with(&format!("Room {bad} is released")));
    let logged = String::from_utf8(released.stderr).unwrap();
    assert!(logged.contains("the topic takes more now") && logged.contains(&bad.to_string()), "{logged}");
    log.has(4).await;
    assert_eq!(log.of(bad), [1, 2, 3]);
    stop.cancel();
    running.await.unwrap();
    assert_eq!(opened.backlog().await.unwrap().events, 0);
    let again = ["release-room", &bad.to_string(), "--reason", "once more"];
    for (arguments, expected) in [
        (&again[..], format!("Room {bad} is not held.\n")),
        (
            &[&again[..], &["--json"]].concat(),
            format!("{{\n  \"released\": false,\n  \"room\": \"{bad}\"\n}}\n"),
        ),
    ] {
        let refused = run(&store.database().url, arguments);
        assert_eq!((refused.status.code(), String::from_utf8(refused.stdout).unwrap()), (Some(1), expected));
    }
    assert_eq!(relay(opened, log).step().await.unwrap(), Step::Idle);
}

#[tokio::test]
async fn the_relay_s_mode_is_shown_switched_and_awaited() {
    let rig = Rig::new().await;
    let store = TestStore::MySql(rig.database);
    assert_eq!(
        printed(&store, &["relay", "mode"]),
        "Phase table since the beginning, change 0; wanted: table.\n"
    );
    let late = run(&store.database().url, &["relay", "mode", "log", "--wait", "0"]);
    assert_eq!(late.status.code(), Some(1));
    let said = String::from_utf8(late.stdout).unwrap();
    assert!(
        said.starts_with("The relay's mode is not log yet: no instance has carried it out in time"),
        "{said}"
    );
    assert!(String::from_utf8(late.stderr).unwrap().contains("relay-mode"), "it is audited");

    let log = Log::default();
    let rig =
        Rig { store: std::sync::Arc::new(store.database().open()), database: store.into_database(), log };
    let one = rig.instance();
    let store = TestStore::MySql(rig.database);
    let url = store.database().url.clone();
    let switched = tokio::task::spawn_blocking(move || run(&url, &["relay", "mode", "log"])).await.unwrap();
    assert_eq!(String::from_utf8(switched.stdout).unwrap(), "The relay's mode is log.\n");
    let shown: Value = serde_json::from_str(&printed(&store, &["relay", "mode", "--json"])).unwrap();
    assert_eq!(
        (&shown["phase"], &shown["wanted"], &shown["epoch"]),
        (&json!("log"), &json!("log"), &json!(2))
    );
    assert!(shown["place"]["filePosition"].as_u64().unwrap() > 4);
    assert!(printed(&store, &["relay", "mode"]).contains("Place in the binary log: "));
    let unknown = run(&store.database().url, &["relay", "mode", "post"]);
    assert_eq!(unknown.status.code(), Some(2));
    one.stop().await;
}

#[tokio::test]
async fn a_database_that_is_away_or_another_ones_is_a_clear_error() {
    let room = new_room().to_string();
    let empty = format!("{}/mysql", mysql_url());
    for arguments in [&["outbox"][..], &["outbox", "--json"], &["release-room", &room, "--reason", "why"]] {
        for url in ["mysql://root:secret@127.0.0.1:1/nothing", &empty] {
            let ended = run(url, arguments);
            assert_eq!(ended.status.code(), Some(2));
            assert!(ended.stdout.is_empty());
            let error = String::from_utf8(ended.stderr).unwrap();
            assert!(
                error.contains("the database does not answer, or has no tables of this service"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }
    assert_eq!(run(&empty, &["release-room", &room]).status.code(), Some(2), "a reason is required");
    assert_eq!(run(&empty, &["release-room", &room, "--reason", ""]).status.code(), Some(2));
    assert_eq!(run(&empty, &["release-room", "17", "--reason", "why"]).status.code(), Some(2));
}

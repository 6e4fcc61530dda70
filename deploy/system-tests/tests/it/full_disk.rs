//! The embedded default on a disk that is full: it refuses, keeps what it has, and goes on when there is room again.

use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use system_tests::{Answer, Client, Stack, unique};

/// Writes until not one byte more goes on the disk.
fn fill(disk: &Path) {
    let mut file = File::create(disk.join("filler")).unwrap();
    for size in [64 * 1024, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

async fn reserve(client: &Client, room: &str, hour: usize, key: &str) -> Answer {
    let time = |hour: usize| {
        format!("2031-{:02}-{:02}T{:02}:00:00Z", 1 + hour / 24 / 28, 1 + hour / 24 % 28, hour % 24)
    };
    let body = json!({"from": time(hour), "to": time(hour + 1), "people": 2, "title": "x".repeat(200)});
    client.command(Method::POST, &format!("/v1/rooms/{room}/reservations")).key(key).json(&body).send().await
}

#[tokio::test]
async fn a_full_disk_refuses_commands_keeps_everything_and_takes_them_again_when_there_is_room() {
    let (mut stack, disk) = Stack::embedded_on_a_small_disk().await;
    let client = stack.client();
    let room = client.register(json!({})).await.id;
    fill(&disk);
    // Pages that the file has already are written to until they are used up.
    let mut made = 0;
    let refused = loop {
        let key = unique("key");
        let answer = reserve(&client, &room, made, &key).await;
        if answer.status != 201 {
            let _ = answer.problem(503, "unavailable");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            break key;
        }
        made += 1;
        assert!(made < 5_000, "the disk does not fill");
    };
    let many = join_all((1..=20).map(|ahead| {
        let (client, room) = (&client, &room);
        async move { reserve(client, room, made + ahead, &unique("key")).await }
    }));
    for answer in many.await {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    let complete: Vec<u64> = (1..=u64::try_from(made).unwrap() + 1).collect();
    assert_eq!(client.versions(&room).await, complete);

    std::fs::remove_file(disk.join("filler")).unwrap();
    let start = Instant::now();
    let last = loop {
        let again = reserve(&client, &room, made, &refused).await;
        if again.status == 201 {
            break again;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "there is room again, but {again:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(last.header("idempotency-replayed"), None, "what was refused had been done");
    assert_eq!(last.json()["version"], json!(made + 2));
    let path = format!("/v1/rooms/{room}");
    let _ = client.get(&path).after(&last.token()).send().await.expect(200);
    assert_eq!(client.versions(&room).await.len(), made + 2);
    assert!(stack.commands[0].stop().await.success());
}

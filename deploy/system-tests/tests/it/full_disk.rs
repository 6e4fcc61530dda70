//! The embedded default on a full disk: it refuses commands, keeps its data, and continues when there is room again.

use std::{fs::File, io::Write, path::Path};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use system_tests::{Answer, Client, Stack, hour_of_year, unique, until};

/// Writes until the disk takes no more byte.
fn fill(disk: &Path) {
    let mut file = File::create(disk.join("filler")).unwrap();
    for size in [64 * 1024, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

async fn reserve(client: &Client, room: &str, hour: usize, key: &str) -> Answer {
    let (from, to) = (hour_of_year(hour), hour_of_year(hour + 1));
    let body = json!({"from": from, "to": to, "people": 2, "title": "x".repeat(200)});
    client.command(Method::POST, &format!("/v1/rooms/{room}/reservations")).key(key).json(&body).send().await
}

#[tokio::test]
async fn a_full_disk_refuses_commands_keeps_everything_and_takes_them_again_when_there_is_room() {
    let (mut stack, disk) = Stack::embedded_on_a_small_disk().await;
    let client = stack.client();
    let room = client.register(json!({})).await.id;
    fill(&disk);
    // The pages that the file has already are still written.
    let mut made = 0;
    let refused = loop {
        let key = unique("key");
        let answer = reserve(&client, &room, made, &key).await;
        if answer.status != 201 {
            answer.problem(503, "unavailable");
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
    let last = until(async || {
        let again = reserve(&client, &room, made, &refused).await;
        if again.status == 201 { Ok(again) } else { Err(format!("there is room again, but {again:?}")) }
    })
    .await;
    assert_eq!(last.header("idempotency-replayed"), None, "a refused command had taken effect");
    assert_eq!(last.json()["version"], json!(made + 2));
    let path = format!("/v1/rooms/{room}");
    client.get(&path).after(&last.token()).send().await.expect(200);
    assert_eq!(client.versions(&room).await.len(), made + 2);
    assert!(stack.commands[0].stop().await.success());
}

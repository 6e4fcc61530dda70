//! The limits of this service. service-kit tests those of connections.

use std::time::Duration;

use command_service::{housekeeping::measure_queue, writer::Options};
use futures_util::future::select_all;
use reqwest::Method;
use serde_json::json;
use sqlx::Executor;
use tokio_util::sync::CancellationToken;

use crate::{
    commands::waiting,
    servers::eventually,
    test_service::{TestService, keyed, send},
    test_store::TestStore,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_too_many_is_told_when_to_come_back_and_those_that_wait_are_carried_out() {
    let service = TestService::start_closed(TestStore::mysql().await);
    let options = Options { queue_capacity: 2, ..Options::default() };
    // It takes nothing from the queue yet.
    let writing = service.writer(&options).await;
    let commands = ["Red", "Green", "Blue"].map(|name| {
        let room = json!({"name": name, "kind": "meeting", "capacity": 4, "timeZone": "UTC"});
        Box::pin(send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&room)))
    });
    let (refused, _, waiting) = select_all(commands).await;
    assert_eq!(refused.problem(), (503, "overloaded", ""));
    assert_eq!(refused.header("retry-after"), "1");
    let writing = tokio::spawn(writing);
    for answer in futures_util::future::join_all(waiting).await {
        let _ = answer.expect(201);
    }
    assert_eq!(service.heads().await.as_array().unwrap().len(), 2);
    service.stop().await;
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_show_how_many_commands_wait() {
    let (service, writing) = waiting(&Options::default()).await;
    let room = json!({"name": "Red", "kind": "meeting", "capacity": 4, "timeZone": "UTC"});
    let command = tokio::spawn(send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&room)));
    eventually("a command waits", async || service.gate.waiting() == 1).await;
    let stop = CancellationToken::new();
    stop.cancel();
    measure_queue(service.gate.clone(), stop).await;
    let metrics = service.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\ncommand_queue_commands 1\n"), "{metrics}");
    let writing = tokio::spawn(writing);
    let _ = command.await.unwrap().expect(201);
    service.stop().await;
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_store_does_not_take_in_time_is_answered_and_not_carried_out() {
    let options = Options { deadline: Duration::from_secs(1), ..Options::default() };
    let service = TestService::start_closed(TestStore::mysql().await).open_with(&options).await;
    // What holds up all appends.
    let mut holds_up = service.store.database().connect().await;
    holds_up.execute("START TRANSACTION").await.unwrap();
    holds_up.execute("SELECT epoch FROM erasure_list FOR UPDATE").await.unwrap();
    let room = json!({"name": "Red", "kind": "meeting", "capacity": 4, "timeZone": "UTC"});
    let refused = send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&room)).await;
    assert_eq!(refused.problem(), (503, "unavailable", ""));
    holds_up.execute("ROLLBACK").await.unwrap();
    assert_eq!(service.heads().await, json!([]));
    service.stop().await;
}

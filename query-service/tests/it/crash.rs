//! The program, killed at its fail points.

use std::process::Stdio;

use query_service::{read_models::generation::FIRST, stores::Checkpoints};
use shared_events::{Timestamp, Version};
use tokio::process::{Child, Command};

use crate::{
    events::{Stream, reserved_minutes},
    feed_double::FeedDouble,
    feed_double::FeedServer,
    kafka_consumer::Topic,
    mongo_database::{TestDatabase, url},
    pipelines::{PATIENCE, until},
};

/// The program with these servers.
pub(crate) fn program(mongo: &TestDatabase, topic: &Topic, feed: &FeedServer) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_query-service"));
    command
        .env_clear()
        .env("LISTEN", "127.0.0.1:0")
        .env("DEV_HEADERS", "true")
        .env("MONGODB_URL", url())
        .env("MONGODB_DATABASE", &mongo.name)
        .env("KAFKA_BROKERS", &topic.settings.brokers.addresses)
        .env("KAFKA_TOPIC", &topic.settings.topic)
        .env("KAFKA_PARTITIONS", topic.settings.partitions.to_string())
        .env("KAFKA_GROUP", &topic.settings.group)
        .env("FEED_URL", feed.url.as_str())
        .env("FEED_TOKEN", "let-me-in")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

fn start(mongo: &TestDatabase, topic: &Topic, feed: &FeedServer, fail_point: Option<&str>) -> Child {
    let mut command = program(mongo, topic, feed);
    command.arg("serve").stdout(Stdio::null()).stderr(Stdio::null());
    command.envs(fail_point.map(|fail_point| ("FAIL_POINT", fail_point))).spawn().unwrap()
}

#[tokio::test]
async fn a_process_that_dies_between_write_and_offset_loses_and_doubles_nothing() {
    let mongo = TestDatabase::create().await;
    mongo.generations().ensure_first(Timestamp::from_epoch_millis(1_800_000_000_000)).await.unwrap();
    let models = mongo.generations().models(FIRST).await.unwrap();
    let topic = Topic::named_anew(1);
    topic.make().await;
    let feed = FeedServer::start(FeedDouble::of(&[])).await;
    let mut stream = Stream::new("Blue");
    let reservation = stream.reserve("ann", 1, 2);
    stream.reschedule(&reservation, 1, 4);
    for event in &stream.events {
        topic.send(event).await;
    }
    let mut dying = start(&mongo, &topic, &feed, Some("after-write-before-offset"));
    let status = tokio::time::timeout(PATIENCE, dying.wait()).await.unwrap().unwrap();
    assert!(!status.success(), "{status}");
    let written = models.checkpoint(stream.room).await.unwrap().version;
    assert!(written > Version::NONE, "it died after it had written");

    let mut living = start(&mongo, &topic, &feed, None);
    stream.reserve("ann", 5, 6);
    topic.send(stream.events.last().unwrap()).await;
    // The dead member's session has to end first.
    let version = async || models.checkpoint(stream.room).await.unwrap().version;
    until("the last event", async || version().await >= stream.head().into()).await;
    assert_eq!(reserved_minutes(&models, &[stream.room]).await, (3 + 1) * 60);
    let pid = living.id().unwrap().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    let status = tokio::time::timeout(PATIENCE, living.wait()).await.unwrap().unwrap();
    assert!(status.success(), "an orderly end: {status}");
}

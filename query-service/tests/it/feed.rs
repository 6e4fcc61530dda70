//! The feed over HTTP, and the token that this service shows to it.

use std::{fs, sync::Arc, time::Duration};

use query_service::{
    config::{Config, keys},
    feed::{Feed, FeedError, HttpFeed},
};
use service_kit::{clock::Clock, config::Settings, readiness::Readiness};
use tempfile::TempDir;

use crate::feed_double::{FeedDouble, FeedServer, TOKEN};

/// A feed over HTTP whose token is in a file.
struct Rig {
    feed: HttpFeed,
    double: Arc<FeedDouble>,
    folder: TempDir,
    _server: FeedServer,
}

impl Rig {
    async fn new() -> Self {
        let double = FeedDouble::of(&[]);
        let server = FeedServer::start(Arc::clone(&double)).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let variables = [
            ("MONGODB_URL", "mongodb://127.0.0.1/"),
            ("KAFKA_BROKERS", "127.0.0.1:1"),
            ("JWKS_FILE", "jwks.json"),
            ("FEED_URL", server.url.as_str()),
            ("FEED_TOKEN_FILE", file.to_str().unwrap()),
        ];
        let config = Config::read(Settings::from_variables(keys(), variables)).unwrap();
        let feed = config.feed().unwrap();
        Self { feed, double, folder, _server: server }
    }

    fn accept(&self, token: &str) {
        *self.double.rotated.lock().unwrap() = Some(token.to_owned());
    }

    fn put(&self, token: &str) {
        fs::write(self.folder.path().join("token"), token).unwrap();
    }

    async fn refusal(&self) -> String {
        match self.feed.heads(None).await {
            Err(FeedError::Answer(answer)) => answer,
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_that_is_rotated_in_its_file_is_shown_from_the_next_request_on() {
    let rig = Rig::new().await;
    rig.feed.heads(None).await.unwrap();
    rig.accept("second");
    assert!(rig.refusal().await.starts_with("401"));
    rig.put("");
    assert!(rig.refusal().await.starts_with("401"), "a file that is being written");
    rig.put("second\n");
    rig.feed.heads(None).await.unwrap();
    rig.put("");
    rig.feed.heads(None).await.unwrap();
}

#[tokio::test]
async fn a_feed_that_refuses_for_two_minutes_makes_the_service_not_ready_until_it_accepts() {
    let rig = Rig::new().await;
    let readiness = Readiness::new(Clock::system());
    rig.feed.report_to(readiness.component("feed"));
    rig.accept("second");
    rig.refusal().await;
    pass(Duration::from_secs(119)).await;
    rig.refusal().await;
    assert!(readiness.is_ready(), "a token may be rotated on both sides");
    rig.double.out_of_reach.store(true, std::sync::atomic::Ordering::SeqCst);
    pass(Duration::from_secs(2)).await;
    rig.refusal().await;
    let reason = readiness.report().components["feed"].reason.clone().unwrap();
    assert!(reason.contains("FEED_TOKEN") && reason.contains("401"), "{reason}");
    rig.put("second");
    rig.refusal().await;
    assert!(!readiness.is_ready(), "an answer of 503 tells nothing about the token");
    rig.double.out_of_reach.store(false, std::sync::atomic::Ordering::SeqCst);
    rig.feed.heads(None).await.unwrap();
    assert!(readiness.is_ready());
    rig.accept("third");
    rig.refusal().await;
    assert!(readiness.is_ready(), "the two minutes begin again");
}

/// Lets time pass for the service. Its connections have real time.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

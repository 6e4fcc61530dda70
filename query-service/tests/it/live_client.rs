//! A client of live streams, which comes back where it was cut, and a service to listen to.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use query_service::{
    calendars::memory::MemoryCalendars,
    feed::Feed,
    projector::Limits,
    service::{Service, Stack},
};
use serde_json::Value;
use service_kit::{
    auth::{Authenticator, TokenRules},
    clock::Clock,
    kit_settings::ServerSettings,
    shutdown::{End, Lifecycle},
    telemetry::Metrics,
};
use shared_events::RoomId;

use crate::pipelines::{PATIENCE, until};

/// A query service of its own.
pub(crate) struct Instance {
    pub(crate) url: String,
    lifecycle: Lifecycle,
}

impl Instance {
    pub(crate) async fn start(stack: Stack, feed: Arc<dyn Feed>, streams: usize) -> Self {
        let clock = Clock::system();
        let authenticator = Authenticator::new(None, TokenRules::default(), true, clock.clone());
        Self::with(stack, feed, streams, authenticator, clock).await
    }

    pub(crate) async fn with(
        stack: Stack,
        feed: Arc<dyn Feed>,
        streams: usize,
        authenticator: Authenticator,
        clock: Clock,
    ) -> Self {
        let lifecycle = Lifecycle::new(Duration::from_secs(10));
        let service = Service {
            calendars: Arc::new(MemoryCalendars::default()),
            page: None,
            notifications: None,
            post: None,
            feed,
            stack,
            authenticator,
            server: ServerSettings { workers: 1, ..ServerSettings::on("127.0.0.1:0".parse().unwrap()) },
            clock,
            metrics: Metrics::install().unwrap(),
            limits: Limits::default(),
            watchdog: Duration::from_secs(60),
            streams,
        };
        let url = format!("http://{}", service.start(&lifecycle).unwrap());
        let http = client();
        let ready = format!("{url}/health/ready");
        until("ready", async || http.get(&ready).send().await.unwrap().status().is_success()).await;
        Self { url, lifecycle }
    }

    pub(crate) async fn stop(self) {
        self.lifecycle.stop();
        assert_eq!(self.lifecycle.run().await, End::Orderly);
    }

    /// The version that queries show of a room.
    pub(crate) async fn version(&self, room: RoomId) -> u64 {
        let request = client().get(format!("{}/v1/rooms/{room}", self.url)).header("X-User", "ann");
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        body["version"].as_u64().unwrap_or_default()
    }
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// What a stream told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Event(Value),
    /// Of this room, or of all.
    Reset(Option<String>),
}

/// A client that reads one stream after another.
#[derive(Default)]
pub(crate) struct Listener {
    pub(crate) user: String,
    pub(crate) query: String,
    pub(crate) last_id: Option<String>,
    stream: Option<reqwest::Response>,
    unread: String,
    /// Connections that were made.
    pub(crate) connected: usize,
}

impl Listener {
    pub(crate) fn new(user: &str, query: String) -> Self {
        Self { user: user.to_owned(), query, ..Self::default() }
    }

    pub(crate) async fn answer(&self, url: &str) -> reqwest::Response {
        let mut request =
            client().get(format!("{url}/v1/events?{}", self.query)).header("X-User", &self.user);
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id);
        }
        request.send().await.unwrap()
    }

    /// Connects, and waits for the greeting.
    pub(crate) async fn connect(&mut self, url: &str) {
        self.cut();
        let response = self.answer(url).await;
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        self.stream = Some(response);
        self.connected += 1;
        let greeting = self.block().await.unwrap();
        assert!(greeting.starts_with("retry: "), "{greeting}");
    }

    /// Drops the connection, and what is not read yet.
    pub(crate) fn cut(&mut self) {
        self.stream = None;
        self.unread.clear();
    }

    /// What is told next. `None` if the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            let block = tokio::time::timeout(PATIENCE, self.block()).await.expect("something is told")?;
            let data = block.lines().find_map(|line| line.strip_prefix("data: "));
            let Some(data) = data else { continue };
            let data: Value = serde_json::from_str(data).unwrap();
            return Some(match block.contains("event: reset") {
                true => Told::Reset(data["room"].as_str().map(str::to_owned)),
                false => Told::Event(data),
            });
        }
    }

    /// The next event of the stream. Its id counts once it is complete.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                let block: String = self.unread.drain(..end + 2).collect();
                if let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) {
                    self.last_id = Some(id.to_owned());
                }
                return Some(block);
            }
            let chunk = self.stream.as_mut()?.chunk().await.ok().flatten()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// The versions of a room that a client knows: those that it was told, and those that it read after a reset.
#[derive(Default)]
pub(crate) struct Known {
    told: BTreeSet<u64>,
    read: u64,
}

impl Known {
    pub(crate) fn note(&mut self, told: &Value) {
        self.told.insert(told["version"].as_u64().unwrap());
    }

    pub(crate) fn read(&mut self, version: u64) {
        self.read = self.read.max(version);
    }

    /// The first version after `after` that it knows nothing of, up to `head`.
    pub(crate) fn missing(&self, after: u64, head: u64) -> Option<u64> {
        (after + 1..=head).find(|version| *version > self.read && !self.told.contains(version))
    }
}

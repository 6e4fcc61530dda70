//! The service over HTTP, composed as in the embedded default.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use query_service::{
    calendars::memory::MemoryCalendars,
    notifications::{Notifications, memory::MemoryNotifications},
    page::{Page, SignIn},
    projector::Limits,
    service::{Service, Stack},
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use service_kit::{
    auth::{Authenticator, TokenRules},
    clock::Clock,
    kit_settings::ServerSettings,
    shutdown::{End, Lifecycle},
    telemetry::Metrics,
};
use shared_events::{ConsistencyToken, RawEvent, RoomId};
use tokio::sync::mpsc;

use crate::{
    events::{DAY, Stream},
    feed_double::FeedDouble,
    pipelines::until,
};

pub(crate) struct TestService {
    pub(crate) address: SocketAddr,
    pub(crate) events: mpsc::Sender<RawEvent>,
    lifecycle: Lifecycle,
    pub(crate) client: reqwest::Client,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    /// The problem's type without its prefix, and the field that it names.
    pub(crate) fn problem(&self) -> (u16, &str, &str) {
        let text = |name: &str| self.body[name].as_str().unwrap_or_default();
        (self.status.as_u16(), text("type").trim_start_matches("/problems/"), text("field"))
    }

    pub(crate) fn items(&self) -> &Vec<Value> {
        self.body["items"].as_array().unwrap_or_else(|| panic!("{} {}", self.status, self.body))
    }
}

impl TestService {
    /// A service over these streams' events.
    pub(crate) async fn of(streams: &[&Stream]) -> Self {
        Self::with_rate(FeedDouble::of(streams), 1_000).await
    }

    /// A service that lets each sender ask so often in a second.
    pub(crate) async fn with_rate(feed: Arc<FeedDouble>, rate: u32) -> Self {
        let service = Self::starting(feed, rate);
        service.ready().await;
        service
    }

    pub(crate) fn starting(feed: Arc<FeedDouble>, rate: u32) -> Self {
        let (events, source) = mpsc::channel(16);
        let clock = Clock::standing_at("2031-01-01T00:00:00Z".parse().unwrap());
        let lifecycle = Lifecycle::new(Duration::from_secs(10));
        let service = Service {
            calendars: Arc::new(MemoryCalendars::default()),
            page: Some(Page {
                commands: "http://127.0.0.1:8081".parse().unwrap(),
                sign_in: SignIn::Development,
            }),
            notifications: Some(Notifications::over(
                Arc::new(MemoryNotifications::default()),
                clock.clone(),
                true,
                true,
            )),
            post: None,
            feed,
            stack: Stack::InProcess(source),
            authenticator: Authenticator::new(None, TokenRules::default(), true, clock.clone()),
            server: ServerSettings {
                workers: 1,
                rate_per_second: rate.try_into().unwrap(),
                ..ServerSettings::on("127.0.0.1:0".parse().unwrap())
            },
            clock,
            metrics: Metrics::install().unwrap(),
            limits: Limits::default(),
            watchdog: Duration::from_secs(60),
            streams: 8,
        };
        let address = service.start(&lifecycle).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address, events, lifecycle, client }
    }

    pub(crate) async fn ready(&self) {
        let url = format!("http://{}/health/ready", self.address);
        let answer = async || self.client.get(&url).send().await.unwrap();
        until("ready", async || answer().await.status().is_success()).await;
    }

    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, etag, retry_after) = (response.status(), header("etag"), header("retry-after"));
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
        Answer { status, etag, retry_after, body }
    }

    pub(crate) async fn get(&self, user: &str, path: &str) -> Answer {
        self.send(self.request(path).header("X-User", user)).await
    }

    pub(crate) async fn get_as_admin(&self, path: &str) -> Answer {
        self.send(self.request(path).header("X-User", "root").header("X-Roles", "admin")).await
    }

    pub(crate) async fn stop(self) {
        self.lifecycle.stop();
        assert_eq!(self.lifecycle.run().await, End::Orderly);
    }
}

pub(crate) fn token(room: RoomId, version: u64) -> String {
    ConsistencyToken { rooms: vec![(room, version.into())] }.to_string()
}

pub(crate) fn range() -> String {
    format!("from={DAY}T00:00:00Z&to={DAY}T23:00:00Z")
}

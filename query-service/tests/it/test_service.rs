//! The service over HTTP.

use std::{sync::Arc, time::Duration};

use query_service::{
    calendars::memory::MemoryCalendars,
    feed::Feed,
    notifications::{Notifications, memory::MemoryNotifications},
    page::{Page, SignIn},
    projector::Limits,
    service::{Service, Stack},
};
use reqwest::{Method, RequestBuilder, StatusCode};
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

/// Most live streams of a service.
pub(crate) const STREAMS: usize = 40;

/// A running service.
pub(crate) struct TestService {
    pub(crate) url: String,
    lifecycle: Lifecycle,
    client: reqwest::Client,
    /// The way to the projector, if the service is fed by the test alone.
    events: Option<mpsc::Sender<RawEvent>>,
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

    /// The service composed as in the embedded default, not yet ready.
    pub(crate) fn starting(feed: Arc<FeedDouble>, rate: u32) -> Self {
        let (events, source) = mpsc::channel(16);
        let clock = Clock::standing_at("2031-01-01T00:00:00Z".parse().unwrap());
        let notifications = Arc::new(MemoryNotifications::default());
        let mut parts = parts(Stack::InProcess(source), feed, clock.clone());
        parts.page =
            Some(Page { commands: "http://127.0.0.1:8081".parse().unwrap(), sign_in: SignIn::Development });
        parts.notifications = Some(Notifications::over(notifications, clock, true, true));
        parts.server.rate_per_second = rate.try_into().unwrap();
        Self { events: Some(events), ..Self::start(parts) }
    }

    pub(crate) fn start(parts: Service) -> Self {
        let lifecycle = Lifecycle::new(Duration::from_secs(10));
        let url = format!("http://{}", parts.start(&lifecycle).unwrap());
        Self { url, lifecycle, client: client(), events: None }
    }

    pub(crate) async fn start_ready(parts: Service) -> Self {
        let service = Self::start(parts);
        service.ready().await;
        service
    }

    pub(crate) async fn ready(&self) {
        let answer = async || self.request("/health/ready").send().await.unwrap();
        until("ready", async || answer().await.status().is_success()).await;
    }

    /// Publishes an event.
    pub(crate) async fn publish(&self, event: &RawEvent) {
        self.events.as_ref().unwrap().send(event.clone()).await.unwrap();
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.call(Method::GET, path)
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

    /// The version that queries show of a room.
    pub(crate) async fn version(&self, room: RoomId) -> u64 {
        self.get("ann", &format!("/v1/rooms/{room}")).await.body["version"].as_u64().unwrap_or_default()
    }

    pub(crate) async fn stop(self) {
        self.lifecycle.stop();
        assert_eq!(self.lifecycle.run().await, End::Orderly);
    }
}

/// The parts of a service without a page and subscriptions. It believes in what callers call themselves.
pub(crate) fn parts(stack: Stack, feed: Arc<dyn Feed>, clock: Clock) -> Service {
    Service {
        calendars: Arc::new(MemoryCalendars::default()),
        page: None,
        notifications: None,
        post: None,
        feed,
        stack,
        authenticator: Authenticator::new(None, TokenRules::default(), true, clock.clone()),
        server: ServerSettings { workers: 1, ..ServerSettings::on("127.0.0.1:0".parse().unwrap()) },
        clock,
        metrics: Metrics::install().unwrap(),
        limits: Limits::default(),
        watchdog: Duration::from_secs(60),
        streams: STREAMS,
    }
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn token(room: RoomId, version: u64) -> String {
    ConsistencyToken { rooms: vec![(room, version.into())] }.to_string()
}

pub(crate) fn range() -> String {
    format!("from={DAY}T00:00:00Z&to={DAY}T23:00:00Z")
}

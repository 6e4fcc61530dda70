//! The service over real HTTP, on a store of its own.

use std::sync::Arc;

use command_service::{
    http::{Api, Backend, Gate, OPENAPI, configure},
    outbox::handoff,
    writer::{Options, writer},
};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use service_kit::{
    auth::{Authenticator, TokenRules},
    clock::Clock,
    dev_key::{DevKey, JWKS_FILE},
    http::server::{HttpParts, HttpService},
    ids,
    jwks::{Jwks, Source},
    kit_settings::ServerSettings,
    readiness::Readiness,
    telemetry::Metrics,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::test_store::TestStore;

/// The time at which the service's clock stands, a Monday.
pub(crate) const NOW: &str = "2026-03-02T08:00:00Z";

pub(crate) struct TestService {
    pub(crate) url: String,
    pub(crate) clock: Clock,
    pub(crate) gate: Gate,
    pub(crate) store: TestStore,
    keys: TempDir,
    http: reqwest::Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    writing: JoinHandle<()>,
}

/// An answer with a JSON body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no text {member} in {self:?}")).to_owned()
    }

    /// Status, type of the problem, and the field that it names.
    pub(crate) fn problem(&self) -> (u16, &str, &str) {
        let kind = self.body["type"].as_str().unwrap_or_default();
        let media_type = self.header("content-type");
        assert_eq!(media_type, "application/problem+json", "{self:?}");
        (self.status, kind.trim_start_matches("/problems/"), self.body["field"].as_str().unwrap_or_default())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl TestService {
    pub(crate) async fn start() -> Self {
        let service = Self::start_closed(TestStore::mysql().await);
        service.open().await
    }

    /// Before the event store was reached.
    pub(crate) fn start_closed(store: TestStore) -> Self {
        let clock = Clock::standing_at(NOW.parse().unwrap());
        let (gate, stop) = (Gate::default(), CancellationToken::new());
        let readiness = Readiness::new(clock.clone());
        let _never_ready = readiness.component("mysql");
        let keys = TempDir::new().unwrap();
        DevKey::ensure(keys.path()).unwrap();
        let jwks = Source::File(keys.path().join(JWKS_FILE));
        let jwks = Jwks::new(jwks, "EdDSA".parse().unwrap(), None).unwrap();
        let parts = HttpParts {
            service: "command-service",
            authenticator: Authenticator::new(Some(jwks), TokenRules::default(), true, clock.clone()),
            readiness,
            metrics: Metrics::install().unwrap(),
            openapi: OPENAPI,
            request_timeout: std::time::Duration::from_secs(30),
        };
        let settings = ServerSettings { workers: 2, ..ServerSettings::on("127.0.0.1:0".parse().unwrap()) };
        let api = Api::new(gate.clone(), clock.clone(), stop.clone());
        let server = HttpService::bind(parts, &settings, configure(api)).unwrap();
        let url = format!("http://{}", server.address);
        let running = stop.clone();
        let serving = tokio::spawn(async move { server.run(running).await.unwrap() });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let writing = tokio::spawn(async {});
        Self { url, clock, gate, store, keys, http, stop, serving, writing }
    }

    /// Lets commands through.
    pub(crate) async fn open(self) -> Self {
        self.open_with(&Options::default()).await
    }

    /// The same with these settings of the writer.
    pub(crate) async fn open_with(self, options: &Options) -> Self {
        let writing = tokio::spawn(self.writer(options).await);
        Self { writing, ..self }
    }

    /// Lets commands wait for a writer that begins when it is polled.
    pub(crate) async fn writer(&self, options: &Options) -> impl Future<Output = ()> + Send + use<> {
        let store = self.store.open(None).await;
        let (writer, writing) = writer(Arc::clone(&store).into(), self.clock.clone(), handoff().0, options);
        self.gate.open(Backend::new(writer, store));
        writing
    }

    pub(crate) fn ask_to_end(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.gate.close();
        self.writing.await.unwrap();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn user(&self, user: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).header("X-User", user)
    }

    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.user("root", method, path).header("X-Roles", "admin")
    }

    /// An administrator's token of an hour.
    pub(crate) fn token(&self) -> String {
        DevKey::ensure(self.keys.path()).unwrap().token("root", &["admin"], 1, &self.clock).unwrap()
    }

    /// Registers a room with these settings beside its name; they replace the defaults.
    pub(crate) async fn room(&self, name: &str, settings: Value) -> String {
        let mut body = json!({"name": name, "kind": "meeting", "capacity": 4, "timeZone": "UTC"});
        for (member, value) in settings.as_object().unwrap() {
            body[member] = value.clone();
        }
        send(keyed(self.admin(Method::POST, "/v1/rooms")).json(&body)).await.expect(201).text("room")
    }

    /// Reserves a room for two people from one hour to another of the day after the clock's.
    pub(crate) async fn reserve(&self, user: &str, room: &str, from: u32, to: u32) -> Answer {
        let path = format!("/v1/rooms/{room}/reservations");
        send(keyed(self.user(user, Method::POST, &path)).json(&stay(from, to))).await
    }

    /// The latest version of each stream.
    pub(crate) async fn heads(&self) -> Value {
        send(self.admin(Method::GET, "/v1/streams?limit=500")).await.expect(200).body["items"].clone()
    }

    /// The types of a room's events.
    pub(crate) async fn events(&self, room: &str) -> Vec<String> {
        let path = format!("/v1/streams/{room}/events");
        let page = send(self.admin(Method::GET, &path)).await.expect(200).body;
        let short = |event: &Value| {
            let name = event["type"].as_str().unwrap();
            name.trim_start_matches("reservations.").trim_end_matches(".v1").to_owned()
        };
        page["items"].as_array().unwrap().iter().map(short).collect()
    }
}

/// Two people from one hour to another of the day after the clock's.
pub(crate) fn stay(from: u32, to: u32) -> Value {
    json!({"from": hour(from), "to": hour(to), "people": 2})
}

pub(crate) fn hour(hour: u32) -> String {
    format!("2026-03-03T{hour:02}:00:00Z")
}

pub(crate) fn keyed(request: RequestBuilder) -> RequestBuilder {
    request.header("Idempotency-Key", ids::new_id().to_string())
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status, headers, body }
}

//! An HTTP client of both services.

use std::time::{Duration, Instant};

use futures_util::stream;
use reqwest::{Method, RequestBuilder, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Answer, unique};

/// A caller of both services.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    command_url: String,
    query_url: String,
    user: Option<String>,
    roles: &'static str,
    token: Option<String>,
}

/// A request before it is sent.
#[derive(Debug)]
pub struct Call(RequestBuilder);

/// A registered room.
#[derive(Clone, Debug)]
pub struct Room {
    /// The id.
    pub id: String,
    /// The name, which is unique.
    pub name: String,
    /// The kind.
    pub kind: String,
    /// The consistency token of the registration.
    pub token: String,
}

impl Room {
    /// The path of the room.
    pub fn path(&self) -> String {
        format!("/v1/rooms/{}", self.id)
    }

    /// The path of its reservations.
    pub fn reservations(&self) -> String {
        format!("/v1/rooms/{}/reservations", self.id)
    }

    /// The path of one of its reservations.
    pub fn reservation(&self, reservation: &str) -> String {
        format!("/v1/rooms/{}/reservations/{reservation}", self.id)
    }
}

/// The parameters of the year 2031, in which the tests' reservations lie.
pub const YEAR: [(&str, &str); 2] = [("from", "2031-01-01T00:00:00Z"), ("to", "2032-01-01T00:00:00Z")];

/// The n-th hour of the year 2031, with months of 28 days.
pub fn hour_of_year(hour: usize) -> String {
    format!("2031-{:02}-{:02}T{:02}:00:00Z", 1 + hour / 24 / 28, 1 + hour / 24 % 28, hour % 24)
}

/// Waits until a condition holds and returns its value. Until then `check` returns the present state, with which the
/// test fails after two minutes, for busy machines.
pub async fn until<T>(mut check: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match check().await {
            Ok(value) => return value,
            Err(state) => assert!(start.elapsed() < Duration::from_secs(120), "after two minutes: {state}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Client {
    /// An administrator with a unique name.
    pub(crate) fn new(command_url: &str, query_url: &str) -> Self {
        Self::with(reqwest::Client::builder(), command_url, query_url)
    }

    /// The same over HTTPS, who trusts an authority (a PEM certificate).
    pub(crate) fn trusting(authority: &str, command_url: &str, query_url: &str) -> Self {
        let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        Self::with(reqwest::Client::builder().add_root_certificate(authority), command_url, query_url)
    }

    fn with(http: reqwest::ClientBuilder, command_url: &str, query_url: &str) -> Self {
        let http = http.no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(60));
        Self {
            http: http.build().unwrap(),
            command_url: command_url.to_owned(),
            query_url: query_url.to_owned(),
            user: Some(unique("admin")),
            roles: "admin",
            token: None,
        }
    }

    /// The same as a user without roles.
    pub fn as_user(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), roles: "", ..self.clone() }
    }

    /// The same as a user with these roles.
    pub fn as_user_with(&self, user: &str, roles: &'static str) -> Self {
        Self { roles, ..self.as_user(user) }
    }

    /// The same as another service.
    pub fn as_service(&self) -> Self {
        Self { user: Some(unique("service")), roles: "service", ..self.clone() }
    }

    /// The same without a name.
    pub fn as_nobody(&self) -> Self {
        Self { user: None, ..self.clone() }
    }

    /// The same with a token instead of the development headers.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.as_nobody() }
    }

    /// The caller's name.
    pub fn name(&self) -> &str {
        self.user.as_deref().unwrap_or_default()
    }

    /// A request of any method to the command service.
    pub fn command(&self, method: Method, path: &str) -> Call {
        self.call(method, &self.command_url, path)
    }

    /// A request of any method to the query service.
    pub fn query(&self, method: Method, path: &str) -> Call {
        self.call(method, &self.query_url, path)
    }

    /// A POST to the command service with a new idempotency key.
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.command(Method::POST, path).key(&unique("key")).json(body)
    }

    /// A PATCH to the command service.
    pub fn patch(&self, path: &str, body: &Value) -> Call {
        self.command(Method::PATCH, path).json(body)
    }

    /// A DELETE to the command service.
    pub fn delete(&self, path: &str) -> Call {
        self.command(Method::DELETE, path)
    }

    /// A GET of the query service.
    pub fn get(&self, path: &str) -> Call {
        self.query(Method::GET, path)
    }

    fn call(&self, method: Method, service: &str, path: &str) -> Call {
        let mut request = self.http.request(method, format!("{service}{path}"));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(user) = &self.user {
            request = request.header("X-User", user);
            if !self.roles.is_empty() {
                request = request.header("X-Roles", self.roles);
            }
        }
        Call(request)
    }

    /// Registers a room in UTC for 8 people. `settings` replaces and adds members.
    #[track_caller]
    pub fn register(&self, settings: Value) -> impl Future<Output = Room> + use<> {
        let mut body = json!({
            "name": unique("room"), "kind": unique("kind"), "capacity": 8, "timeZone": "UTC",
        });
        if let (Value::Object(body), Value::Object(settings)) = (&mut body, settings) {
            body.extend(settings);
        }
        let call = self.post("/v1/rooms", &body);
        async move {
            let answer = call.send().await;
            let registered = answer.expect(201);
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            Room {
                id: text(&registered["room"]),
                name: text(&body["name"]),
                kind: text(&body["kind"]),
                token: answer.token(),
            }
        }
    }

    /// Reserves a room for 2 people.
    pub fn reserve(&self, room: &str, from: &str, to: &str) -> Call {
        let body = json!({"from": from, "to": to, "people": 2});
        self.post(&format!("/v1/rooms/{room}/reservations"), &body)
    }

    /// Waits until queries show a room at a consistency token.
    pub async fn sees(&self, room: &Room, token: &str) {
        self.get(&room.path()).after(token).send().await.expect(200);
    }

    /// Waits until statistics count what queries show of these rooms.
    pub async fn sees_counted(&self, rooms: impl IntoIterator<Item = &str>) {
        let mut tokens = Vec::new();
        for room in rooms {
            tokens.push(self.get(&format!("/v1/rooms/{room}")).send().await.token());
        }
        // A request waits for a bounded number of rooms.
        for tokens in tokens.chunks(64) {
            let token = tokens.join(",");
            let moment = [("from", "2031-01-01T00:00:00Z"), ("to", "2031-01-01T00:01:00Z")];
            let call = self.get("/v1/statistics/popular-rooms").with(&moment).after(&token);
            call.send().await.expect(200);
        }
    }

    /// All events of a room from the feed, in order.
    pub async fn events(&self, room: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let path = format!("/v1/streams/{room}/events?limit=500&after={}", events.len());
            let page = self.command(Method::GET, &path).send().await.expect(200);
            events.extend_from_slice(page["items"].as_array().unwrap());
            if page.get("next").is_none() {
                return events;
            }
        }
    }

    /// The versions of all events of a room, in order.
    pub async fn versions(&self, room: &str) -> Vec<u64> {
        let version = |event: &Value| event["sequence"].as_str().unwrap().parse().unwrap();
        self.events(room).await.iter().map(version).collect()
    }

    /// Repeats a GET of the query service until the answer is as expected.
    pub async fn until(&self, path: &str, expected: impl Fn(&Answer) -> bool) -> Answer {
        until(async || {
            let answer = self.get(path).send().await;
            if expected(&answer) { Ok(answer) } else { Err(format!("{path} answers {answer:?}")) }
        })
        .await
    }

    /// Sends lines to the import.
    pub fn import(&self, lines: &str) -> Call {
        self.command(Method::POST, "/v1/import")
            .key(&unique("key"))
            .header("Content-Type", "application/x-ndjson")
            .body(lines.to_owned())
    }

    /// Opens an import with its first line. The others are sent one by one.
    pub async fn open_import(&self, first: &Value) -> Import {
        let (lines, receiver) = mpsc::unbounded_channel::<String>();
        let body = stream::unfold(receiver, |mut receiver| async {
            let line = receiver.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(line), receiver))
        });
        lines.send(format!("{first}\n")).unwrap();
        let call = self.command(Method::POST, "/v1/import").header("Content-Type", "application/x-ndjson");
        let answer = call.body(reqwest::Body::wrap_stream(body)).0.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Import { lines: Some(lines), answer, read: Vec::new() }
    }
}

/// An open import.
#[derive(Debug)]
pub struct Import {
    lines: Option<mpsc::UnboundedSender<String>>,
    answer: reqwest::Response,
    read: Vec<u8>,
}

impl Import {
    /// Sends another line.
    pub fn send(&self, line: &Value) {
        self.lines.as_ref().unwrap().send(format!("{line}\n")).unwrap();
    }

    /// Ends the request.
    pub fn finish(&mut self) {
        self.lines = None;
    }

    /// The next line of the answer; none after the last one.
    pub async fn next_answer(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let chunk = self.answer.chunk().await.unwrap()?;
            self.read.extend_from_slice(&chunk);
        }
    }
}

impl Call {
    /// Adds an idempotency key.
    pub fn key(self, key: &str) -> Self {
        Self(self.0.header("Idempotency-Key", key))
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Sets a JSON body.
    pub fn json(self, body: &Value) -> Self {
        Self(self.0.header(CONTENT_TYPE, "application/json").body(body.to_string()))
    }

    /// Sets a body.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    /// Adds parameters.
    pub fn with(self, parameters: &[(&str, &str)]) -> Self {
        Self(self.0.query(parameters))
    }

    /// Waits for a consistency token.
    pub fn after(self, token: &str) -> Self {
        self.header("Consistency-Token", token).header("Prefer", "wait=10")
    }

    /// Sends it.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends it to a service that may die.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let response = self.0.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }
}

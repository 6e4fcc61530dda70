//! HTTP as a client of the system speaks it.

use std::time::{Duration, Instant};

use futures_util::stream;
use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::unique;

/// One caller of both services.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    command_url: String,
    query_url: String,
    user: Option<String>,
    roles: &'static str,
    token: Option<String>,
}

/// A request that is being put together.
#[derive(Debug)]
pub struct Call(RequestBuilder);

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

/// A room that a test registered.
#[derive(Clone, Debug)]
pub struct Room {
    /// Its id.
    pub id: String,
    /// Its name, which no other room has.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What makes a query wait until it shows the room.
    pub token: String,
}

impl Client {
    /// An administrator with a name of its own.
    #[must_use]
    pub(crate) fn new(command_url: &str, query_url: &str) -> Self {
        Self::with(reqwest::Client::builder(), command_url, query_url)
    }

    /// The same over HTTPS, who believes an authority (a PEM certificate).
    #[must_use]
    pub(crate) fn believing(authority: &str, command_url: &str, query_url: &str) -> Self {
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

    /// The same as a user without any role.
    #[must_use]
    pub fn as_user(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), roles: "", ..self.clone() }
    }

    /// The same as another service.
    #[must_use]
    pub fn as_service(&self) -> Self {
        Self { user: Some(unique("service")), roles: "service", ..self.clone() }
    }

    /// The same without a name.
    #[must_use]
    pub fn as_nobody(&self) -> Self {
        Self { user: None, ..self.clone() }
    }

    /// The same as whoever a token names, if anybody.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.as_nobody() }
    }

    /// The caller's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.user.as_deref().unwrap_or_default()
    }

    /// A request of any method to the command service.
    #[must_use]
    pub fn command(&self, method: Method, path: &str) -> Call {
        self.call(method, &self.command_url, path)
    }

    /// A request of any method to the query service.
    #[must_use]
    pub fn query(&self, method: Method, path: &str) -> Call {
        self.call(method, &self.query_url, path)
    }

    /// A POST to the command service with a key that was never used.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.command(Method::POST, path).key(&unique("key")).json(body)
    }

    /// A GET of the query service.
    #[must_use]
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

    /// Registers a room in UTC for 8 people; `settings` replaces and adds members.
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

    /// Asks for a room for 2 people.
    #[must_use]
    pub fn reserve(&self, room: &str, from: &str, to: &str) -> Call {
        let body = json!({"from": from, "to": to, "people": 2});
        self.post(&format!("/v1/rooms/{room}/reservations"), &body)
    }

    /// All events of a room from the feed, in their order.
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

    /// The versions of all events of a room, in their order.
    pub async fn versions(&self, room: &str) -> Vec<u64> {
        let version = |event: &Value| event["sequence"].as_str().unwrap().parse().unwrap();
        self.events(room).await.iter().map(version).collect()
    }

    /// Reads a path again and again until the answer is as it should be, for at most a minute.
    pub async fn until(&self, path: &str, expected: impl Fn(&Answer) -> bool) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.get(path).send().await;
            if expected(&answer) {
                return answer;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{path} still answers {answer:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends lines to the import.
    #[must_use]
    pub fn import(&self, lines: &str) -> Call {
        self.command(Method::POST, "/v1/import")
            .key(&unique("key"))
            .header("Content-Type", "application/x-ndjson")
            .body(lines.to_owned())
    }

    /// Begins an import whose lines are sent one by one; the first one opens it.
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

/// An import that is being sent.
#[derive(Debug)]
pub struct Import {
    lines: Option<mpsc::UnboundedSender<String>>,
    answer: reqwest::Response,
    read: Vec<u8>,
}

impl Import {
    /// Sends a line more.
    pub fn send(&self, line: &Value) {
        self.lines.as_ref().unwrap().send(format!("{line}\n")).unwrap();
    }

    /// Ends what is sent.
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
    /// With this idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        Self(self.0.header("Idempotency-Key", key))
    }

    /// With a header more.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        Self(self.0.header(CONTENT_TYPE, "application/json").body(body.to_string()))
    }

    /// With any body.
    #[must_use]
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    /// With parameters.
    #[must_use]
    pub fn with(self, parameters: &[(&str, &str)]) -> Self {
        Self(self.0.query(parameters))
    }

    /// Waits for what the token stands for.
    #[must_use]
    pub fn after(self, token: &str) -> Self {
        self.header("Consistency-Token", token).header("Prefer", "wait=10")
    }

    /// Sends it.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends it to a service that may be dying.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let response = self.0.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }
}

impl Answer {
    /// The body, once the status is as it should be.
    #[track_caller]
    #[must_use]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The body.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The problem, once it is of this type and form, with this status.
    #[track_caller]
    pub fn problem(&self, status: u16, slug: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        problem
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What makes a query wait until it shows the effect of this command.
    #[track_caller]
    #[must_use]
    pub fn token(&self) -> String {
        self.header("consistency-token")
            .unwrap_or_else(|| panic!("no Consistency-Token: {self:?}"))
            .to_owned()
    }

    /// Whether the command took effect.
    #[must_use]
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// The lines of an NDJSON body.
    #[track_caller]
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        self.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

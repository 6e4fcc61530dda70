//! A client of both services.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{
    Client, Method, RequestBuilder, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::plan::{Kind, Minute, ZONE};

/// The longest time until queries show what was imported.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// 60 days in minutes.
const LONGEST_STAY: u32 = 60 * 24 * 60;

#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: Client,
    command_url: Url,
    query_url: Url,
}

/// The answer to a registration.
#[derive(Debug, Deserialize)]
pub(crate) struct Registered {
    pub(crate) room: String,
    pub(crate) version: u64,
}

/// The answer to one line of an import.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) key: Option<String>,
    pub(crate) outcome: Outcome,
    pub(crate) room: Option<String>,
    pub(crate) reservation: Option<String>,
    pub(crate) version: Option<u64>,
    pub(crate) revision: Option<u64>,
    pub(crate) problem: Option<Problem>,
}

/// The outcome of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Done,
    Repeated,
    Rejected,
    Failed,
}

/// The reason of a refusal.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) detail: Option<String>,
}

/// A room in a query's answer.
#[derive(Debug, Deserialize)]
struct RoomShown {
    version: u64,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl Api {
    /// Without a token it sends development headers.
    pub(crate) fn new(command_url: &str, query_url: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        match token {
            Some(token) => {
                headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}"))?);
            }
            None => {
                headers.insert("X-User", HeaderValue::from_static("demo"));
                headers.insert("X-Roles", HeaderValue::from_static("admin"));
            }
        }
        let url = |text: &str| Url::parse(text).with_context(|| format!("{text} is not an address"));
        Ok(Self {
            http: Client::builder().default_headers(headers).tcp_nodelay(true).build()?,
            command_url: url(command_url)?,
            query_url: url(query_url)?,
        })
    }

    /// Registers a room. The idempotency key follows from the name, so a replay registers it once.
    pub(crate) async fn register_room(&self, name: &str, kind: &Kind) -> anyhow::Result<Registered> {
        let body = json!({
            "name": name, "kind": kind.name, "capacity": kind.capacity,
            "timeZone": ZONE.name(), "maxMinutes": LONGEST_STAY,
        });
        let key = format!("hotel-bookings/room/{}", name.replace(' ', "-"));
        self.register(&key, &body).await.with_context(|| format!("registering room {name}"))
    }

    /// Registers a room with these settings.
    pub(crate) async fn register(&self, key: &str, settings: &Value) -> anyhow::Result<Registered> {
        let request = self.request(Method::POST, &self.command_url, &["v1", "rooms"])?;
        let request = request.header("Idempotency-Key", key).json(settings);
        Ok(send(request).await?.json().await?)
    }

    /// Closes rooms. The answer has a line for each.
    pub(crate) async fn close(&self, key: &str, closure: &Value) -> anyhow::Result<Vec<Value>> {
        let request = self.request(Method::POST, &self.command_url, &["v1", "closures"])?;
        let answer = send(request.header("Idempotency-Key", key).json(closure)).await?.text().await?;
        answer.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Starts an import. The answer arrives while the request is sent.
    pub(crate) async fn import(&self, lines: reqwest::Body) -> anyhow::Result<Response> {
        let request = self
            .request(Method::POST, &self.command_url, &["v1", "import"])?
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(lines);
        send(request).await.context("importing")
    }

    /// The version of a room in queries; none if it is not visible yet.
    pub(crate) async fn shown_version(&self, room: &str) -> anyhow::Result<Option<u64>> {
        let response = self.request(Method::GET, &self.query_url, &["v1", "rooms", room])?.send().await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let shown: RoomShown = accept(response).await?.json().await?;
        Ok(Some(shown.version))
    }

    /// Waits until statistics count what is shown of these rooms.
    pub(crate) async fn until_counted(&self, rooms: impl Iterator<Item = &str>) -> anyhow::Result<()> {
        let mut tokens = Vec::new();
        for room in rooms {
            let shown = self.request(Method::GET, &self.query_url, &["v1", "rooms", room])?;
            let shown = send(shown).await.context("looking at a room")?;
            let token = shown.headers().get("Consistency-Token").context("a room without a token")?;
            tokens.push(token.to_str()?.to_owned());
        }
        let moment = [("from", "2015-01-01T00:00:00Z"), ("to", "2015-01-01T00:01:00Z"), ("limit", "1")];
        // A request waits for a bounded number of rooms.
        for tokens in tokens.chunks(64) {
            let request = self
                .request(Method::GET, &self.query_url, &["v1", "statistics", "popular-rooms"])?
                .query(&moment)
                .header("Consistency-Token", tokens.join(","))
                .header("Prefer", "wait=30");
            send(request).await.context("waiting for statistics")?;
        }
        Ok(())
    }

    /// All items of a list of the query service.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let mut request =
                self.request(Method::GET, &self.query_url, path)?.query(query).query(&[("limit", "500")]);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let page: Page<T> =
                send(request).await.with_context(|| format!("reading /{}", path.join("/")))?.json().await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// The same, once the list has so many items, or after a while without.
    pub(crate) async fn list_until<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        items: usize,
    ) -> anyhow::Result<Vec<T>> {
        let begin = Instant::now();
        loop {
            let found = self.list(path, query).await?;
            if found.len() >= items || begin.elapsed() > PATIENCE {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn request(&self, method: Method, base: &Url, path: &[&str]) -> anyhow::Result<RequestBuilder> {
        let mut url = base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => bail!("{base} is not an address of a service"),
        };
        Ok(self.http.request(method, url))
    }
}

/// The minute of an RFC 3339 time.
pub(crate) fn minute(text: &str) -> anyhow::Result<Minute> {
    let time = chrono::DateTime::parse_from_rfc3339(text).with_context(|| format!("{text} is not a time"))?;
    Ok(time.timestamp().div_euclid(60))
}

async fn send(request: RequestBuilder) -> anyhow::Result<Response> {
    accept(request.send().await.context("the service can't be reached: is it running?")?).await
}

/// The response, or its problem as an error.
async fn accept(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let url = response.url().clone();
    let body = response.text().await?;
    let problem: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
    bail!("{url} answered {status}: {problem}")
}

//! The command service's feed: heads and events of its event store. It fills gaps.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, StatusCode, Url, header::RETRY_AFTER};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use service_kit::{
    config::Secret,
    readiness::Component,
    tls::{Authorities, http_client, is_this_machine, warn_of_open_way},
};
use shared_events::{
    RawEvent, RoomId, UserId, Version,
    erasure::ErasuresPage,
    feed::{FeedEvent, Head, Page},
};

mod refusals;

use refusals::Refusals;

/// The source of missing events: over HTTP, or in process in the embedded default.
#[async_trait]
pub trait Feed: Send + Sync {
    /// A page of all streams' heads. The first one has no cursor.
    async fn heads(&self, cursor: Option<&str>) -> Result<Page<Head>, FeedError>;

    /// Events of a room after a version, in order and without gaps. Empty only at the end of the stream.
    async fn events(&self, room: RoomId, after: Version) -> Result<Vec<RawEvent>, FeedError>;

    /// A page of the list of erased persons: those after a place, at least two of them if more follow.
    async fn erasures(&self, after: u64) -> Result<ErasuresPage, FeedError>;

    /// Shows in `component` from now on whether the feed lets this service read.
    fn report_to(&self, component: Component) {
        component.ok();
    }
}

/// The heads of all streams.
pub async fn all_heads(feed: &dyn Feed) -> Result<Vec<Head>, FeedError> {
    let mut heads = Vec::new();
    let mut cursor = None;
    loop {
        let page = feed.heads(cursor.as_deref()).await?;
        heads.extend(page.items);
        match page.next {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            Some(_) => return Err(FeedError::Answer("the same cursor again".to_owned())),
            None => return Ok(heads),
        }
    }
}

/// The progress of a person's erasure in the event store.
#[derive(Debug, Deserialize)]
pub struct ErasureStep {
    /// The person's pseudonym.
    pub pseudonym: String,
    /// Events that this request examined.
    pub examined: u64,
    /// Events that this request masked.
    pub masked: u64,
    /// Whether the erasure is complete.
    pub done: bool,
}

/// The feed gave no usable answer. The same request is sent again later.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// No answer.
    #[error("the feed is out of reach: {0}")]
    Unreachable(String),
    /// An answer that is not a page of the feed.
    #[error("the feed answered {0}")]
    Answer(String),
    /// Too many requests. The next one may come after this time.
    #[error("the feed answers again in {0:?}")]
    NotYet(Duration),
    /// This service has no token to send.
    #[error("no token for the feed: {0}")]
    Token(String),
}

/// The credentials that this service sends to the feed.
pub enum Credentials {
    /// The development header, if the feed trusts it.
    Header,
    /// A token from the settings.
    Token(Secret),
}

/// The feed over HTTP.
pub struct HttpFeed {
    client: Client,
    streams: Url,
    erasures: Url,
    credentials: Credentials,
    refusals: Refusals,
}

/// The most items of a page.
const PAGE: usize = 500;
/// The most erased persons of a page.
const ERASURES_PAGE: usize = 10_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of a page: more than [`PAGE`] events of the largest size.
const MAX_PAGE_BYTES: usize = 64 * 1024 * 1024;

impl HttpFeed {
    /// The feed of the command service at `base`, such as `http://127.0.0.1:8081`. A request that takes longer than
    /// `timeout` counts as unreachable. `authorities` are trusted beside the public ones.
    ///
    /// # Errors
    /// When `base` can't be a base URL, or the HTTP client can't be built.
    pub fn new(
        base: &Url,
        credentials: Credentials,
        timeout: Duration,
        authorities: Option<&Authorities>,
    ) -> Result<Self, FeedError> {
        let unusable = |reason: String| FeedError::Unreachable(reason);
        let at = |name: &str| {
            let mut url = base.clone();
            let place = url.path_segments_mut().map(|mut path| _ = path.pop_if_empty().extend(["v1", name]));
            place.map(|()| url).map_err(|()| unusable(format!("{base} is no base of a URL")))
        };
        let (streams, erasures) = (at("streams")?, at("erasures")?);
        if base.scheme() == "http" && !base.host_str().is_some_and(is_this_machine) {
            warn_of_open_way("FEED_URL", "the feed is reached without TLS");
        }
        let client = http_client(authorities)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none());
        let client = client.build().map_err(|error| unusable(error.to_string()))?;
        Ok(Self { client, streams, erasures, credentials, refusals: Refusals::default() })
    }

    /// Does one step of a person's erasure in the event store. Call it until it is done, also after an error.
    pub async fn erase(&self, user: &UserId) -> Result<ErasureStep, FeedError> {
        let body = serde_json::json!({ "user": user });
        let unknown = || FeedError::Answer("404: the command service is too old to erase anybody".to_owned());
        loop {
            let request = self.client.post(self.erasures.clone()).json(&body);
            match self.answer(request, "eraser").await {
                Err(FeedError::NotYet(pause)) => tokio::time::sleep(pause).await,
                answer => return answer?.ok_or_else(unknown),
            }
        }
    }

    /// The content of a URL, or `None` if the feed answers 404.
    async fn read<T: DeserializeOwned>(&self, url: Url) -> Result<Option<T>, FeedError> {
        self.answer(self.client.get(url), "service").await
    }

    /// The answer to a request of a caller with this role, or `None` if it is 404.
    async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        role: &str,
    ) -> Result<Option<T>, FeedError> {
        let request = match &self.credentials {
            Credentials::Header => request.header("X-User", "query-service").header("X-Roles", role),
            Credentials::Token(token) => request.bearer_auth(token.current().expose_secret()),
        };
        let mut answer = request.send().await.map_err(unreachable)?;
        self.refusals.note(answer.status());
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::UNAUTHORIZED => {
                return Err(FeedError::Answer("401: the token is missing, unknown or expired".to_owned()));
            }
            StatusCode::FORBIDDEN => {
                return Err(FeedError::Answer(format!("403: the token lacks the role {role}")));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds =
                    answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                return Err(FeedError::NotYet(Duration::from_secs(seconds.unwrap_or(1))));
            }
            status => return Err(FeedError::Answer(status.to_string())),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_PAGE_BYTES {
                return Err(FeedError::Answer("a page that is too large".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice(&body);
        answer.map(Some).map_err(|error| FeedError::Answer(format!("a page that can't be read: {error}")))
    }
}

/// The innermost cause. The outer errors only repeat the URL.
fn unreachable(error: reqwest::Error) -> FeedError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    FeedError::Unreachable(if error.is_timeout() {
        "it did not answer in time".to_owned()
    } else {
        cause.to_string()
    })
}

#[async_trait]
impl Feed for HttpFeed {
    async fn heads(&self, cursor: Option<&str>) -> Result<Page<Head>, FeedError> {
        let mut url = self.streams.clone();
        url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        self.read(url).await?.ok_or_else(|| FeedError::Answer("404 for the list of streams".to_owned()))
    }

    async fn events(&self, room: RoomId, after: Version) -> Result<Vec<RawEvent>, FeedError> {
        let mut url = self.streams.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend([&room.to_string(), "events"]);
        }
        url.query_pairs_mut().extend_pairs([("after", after.to_string()), ("limit", PAGE.to_string())]);
        let Some(page) = self.read::<Page<FeedEvent>>(url).await? else { return Ok(Vec::new()) };
        let events = page.items.into_iter().map(FeedEvent::into_raw).collect::<Result<Vec<_>, _>>();
        let events = events.map_err(|error| FeedError::Answer(error.to_string()))?;
        let mut versioned = events.iter().zip(after.get() + 1..);
        if versioned.all(|(event, version)| event.room == room && event.version == version) {
            return Ok(events);
        }
        Err(FeedError::Answer(format!("events out of order for room {room}")))
    }

    async fn erasures(&self, after: u64) -> Result<ErasuresPage, FeedError> {
        let mut url = self.erasures.clone();
        let (after_text, limit) = (after.to_string(), ERASURES_PAGE.to_string());
        url.query_pairs_mut().extend_pairs([("after", after_text), ("limit", limit)]);
        let page: Option<ErasuresPage> = self.read(url).await?;
        let page = page.ok_or_else(|| FeedError::Answer("404 for the list of erased persons".to_owned()))?;
        let mut before = after;
        let in_order =
            page.persons.iter().all(|person| std::mem::replace(&mut before, person.seq) < person.seq);
        if in_order && (page.next.is_none() || page.persons.len() > 1) {
            return Ok(page);
        }
        Err(FeedError::Answer("erased persons out of order".to_owned()))
    }

    fn report_to(&self, component: Component) {
        self.refusals.report_to(component);
    }
}

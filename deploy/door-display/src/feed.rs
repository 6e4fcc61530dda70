//! The feed of the command service over HTTP.

use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::{Client, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use shared_events::feed::{Answer, Head, Page, Question};

/// The longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The reader, as the feed knows it. It needs the role `service`.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A token.
    Token(String),
    /// The development headers, if the feed trusts them.
    Headers,
}

/// A client of the feed.
#[derive(Clone, Debug)]
pub struct Feed {
    http: Client,
    base: Url,
    credentials: Credentials,
}

impl Feed {
    /// The feed of the command service at `base`.
    ///
    /// # Errors
    /// When the HTTP client can't be made.
    pub fn new(base: Url, credentials: Credentials) -> Result<Self> {
        let http = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { http, base, credentials })
    }

    /// Asks for events of several rooms.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn ask(&self, question: &Question) -> Result<Answer> {
        self.answer(self.http.post(self.base.join("/v1/events/query")?).json(question)).await
    }

    /// The heads of all rooms.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn heads(&self) -> Result<Vec<Head>> {
        let mut heads = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut url = self.base.join("/v1/streams?limit=500")?;
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page: Page<Head> = self.answer(self.http.get(url)).await?;
            heads.extend(page.items);
            if page.next.is_none() {
                return Ok(heads);
            }
            ensure!(page.next != cursor, "the same cursor again");
            cursor = page.next;
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let request = match &self.credentials {
            Credentials::Token(token) => request.bearer_auth(token),
            Credentials::Headers => request.header("X-User", "door-display").header("X-Roles", "service"),
        };
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

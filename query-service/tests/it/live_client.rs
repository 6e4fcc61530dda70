//! A client of live streams, which comes back where it was cut.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{pipelines::PATIENCE, test_service::client};

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

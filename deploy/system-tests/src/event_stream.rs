//! Live streams (`GET /v1/events`), as a client reads them.

use std::time::Duration;

use serde_json::Value;

/// A stream that tells nothing for so long is dead: a comment comes each 15 s.
const SILENCE: Duration = Duration::from_secs(20);

/// What a stream told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The data of an event.
    Event(Value),
    /// Query this room again, or everything.
    Reset(Option<String>),
}

/// An open stream.
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    unread: String,
    last_id: Option<String>,
}

impl EventStream {
    /// The stream of an answer.
    #[must_use]
    pub const fn of(response: reqwest::Response) -> Self {
        Self { response, unread: String::new(), last_id: None }
    }

    /// The `id` of the last complete event.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// What is told next. `None` if the stream has ended, is cut, or is dead.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some(end) = self.unread.find("\n\n") {
                let event: String = self.unread.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let Some(id) = field("id: ") {
                    self.last_id = Some(id.to_owned());
                }
                let Some(data) = field("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok())
                else {
                    continue;
                };
                return Some(match field("event: ") {
                    Some(_) => Told::Reset(data["room"].as_str().map(str::to_owned)),
                    None => Told::Event(data),
                });
            }
            let chunk = tokio::time::timeout(SILENCE, self.response.chunk()).await.ok()?.ok()??;
            self.unread.push_str(std::str::from_utf8(&chunk).ok()?);
        }
    }
}

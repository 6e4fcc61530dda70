//! The load generator: a caller sends commands until their outcome is known, and queries with tokens.

use std::{sync::Arc, time::Duration};

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::Random;

use super::{
    operation::Operation,
    outcome::outcome,
    record::{Attempt, Clock, Command, Done, Outcome, Query, Record, View},
};

/// The time-out of a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// After this time in microseconds the outcome of a command stays unknown.
const GIVE_UP: u64 = 60_000_000;

/// The state that all callers share.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) command_urls: Vec<String>,
    pub(crate) query_urls: Vec<String>,
    pub(crate) clock: Clock,
    pub(crate) record: Mutex<Record>,
}

/// One caller with its own connections.
#[derive(Debug, Clone)]
pub(crate) struct LoadGenerator {
    load: Arc<Load>,
    http: reqwest::Client,
    user: String,
    random: Random,
    sent: u64,
}

impl LoadGenerator {
    pub(crate) fn new(load: &Arc<Load>, user: &str, random: Random) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(2))
            .build()
            .unwrap();
        Self { load: Arc::clone(load), http, user: user.to_owned(), random, sent: 0 }
    }

    pub(crate) const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Sends a command until its outcome is known, each time to one of `instances`, and records it.
    pub(crate) async fn execute(&mut self, operation: Operation, instances: &[usize]) -> Option<Done> {
        self.sent += 1;
        let key = format!("{}-{}", self.user, self.sent);
        let mut command = Command { key, user: self.user.clone(), operation, attempts: Vec::new() };
        loop {
            let instance = instances[self.random.index(instances.len())];
            let attempt = self.send(&command, instance).await;
            let again = matches!(attempt.outcome, Outcome::NotTaken { .. } | Outcome::Unknown { .. });
            let given_up = attempt.end > command.start() + GIVE_UP && !command.attempts.is_empty();
            command.attempts.push(attempt);
            if !again || given_up {
                break;
            }
            tokio::time::sleep(self.random.millis(20, 200)).await;
        }
        let done = match command.attempts.last().map(|attempt| &attempt.outcome) {
            Some(Outcome::Done(done)) => Some(done.clone()),
            _ => None,
        };
        self.load.record.lock().await.commands.push(command);
        done
    }

    async fn send(&self, command: &Command, instance: usize) -> Attempt {
        let (method, path, body) = command.operation.request(&command.key);
        let url = format!("{}{path}", self.load.command_urls[instance]);
        let mut request = self
            .http
            .request(method, url)
            .header("X-User", &self.user)
            .header("X-Request-Id", &command.key)
            .header("Idempotency-Key", &command.key);
        if let Some(roles) = command.operation.roles() {
            request = request.header("X-Roles", roles);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let start = self.load.clock.now();
        let outcome = match answer(request).await {
            Ok((status, headers, body)) => outcome(&command.operation, status, &headers, &body),
            Err(error) => Outcome::Unknown { why: error },
        };
        Attempt { instance, start, end: self.load.clock.now(), outcome }
    }

    /// Sends a query with the token of a command to one query service, and records the answer.
    pub(crate) async fn query(&self, done: &Done, view: View, instance: usize, wait: u64) -> Option<u16> {
        let path = match view {
            View::Schedule => {
                let year = "from=2031-01-01T00:00:00Z&to=2032-01-01T00:00:00Z&limit=5";
                format!("/v1/rooms/{}/schedule?{year}", done.room)
            }
            View::Reservation { reservation, .. } => format!("/v1/reservations/{reservation}"),
        };
        let request = self
            .http
            .get(format!("{}{path}", self.load.query_urls[instance]))
            .header("X-User", &self.user)
            .header("X-Roles", "admin")
            .header("Consistency-Token", &done.token)
            .header("Prefer", format!("wait={wait}"));
        let start = self.load.clock.now();
        let (status, shown) = match answer(request).await {
            Ok((status, _, body)) => {
                (Some(status), shown(view, &serde_json::from_slice(&body).unwrap_or(Value::Null)))
            }
            Err(_) => (None, None),
        };
        let query = Query {
            instance,
            start,
            end: self.load.clock.now(),
            room: done.room,
            version: done.version,
            view,
            status,
            shown: shown.filter(|_| status == Some(200)),
        };
        self.load.record.lock().await.queries.push(query);
        status
    }
}

fn shown(view: View, body: &Value) -> Option<u64> {
    match view {
        View::Schedule => body["version"].as_u64(),
        View::Reservation { .. } => body["revision"].as_u64(),
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, HeaderMap, Vec<u8>), String> {
    let answer = async {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        reqwest::Result::Ok((status, headers, response.bytes().await?.into()))
    };
    answer.await.map_err(|error| {
        let kind = if error.is_timeout() { "no answer in time" } else { "connection lost" };
        kind.to_owned()
    })
}

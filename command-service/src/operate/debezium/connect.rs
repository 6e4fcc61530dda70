//! A connector, by Kafka Connect's REST interface.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::connector::{Settings, stopped};

/// Limit for one request.
const REQUEST_LIMIT: Duration = Duration::from_secs(90);
/// Limit for a worker that rebalances, or for a change of the connector's state.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A connector of a worker.
#[derive(Debug)]
pub(super) struct Connector {
    http: reqwest::Client,
    /// `http://host:port/connectors`.
    all: Url,
    name: String,
}

impl Connector {
    pub(super) fn new(mut worker: Url, name: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(REQUEST_LIMIT).build()?;
        worker
            .path_segments_mut()
            .ok()
            .context("the URL of Connect is not one")?
            .pop_if_empty()
            .push("connectors");
        Ok(Self { http, all: worker, name: name.to_owned() })
    }

    /// Its settings, if it exists.
    pub(super) async fn settings(&self) -> Result<Option<Settings>> {
        let found = self.request(Method::GET, "config", None).await?;
        found.map(serde_json::from_value).transpose().map_err(Into::into)
    }

    pub(super) async fn create_stopped(&self, settings: &Settings) -> Result<()> {
        let body = stopped(&self.name, settings);
        self.send(Method::POST, self.all.clone(), Some(&body)).await.map(drop)
    }

    pub(super) async fn set(&self, settings: &Settings) -> Result<()> {
        self.need(Method::PUT, "config", Some(&json!(settings))).await.map(drop)
    }

    /// Stops it and waits until it has stored how far it has come.
    pub(super) async fn stop(&self) -> Result<()> {
        self.need(Method::PUT, "stop", None).await?;
        self.until("stopped", |state, tasks| state == "STOPPED" && tasks.is_empty()).await
    }

    /// Starts it and waits until it runs.
    pub(super) async fn resume(&self) -> Result<()> {
        self.need(Method::PUT, "resume", None).await?;
        let runs = |state: &str, tasks: &[String]| {
            state == "RUNNING" && !tasks.is_empty() && tasks.iter().all(|task| task == "RUNNING")
        };
        self.until("running", runs).await
    }

    /// Forgets how far the stopped connector has come.
    pub(super) async fn forget_offsets(&self) -> Result<()> {
        self.need(Method::DELETE, "offsets", None).await.map(drop)
    }

    /// The transactions that it has sent or passed. `None` until Kafka has acknowledged anything of it, be it a heartbeat.
    pub(super) async fn gtids(&self) -> Result<Option<String>> {
        let found = self.need(Method::GET, "offsets", None).await?;
        let gtids = found.pointer("/offsets/0/offset/gtids").and_then(Value::as_str);
        Ok(gtids.filter(|gtids| !gtids.is_empty()).map(str::to_owned))
    }

    /// Fails if it does not run, with what Connect says.
    pub(super) async fn check_running(&self) -> Result<()> {
        let status = self.status().await?;
        let failed = |of: &Value| of.get("state").and_then(Value::as_str) == Some("FAILED");
        let tasks = status.get("tasks").and_then(Value::as_array);
        let mut parts = status.get("connector").into_iter().chain(tasks.into_iter().flatten());
        if let Some(part) = parts.find(|part| failed(part)) {
            let trace = part.get("trace").and_then(Value::as_str).unwrap_or_default();
            let causes: Vec<&str> = trace
                .lines()
                .filter(|line| !line.trim_start().starts_with("at ") && !line.trim_start().starts_with("..."))
                .collect();
            bail!("the connector {} has failed: {}", self.name, causes.join(" "));
        }
        Ok(())
    }

    async fn status(&self) -> Result<Value> {
        // A new connector is unknown for a moment.
        Ok(self.request(Method::GET, "status", None).await?.unwrap_or_default())
    }

    async fn until(&self, what: &str, reached: impl Fn(&str, &[String]) -> bool) -> Result<()> {
        let began = Instant::now();
        loop {
            let status = self.status().await?;
            let state = |of: &Value| of.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
            let connector = status.get("connector").map(state).unwrap_or_default();
            let tasks: Vec<String> =
                status.get("tasks").and_then(Value::as_array).into_iter().flatten().map(state).collect();
            if reached(&connector, &tasks) {
                return Ok(());
            }
            self.check_running().await?;
            ensure!(began.elapsed() < PATIENCE, "the connector {} is not {what}: {status}", self.name);
            sleep(LOOK_EVERY).await;
        }
    }

    async fn need(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let found = self.request(method, path, body).await?;
        found.with_context(|| format!("Connect does not know the connector {}", self.name))
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        let mut url = self.all.clone();
        url.path_segments_mut().ok().context("the URL of Connect is not one")?.push(&self.name).push(path);
        self.send(method, url, body).await
    }

    /// Repeats a request while the worker starts or rebalances. `None` if Connect does not know the connector.
    async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Option<Value>> {
        let began = Instant::now();
        loop {
            let mut request = self.http.request(method.clone(), url.clone());
            if let Some(body) = body {
                request = request.json(body);
            }
            let outcome = request.send().await;
            let waits = began.elapsed() < PATIENCE;
            match outcome {
                Err(error) if error.is_connect() && waits => {}
                Err(error) => return Err(error.without_url()).context("Kafka Connect does not answer"),
                Ok(answer) => {
                    let status = answer.status();
                    let busy = matches!(status, StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE);
                    let text = answer.text().await.unwrap_or_default();
                    // A worker that starts knows no path yet, and says so in HTML.
                    if status == StatusCode::NOT_FOUND && text.starts_with('{') {
                        return Ok(None);
                    }
                    if status.is_success() {
                        return Ok(Some(serde_json::from_str(&text).unwrap_or_default()));
                    }
                    ensure!(
                        (busy || status == StatusCode::NOT_FOUND) && waits,
                        "Kafka Connect says {status}: {text}"
                    );
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

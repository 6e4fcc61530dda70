//! The peers: Debezium's MySQL connector with its outbox event router, and the MongoDB sink connector. One worker of
//! Kafka Connect runs both.

mod install;
pub(crate) mod mongo;
pub(crate) mod mysql;
pub(crate) mod peers;
pub(crate) mod settings;

use std::{
    fs,
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use system_tests::{Process, block_on, free_port, kafka, unique};

use self::settings::Settings;
use crate::rig::{Memory, Rig, memory_of};

/// The longest start of the worker or of a connector.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LOG: &str = include_str!("../../../servers/connect-log4j2.properties");

/// A worker of Kafka Connect. Dropped, it ends and deletes its topics and groups.
#[derive(Debug)]
pub(crate) struct Worker {
    name: String,
    brokers: String,
    process: Process,
    url: String,
    http: reqwest::Client,
    /// The names of all connectors so far.
    connectors: Mutex<Vec<String>>,
}

impl Worker {
    /// Fetches the worker if necessary, starts it, and waits until it answers.
    pub(crate) async fn start(rig: &Rig) -> Result<Self> {
        let jars = tokio::task::spawn_blocking(install::installed).await??;
        let name = unique("connect");
        let folder = rig.folder().join(&name);
        fs::create_dir_all(&folder)?;
        let (properties, log_settings) = (folder.join("worker.properties"), folder.join("log4j2.properties"));
        let address = format!("127.0.0.1:{}", free_port());
        let plugins = jars.join("plugins");
        fs::write(&properties, settings::worker(&name, &rig.servers.brokers, &address, &plugins))?;
        fs::write(&log_settings, LOG)?;
        let mut java = Command::new("java");
        java.args(["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-cp"])
            .arg(jars.join("worker").join("*"))
            .arg(format!("-Dlog4j2.configurationFile={}", log_settings.display()))
            .arg("org.apache.kafka.connect.cli.ConnectDistributed")
            .arg(&properties);
        let process = Process::start(&mut java, &folder.join("worker.log"))
            .context("java is missing: apt-get install openjdk-17-jre-headless")?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let mut worker = Self {
            name,
            brokers: rig.servers.brokers.clone(),
            process,
            url: format!("http://{address}"),
            http,
            connectors: Mutex::default(),
        };
        let started = Instant::now();
        while worker.request(Method::GET, "", None).await.is_err() {
            if let Some(status) = worker.process.ended()? {
                bail!("Kafka Connect ended with {status}:\n{}", worker.process.log_tail());
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "Kafka Connect does not answer:\n{}",
                worker.process.log_tail()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(worker)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        memory_of(self.process.id())
    }

    async fn until(&self, name: &str, what: &str, reached: impl Fn(&str, &[&str]) -> bool) -> Result<()> {
        let started = Instant::now();
        loop {
            let status = self.request(Method::GET, &format!("{name}/status"), None).await.ok().flatten();
            let status = status.unwrap_or_default();
            let state = |of: &Value| of.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
            let connector = status.get("connector").map(state).unwrap_or_default();
            let tasks: Vec<String> =
                status.get("tasks").and_then(Value::as_array).into_iter().flatten().map(state).collect();
            let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
            if reached(&connector, &tasks) {
                return Ok(());
            }
            let failed = connector == "FAILED" || tasks.contains(&"FAILED");
            if failed || started.elapsed() > PATIENCE {
                bail!("{name} is not {what}: {status}\n{}", self.process.log_tail());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Repeats a request while the worker rebalances its group.
    async fn insist(&self, method: Method, path: &str, body: Option<&Settings>) -> Result<()> {
        let started = Instant::now();
        loop {
            match self.request(method.clone(), path, body).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) if started.elapsed() < PATIENCE => tokio::time::sleep(LOOK_AGAIN).await,
                Ok(None) => bail!("Kafka Connect does not stop rebalancing"),
                Err(error) => return Err(error),
            }
        }
    }

    /// None while the worker rebalances its group, or does not know the connector yet.
    async fn request(&self, method: Method, path: &str, body: Option<&Settings>) -> Result<Option<Value>> {
        let mut request = self.http.request(method, format!("{}/connectors/{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        if status == StatusCode::CONFLICT || status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let text = answer.text().await?;
        ensure!(status.is_success(), "Kafka Connect says {status}: {text}");
        Ok(Some(serde_json::from_str(&text).unwrap_or_default()))
    }
}

/// A connector of a worker.
#[derive(Debug)]
pub(crate) struct Connector<'worker> {
    worker: &'worker Worker,
    name: String,
}

impl<'worker> Connector<'worker> {
    /// Creates a connector and waits until it and all its tasks run.
    async fn create(worker: &'worker Worker, name: String, settings: &Settings) -> Result<Self> {
        worker.connectors.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        worker.insist(Method::PUT, &format!("{name}/config"), Some(settings)).await?;
        let running = |state: &str, tasks: &[&str]| {
            state == "RUNNING"
                && tasks.len() == settings.tasks()
                && tasks.iter().all(|task| *task == "RUNNING")
        };
        worker.until(&name, "running", running).await?;
        Ok(Self { worker, name })
    }

    /// Stops its tasks and keeps its offsets.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.worker.insist(Method::PUT, &format!("{}/stop", self.name), None).await?;
        let stopped = |state: &str, tasks: &[&str]| state == "STOPPED" && tasks.is_empty();
        self.worker.until(&self.name, "stopped", stopped).await
    }

    /// Resumes it and does not wait.
    pub(crate) async fn resume(&self) -> Result<()> {
        self.worker.insist(Method::PUT, &format!("{}/resume", self.name), None).await
    }

    pub(crate) async fn delete(self) -> Result<()> {
        self.worker.insist(Method::DELETE, &self.name, None).await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let connectors = std::mem::take(&mut *self.connectors.lock().unwrap_or_else(PoisonError::into_inner));
        let topics = settings::topics(&self.name, &connectors);
        let groups: Vec<String> =
            connectors.iter().map(|name| format!("connect-{name}")).chain([self.name.clone()]).collect();
        let removed = block_on(|| async {
            // After SIGTERM it leaves its groups; a group with members can't be deleted.
            drop(self.process.signal("TERM"));
            self.process.until_end().await?;
            kafka::delete(&self.brokers, &topics, &groups).await
        });
        if let Err(error) = removed {
            eprintln!("the topics of {} were not removed: {error:#}", self.name);
        }
    }
}

//! The peers: Debezium's MySQL connector with its outbox event router, and the MongoDB sink connector, in one worker of
//! Kafka Connect that runs beside the servers.

pub(crate) mod documents;
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

/// How long the worker may take to start, and a connector to run.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LOG: &str = include_str!("../../connect/log4j2.properties");

/// A Kafka Connect worker of our own. Dropped, it ends and takes its topics and groups with it.
#[derive(Debug)]
pub(crate) struct Worker {
    name: String,
    brokers: String,
    process: Process,
    url: String,
    http: reqwest::Client,
    /// The connectors that it was ever given.
    connectors: Mutex<Vec<String>>,
}

impl Worker {
    /// Starts a worker, fetched where that was never done, and waits until it answers.
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
        while worker.ask(Method::GET, "", None).await.is_err() {
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

    /// Makes a connector, or changes one, and waits until it and all its tasks run.
    pub(crate) async fn create(&self, name: &str, settings: &Settings) -> Result<()> {
        self.connectors.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        self.insist(Method::PUT, &format!("{name}/config"), Some(settings)).await?;
        self.until_running(name, settings.tasks()).await
    }

    /// Ends the tasks of a connector; it keeps its place.
    pub(crate) async fn stop(&self, name: &str) -> Result<()> {
        self.insist(Method::PUT, &format!("{name}/stop"), None).await?;
        self.until(name, "stopped", |state, tasks| state == "STOPPED" && tasks.is_empty()).await
    }

    /// Lets a connector that was stopped go on, and does not wait for it.
    pub(crate) async fn resume(&self, name: &str) -> Result<()> {
        self.insist(Method::PUT, &format!("{name}/resume"), None).await
    }

    /// Removes a connector.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        self.insist(Method::DELETE, name, None).await
    }

    /// Memory of its process.
    pub(crate) fn memory(&self) -> Result<Memory> {
        memory_of(self.process.id())
    }

    async fn until_running(&self, name: &str, tasks: usize) -> Result<()> {
        self.until(name, "running", |state, found| {
            state == "RUNNING" && found.len() == tasks && found.iter().all(|task| *task == "RUNNING")
        })
        .await
    }

    async fn until(&self, name: &str, what: &str, reached: impl Fn(&str, &[&str]) -> bool) -> Result<()> {
        let started = Instant::now();
        loop {
            let status = self.ask(Method::GET, &format!("{name}/status"), None).await.ok().flatten();
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

    /// Asks again while the worker is busy with its own group.
    async fn insist(&self, method: Method, path: &str, body: Option<&Settings>) -> Result<()> {
        let started = Instant::now();
        loop {
            match self.ask(method.clone(), path, body).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) if started.elapsed() < PATIENCE => tokio::time::sleep(LOOK_AGAIN).await,
                Ok(None) => bail!("Kafka Connect stays busy with its own group"),
                Err(error) => return Err(error),
            }
        }
    }

    /// None while the worker is busy with its own group, or does not know the connector yet.
    async fn ask(&self, method: Method, path: &str, body: Option<&Settings>) -> Result<Option<Value>> {
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

impl Drop for Worker {
    fn drop(&mut self) {
        let connectors = std::mem::take(&mut *self.connectors.lock().unwrap_or_else(PoisonError::into_inner));
        let topics = settings::topics(&self.name, &connectors);
        let groups: Vec<String> =
            connectors.iter().map(|name| format!("connect-{name}")).chain([self.name.clone()]).collect();
        let removed = block_on(|| async {
            // It leaves its groups at once: a group with members can't be deleted.
            drop(self.process.signal("TERM"));
            self.process.until_end().await?;
            kafka::delete(&self.brokers, &topics, &groups).await
        });
        if let Err(error) = removed {
            eprintln!("the topics of {} were not removed: {error:#}", self.name);
        }
    }
}

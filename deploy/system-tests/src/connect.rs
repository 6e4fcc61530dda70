//! A worker of Kafka Connect with Debezium's connector, for one stack. Its user has exactly the rights of
//! `deploy/mysql/grants-debezium.sql`.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::{Stack, block_on, campaign::servers::project, free_port, kafka, mysql, unique, until};

const PASSWORD: &str = "correct-horse";

/// A worker that was started once, running or not. Dropped, it is killed, and its topics and its user are deleted.
#[derive(Debug)]
pub struct Connect {
    folder: PathBuf,
    /// Names the worker's group and topics.
    group: String,
    port: u16,
    brokers: String,
    /// The topic of the events, which is also the connector's name.
    topic: String,
    /// The database, as its administrator.
    database_url: String,
    /// The connector's user in MySQL.
    user: String,
}

impl Connect {
    /// Starts a worker whose connectors use the stack's servers.
    pub async fn start(stack: &Stack) -> Self {
        let (brokers, topic) = stack.topic();
        let group = unique("connect");
        // MySQL's names of users are short.
        let user = unique("cdc").split_off(8);
        let worker = Self {
            folder: project().join(".servers/private").join(&group),
            group,
            port: free_port(),
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            database_url: stack.database_url(),
            user,
        };
        worker.grant().await;
        worker.run("up").await;
        worker
    }

    /// The URL of its REST interface.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Creates the connector's user like an administrator, for this database in the place of `reservations`.
    async fn grant(&self) {
        let Self { user, database_url, .. } = self;
        mysql::run(database_url, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'"))
            .await
            .unwrap();
        let database = Url::parse(database_url).unwrap().path().replace('/', "");
        let grants = std::fs::read_to_string(project().join("deploy/mysql/grants-debezium.sql")).unwrap();
        let grants = grants
            .replace("'reservations_cdc'", &format!("'{user}'"))
            .replace(" reservations.", &format!(" `{database}`."));
        mysql::run(database_url, &grants).await.unwrap();
    }

    /// Runs a statement as the connector's user.
    pub async fn run_as_its_user(&self, statement: &str) -> anyhow::Result<()> {
        let mut url = Url::parse(&self.database_url).unwrap();
        url.set_username(&self.user).unwrap();
        url.set_password(Some(PASSWORD)).unwrap();
        Ok(mysql::run(url.as_str(), statement).await?)
    }

    /// Kills it as a power cut would.
    pub async fn kill(&self) {
        self.run("kill").await;
    }

    /// Starts it again.
    pub async fn start_again(&self) {
        self.run("start").await;
    }

    /// Stops the connector like an operator. Returns the transactions that it has sent.
    pub async fn stop_connector(&self) -> String {
        self.request(Method::PUT, "stop").await;
        until(async || match self.request(Method::GET, "status").await {
            status if status["tasks"] == json!([]) => Ok(()),
            status => Err(status.to_string()),
        })
        .await;
        self.sent().await
    }

    /// Starts the connector again, and waits until it has sent more than these transactions.
    pub async fn resume_connector(&self, before: &str) {
        self.request(Method::PUT, "resume").await;
        until(async || match self.sent().await {
            sent if sent != before => Ok(()),
            sent => Err(format!("it has sent {sent}")),
        })
        .await;
    }

    /// Changes a setting of the stopped connector. Returns the value before.
    pub async fn set(&self, name: &str, value: &str) -> String {
        let mut settings = self.request(Method::GET, "config").await;
        let before = std::mem::replace(&mut settings[name], json!(value));
        let url = format!("{}/connectors/{}/config", self.url(), self.topic);
        let answer = reqwest::Client::new().put(url).json(&settings).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        before.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the connector has failed. Returns what it says.
    pub async fn until_failed(&self) -> String {
        until(async || {
            let status = self.request(Method::GET, "status").await;
            match &status["tasks"][0] {
                task if task["state"] == json!("FAILED") => Ok(task["trace"].to_string()),
                _ => Err(status.to_string()),
            }
        })
        .await
    }

    async fn sent(&self) -> String {
        let offsets = self.request(Method::GET, "offsets").await;
        offsets["offsets"][0]["offset"]["gtids"].as_str().unwrap_or_default().to_owned()
    }

    async fn request(&self, method: Method, path: &str) -> Value {
        let url = format!("{}/connectors/{}/{path}", self.url(), self.topic);
        let answer = reqwest::Client::new().request(method, url).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    async fn run(&self, command: &str) {
        let mut command = tokio::process::Command::from(self.command(command));
        let output = command.kill_on_drop(true).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn command(&self, command: &str) -> Command {
        let mut script = Command::new(project().join("deploy/servers/servers.sh"));
        script
            .args([command, "connect"])
            .env("SERVERS_DIR", &self.folder)
            .env("CONNECT_PORT", self.port.to_string())
            .env("CONNECT_BROKERS", &self.brokers)
            .env("CONNECT_GROUP", &self.group)
            .env("DEBEZIUM_USER", &self.user)
            .env("DEBEZIUM_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        script
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        let ended = self.command("kill").status();
        assert!(
            ended.is_ok_and(|status| status.success()),
            "the worker in {} runs on",
            self.folder.display()
        );
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("run/connect.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!(
                "--- end of the worker's log:\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        drop(std::fs::remove_dir_all(&self.folder));
        let Self { group, topic, .. } = self;
        let topics = ["config", "offset", "status"].map(|name| format!("{group}-{name}"));
        let topics: Vec<String> = topics
            .into_iter()
            .chain([format!("__debezium-heartbeat.{topic}"), format!("{topic}.schema-history")])
            .collect();
        // The broker refuses to delete the group until the session of its killed member has timed out.
        if let Err(error) = block_on(|| kafka::delete(&self.brokers, &topics, std::slice::from_ref(group))) {
            eprintln!("the topics of {group} were not removed: {error:#}");
        }
        let drop_user = format!("DROP USER IF EXISTS '{}'", self.user);
        if let Err(error) = block_on(|| async { Ok(mysql::run(&self.database_url, &drop_user).await?) }) {
            eprintln!("the user {} was not removed: {error:#}", self.user);
        }
    }
}

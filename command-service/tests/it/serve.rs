//! The program: its settings, its start, its end.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use command_service::event_store::{Backlog, EventLog as _, Leases as _, Outbox as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    servers::{PATIENCE, Topic, brokers},
    test_store::TestStore,
};

fn program(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_command-service"));
    command.env_clear().envs(settings.iter().copied());
    command
}

pub(crate) fn output(settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    program(settings).args(arguments).output().unwrap()
}

/// A running service, killed when the test ends before it does.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
    /// What it logs after it listens.
    log: mpsc::UnboundedReceiver<String>,
}

impl Running {
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let mut child = program(settings)
            .env("LISTEN", "127.0.0.1:0")
            .arg("serve")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the service ended before it listened");
            if let Some((_, address)) = line.trim().split_once("listening address=") {
                break format!("http://{}", address.split(' ').next().unwrap());
            }
        };
        let (lines, rest) = mpsc::unbounded_channel();
        // Whether or not somebody wants the rest, the service must be able to write it.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                drop(lines.send(line));
            }
        });
        Self { child, url, log: rest }
    }

    /// Looks again whenever it has logged something, which it does when a component has become ready.
    pub(crate) async fn until_ready(&mut self) {
        let logs_until_ready = async {
            while self.ready().await.0 != 200 {
                self.log.recv().await.expect("the service runs");
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, logs_until_ready).await;
        assert!(outcome.is_ok(), "{:?}", self.ready().await);
    }

    pub(crate) async fn ready(&self) -> (u16, Value) {
        let answer = reqwest::get(format!("{}/health/ready", self.url)).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Waits until the process has ended, by itself or by a signal: its log ends with it.
    pub(crate) async fn ended(&mut self) {
        while self.log.recv().await.is_some() {}
    }

    async fn end(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        let signal = |signal: &str| Command::new("kill").args([signal, &id]).status().unwrap().success();
        assert!(signal("-TERM"));
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        let Ok(status) = tokio::time::timeout(PATIENCE, ended).await else {
            // The thread that waits for it would hold up the end of the test.
            signal("-KILL");
            panic!("the service does not end");
        };
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn keys(folder: &Path) -> String {
    let made = output(&[], &["dev-key", "--dir", folder.to_str().unwrap()]);
    assert!(made.status.success());
    folder.join("jwks.json").to_str().unwrap().to_owned()
}

#[test]
fn mistakes_in_the_settings_are_reported_all_at_once() {
    let ended = output(&[("LISTEN", "somewhere"), ("QUEUE_CAPACITY", "0")], &["serve"]);
    assert!(!ended.status.success());
    let report = String::from_utf8(ended.stderr).unwrap();
    for name in ["LISTEN", "MYSQL_URL", "KAFKA_BROKERS", "JWKS_FILE", "QUEUE_CAPACITY"] {
        assert!(report.contains(&format!("  {name}: ")), "{report}");
    }
}

#[test]
fn the_description_of_the_api_is_printed() {
    let printed = output(&[], &["openapi"]);
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), command_service::http::OPENAPI);
}

#[tokio::test]
async fn readiness_names_the_servers_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let jwks = keys(folder.path());
    let service = Running::start(&[
        ("MYSQL_URL", "mysql://root:secret@127.0.0.1:1/nothing"),
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("JWKS_FILE", &jwks),
    ]);
    let (status, report) = service.ready().await;
    assert_eq!(status, 503);
    for server in ["mysql", "kafka"] {
        assert_eq!(report["components"][server]["state"], json!("failing"), "{report}");
    }
    assert!(!report.to_string().contains("secret"));
    let listen = service.url.trim_start_matches("http://").to_owned();
    assert!(!output(&[("LISTEN", &listen)], &["health"]).status.success());
    assert!(service.end().await.success());
}

#[tokio::test]
async fn a_service_that_is_asked_to_end_leaves_nothing_behind() {
    let store = TestStore::mysql().await;
    let folder = tempfile::tempdir().unwrap();
    let jwks = keys(folder.path());
    let (brokers, topic) = (brokers(), Topic::missing());
    let url = store.database().url.clone();
    let mut service = Running::start(&[
        ("MYSQL_URL", &url),
        ("KAFKA_BROKERS", &brokers),
        ("KAFKA_TOPIC", &topic.options.topic),
        ("JWKS_FILE", &jwks),
    ]);
    service.until_ready().await;
    let folder = folder.path().to_str().unwrap();
    let token = output(&[], &["token", "--user", "root", "--admin", "--dir", folder]);
    let token = String::from_utf8(token.stdout).unwrap();
    let room = |name: &str| {
        reqwest::Client::new()
            .post(format!("{}/v1/rooms", service.url))
            .bearer_auth(token.trim())
            .header("Idempotency-Key", name)
            .json(&json!({"name": name, "kind": "meeting", "capacity": 2, "timeZone": "UTC"}))
            .send()
    };
    for name in ["Blue", "Red"] {
        assert_eq!(room(name).await.unwrap().status().as_u16(), 201);
    }
    assert!(service.end().await.success());

    let left = store.database().open();
    assert_eq!(left.all_heads(None, 10).await.unwrap().len(), 2);
    assert_eq!(left.backlog().await.unwrap(), Backlog::default(), "all is delivered");
    let leases = left.leases().await.unwrap();
    assert!(leases.members.is_empty());
    for lease in leases.buckets {
        assert_eq!((lease.holder, lease.epoch), (None, 1), "every lease is given back");
    }
}

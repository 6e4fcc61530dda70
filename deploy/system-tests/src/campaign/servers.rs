//! Private servers, which tests may kill.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

pub(crate) use super::schedule::Target;
use crate::{free_port, unique};

/// The longest start of the servers on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// MySQL, Kafka and MongoDB with their own folder. Dropped, they end, and the folder is removed.
#[derive(Debug)]
pub(crate) struct OwnServers {
    folder: PathBuf,
    pub(crate) mysql: u16,
    pub(crate) kafka: u16,
    pub(crate) mongodb: u16,
    /// The port that Kafka advertises: that of a proxy.
    pub(crate) kafka_proxy: u16,
}

impl OwnServers {
    /// Starts them on free ports.
    pub(crate) async fn start() -> Self {
        let servers = Self::new();
        servers.run(&["up"]).await;
        servers
    }

    /// Starts them on free ports with TLS. `write` puts the certificates into a folder.
    pub(crate) async fn start_with_tls(write: impl FnOnce(&Path)) -> Self {
        let mut servers = Self::new();
        servers.kafka_proxy = servers.kafka;
        write(&servers.folder.join("tls"));
        servers.run(&["up"]).await;
        servers
    }

    /// Starts Kafka alone on a free port, with these settings beside those of the script.
    pub(crate) async fn start_kafka(settings: &str) -> Self {
        let mut servers = Self::new();
        servers.kafka_proxy = servers.kafka;
        std::fs::create_dir_all(&servers.folder).unwrap();
        std::fs::write(servers.folder.join("kafka.properties"), settings).unwrap();
        servers.run(&["up", "kafka"]).await;
        servers
    }

    fn new() -> Self {
        let folder = project().join(".servers/private").join(unique("campaign"));
        // Kafka's controller listens on the port after its own.
        let mut kafka = (free_port(), free_port());
        while kafka.0 + 1 != kafka.1 {
            kafka = (kafka.1, free_port());
        }
        Self { folder, mysql: free_port(), kafka: kafka.0, mongodb: free_port(), kafka_proxy: free_port() }
    }

    pub(crate) fn mysql_url(&self) -> String {
        self.mysql_url_at(self.mysql)
    }

    /// The URL of MySQL through a proxy on `port`.
    pub(crate) fn mysql_url_at(&self, port: u16) -> String {
        let password = std::fs::read_to_string(self.folder.join("mysql-password")).unwrap();
        format!("mysql://root:{password}@127.0.0.1:{port}")
    }

    /// Kills a server as a power cut would.
    pub(crate) async fn kill(&self, server: Target) {
        self.run(&["kill", name(server)]).await;
    }

    /// Starts a server and waits until it is ready.
    pub(crate) async fn start_again(&self, server: Target) {
        self.run(&["start", name(server)]).await;
    }

    /// Deletes the data of a topic, as if the broker had lost its disk. Kafka must not run.
    pub(crate) fn empty_topic(&self, topic: &str) {
        let partitions = std::fs::read_dir(self.folder.join("kafka")).unwrap().map(Result::unwrap);
        let of_topic =
            |name: &str| name.strip_suffix(|c: char| c.is_ascii_digit()) == Some(&format!("{topic}-"));
        for partition in partitions.filter(|folder| of_topic(&folder.file_name().to_string_lossy())) {
            for file in std::fs::read_dir(partition.path()).unwrap().map(Result::unwrap) {
                // This file holds the topic's id.
                if file.file_name() != "partition.metadata" {
                    std::fs::remove_file(file.path()).unwrap();
                }
            }
        }
    }

    /// Copies the data of MongoDB, which must not run.
    pub(crate) fn copy_mongodb(&self) {
        let (data, copy) = (self.folder.join("mongodb"), self.folder.join("mongodb.copy"));
        let copied = std::process::Command::new("cp").arg("-a").args([data, copy]).status().unwrap();
        assert!(copied.success(), "the data of MongoDB can't be copied");
    }

    /// Replaces MongoDB's data by the copy. MongoDB must not run.
    pub(crate) fn put_mongodb_back(&self) {
        let (data, copy) = (self.folder.join("mongodb"), self.folder.join("mongodb.copy"));
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(copy, data).unwrap();
    }

    /// Sends a signal to a server's process.
    pub(crate) fn signal(&self, server: Target, signal: &str) {
        let file = self.folder.join("run").join(format!("{}.pid", name(server)));
        let pid = std::fs::read_to_string(file).unwrap();
        let pid = pid.split_whitespace().next().unwrap().parse().unwrap();
        crate::process::signal(pid, signal).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(project().join("deploy/servers/servers.sh"));
        command
            .args(arguments)
            .env("SERVERS_DIR", &self.folder)
            .env("MYSQL_PORT", self.mysql.to_string())
            .env("KAFKA_PORT", self.kafka.to_string())
            .env("KAFKA_ADVERTISED_PORT", self.kafka_proxy.to_string())
            .env("MONGODB_PORT", self.mongodb.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    async fn run(&self, arguments: &[&str]) {
        let output = tokio::time::timeout(PATIENCE, self.command(arguments).output());
        let output =
            output.await.unwrap_or_else(|_| panic!("servers.sh {arguments:?} does not end")).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "servers.sh {arguments:?}: {said}");
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        // Killed: nobody needs their data, and a paused server would not end otherwise.
        let ended = self.command(&["kill"]).into_std().status();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("the servers in {} were not ended", self.folder.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("{} was not removed: {error}", self.folder.display());
        }
    }
}

fn name(server: Target) -> &'static str {
    match server {
        Target::Mysql => "mysql",
        Target::Kafka => "kafka",
        Target::Mongodb => "mongodb",
        Target::Command(_) | Target::Query(_) | Target::Link(_) => panic!("{server} is no server"),
    }
}

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

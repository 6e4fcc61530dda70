//! A set of servers of its own, which may be killed.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::process::Command;

use super::schedule::Target;
use crate::{free_port, unique};

/// How long the servers may take to start, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// MySQL, Kafka and MongoDB in a folder of their own. Dropped, they end, and the folder is removed.
#[derive(Debug)]
pub(crate) struct OwnServers {
    folder: PathBuf,
    pub(crate) mysql: u16,
    pub(crate) kafka: u16,
    pub(crate) mongodb: u16,
}

impl OwnServers {
    /// Starts them on free ports.
    pub(crate) async fn start() -> Self {
        let folder = project().join(".servers/private").join(unique("campaign"));
        // Kafka's controller listens on the port after its own.
        let mut kafka = (free_port(), free_port());
        while kafka.0 + 1 != kafka.1 {
            kafka = (kafka.1, free_port());
        }
        let servers = Self { folder, mysql: free_port(), kafka: kafka.0, mongodb: free_port() };
        servers.run(&["up"]).await;
        servers
    }

    pub(crate) fn mysql_url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.mysql)
    }

    /// Ends a server as a power cut would.
    pub(crate) async fn kill(&self, server: Target) {
        self.run(&["kill", name(server)]).await;
    }

    /// Starts a server, and waits until it is ready.
    pub(crate) async fn start_again(&self, server: Target) {
        self.run(&["start", name(server)]).await;
    }

    /// Sends a signal to a server's process.
    pub(crate) fn signal(&self, server: Target, signal: &str) {
        let file = self.folder.join("run").join(format!("{}.pid", name(server)));
        let pid = std::fs::read_to_string(file).unwrap();
        crate::server::signal(pid.split_whitespace().next().unwrap(), signal);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(project().join("deploy/servers/servers.sh"));
        command
            .args(arguments)
            .env("SERVERS_DIR", &self.folder)
            .env("MYSQL_PORT", self.mysql.to_string())
            .env("KAFKA_PORT", self.kafka.to_string())
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
        // Killed, because nobody needs their data; one that is paused ends by it too.
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
        Target::Command(_) | Target::Query(_) => panic!("{server} is no server"),
    }
}

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

//! A MySQL server of a test's own, whose global settings it may change.

use std::{path::PathBuf, process::Stdio};

use service_kit::ids;
use sqlx::{Connection, Executor, MySqlConnection, Row};
use tokio::process::Command;

/// A MySQL server. Dropped, it ends, and its data is removed.
pub(crate) struct OwnMySql {
    folder: PathBuf,
    /// The URL of its root, without a database.
    pub(crate) url: String,
}

/// From the server's data to its copy, or from there.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    Aside,
    Back,
}

impl OwnMySql {
    pub(crate) async fn start() -> Self {
        Self::start_with_password(None).await
    }

    /// A server that copies each transaction of `source` and is read-only.
    pub(crate) async fn replica_of(source: &Self) -> Self {
        let password = std::fs::read(source.folder.join("mysql-password")).unwrap();
        let replica = Self::start_with_password(Some(password)).await;
        replica.run("SET GLOBAL server_id = 2").await;
        replica.follow(source).await;
        replica
    }

    async fn start_with_password(password: Option<Vec<u8>>) -> Self {
        let folder = project().join(".servers/private").join(format!("mysql-{}", ids::new_id().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        if let Some(password) = password {
            std::fs::write(folder.join("mysql-password"), password).unwrap();
        }
        let mut server = Self { folder, url: String::new() };
        server.begin().await;
        server
    }

    /// Starts it, again on its port after [`Self::end`].
    pub(crate) async fn begin(&mut self) {
        let output = self.script("up").output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let variables = String::from_utf8(output.stdout).unwrap();
        self.url = variables.split('\'').nth(1).unwrap().to_owned();
    }

    pub(crate) async fn end(&self) {
        assert!(self.script("down").output().await.unwrap().status.success());
    }

    /// Copies the data of the ended server to the side, or puts the copy back.
    pub(crate) fn copy_data(&self, direction: Direction) {
        let (data, copy) = (self.folder.join("mysql"), self.folder.join("mysql-copy"));
        let (from, to) = match direction {
            Direction::Aside => (data, copy),
            Direction::Back => (copy, data),
        };
        drop(std::fs::remove_dir_all(&to));
        let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
        assert!(copied.success());
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new(project().join("deploy/servers/servers.sh"));
        script.args([command, "mysql"]).env("SERVERS_DIR", &self.folder).env("MYSQL_PORT", "0");
        script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        script
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.url.rsplit_once('@').unwrap().1
    }

    pub(crate) async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.url).await.unwrap()
    }

    /// Runs a statement on a connection of its own.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = self.connect().await;
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The only value that a statement reads.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut connection = self.connect().await;
        let number = connection.fetch_one(sql).await.unwrap().get(0);
        connection.close().await.unwrap();
        number
    }

    /// The first column of the first row that a statement reads, as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let mut connection = self.connect().await;
        let text = connection.fetch_one(sql).await.unwrap().get_unchecked(0);
        connection.close().await.unwrap();
        text
    }

    /// Becomes read-only and copies each transaction of `source` from now on.
    pub(crate) async fn follow(&self, source: &Self) {
        let (user, place) = source.url.trim_start_matches("mysql://").split_once('@').unwrap();
        let (user, password) = user.split_once(':').unwrap();
        let (host, port) = place.split_once(':').unwrap();
        self.run("SET GLOBAL super_read_only = ON").await;
        self.run(&format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{host}', SOURCE_PORT = {port}, SOURCE_USER = '{user}', \
             SOURCE_PASSWORD = '{password}', SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 1"
        ))
        .await;
        self.run("START REPLICA").await;
    }

    /// Takes writes once it has all transactions of `source`, which is read-only.
    pub(crate) async fn promote(&self, source: &Self) {
        let mut connection = source.connect().await;
        let all: String = connection.fetch_one("SELECT @@GLOBAL.gtid_executed").await.unwrap().get(0);
        let copied = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{}', 60)", all.replace('\n', ""));
        assert_eq!(self.number(&copied).await, 0);
        self.run("STOP REPLICA").await;
        self.run("SET GLOBAL read_only = OFF").await;
    }
}

impl Drop for OwnMySql {
    fn drop(&mut self) {
        let ended = self.script("kill").into_std().output();
        assert!(ended.is_ok_and(|output| output.status.success()), "{} was not ended", self.folder.display());
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

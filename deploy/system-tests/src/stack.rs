//! The whole system: the embedded default, or several services on real servers.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{Client, Namespace, Server, ServerUrls, mongo, mysql, server::free_port};

/// A running system. Dropped, it ends and removes its data from the servers.
#[derive(Debug)]
pub struct Stack {
    /// The command services, or the one process of the embedded default.
    pub commands: Vec<Server>,
    /// The query services; none in the embedded default.
    pub queries: Vec<Server>,
    command_urls: Vec<String>,
    query_urls: Vec<String>,
    /// Logs, keys, and the data of the embedded default.
    folder: TempDir,
    /// Dropped last, after all its users.
    namespace: Option<Namespace>,
}

impl Stack {
    /// The embedded default with a new data folder.
    pub async fn embedded() -> Self {
        Self::embedded_by(|server| server).await
    }

    /// The embedded default with its data on a disk of 8 MB. Returns the disk's path for this process, too. The disk exists
    /// in a namespace of the process, which Linux gives to any user, and is gone when the process ends.
    pub async fn embedded_on_a_small_disk() -> (Self, PathBuf) {
        let mount = "mkdir -p \"$DATA_DIR\" && mount -t tmpfs -o size=8m none \"$DATA_DIR\" && exec \"$@\"";
        let wrapper = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"];
        let stack = Self::embedded_by(|server| server.run_by(&wrapper)).await;
        let process = stack.commands.first().and_then(Server::id).unwrap();
        let data = stack.folder.path().join("data");
        let disk = format!("/proc/{process}/root{}", data.display());
        (stack, disk.into())
    }

    async fn embedded_by(change: impl FnOnce(Server) -> Server) -> Self {
        let folder = TempDir::new().unwrap();
        let (command, query) = (free_port(), free_port());
        let (command_url, query_url) = (url(command), url(query));
        let server = Server::new("standalone", &[], folder.path(), &[&command_url, &query_url])
            .variable("COMMAND_LISTEN", address(command))
            .variable("QUERY_LISTEN", address(query))
            .variable("DATA_DIR", folder.path().join("data").to_str().unwrap());
        let mut stack = Self {
            commands: vec![change(server)],
            queries: Vec::new(),
            command_urls: vec![command_url],
            query_urls: vec![query_url],
            folder,
            namespace: None,
        };
        stack.start().await;
        stack
    }

    /// Command services and one query service on the real servers that the environment names.
    pub async fn real(command_services: usize) -> Self {
        Self::real_with(command_services, 1).await
    }

    /// [`Stack::real`] with several query services.
    pub async fn real_with(command_services: usize, query_services: usize) -> Self {
        Self::real_where(command_services, query_services, true).await
    }

    /// [`Stack::real_with`] one command service. The query services write notices to [a topic](Stack::notices).
    pub async fn real_with_notices(query_services: usize) -> Self {
        let servers = ServerUrls::from_environment().unwrap();
        let mut stack = Self::on(&servers, 1, query_services, true).await;
        let topic = stack.notices();
        let queries = std::mem::take(&mut stack.queries).into_iter();
        stack.queries = queries.map(|server| server.variable("KAFKA_NOTICES_TOPIC", &topic)).collect();
        stack.start().await;
        stack
    }

    /// One of each service on real servers. They accept [tokens](Stack::token) but no development headers.
    pub async fn real_with_tokens_alone() -> Self {
        Self::real_where(1, 1, false).await
    }

    /// One of each service on these servers, not started yet.
    pub async fn at_rest(servers: &ServerUrls) -> Self {
        Self::on(servers, 1, 1, true).await
    }

    async fn real_where(command_services: usize, query_services: usize, dev_headers: bool) -> Self {
        let servers = ServerUrls::from_environment().unwrap();
        let mut stack = Self::on(&servers, command_services, query_services, dev_headers).await;
        stack.start().await;
        stack
    }

    async fn on(
        servers: &ServerUrls,
        command_services: usize,
        query_services: usize,
        dev_headers: bool,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let namespace = Namespace::create(servers, "system").await.unwrap();
        let keys = folder.path().join("keys");
        make_key(&keys);
        let jwks = keys.join("jwks.json").to_str().unwrap().to_owned();
        let command_ports: Vec<u16> = (0..command_services).map(|_| free_port()).collect();
        let command_urls: Vec<String> = command_ports.iter().copied().map(url).collect();
        let query_ports: Vec<u16> = (0..query_services).map(|_| free_port()).collect();
        let query_urls: Vec<String> = query_ports.iter().copied().map(url).collect();
        let commands = command_ports
            .iter()
            .zip(&command_urls)
            .map(|(port, url)| {
                Server::new("command-service", &["serve"], folder.path(), &[url])
                    .variable("LISTEN", address(*port))
                    .variable("DEV_HEADERS", dev_headers.to_string())
                    .variable("JWKS_FILE", &jwks)
                    .variable("MYSQL_URL", namespace.database_url())
                    .variable("KAFKA_BROKERS", &servers.brokers)
                    .variable("KAFKA_TOPIC", &namespace.name)
                    .variable("CORS_ORIGINS", query_urls.join(","))
            })
            .collect();
        let queries = query_ports
            .iter()
            .zip(&query_urls)
            .map(|(port, url)| {
                Server::new("query-service", &["serve"], folder.path(), &[url])
                    .variable("LISTEN", address(*port))
                    .variable("DEV_HEADERS", dev_headers.to_string())
                    .variable("JWKS_FILE", &jwks)
                    .variable("MONGODB_URL", &servers.mongodb)
                    .variable("MONGODB_DATABASE", &namespace.name)
                    .variable("KAFKA_BROKERS", &servers.brokers)
                    .variable("KAFKA_TOPIC", &namespace.name)
                    .variable("KAFKA_GROUP", &namespace.name)
                    .variable("FEED_URL", command_urls.first().unwrap())
            })
            // Without development headers, the feed wants a token, and nobody can sign in to the page.
            .map(|server| match dev_headers {
                true => server.variable("PAGE_COMMANDS_URL", command_urls.first().unwrap()),
                false => server.variable("FEED_TOKEN", token(&keys, "query-service", &["service", "eraser"])),
            })
            .collect();
        Self { commands, queries, command_urls, query_urls, folder, namespace: Some(namespace) }
    }

    /// The demo, which is a subcommand of the embedded default, against this system.
    pub fn demo(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(crate::binaries::path("standalone"));
        let command_url = self.command_urls.first().unwrap();
        command
            .args(["demo", "--command-url", command_url, "--query-url", self.query_urls.first().unwrap()])
            .kill_on_drop(true);
        command
    }

    /// An administrator who uses the first command service and the first query service.
    pub fn client(&self) -> Client {
        self.client_of(0)
    }

    /// An administrator who uses one of the command services.
    pub fn client_of(&self, command_service: usize) -> Client {
        self.client_of_both(command_service, 0)
    }

    /// An administrator who uses one of the command services and one of the query services.
    pub fn client_of_both(&self, command_service: usize, query_service: usize) -> Client {
        let command_url = self.command_urls.get(command_service).unwrap();
        Client::new(command_url, self.query_urls.get(query_service).unwrap())
    }

    /// The addresses of the first command service and the first query service.
    pub fn urls(&self) -> (&str, &str) {
        (self.command_urls.first().unwrap(), self.query_urls.first().unwrap())
    }

    /// A token that a stack on real servers accepts, with roles such as `admin`.
    pub fn token(&self, user: &str, roles: &[&str]) -> String {
        token(&self.folder.path().join("keys"), user, roles)
    }

    /// The names of a stack on real servers.
    fn namespace(&self) -> &Namespace {
        self.namespace.as_ref().unwrap()
    }

    /// The database of the read models: the server's URL and the database's name.
    pub fn read_models(&self) -> (&str, &str) {
        let Namespace { name, servers } = self.namespace();
        (&servers.mongodb, name)
    }

    /// The brokers and the topic.
    pub fn topic(&self) -> (&str, &str) {
        let Namespace { name, servers } = self.namespace();
        (&servers.brokers, name)
    }

    /// The topic of notices, if the query services write any.
    pub fn notices(&self) -> String {
        format!("{}-notices", self.namespace().name)
    }

    /// The URL of the event store.
    pub fn database_url(&self) -> String {
        self.namespace().database_url()
    }

    /// The number of events that are committed and not delivered.
    pub async fn undelivered(&self) -> i64 {
        mysql::rows(&self.namespace().database_url(), "outbox").await.unwrap()
    }

    /// The number of all events.
    pub async fn committed(&self) -> usize {
        let rows = mysql::rows(&self.namespace().database_url(), "events").await.unwrap();
        rows.try_into().unwrap()
    }

    /// The columns of MySQL and the collections of MongoDB that hold a text.
    pub async fn places_that_hold(&self, sought: &str) -> Vec<String> {
        let Namespace { name, servers } = self.namespace();
        let mut found = mysql::columns_that_hold(&self.namespace().database_url(), sought).await.unwrap();
        found.extend(mongo::collections_that_hold(&servers.mongodb, name, sought).await.unwrap());
        found
    }

    /// Inserts all events of another stack, without any other table.
    pub async fn copy_events_of(&self, other: &Self) {
        mysql::copy_events(&self.database_url(), &other.namespace().name).await.unwrap();
    }

    /// Deletes the last event of a room, as if the database were restored from an older backup.
    pub async fn forget_last_event(&self, room: &str) {
        mysql::forget_last_event(&self.namespace().database_url(), room).await.unwrap();
    }

    /// Ends all services, as an operator does.
    pub async fn stop(&mut self) {
        for server in self.commands.iter_mut().chain(&mut self.queries) {
            server.stop().await;
        }
    }

    /// Starts all services and waits until they are ready.
    pub async fn start(&mut self) {
        for server in self.commands.iter_mut().chain(&mut self.queries) {
            server.start(&[]);
        }
        for server in self.commands.iter_mut().chain(&mut self.queries) {
            server.until_ready().await;
        }
    }
}

/// Makes the signing key of tokens.
/// A token that the key in this folder signs.
fn token(keys: &Path, user: &str, roles: &[&str]) -> String {
    let roles = roles.iter().map(|role| format!("--{role}"));
    let mut command = Command::new(crate::binaries::path("command-service"));
    let output = command.args(["token", "--user", user, "--dir"]).arg(keys).args(roles).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn make_key(folder: &Path) {
    let mut command = Command::new(crate::binaries::path("command-service"));
    let output = command.args(["dev-key", "--dir"]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

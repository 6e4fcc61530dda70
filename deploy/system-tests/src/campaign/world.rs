//! The system under fault: two command services and two query services on private servers.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicUsize,
    time::Duration,
};

use serde::Serialize;
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::{
    proxy::Proxy,
    record::Clock,
    schedule::{Link, Target},
    servers::OwnServers,
};
use crate::{Server, free_port, mysql};

/// The name of databases, topic and group. The servers have no other users.
const NAME: &str = "campaign";
/// The pause between two checks for services that have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The running system.
#[derive(Debug)]
pub(crate) struct World {
    commands: Vec<Mutex<Server>>,
    queries: Vec<Mutex<Server>>,
    pub(crate) command_urls: Vec<String>,
    pub(crate) query_urls: Vec<String>,
    pub(crate) servers: OwnServers,
    proxies: Vec<(Link, Proxy)>,
    /// The number of killed processes.
    pub(crate) kills: AtomicUsize,
    /// The services that ended by themselves.
    pub(crate) ended: Mutex<Vec<Ended>>,
    /// The folder of the services' logs.
    logs: PathBuf,
    _folder: TempDir,
}

/// A service that ended by itself, with the end of its log.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ended {
    pub(crate) at: u64,
    pub(crate) service: Target,
    pub(crate) status: String,
    pub(crate) log: String,
}

impl World {
    /// Starts everything and waits until it is ready. Services log to `logs`, or to a temporary folder. The second instance
    /// of each service is a binary in `older`, if given.
    pub(crate) async fn start(logs: Option<&Path>, older: Option<&Path>) -> Self {
        let servers = OwnServers::start().await;
        mysql::create_database(&servers.mysql_url(), NAME).await.unwrap();
        let folder = TempDir::new().unwrap();
        let logs = logs.unwrap_or_else(|| folder.path()).to_owned();
        std::fs::create_dir_all(&logs).unwrap();
        let ports: Vec<u16> = (0..4).map(|_| free_port()).collect();
        let urls: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let (command_urls, query_urls) = (urls[..2].to_vec(), urls[2..].to_vec());
        let proxies = proxies(&servers, &ports).await;
        let mut world = Self {
            commands: Vec::new(),
            queries: Vec::new(),
            command_urls,
            query_urls,
            servers,
            proxies,
            kills: AtomicUsize::new(0),
            ended: Mutex::default(),
            logs,
            _folder: folder,
        };
        for number in 0..2 {
            let of_build = |service: Server| match older.filter(|_| number == 1) {
                Some(folder) => service.run_from(folder),
                None => service,
            };
            world.commands.push(Mutex::new(of_build(world.command_service(number, ports[number]))));
            world.queries.push(Mutex::new(of_build(world.query_service(number, ports[2 + number]))));
        }
        for service in world.commands.iter().chain(&world.queries) {
            service.lock().await.start(&[]);
        }
        for service in world.commands.iter().chain(&world.queries) {
            service.lock().await.until_ready().await;
        }
        world
    }

    fn command_service(&self, number: usize, port: u16) -> Server {
        Server::new("command-service", &["serve"], &self.logs, &[&self.command_urls[number]])
            .variable("LISTEN", format!("127.0.0.1:{port}"))
            .variable("DEV_HEADERS", "true")
            .variable("INSTANCE_ID", number.to_string())
            .variable("LOG_LEVEL", "info,http.request=warn")
            .variable(
                "MYSQL_URL",
                format!("{}/{NAME}", self.servers.mysql_url_at(self.port(Link::Mysql(number)))),
            )
            .variable("KAFKA_BROKERS", self.brokers())
            .variable("KAFKA_TOPIC", NAME)
    }

    fn query_service(&self, number: usize, port: u16) -> Server {
        Server::new("query-service", &["serve"], &self.logs, &[&self.query_urls[number]])
            .variable("LISTEN", format!("127.0.0.1:{port}"))
            .variable("DEV_HEADERS", "true")
            .variable("LOG_LEVEL", "info,http.request=warn")
            .variable("MONGODB_URL", mongodb_url(self.port(Link::Mongodb(number))))
            .variable("MONGODB_DATABASE", NAME)
            .variable("KAFKA_BROKERS", self.brokers())
            .variable("KAFKA_TOPIC", NAME)
            .variable("KAFKA_GROUP", NAME)
            .variable("FEED_URL", format!("http://127.0.0.1:{}", self.port(Link::Feed(number))))
            // Shorter than by default: the watchdog must find its cases during the campaign.
            .variable("WATCHDOG_SECONDS", "5")
    }

    pub(crate) fn database_url(&self) -> String {
        format!("{}/{NAME}", self.servers.mysql_url())
    }

    pub(crate) fn mongodb_url(&self) -> String {
        mongodb_url(self.servers.mongodb)
    }

    pub(crate) const fn database() -> &'static str {
        NAME
    }

    pub(crate) fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port(Link::Kafka))
    }

    pub(crate) fn proxy(&self, link: Link) -> &Proxy {
        self.proxies.iter().find(|(of, _)| *of == link).map(|(_, proxy)| proxy).unwrap()
    }

    fn port(&self, link: Link) -> u16 {
        self.proxy(link).port
    }

    pub(crate) fn service(&self, target: Target) -> Option<&Mutex<Server>> {
        match target {
            Target::Command(number) => self.commands.get(number),
            Target::Query(number) => self.queries.get(number),
            _ => None,
        }
    }

    /// Restarts services that end by themselves, like a supervisor, and records them.
    pub(crate) async fn supervise(&self, clock: Clock) {
        loop {
            for target in [Target::Command(0), Target::Command(1), Target::Query(0), Target::Query(1)] {
                // A service under a fault is locked.
                let Some(Ok(mut service)) = self.service(target).map(Mutex::try_lock) else { continue };
                if let Some(status) = service.ended() {
                    let log = service.log();
                    let tail: Vec<&str> = log.lines().rev().take(8).collect();
                    let log = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                    let ended = Ended { at: clock.now(), service: target, status: status.to_string(), log };
                    self.ended.lock().await.push(ended);
                    service.start(&[]);
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

fn mongodb_url(port: u16) -> String {
    format!("mongodb://127.0.0.1:{port}/?directConnection=true")
}

/// One proxy for each connection of a service. `ports` are those of the services.
async fn proxies(servers: &OwnServers, ports: &[u16]) -> Vec<(Link, Proxy)> {
    let mut proxies = vec![(Link::Kafka, Proxy::start(servers.kafka_proxy, servers.kafka).await)];
    for (number, command_service) in ports.iter().take(2).enumerate() {
        proxies.push((Link::Mysql(number), Proxy::start(free_port(), servers.mysql).await));
        proxies.push((Link::Mongodb(number), Proxy::start(free_port(), servers.mongodb).await));
        proxies.push((Link::Feed(number), Proxy::start(free_port(), *command_service).await));
    }
    proxies
}

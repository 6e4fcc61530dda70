//! The servers, and the services as processes of their shipped binaries.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use service_kit::{clock::Clock, dev_key::DevKey};
use system_tests::{Namespace, Process, ServerUrls, free_port, unique};
use tempfile::TempDir;

use crate::{figures::number, processor};

/// The servers and the size of the run.
#[derive(Debug)]
pub(crate) struct Rig {
    /// A small run shows that the benchmarks work. Its figures are not to be quoted.
    pub(crate) short: bool,
    pub(crate) rounds: usize,
    pub(crate) servers: ServerUrls,
    /// The callers' signing key, and logs.
    folder: TempDir,
    binaries: PathBuf,
}

impl Rig {
    /// Uses the servers that the environment names.
    pub(crate) fn new(short: bool, rounds: usize) -> Result<Self> {
        let binaries = std::env::var_os("BENCHMARKS_BINARIES")
            .context("start deploy/benchmarks/run.sh: it builds the services as they ship")?;
        let (servers, folder) = (ServerUrls::from_environment()?, TempDir::new()?);
        DevKey::ensure(folder.path())?;
        Ok(Self { short, rounds, servers, folder, binaries: binaries.into() })
    }

    /// The same with the services of another build, those in the folder that `BENCHMARKS_BEFORE` names. None without it.
    pub(crate) fn of_the_build_before(&self) -> Result<Option<Self>> {
        let Some(binaries) = std::env::var_os("BENCHMARKS_BEFORE") else { return Ok(None) };
        let folder = TempDir::new()?;
        DevKey::ensure(folder.path())?;
        Ok(Some(Self {
            short: self.short,
            rounds: self.rounds,
            servers: self.servers.clone(),
            folder,
            binaries: binaries.into(),
        }))
    }

    /// One number for a full run, another for a short run.
    pub(crate) const fn size(&self, full: u64, short: u64) -> u64 {
        if self.short { short } else { full }
    }

    pub(crate) async fn namespace(&self, prefix: &str) -> Result<Namespace> {
        Namespace::create(&self.servers, prefix).await
    }

    /// A namespace whose connections to MySQL have no TLS, like those of the peers.
    pub(crate) async fn namespace_without_tls(&self, prefix: &str) -> Result<Namespace> {
        let mysql = format!("{}/?ssl-mode=DISABLED", self.servers.mysql.trim_end_matches('/'));
        Namespace::create(&ServerUrls { mysql, ..self.servers.clone() }, prefix).await
    }

    /// A signed token.
    pub(crate) fn token(&self, user: &str, roles: &[&str]) -> Result<String> {
        Ok(DevKey::ensure(self.folder.path())?.token(user, roles, 24, &Clock::system())?)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a command service and does not wait.
    pub(crate) fn command_service(&self, namespace: &Namespace, more: &[(&str, &str)]) -> Result<Service> {
        let settings = [
            ("MYSQL_URL", namespace.database_url()),
            ("KAFKA_BROKERS", self.servers.brokers.clone()),
            ("KAFKA_TOPIC", namespace.name.clone()),
        ];
        self.start(&self.binaries.join("command-service"), &["serve"], &settings, more)
    }

    /// Starts a query service that reads the feed at a URL, and does not wait.
    pub(crate) fn query_service(
        &self,
        namespace: &Namespace,
        feed: &str,
        more: &[(&str, &str)],
    ) -> Result<Service> {
        let settings = [
            ("MONGODB_URL", self.servers.mongodb.clone()),
            ("MONGODB_DATABASE", namespace.name.clone()),
            ("KAFKA_BROKERS", self.servers.brokers.clone()),
            ("KAFKA_TOPIC", namespace.name.clone()),
            ("KAFKA_GROUP", namespace.name.clone()),
            ("FEED_URL", feed.to_owned()),
            ("FEED_TOKEN", self.token("query-service", &["service"])?),
        ];
        self.start(&self.binaries.join("query-service"), &["serve"], &settings, more)
    }

    /// Starts a program that takes the services' settings, and does not wait.
    pub(crate) fn start(
        &self,
        program: &Path,
        arguments: &[&str],
        settings: &[(&str, String)],
        more: &[(&str, &str)],
    ) -> Result<Service> {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove("CONFIG_FILE")
            .env("LISTEN", &address)
            .env("JWKS_FILE", self.folder.path().join(service_kit::dev_key::JWKS_FILE))
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            .envs(more.iter().copied());
        let log = self.folder.path().join(format!("{}.log", unique("process")));
        Ok(Service { process: Process::start(&mut command, &log)?, address })
    }
}

/// The path of this program. `main` asks for it first: a build may replace the file later.
pub(crate) fn program() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| std::env::current_exe().ok());
    program.as_deref().context("the path of this program is not known")
}

/// A running service. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Service {
    process: Process,
    /// Host and port.
    pub(crate) address: String,
}

/// Memory of a process in megabytes (1,000,000 bytes).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) now: f64,
    /// Most ever resident.
    pub(crate) peak: f64,
}

impl Service {
    /// `http://host:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until it is ready. Returns the time since its start.
    pub(crate) async fn until_ready(&mut self) -> Result<Duration> {
        self.process.until_ready(&self.url()).await
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        memory_of(self.process.id())
    }

    /// Seconds of processor time of all its threads.
    pub(crate) fn processor_seconds(&self) -> Result<f64> {
        processor::seconds_of(Path::new(&format!("/proc/{}", self.process.id())))
    }

    /// Sends SIGTERM, and waits for a success.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.process.signal("TERM")?;
        let status: ExitStatus = self.process.until_end().await?;
        ensure!(status.success(), "a service ended with {status}:\n{}", self.process.log_tail());
        Ok(())
    }
}

pub(crate) fn memory_of(pid: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let megabytes = |name: &str| -> Result<f64> {
        let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(number(kilobytes * 1024) / 1e6)
    };
    Ok(Memory { now: megabytes("VmRSS:")?, peak: megabytes("VmHWM:")? })
}

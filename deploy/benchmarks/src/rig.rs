//! What is measured on: the real servers, and the services as processes of their shipped binaries.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use service_kit::{clock::Clock, dev_key::DevKey};
use system_tests::{free_port, kafka, mongo, mysql, unique};
use tempfile::TempDir;

use crate::figures::number;

/// How long a process may take to be ready or to end.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The servers, and how much is measured on them.
#[derive(Debug)]
pub(crate) struct Rig {
    /// Less of everything: to see that it runs, not to quote.
    pub(crate) short: bool,
    /// How often both sides are measured.
    pub(crate) rounds: usize,
    /// URL of MySQL, without a database.
    pub(crate) mysql: String,
    pub(crate) brokers: String,
    pub(crate) mongodb: String,
    /// The signing key of all callers, and logs.
    folder: TempDir,
    binaries: PathBuf,
}

impl Rig {
    /// The servers that the environment names. Builds the services where they are not up to date.
    pub(crate) fn new(short: bool, rounds: usize) -> Result<Self> {
        let named = |name: &str| {
            std::env::var(name).with_context(|| {
                format!("{name} must name a server: eval \"$(deploy/servers/servers.sh up)\"")
            })
        };
        let rig = Self {
            short,
            rounds,
            mysql: named("MYSQL_URL")?,
            brokers: named("KAFKA_BROKERS")?,
            mongodb: named("MONGODB_URL")?,
            folder: TempDir::new()?,
            binaries: binaries()?,
        };
        DevKey::ensure(rig.folder.path())?;
        Ok(rig)
    }

    /// One number for a full run, another one for a short run.
    pub(crate) const fn size(&self, full: u64, short: u64) -> u64 {
        if self.short { short } else { full }
    }

    /// A place of one's own on all servers.
    pub(crate) async fn place(&self, prefix: &str) -> Result<Place> {
        let name = unique(prefix);
        mysql::create_database(&self.mysql, &name).await?;
        Ok(Place {
            name,
            mysql: self.mysql.clone(),
            settings: "",
            brokers: self.brokers.clone(),
            mongodb: self.mongodb.clone(),
        })
    }

    /// A token of a user, as every caller sends one.
    pub(crate) fn token(&self, user: &str, roles: &[&str]) -> Result<String> {
        Ok(DevKey::ensure(self.folder.path())?.token(user, roles, 24, &Clock::system())?)
    }

    /// The folder of the public keys and the logs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command service, started and not awaited.
    pub(crate) fn command_service(&self, place: &Place, more: &[(&str, &str)]) -> Result<Process> {
        let settings = [
            ("MYSQL_URL", place.database_url()),
            ("KAFKA_BROKERS", self.brokers.clone()),
            ("KAFKA_TOPIC", place.name.clone()),
        ];
        self.start(&self.binaries.join("command-service"), &["serve"], &settings, more)
    }

    /// A query service that reads gaps from `feed`, started and not awaited.
    pub(crate) fn query_service(&self, place: &Place, feed: &str, more: &[(&str, &str)]) -> Result<Process> {
        let settings = [
            ("MONGODB_URL", self.mongodb.clone()),
            ("MONGODB_DATABASE", place.name.clone()),
            ("KAFKA_BROKERS", self.brokers.clone()),
            ("KAFKA_TOPIC", place.name.clone()),
            ("KAFKA_GROUP", place.name.clone()),
            ("FEED_URL", feed.to_owned()),
            ("FEED_TOKEN", self.token("query-service", &["service"])?),
        ];
        self.start(&self.binaries.join("query-service"), &["serve"], &settings, more)
    }

    /// Another program that is configured as the services are, started and not awaited.
    pub(crate) fn start(
        &self,
        program: &Path,
        arguments: &[&str],
        settings: &[(&str, String)],
        more: &[(&str, &str)],
    ) -> Result<Process> {
        let address = format!("127.0.0.1:{}", free_port());
        let log = self.folder.path().join(format!("{}.log", unique("process")));
        let output = File::create(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .env_remove("CONFIG_FILE")
            .env("LISTEN", &address)
            .env("JWKS_FILE", self.folder.path().join(service_kit::dev_key::JWKS_FILE))
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{} can't be started", program.display()))?;
        Ok(Process { program: program.to_owned(), child, address, log, started: Instant::now() })
    }
}

/// The path of this program, taken when it began: building may put another file in its place.
pub(crate) fn program() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM
        .get_or_init(|| std::env::current_exe().ok())
        .as_deref()
        .context("the path of this program is not known")
}

/// The folder of the services' programs, built as they ship.
fn binaries() -> Result<PathBuf> {
    let folder = std::env::var_os("BENCHMARKS_BINARIES");
    Ok(folder.context("start deploy/benchmarks/run.sh: it builds the services as they ship")?.into())
}

/// A name of one's own on the servers: database, topic, consumer group and database of read models. Dropped, it takes
/// all of them away.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    mysql: String,
    settings: &'static str,
    brokers: String,
    mongodb: String,
}

impl Place {
    /// The same, but that nothing is encrypted on the way to MySQL: as the peers' settings have it.
    pub(crate) const fn unencrypted(mut self) -> Self {
        self.settings = "?ssl-mode=DISABLED";
        self
    }

    /// URL of the MySQL database.
    pub(crate) fn database_url(&self) -> String {
        format!("{}/{}{}", self.mysql.trim_end_matches('/'), self.name, self.settings)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            // The thread that drops may be inside of a runtime, which must not be blocked on.
            scope.spawn(|| {
                let removed = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(anyhow::Error::from)
                    .and_then(|runtime| {
                        runtime.block_on(async {
                            mysql::drop_database(&self.mysql, &self.name).await?;
                            mongo::drop_database(&self.mongodb, &self.name).await?;
                            kafka::remove(&self.brokers, &self.name, &self.name).await?;
                            Ok(())
                        })
                    });
                if let Err(error) = removed {
                    eprintln!("{} was not removed from the servers: {error:#}", self.name);
                }
            });
        });
    }
}

/// A process that listens. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    program: PathBuf,
    child: Child,
    /// Host and port.
    pub(crate) address: String,
    log: PathBuf,
    started: Instant,
}

/// Memory of a process in megabytes (1,000,000 bytes).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) now: f64,
    /// The most that was ever resident.
    pub(crate) peak: f64,
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `http://host:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until it says that it is ready, and tells how long that took since it was started.
    pub(crate) async fn until_ready(&mut self) -> Result<Duration> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        loop {
            let answer = http.get(format!("{}/health/ready", self.url())).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.program.display(), self.log());
            }
            if self.started.elapsed() > PATIENCE {
                bail!("{} is not ready:\n{}", self.program.display(), self.log());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        memory_of(self.pid())
    }

    /// Seconds of processor time that it has used.
    pub(crate) fn processor_seconds(&self) -> Result<f64> {
        processor_seconds_of(self.pid())
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        ensure!(sent.success(), "{} can't be signalled", self.pid());
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}:\n{}", self.program.display(), self.log());
                return Ok(());
            }
            if asked.elapsed() > PATIENCE {
                bail!("{} does not end:\n{}", self.program.display(), self.log());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The end of what it wrote, without its lines about requests.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("answered request")).collect();
        lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Memory of any process.
pub(crate) fn memory_of(pid: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let megabytes = |name: &str| -> Result<f64> {
        let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(number(kilobytes * 1024) / 1e6)
    };
    Ok(Memory { now: megabytes("VmRSS:")?, peak: megabytes("VmHWM:")? })
}

/// Seconds of processor time, of all threads, that any process has used.
pub(crate) fn processor_seconds_of(pid: u32) -> Result<f64> {
    /// Linux counts in hundredths on all common systems (`getconf CLK_TCK`).
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces: count fields from behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("no such field")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

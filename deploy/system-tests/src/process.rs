//! One operating-system process that logs to a file.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// How long a process may take to be ready or to end, on a busy machine with two cores.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(10);

/// A running process. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    program: String,
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Process {
    /// Starts a command and appends its output to a file.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{program} can't be started"))?;
        Ok(Self { program, child, log: log.to_owned(), started: Instant::now() })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status of a process that has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.id(), name)
    }

    /// Waits until the process ends.
    pub async fn until_end(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            ensure!(start.elapsed() < PATIENCE, "{} does not end:\n{}", self.program, self.log_tail());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the service at an address is ready. Returns the time since the start of the process.
    pub async fn until_ready(&mut self, url: &str) -> Result<Duration> {
        let http = readiness_client()?;
        // A process that has long been running may have lost its readiness just now.
        let start = Instant::now();
        loop {
            let missing = match http.get(format!("{url}/health/ready")).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(self.started.elapsed()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status}:\n{}", self.program, self.log_tail());
            }
            let waits = start.elapsed() < PATIENCE;
            ensure!(waits, "{} is not ready: {missing}\n{}", self.program, self.log_tail());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The last 40 lines of the log, without those of requests.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("answered request")).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Accepts any certificate: `/health/ready` says nothing secret.
pub(crate) fn readiness_client() -> Result<reqwest::Client> {
    let http = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true);
    Ok(http.timeout(Duration::from_secs(5)).build()?)
}

pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status()?;
    ensure!(sent.success(), "process {pid} can't be signalled");
    Ok(())
}

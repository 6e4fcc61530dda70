//! A service under test: one process that can be killed and started again with the same settings.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::atomic::{AtomicU16, Ordering},
};

use crate::process::{Process, readiness_client};

/// A service with its settings, running or not. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    /// A command that replaces itself with the program, if any.
    wrapper: Vec<String>,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// The addresses that must be ready.
    urls: Vec<String>,
    log: PathBuf,
    /// Length of the log in bytes when the current process started.
    log_start: usize,
    process: Option<Process>,
}

impl Server {
    /// A service that is not running yet. It logs to a file in `folder`.
    pub(crate) fn new(binary: &str, arguments: &[&str], folder: &Path, urls: &[&String]) -> Self {
        Self {
            wrapper: Vec::new(),
            program: crate::binaries::path(binary),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
            urls: urls.iter().map(|url| (*url).clone()).collect(),
            log: folder.join(format!("{}.log", crate::unique(binary))),
            log_start: 0,
            process: None,
        }
    }

    /// Adds an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Takes the program from this folder.
    pub(crate) fn run_from(mut self, folder: &Path) -> Self {
        self.program = folder.join(self.program.file_name().unwrap());
        self
    }

    /// Runs the program through a command that ends with `exec "$@"`.
    pub(crate) fn run_by(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    fn running(&mut self) -> &mut Process {
        self.process.as_mut().unwrap_or_else(|| panic!("{} does not run", self.program.display()))
    }

    /// The process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Starts the process and does not wait. `more` are variables for this start alone.
    pub fn start(&mut self, more: &[(&str, &str)]) {
        assert!(self.process.is_none(), "{} runs already", self.program.display());
        self.log_start = self.log().len();
        let mut command = match self.wrapper.split_first() {
            None => Command::new(&self.program),
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(&self.program);
                command
            }
        };
        command.args(&self.arguments).env_remove("CONFIG_FILE");
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).envs(more.iter().copied());
        self.process = Some(Process::start(&mut command, &self.log).unwrap());
    }

    /// Starts the process and waits until it is ready.
    pub async fn start_ready(&mut self, more: &[(&str, &str)]) {
        self.start(more);
        self.until_ready().await;
    }

    /// Another command of the same program, with the same settings.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(arguments)
            .env_remove("CONFIG_FILE")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Waits until it is ready.
    pub async fn until_ready(&mut self) {
        for url in self.urls.clone() {
            self.running().until_ready(&url).await.unwrap();
        }
    }

    /// The reasons why it is not ready; empty if it does not answer.
    pub async fn missing(&self) -> String {
        let answer = readiness_client().unwrap().get(format!("{}/health/ready", self.urls[0])).send().await;
        match answer {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Kills it as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Sends SIGTERM and waits until it ends.
    pub async fn stop(&mut self) -> ExitStatus {
        self.running().signal("TERM").unwrap();
        self.until_end().await
    }

    /// Suspends it (SIGSTOP): it keeps its memory and its connections.
    pub fn pause(&mut self) {
        self.running().signal("STOP").unwrap();
    }

    /// Resumes it after a pause.
    pub fn resume(&mut self) {
        self.running().signal("CONT").unwrap();
    }

    /// The exit status if it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.ended().unwrap()?;
        self.process = None;
        Some(status)
    }

    /// Waits until it ends by itself.
    pub async fn until_end(&mut self) -> ExitStatus {
        let status = self.running().until_end().await.unwrap();
        self.process = None;
        status
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Everything it has logged since its last start.
    #[must_use]
    pub fn log_since_start(&self) -> String {
        self.log().split_off(self.log_start)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.len().saturating_sub(4_000);
            let tail = (tail..log.len()).find_map(|start| log.get(start..)).unwrap_or_default();
            eprintln!("--- end of the log of {}:\n{tail}", self.program.display());
        }
    }
}

/// A port that nobody listens on. It lies below the range of outgoing connections, so that it is still free when the
/// process starts again.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 100).unwrap() * 100;
    (0..10_000)
        .map(|_| 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

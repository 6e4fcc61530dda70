//! One process of the system.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// How long a process may take to be ready, or to end. Two cores are shared with everything else that runs.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A process that is started, killed and started again with the same settings. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    /// What runs the program in its own place, if anything.
    wrapper: Vec<String>,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Addresses that must be ready.
    urls: Vec<String>,
    log: PathBuf,
    /// Where in the log its present life begins, in bytes.
    life: usize,
    child: Option<Child>,
}

impl Server {
    /// A process that is not running yet; its output goes to a file in `folder`.
    pub(crate) fn new(binary: &str, arguments: &[&str], folder: &Path, urls: &[&String]) -> Self {
        Self {
            wrapper: Vec::new(),
            program: crate::binaries::path(binary),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
            urls: urls.iter().map(|url| (*url).clone()).collect(),
            log: folder.join(format!("{}.log", crate::unique(binary))),
            life: 0,
            child: None,
        }
    }

    /// Adds a variable to its environment.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Takes the program from this folder.
    pub(crate) fn run_from(mut self, folder: &Path) -> Self {
        self.program = folder.join(self.program.file_name().unwrap());
        self
    }

    /// Has a command run the program: it is followed by the program and its arguments, and puts it in its own place.
    pub(crate) fn run_by(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// The process's id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts the process, for this once with more variables, and does not wait.
    pub fn start(&mut self, more: &[(&str, &str)]) {
        assert!(self.child.is_none(), "{} runs already", self.program.display());
        self.life = self.log().len();
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = match self.wrapper.split_first() {
            None => Command::new(&self.program),
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(&self.program);
                command
            }
        };
        let child = command
            .args(&self.arguments)
            .env_remove("CONFIG_FILE")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} can't be started: {error}", self.program.display()));
        self.child = Some(child);
    }

    /// Another command of the same program, with the same settings.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(arguments)
            .env_remove("CONFIG_FILE")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&mut self) {
        let http = http();
        let start = Instant::now();
        for url in self.urls.clone() {
            loop {
                let answer = http.get(format!("{url}/health/ready")).send().await;
                if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                    break;
                }
                if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                    panic!("{} ended with {status}:\n{}", self.program.display(), self.log());
                }
                let missing = match answer {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                assert!(
                    start.elapsed() < PATIENCE,
                    "{} is not ready: {missing}\n{}",
                    self.program.display(),
                    self.log()
                );
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// What it says it is not ready for; nothing where it does not answer.
    pub async fn missing(&self) -> String {
        let answer = http().get(format!("{}/health/ready", self.urls.first().unwrap())).send().await;
        match answer {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Ends it as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.until_end().await
    }

    /// Makes it stand still (SIGSTOP) until it is resumed: it keeps its memory and its connections.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after a pause.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        signal(&self.child.as_ref().map(Child::id).unwrap().to_string(), name);
    }

    /// How it ended, if it ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(status)
    }

    /// Waits until it ends by itself.
    pub async fn until_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if start.elapsed() > PATIENCE {
                self.child = Some(child);
                panic!("{} does not end:\n{}", self.program.display(), self.log());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What it wrote so far, in all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it wrote since it was started last.
    #[must_use]
    pub fn log_of_this_life(&self) -> String {
        self.log().split_off(self.life)
    }
}

/// Asks whether a service is ready. What its certificate is worth is another question.
fn http() -> reqwest::Client {
    let http = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true);
    http.timeout(Duration::from_secs(5)).build().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.len().saturating_sub(4_000);
            let tail = (tail..log.len()).find_map(|start| log.get(start..)).unwrap_or_default();
            eprintln!("--- the end of what {} wrote:\n{tail}", self.program.display());
        }
    }
}

pub(crate) fn signal(pid: &str, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), pid]).status().unwrap();
    assert!(sent.success(), "{pid} can't be signalled");
}

/// A port that nobody listens on. Below the range from which systems take ports of outgoing connections, so that it is
/// still free when the process is started again.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 100).unwrap() * 100;
    (0..10_000)
        .map(|_| 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

//! Logs and metrics of a process.
//!
//! Logs go to standard error. They hold no bodies, no personal data and no secrets.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use crate::audit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// Counter: answered requests, by `service`, `method`, `route` and `status`.
pub(crate) const HTTP_REQUESTS: &str = "http_requests_total";
/// Histogram: seconds until the answer, by `service` and `route`.
pub(crate) const HTTP_DURATION: &str = "http_request_duration_seconds";
/// Gauge: requests in progress, by `service`.
pub(crate) const HTTP_IN_FLIGHT: &str = "http_requests_in_flight";
/// Counter: answered problems, by `service` and `type`.
pub(crate) const HTTP_PROBLEMS: &str = "http_problems_total";

/// Upper bounds of histograms whose name ends in `_seconds`.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds of histograms whose name ends in `_rows` or `_commands`: sizes of batches and groups.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0];

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("neither text nor json"),
        }
    }
}

/// Longest filter, in bytes.
const MAX_LEVEL_BYTES: usize = 1000;

/// The least level of log lines, or a filter.
#[derive(Debug, Clone)]
pub struct LogLevel(String);

/// The error of a text that is not a log level.
#[derive(Debug, thiserror::Error)]
pub enum NoLevel {
    /// The text has another form.
    #[error("neither a level nor a filter like info,http.request=warn: {0}")]
    Malformed(#[from] tracing_subscriber::filter::ParseError),
    /// The text is empty, too long or has characters that could forge a log line.
    #[error("has 1 to {MAX_LEVEL_BYTES} characters, of ASCII and printable")]
    Text,
    /// A directive names the target of audit lines.
    #[error("audit lines are always written: leave out {0}")]
    Audit(String),
}

impl std::str::FromStr for LogLevel {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if text.trim().is_empty() || text.len() > MAX_LEVEL_BYTES || !printable {
            return Err(NoLevel::Text);
        }
        EnvFilter::try_new(text)?;
        let of_audit = |directive: &&str| directive.split(['=', '[']).next() == Some(audit::TARGET);
        match text.split(',').map(str::trim).find(of_audit) {
            Some(directive) => Err(NoLevel::Audit(directive.to_owned())),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LogLevel {
    fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

/// The logs of the process. Their level can change.
#[derive(Debug)]
pub(crate) struct RunningLogs {
    filter: reload::Handle<EnvFilter, Registry>,
    level: RwLock<LogLevel>,
}

static RUNNING: OnceLock<RunningLogs> = OnceLock::new();

impl RunningLogs {
    /// The logs that [`start_logs`] started, if any.
    pub(crate) fn of_process() -> Option<&'static Self> {
        RUNNING.get()
    }

    /// The level in force.
    pub(crate) fn level(&self) -> LogLevel {
        self.level.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the level and returns the one before.
    ///
    /// # Errors
    /// If the logs are gone.
    pub(crate) fn change(&self, level: LogLevel) -> Result<LogLevel, reload::Error> {
        let mut now = self.level.write().unwrap_or_else(PoisonError::into_inner);
        self.filter.reload(level.filter())?;
        Ok(std::mem::replace(&mut *now, level))
    }
}

/// Sends the process's logs to standard error. Only the first call has an effect.
pub fn start_logs(format: LogFormat, level: &LogLevel) {
    let (lines, filter) = lines(format, level, std::io::stderr);
    match tracing_subscriber::registry().with(lines).try_init() {
        Ok(()) => {
            let running = RUNNING.set(RunningLogs { filter, level: RwLock::new(level.clone()) });
            debug_assert!(running.is_ok(), "the logs start once");
        }
        Err(error) => tracing::debug!(%error, "logs were started before"),
    }
}

/// Writes the lines of `level`, which the handle changes, and all audit lines.
fn lines<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(
    format: LogFormat,
    level: &LogLevel,
    writer: W,
) -> (Box<dyn Layer<Registry> + Send + Sync>, reload::Handle<EnvFilter, Registry>) {
    let (chosen, handle) = reload::Layer::new(level.filter());
    // A filter of its own: any directive in the level could be more specific than one for `audit` there.
    // With a second layer in its place, each line of a request would ask both filters.
    let audit = filter_fn(|line| line.target() == audit::TARGET).with_max_level_hint(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    (lines.with_filter(chosen.or(audit)).boxed(), handle)
}

/// The text of an error and its causes, for the log: JSON lines would show the error alone.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    anyhow::Chain::new(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The metrics of the process. Clones share them.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// The recorder of all metrics of the process. The first call installs it.
    ///
    /// # Errors
    /// If another recorder is installed.
    pub fn install() -> Result<Self, BuildError> {
        static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*installed {
            return Ok(Self(handle.clone()));
        }
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), SIZES)?
            .set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), SIZES)?
            .install_recorder()?;
        metrics::describe_counter!(HTTP_REQUESTS, "Answered requests by service, method, route and status.");
        metrics::describe_histogram!(
            HTTP_DURATION,
            metrics::Unit::Seconds,
            "Time until a request was answered."
        );
        metrics::describe_gauge!(HTTP_IN_FLIGHT, "Requests that are being answered.");
        metrics::describe_counter!(HTTP_PROBLEMS, "Problems answered, by their type.");
        Ok(Self(installed.insert(handle).clone()))
    }

    /// All metrics in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.0.render()
    }

    /// Folds the samples of histograms, so that they don't grow between scrapes. To be called every few seconds.
    pub(crate) fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_can_be_installed_twice_and_are_the_same() {
        let (one, other) = (Metrics::install().unwrap(), Metrics::install().unwrap());
        metrics::counter!("test_things_total").increment(3);
        metrics::histogram!("test_wait_seconds").record(0.004);
        assert!(one.render().contains("test_things_total 3"));
        assert!(other.render().contains("test_wait_seconds_bucket{le=\"0.005\"} 1"));
    }

    /// What is written of an audit line and another line.
    fn written(format: LogFormat, first: &LogLevel, then: &LogLevel) -> String {
        let text: &'static Mutex<Vec<u8>> = Box::leak(Box::default());
        let (lines, handle) = lines(format, first, move || text.make_writer());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            handle.reload(then.filter()).unwrap();
            audit::Act::begun("root", "change-log-level", "a service", None).ended("done");
            tracing::info!(actor = "root", "another line");
        });
        String::from_utf8(text.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_level_leaves_audit_lines_out() {
        let level = |text: &str| LogLevel(text.to_owned());
        for text in [
            "off",
            "error,audit=off",
            "info,audit[{actor}]=off",
            "[{actor}]=off",
            "off,audit[{actor,act,on}]=off",
        ] {
            for format in [LogFormat::Text, LogFormat::Json] {
                for (first, then) in [(text, text), ("info", text), (text, "off")] {
                    let written = written(format, &level(first), &level(then));
                    assert_eq!(written.matches("change-log-level").count(), 1, "{first}, {then}: {written}");
                }
            }
        }
        let both = written(LogFormat::Text, &level("off"), &level("info"));
        assert!(both.contains("change-log-level") && both.contains("another line"), "{both}");
        assert!(!written(LogFormat::Text, &level("info"), &level("warn")).contains("another line"));
    }

    #[test]
    fn a_directive_for_audit_lines_is_refused_and_named() {
        for directive in ["audit", "audit=off", "audit=info", "audit[{actor}]=off", "audit[x]"] {
            let refused = format!("info,{directive}").parse::<LogLevel>().unwrap_err();
            assert_eq!(refused.to_string(), format!("audit lines are always written: leave out {directive}"));
        }
        assert!("info,auditor=warn".parse::<LogLevel>().is_ok());
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        assert!("info,http.request=warn".parse::<LogLevel>().is_ok());
        assert!("a=b=c".parse::<LogLevel>().is_err());
        assert!("".parse::<LogLevel>().is_err());
        for other in ["a\nforged line", "a\u{85}b", "info,gr\u{fc}n=warn"] {
            assert!(other.parse::<LogLevel>().is_err(), "{other:?}");
        }
        assert!("x".repeat(1001).parse::<LogLevel>().is_err());
        assert!("loud".parse::<LogFormat>().is_err());
    }
}

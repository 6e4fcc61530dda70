//! The settings that both services have.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{Algorithms, Authenticator, TokenRules};
use crate::clock::Clock;
use crate::config::{CONFIG_FILE, Key, Settings};
use crate::jwks::{self, Jwks, Source};
use crate::telemetry::{LogFormat, LogLevel};
use crate::tls::{self, Authorities, CA_FILE};

/// Name of the setting with the address to listen on, which each service declares with its own default.
pub const LISTEN: &str = "LISTEN";

/// The settings that both services have, but for [`LISTEN`].
pub const KEYS: &[Key] = &[
    Key::optional(
        CONFIG_FILE,
        "A TOML file with settings, names in lower case; the environment wins over it.",
    ),
    Key::with_default("LOG_FORMAT", "text", "`text` or `json`, one line an entry, to standard error."),
    Key::with_default(
        "LOG_LEVEL",
        "info",
        "Least level of log lines, or a filter like `info,http.request=warn`.",
    ),
    Key::optional(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where traces go: an OTLP collector over HTTP, such as `http://collector:4318`. Without it there are none.",
    ),
    Key::with_default(
        "OTEL_TRACES_SAMPLER_ARG",
        "0.1",
        "Of requests that belong to no trace yet, the part that is traced, 0 to 1.",
    ),
    Key::optional(
        "ADMIN_LISTEN",
        "Address and port for `/metrics`, by plain HTTP, which is then not on LISTEN; `/health/...` is on both.",
    ),
    Key::optional(
        "TLS_CERT_FILE",
        "A PEM file with the certificate of LISTEN, and those between it and its authority: LISTEN then speaks HTTPS alone.",
    ),
    Key::optional("TLS_KEY_FILE", "A PEM file with the private key of TLS_CERT_FILE."),
    Key::optional(
        CA_FILE,
        "A PEM file with the authorities that sign the certificates of MySQL, Kafka, MongoDB, the feed and JWKS_URL, \
         instead of the public ones or beside them.",
    ),
    Key::with_default("HTTP_WORKERS", "0", "Threads that serve HTTP; 0 is one for each processor."),
    Key::with_default("REQUEST_TIMEOUT_SECONDS", "30", "Seconds in which a request is answered, 1 to 600."),
    Key::with_default("KEEP_ALIVE_SECONDS", "75", "Seconds that an idle connection is kept, 1 to 3600."),
    Key::with_default(
        "SLOW_CLIENT_SECONDS",
        "20",
        "Seconds that a client may take for the head of a request, for its body, or without taking any of the answer; then it is cut off. 1 to 600.",
    ),
    Key::with_default(
        "MAX_CONNECTIONS",
        "8192",
        "Connections at once; further ones wait until one of them closes. 1 to 1000000.",
    ),
    Key::with_default(
        "RATE_PER_SECOND",
        "1000",
        "Requests a second of one caller, twice as many after a pause; one more is answered 429. Of those that are not recognised, for each address. Administrators and services are not limited. 1 to 1000000.",
    ),
    Key::with_default(
        "SHUTDOWN_TIMEOUT_SECONDS",
        "20",
        "Seconds to finish what was begun at the end, 1 to 600.",
    ),
    Key::optional("JWKS_FILE", "A file with the public keys of tokens (JWKS)."),
    Key::optional("JWKS_URL", "A URL with the public keys of tokens (JWKS), in place of the file."),
    Key::with_default("JWT_ALGORITHMS", "EdDSA,ES256,RS256", "Algorithms that tokens may be signed with."),
    Key::optional("JWT_ISSUER", "The issuer (`iss`) that tokens must have."),
    Key::optional("JWT_AUDIENCE", "The audience (`aud`) that tokens must name."),
    Key::with_default("DEV_HEADERS", "false", "Trust the headers X-User and X-Roles; on loopback only."),
    Key::with_default("CLOCK_OFFSET_SECONDS", "0", "Seconds added to the system's time, for trials."),
];

/// The values of [`KEYS`] and [`LISTEN`].
#[derive(Debug, Clone)]
pub struct KitSettings {
    /// Shape of log lines.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_level: LogLevel,
    /// Where traces go.
    pub traces: Option<TraceSettings>,
    /// Seconds added to the system's time.
    pub clock_offset_seconds: i64,
    /// How long tasks get to finish at the end.
    pub shutdown_timeout: Duration,
    /// How HTTP is served.
    pub server: ServerSettings,
    /// Who is recognised.
    pub auth: AuthSettings,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// URL of an OTLP collector over HTTP, without the path of a signal.
    pub endpoint: String,
    /// The part of requests without a trace that is traced, 0 to 1.
    pub ratio: f64,
}

/// How HTTP is served.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Address to listen on; port 0 is any free one.
    pub listen: SocketAddr,
    /// Where metrics are answered, by plain HTTP; `None` is where everything else is.
    pub admin: Option<SocketAddr>,
    /// What HTTPS is spoken by; without it, HTTP is.
    pub tls: Option<rustls::ServerConfig>,
    /// Threads; 0 is one for each processor.
    pub workers: usize,
    /// In which a request is answered.
    pub request_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a client may take for a request's head, for its body, or without taking any of the answer.
    pub slow_client: Duration,
    /// Connections at once.
    pub max_connections: usize,
    /// Requests a second of one caller.
    pub rate_per_second: NonZeroU32,
    /// How long requests get to finish when the server stops.
    pub shutdown_timeout: Duration,
}

impl ServerSettings {
    /// The defaults, on the given address.
    #[must_use]
    pub fn on(listen: SocketAddr) -> Self {
        Self {
            listen,
            admin: None,
            tls: None,
            workers: 0,
            request_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            slow_client: Duration::from_secs(20),
            max_connections: 8192,
            rate_per_second: NonZeroU32::MIN.saturating_add(999),
            shutdown_timeout: Duration::from_secs(20),
        }
    }
}

/// Who is recognised.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// Where the public keys are.
    pub jwks: Option<Source>,
    /// Algorithms that tokens may be signed with.
    pub algorithms: Algorithms,
    /// What else tokens must say.
    pub rules: TokenRules,
    /// Whether the headers are trusted.
    pub dev_headers: bool,
    /// Who signs the certificate of a server that has the keys, beside the public authorities.
    pub authorities: Option<Authorities>,
}

impl AuthSettings {
    /// What recognises callers by these settings.
    ///
    /// # Errors
    ///
    /// When no HTTP client for the keys can be made.
    pub fn authenticator(&self, clock: Clock) -> Result<Authenticator, jwks::Error> {
        let authorities = self.authorities.as_ref();
        let jwks = self.jwks.clone().map(|source| Jwks::new(source, self.algorithms.clone(), authorities));
        let jwks = jwks.transpose()?;
        Ok(Authenticator::new(jwks, self.rules.clone(), self.dev_headers, clock))
    }
}

impl KitSettings {
    /// Reads them; `None` means that `settings` holds mistakes.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let log_format = settings.get("LOG_FORMAT");
        let log_level = settings.get("LOG_LEVEL");
        let traces = traces(settings);
        let clock_offset_seconds = settings.get("CLOCK_OFFSET_SECONDS");
        let listen: Option<SocketAddr> = settings.get(LISTEN);
        let admin: Option<SocketAddr> = settings.optional("ADMIN_LISTEN");
        if admin.is_some_and(|admin| admin.port() != 0 && Some(admin) == listen) {
            settings.mistake("ADMIN_LISTEN", "is LISTEN: leave it out to have everything there");
        }
        let tls = own_certificate(settings);
        let authorities = settings.optional(CA_FILE);
        let workers = settings.within("HTTP_WORKERS", 0, 1024);
        let request_timeout = seconds(settings, "REQUEST_TIMEOUT_SECONDS", 600);
        let keep_alive = seconds(settings, "KEEP_ALIVE_SECONDS", 3600);
        let slow_client = seconds(settings, "SLOW_CLIENT_SECONDS", 600);
        let max_connections = settings.within("MAX_CONNECTIONS", 1, 1_000_000);
        let rate_per_second = settings.within("RATE_PER_SECOND", 1, 1_000_000).and_then(NonZeroU32::new);
        let shutdown_timeout = seconds(settings, "SHUTDOWN_TIMEOUT_SECONDS", 600);
        let algorithms = settings.get("JWT_ALGORITHMS");
        let rules = TokenRules {
            issuer: settings.optional("JWT_ISSUER"),
            audience: settings.optional("JWT_AUDIENCE"),
        };
        let dev_headers: Option<bool> = settings.get("DEV_HEADERS");
        if dev_headers == Some(true) && listen.is_some_and(|listen| !listen.ip().is_loopback()) {
            settings.mistake("DEV_HEADERS", "anybody could be anyone: LISTEN must be a loopback address");
        }
        let jwks = source(settings, dev_headers);
        Some(Self {
            log_format: log_format?,
            log_level: log_level?,
            traces: traces?,
            clock_offset_seconds: clock_offset_seconds?,
            shutdown_timeout: shutdown_timeout?,
            server: ServerSettings {
                listen: listen?,
                admin,
                tls,
                workers: workers?,
                request_timeout: request_timeout?,
                keep_alive: keep_alive?,
                slow_client: slow_client?,
                max_connections: max_connections?,
                rate_per_second: rate_per_second?,
                shutdown_timeout: shutdown_timeout?,
            },
            auth: AuthSettings {
                jwks,
                algorithms: algorithms?,
                rules,
                dev_headers: dev_headers?,
                authorities,
            },
        })
    }
}

/// What HTTPS is spoken by, where it is asked for.
fn own_certificate(settings: &mut Settings) -> Option<rustls::ServerConfig> {
    let [certificate, key] = ["TLS_CERT_FILE", "TLS_KEY_FILE"].map(|name| settings.optional::<PathBuf>(name));
    match (certificate, key) {
        (None, None) => {}
        (Some(certificate), Some(key)) => match tls::server_config(&certificate, &key) {
            Ok(config) => return Some(config),
            Err(error) => settings.mistake("TLS_CERT_FILE", format!("with TLS_KEY_FILE: {error}")),
        },
        (Some(_), None) => settings.mistake("TLS_KEY_FILE", "is needed with TLS_CERT_FILE"),
        (None, Some(_)) => settings.mistake("TLS_CERT_FILE", "is needed with TLS_KEY_FILE"),
    }
    None
}

fn seconds(settings: &mut Settings, name: &str, most: u64) -> Option<Duration> {
    settings.within(name, 1, most).map(Duration::from_secs)
}

/// `None` means a mistake.
fn traces(settings: &mut Settings) -> Option<Option<TraceSettings>> {
    let endpoint: Option<String> = settings.optional("OTEL_EXPORTER_OTLP_ENDPOINT");
    let ratio = settings.within("OTEL_TRACES_SAMPLER_ARG", 0.0, 1.0);
    let Some(endpoint) = endpoint else { return Some(None) };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        settings.mistake("OTEL_EXPORTER_OTLP_ENDPOINT", "must begin with http:// or https://");
        return None;
    }
    Some(Some(TraceSettings { endpoint: endpoint.trim_end_matches('/').to_owned(), ratio: ratio? }))
}

fn source(settings: &mut Settings, dev_headers: Option<bool>) -> Option<Source> {
    let file: Option<PathBuf> = settings.optional("JWKS_FILE");
    let url: Option<String> = settings.optional("JWKS_URL");
    match (file, url) {
        (Some(_), Some(_)) => settings.mistake("JWKS_URL", "can't be set together with JWKS_FILE"),
        (Some(file), None) => return Some(Source::File(file)),
        (None, Some(url)) if url.starts_with("http://") || url.starts_with("https://") => {
            return Some(Source::Url(url));
        }
        (None, Some(_)) => settings.mistake("JWKS_URL", "must begin with http:// or https://"),
        (None, None) if dev_headers == Some(false) => {
            settings.mistake("JWKS_FILE", "is required, or JWKS_URL: without keys nobody is recognised");
        }
        (None, None) => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Mistakes;

    fn read(pairs: &[(&str, &str)]) -> Result<KitSettings, Mistakes> {
        let environment: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let keys = [KEYS, &[Key::with_default(LISTEN, "127.0.0.1:8081", "Address to listen on.")]].concat();
        let mut settings = Settings::from_parts(&keys, environment, "");
        let kit = KitSettings::read(&mut settings);
        settings.finish(|| kit)
    }

    fn mistaken(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut names: Vec<String> =
            read(pairs).unwrap_err().0.into_iter().map(|mistake| mistake.key).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_defaults_need_keys_alone() {
        assert_eq!(mistaken(&[]), ["JWKS_FILE"]);
        let settings = read(&[("JWKS_FILE", "/k/jwks.json")]).unwrap();
        assert_eq!(settings.auth.jwks, Some(Source::File("/k/jwks.json".into())));
        assert_eq!(settings.server.request_timeout, Duration::from_secs(30));
        assert!(!settings.auth.dev_headers);
    }

    #[test]
    fn headers_are_trusted_on_loopback_only() {
        assert!(read(&[("DEV_HEADERS", "true")]).unwrap().auth.dev_headers);
        assert_eq!(mistaken(&[("DEV_HEADERS", "true"), ("LISTEN", "0.0.0.0:8081")]), ["DEV_HEADERS"]);
    }

    #[test]
    fn certificates_that_can_not_be_used_are_mistakes() {
        let with = |pairs: &[(&str, &str)]| mistaken(&[&[("JWKS_FILE", "/k/jwks.json")], pairs].concat());
        assert_eq!(with(&[("TLS_CERT_FILE", "/nowhere/cert.pem")]), ["TLS_KEY_FILE"]);
        assert_eq!(with(&[("TLS_KEY_FILE", "/nowhere/key.pem")]), ["TLS_CERT_FILE"]);
        let both = [("TLS_CERT_FILE", "/nowhere/cert.pem"), ("TLS_KEY_FILE", "/nowhere/key.pem")];
        assert_eq!(with(&both), ["TLS_CERT_FILE"]);
        assert_eq!(with(&[("TLS_CA_FILE", "/nowhere/ca.pem")]), ["TLS_CA_FILE"]);
        assert_eq!(with(&[("ADMIN_LISTEN", "127.0.0.1:8081")]), ["ADMIN_LISTEN"]);
    }

    #[test]
    fn every_mistake_is_found() {
        let pairs = [
            ("LOG_FORMAT", "xml"),
            ("LOG_LEVEL", "a=b=c"),
            ("LISTEN", "8081"),
            ("KEEP_ALIVE_SECONDS", "0"),
            ("MAX_CONNECTIONS", "0"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
            ("RATE_PER_SECOND", "0"),
            ("SLOW_CLIENT_SECONDS", "0"),
            ("JWT_ALGORITHMS", "HS256"),
            ("DEV_HEADERS", "yes"),
            ("JWKS_FILE", "a"),
            ("JWKS_URL", "ftp://b"),
        ];
        let expected = [
            "DEV_HEADERS",
            "JWKS_URL",
            "JWT_ALGORITHMS",
            "KEEP_ALIVE_SECONDS",
            "LISTEN",
            "LOG_FORMAT",
            "LOG_LEVEL",
            "MAX_CONNECTIONS",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_TRACES_SAMPLER_ARG",
            "RATE_PER_SECOND",
            "SLOW_CLIENT_SECONDS",
        ];
        assert_eq!(mistaken(&pairs), expected);
    }
}

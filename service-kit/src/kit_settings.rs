//! The settings that both services have.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{Algorithms, Authenticator, ClaimNames, ClaimPath, TokenRules};
use crate::clock::Clock;
use crate::config::{self, Declaration, HttpUrl, Key, Need, Settings};
use crate::declare;
use crate::jwks::{self, Jwks, Source};
use crate::origins::Origins;
pub use crate::proxies::TrustedProxies;
use crate::telemetry::{LogFormat, LogLevel};
use crate::tls::{self, Authorities};

declare! {
    /// The settings that both services have.
    KEYS:
    /// Address to listen on.
    pub(crate) LISTEN: SocketAddr = Key::required();
    /// `text` or `json`: one line an entry, to standard error.
    pub LOG_FORMAT: LogFormat = Key::default("text");
    /// Least level of log lines, or a filter like `info,http.request=warn`.
    pub LOG_LEVEL: LogLevel = Key::default("info");
    /// Folder of the system's time zone database, such as `/usr/share/zoneinfo`, which is read at start. Without it, the rules are
    /// compiled in. All services need the same.
    pub TIME_ZONES: PathBuf = Key::optional();
    /// OTLP collector for traces, over HTTP, such as `http://collector:4318`. Without it, nothing is traced.
    OTEL_EXPORTER_OTLP_ENDPOINT: HttpUrl = Key::optional();
    /// Share of requests that are traced, of those without a trace.
    OTEL_TRACES_SAMPLER_ARG: f64 = Key::default("0.1").within(0, 1);
    /// Address for `/metrics` and the log level, by plain HTTP. `LISTEN` then has neither; both have `/health/...`.
    ADMIN_LISTEN: SocketAddr = Key::optional();
    /// PEM file with the certificate of `LISTEN` and its intermediates. `LISTEN` then speaks HTTPS only. When this file and
    /// that of the key change, new connections get the new certificate.
    pub(crate) TLS_CERT_FILE: PathBuf = Key::optional();
    /// PEM file with the private key of `TLS_CERT_FILE`.
    TLS_KEY_FILE: PathBuf = Key::optional();
    /// PEM file with the authorities of MySQL, Kafka, MongoDB, the feed and `JWKS_URL`. They replace or join the public ones.
    pub TLS_CA_FILE: Authorities = Key::optional();
    /// Threads for HTTP; 0 is one for each processor.
    HTTP_WORKERS: usize = Key::default("0").within(0, 1024);
    /// Deadline of a request in seconds.
    REQUEST_TIMEOUT_SECONDS: Duration = Key::seconds("30").within(1, 600);
    /// Seconds until an idle connection is closed.
    KEEP_ALIVE_SECONDS: Duration = Key::seconds("75").within(1, 3600);
    /// Seconds in which a client must send a request's head, send its body, or read some of the answer. Then the connection
    /// is closed.
    SLOW_CLIENT_SECONDS: Duration = Key::seconds("20").within(1, 600);
    /// Concurrent connections. Further ones wait until one closes.
    MAX_CONNECTIONS: usize = Key::default("8192").within(1, 1_000_000);
    /// Concurrent connections of one address. Further ones are refused. Trusted proxies have no limit.
    MAX_CONNECTIONS_PER_ADDRESS: usize = Key::default("2048").within(1, 1_000_000);
    /// Addresses and networks of proxies, separated by commas, such as `10.0.0.0/8`. Behind them, `Forwarded` or
    /// `X-Forwarded-For` names the client's address; a proxy must set one of them. From others they are ignored.
    TRUSTED_PROXIES: TrustedProxies = Key::optional();
    /// Requests a second of one caller, and twice as many after a pause. More get 429. Unknown callers count by address.
    /// Administrators and services have no limit.
    RATE_PER_SECOND: NonZeroU32 = Key::default("1000").within(1, 1_000_000);
    /// Origins of web pages that may use this service from a browser (CORS), separated by commas, such as
    /// `https://rooms.example`. Other pages can't read its answers.
    CORS_ORIGINS: Origins = Key::optional();
    /// Seconds for work in progress at shutdown.
    SHUTDOWN_TIMEOUT_SECONDS: Duration = Key::seconds("20").within(1, 600);
    /// File with the public keys of tokens (JWKS).
    JWKS_FILE: PathBuf = Key::optional();
    /// URL of the public keys of tokens (JWKS), in place of the file.
    JWKS_URL: HttpUrl = Key::optional();
    /// Accepted signature algorithms of tokens.
    JWT_ALGORITHMS: Algorithms = Key::default("EdDSA,ES256,RS256");
    /// Required issuer (`iss`) of tokens.
    JWT_ISSUER: String = Key::optional();
    /// Required audience (`aud`) of tokens.
    JWT_AUDIENCE: String = Key::optional();
    /// The claim of tokens that names the user: a name, or a path such as `profile.login`. It must never change for a person,
    /// and users must not set it themselves.
    JWT_USER_CLAIM: ClaimPath = Key::default("sub");
    /// The claim of roles, such as `realm_access.roles`: a text (one role), a list of texts, or null. In `scope` and `scp`, a
    /// text is a list with spaces.
    JWT_ROLES_CLAIM: ClaimPath = Key::default("roles");
    /// The claim of the e-mail address. It counts if `email_verified` is true.
    JWT_EMAIL_CLAIM: ClaimPath = Key::default("email");
    /// Trust the headers `X-User`, `X-Roles` and `X-Email`; on loopback only.
    DEV_HEADERS: bool = Key::default("false");
    /// Seconds added to the system's time, for tests.
    CLOCK_OFFSET_SECONDS: i64 = Key::default("0");
}

/// All settings of a program: its own and those of both services. `defaults` replaces declared defaults.
#[must_use]
pub fn all(own: &[&[Declaration]], defaults: &[(&str, &'static str)]) -> Vec<Declaration> {
    let mut all = [own.concat(), KEYS.to_vec(), config::KEYS.to_vec()].concat();
    for (name, value) in defaults {
        let with_this_name = all.iter_mut().filter(|setting| setting.name == *name);
        with_this_name.for_each(|setting| setting.need = Need::Default(value));
    }
    all
}

/// The values of the settings that both services have.
#[derive(Debug, Clone)]
pub struct KitSettings {
    /// Format of log lines.
    pub log_format: LogFormat,
    /// Level or filter of log lines.
    pub log_level: LogLevel,
    /// The collector of traces, if there is one.
    pub traces: Option<TraceSettings>,
    /// Seconds added to the system's time.
    pub clock_offset_seconds: i64,
    /// The HTTP server.
    pub server: ServerSettings,
    /// Authentication of callers.
    pub auth: AuthSettings,
}

/// Settings for traces.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// URL of an OTLP collector over HTTP, without `/v1/traces`.
    pub endpoint: String,
    /// The share of requests without a trace that is traced, 0 to 1.
    pub ratio: f64,
}

/// Settings of the HTTP server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Address to listen on; port 0 is any free one.
    pub listen: SocketAddr,
    /// Address for metrics and the log level, by plain HTTP. `None`: they are on `listen`.
    pub admin: Option<SocketAddr>,
    /// The certificate and key for HTTPS. `None`: the server speaks HTTP.
    pub tls: Option<rustls::ServerConfig>,
    /// Threads; 0 is one for each processor.
    pub workers: usize,
    /// Deadline of a request.
    pub request_timeout: Duration,
    /// Longest life of an idle connection.
    pub keep_alive: Duration,
    /// Longest time for a request's head, for its body, or without the client reading any of the answer.
    pub slow_client: Duration,
    /// Most concurrent connections.
    pub max_connections: usize,
    /// Most concurrent connections of one address that is not a trusted proxy's.
    pub max_connections_per_address: usize,
    /// The proxies that name the addresses of clients.
    pub trusted_proxies: TrustedProxies,
    /// Most requests a second of one caller.
    pub rate_per_second: NonZeroU32,
    /// Origins of pages that may use the service from a browser.
    pub origins: Origins,
    /// Longest time in which requests and tasks finish when the process ends.
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
            max_connections_per_address: 2048,
            trusted_proxies: TrustedProxies::default(),
            rate_per_second: NonZeroU32::MIN.saturating_add(999),
            origins: Origins::default(),
            shutdown_timeout: Duration::from_secs(20),
        }
    }
}

/// Settings for authentication.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// The place of the public keys.
    pub jwks: Option<Source>,
    /// Accepted signature algorithms.
    pub algorithms: Algorithms,
    /// Required issuer and audience.
    pub rules: TokenRules,
    /// Whether the development headers are trusted.
    pub dev_headers: bool,
    /// Authorities for the server of the keys, beside the public ones.
    pub authorities: Option<Authorities>,
}

impl AuthSettings {
    /// The authenticator of these settings.
    ///
    /// # Errors
    /// If no HTTP client for the keys can be made.
    pub fn authenticator(&self, clock: Clock) -> Result<Authenticator, jwks::Error> {
        let authorities = self.authorities.as_ref();
        let jwks = self.jwks.clone().map(|source| Jwks::new(source, self.algorithms.clone(), authorities));
        let jwks = jwks.transpose()?;
        Ok(Authenticator::new(jwks, self.rules.clone(), self.dev_headers, clock))
    }
}

impl KitSettings {
    /// Reads the settings. `None` means that `settings` holds mistakes.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let log_format = settings.read(&LOG_FORMAT);
        let log_level = settings.read(&LOG_LEVEL);
        let traces = TraceSettings::read(settings);
        let clock_offset_seconds = settings.read(&CLOCK_OFFSET_SECONDS);
        let server = ServerSettings::read(settings);
        let auth = AuthSettings::read(settings);
        let (server, auth) = (server?, auth?);
        if auth.dev_headers && !server.listen.ip().is_loopback() {
            settings
                .mistake(&DEV_HEADERS, "needs LISTEN on a loopback address: a header can claim to be anyone");
        }
        Some(Self {
            log_format: log_format?,
            log_level: log_level?,
            traces,
            clock_offset_seconds: clock_offset_seconds?,
            server,
            auth,
        })
    }
}

impl TraceSettings {
    fn read(settings: &mut Settings) -> Option<Self> {
        let ratio = settings.read(&OTEL_TRACES_SAMPLER_ARG);
        let HttpUrl(endpoint) = settings.read(&OTEL_EXPORTER_OTLP_ENDPOINT)?;
        Some(Self { endpoint: endpoint.as_str().trim_end_matches('/').to_owned(), ratio: ratio? })
    }
}

impl ServerSettings {
    fn read(settings: &mut Settings) -> Option<Self> {
        let listen = settings.read(&LISTEN);
        let admin = settings.read(&ADMIN_LISTEN);
        if admin.is_some_and(|admin| admin.port() != 0 && Some(admin) == listen) {
            settings.mistake(
                &ADMIN_LISTEN,
                "is the same as LISTEN: leave it out for metrics and the log level on LISTEN",
            );
        }
        let tls = own_certificate(settings);
        let workers = settings.read(&HTTP_WORKERS);
        let request_timeout = settings.read(&REQUEST_TIMEOUT_SECONDS);
        let keep_alive = settings.read(&KEEP_ALIVE_SECONDS);
        let slow_client = settings.read(&SLOW_CLIENT_SECONDS);
        let max_connections = settings.read(&MAX_CONNECTIONS);
        let max_connections_per_address = settings.read(&MAX_CONNECTIONS_PER_ADDRESS);
        let trusted_proxies = settings.read(&TRUSTED_PROXIES).unwrap_or_default();
        let rate_per_second = settings.read(&RATE_PER_SECOND);
        let origins = settings.read(&CORS_ORIGINS).unwrap_or_default();
        let shutdown_timeout = settings.read(&SHUTDOWN_TIMEOUT_SECONDS);
        Some(Self {
            listen: listen?,
            admin,
            tls,
            workers: workers?,
            request_timeout: request_timeout?,
            keep_alive: keep_alive?,
            slow_client: slow_client?,
            max_connections: max_connections?,
            max_connections_per_address: max_connections_per_address?,
            trusted_proxies,
            rate_per_second: rate_per_second?,
            origins,
            shutdown_timeout: shutdown_timeout?,
        })
    }
}

impl AuthSettings {
    fn read(settings: &mut Settings) -> Option<Self> {
        let algorithms = settings.read(&JWT_ALGORITHMS);
        let (issuer, audience) = (settings.read(&JWT_ISSUER), settings.read(&JWT_AUDIENCE));
        let (user, roles) = (settings.read(&JWT_USER_CLAIM), settings.read(&JWT_ROLES_CLAIM));
        let email = settings.read(&JWT_EMAIL_CLAIM);
        let dev_headers = settings.read(&DEV_HEADERS);
        let jwks = match (settings.read(&JWKS_FILE), settings.read(&JWKS_URL)) {
            (Some(_), Some(_)) => {
                settings.mistake(&JWKS_URL, "can't be set together with JWKS_FILE");
                None
            }
            (Some(file), None) => Some(Source::File(file)),
            (None, Some(HttpUrl(url))) => Some(Source::Url(url.into())),
            (None, None) => {
                if dev_headers == Some(false) {
                    let problem = "or JWKS_URL is required: tokens need public keys";
                    settings.mistake(&JWKS_FILE, problem);
                }
                None
            }
        };
        let authorities = settings.read(&TLS_CA_FILE);
        let (algorithms, dev_headers) = (algorithms?, dev_headers?);
        let claims = ClaimNames { user: user?, roles: roles?, email: email? };
        let rules = TokenRules { issuer, audience, claims };
        Some(Self { jwks, algorithms, rules, dev_headers, authorities })
    }
}

/// The certificate and key for HTTPS, if they are set.
fn own_certificate(settings: &mut Settings) -> Option<rustls::ServerConfig> {
    match (settings.read(&TLS_CERT_FILE), settings.read(&TLS_KEY_FILE)) {
        (None, None) => {}
        (Some(certificate), Some(key)) => match tls::server_config(&certificate, &key) {
            Ok(config) => return Some(config),
            Err(error) => settings.mistake(&TLS_CERT_FILE, format!("with TLS_KEY_FILE: {error}")),
        },
        (Some(_), None) => settings.mistake(&TLS_KEY_FILE, "is needed with TLS_CERT_FILE"),
        (None, Some(_)) => settings.mistake(&TLS_CERT_FILE, "is needed with TLS_KEY_FILE"),
    }
    None
}

#[cfg(test)]
mod tests;

//! The service's settings.

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use service_kit::{
    abort_point::AbortPoint,
    brokers::{self, Brokers},
    config::{Declaration, HttpUrl, Key, Mistakes, Need, Secret, Settings},
    declare,
    kit_settings::{self, KitSettings, TLS_CA_FILE},
    tls::Authorities,
};
use shared_events::topics::EVENTS_TOPIC;

use crate::{
    calendars::mongo::MongoCalendars,
    feed::{Credentials, HttpFeed},
    kafka::KafkaSettings,
    notifications::{
        self, MailServer, Post, Sender,
        mongo::{Keys, MongoNotifications},
    },
    page::{self, Page, SignIn},
    projector::{
        BEFORE_OFFSET, Bounds, Limits,
        watchdog::{self, WATCHDOG_SECONDS},
    },
    rebuild,
    stores::{
        StoreError,
        mongo::{Connection, MongoSettings},
    },
};

declare! {
    /// The settings of this service alone.
    KEYS:
    /// The read models, as a MongoDB connection string. Without `tls=`, servers on other machines are reached by TLS,
    /// their certificates and names verified; `tls=false` is without. Each thread that answers queries (one for each
    /// processor) has a pool of its own beside the projector's; `maxPoolSize` (64) bounds each.
    MONGODB_URL: SecretString = Key::secret(Need::Required);
    /// The database of the read models.
    MONGODB_DATABASE: String = Key::default("room_reservations");
    /// The topic of events.
    KAFKA_TOPIC: String = Key::default(EVENTS_TOPIC);
    /// Partitions that events are in, as in the command service's settings. The topic must have at least as many.
    KAFKA_PARTITIONS: i32 = Key::default("4").within(1, 10_000);
    /// The consumer group that shares the partitions.
    KAFKA_GROUP: String = Key::default("query-service");
    /// The topic of notices, `reservations.changes`, which the service then writes and creates if it is missing. Without it, no
    /// notices are written.
    KAFKA_NOTICES_TOPIC: String = Key::optional();
    /// Milliseconds after which others take over the partitions of an instance that died.
    KAFKA_SESSION_TIMEOUT_MS: Duration = Key::milliseconds("6000").within(6_000, 300_000);
    /// The command service, whose feed fills gaps.
    FEED_URL: HttpUrl = Key::default("http://127.0.0.1:8081");
    /// A token with the role `service` for the feed. The command `erase` needs one that also has the role `eraser`. Each request
    /// reads its file, so a new token needs no restart.
    FEED_TOKEN: SecretString = Key::secret(Need::Optional);
    /// Seconds in which the feed answers.
    FEED_TIMEOUT_SECONDS: Duration = Key::seconds("3").within(1, 60);
    /// Most events written at once.
    BATCH_ROWS: usize = Key::default("10000").within(1, 50_000);
    /// Most clients with a live stream (`GET /v1/events`). More get 503. Each holds a connection.
    LIVE_STREAMS: usize = Key::default("4096").within(1, 1_000_000);
    /// The command service as browsers reach it, such as `https://rooms.example/commands`. With it, `/` is the page for people;
    /// the command service's `CORS_ORIGINS` must name the page's origin if that is another one.
    PAGE_COMMANDS_URL: HttpUrl = Key::optional();
    /// The database of calendars' secrets, subscriptions and their deliveries.
    NOTIFY_DATABASE: String = Key::default("room_reservations_notify");
    /// Keys that encrypt the addresses and secrets of subscriptions: 32 bytes in base64 each, separated by commas. The first
    /// one encrypts; the others still decrypt. Without it, the service has no subscriptions.
    NOTIFY_KEY: SecretString = Key::secret(Need::Optional);
    /// The consumer group of the command `notify`.
    NOTIFY_GROUP: String = Key::default("query-service-notify");
    /// Seconds in which the endpoint of a webhook answers.
    WEBHOOK_TIMEOUT_SECONDS: Duration = Key::seconds("15").within(1, 30);
    /// The sender of mails: an address, or `Name <address>`. Without it, there are no subscriptions by e-mail.
    MAIL_FROM: Sender = Key::optional();
    /// The mail server of the command `notify`: `smtps://USER:PASSWORD@HOST` is TLS, `smtp://USER:PASSWORD@HOST` is STARTTLS,
    /// which must succeed. A server on this machine is used without TLS unless `?tls=true` is given, others with `?tls=false`.
    SMTP_URL: SecretString = Key::secret(Need::Optional);
    /// For development: `true` allows endpoints on this machine, by plain HTTP too.
    WEBHOOK_LOOPBACK: bool = Key::default("false");
    /// For tests: the process aborts there, at `after-write-before-offset`; or a rebuild does, at `rebuild-before-filling`,
    /// `rebuild-filled`, `rebuild-following`, `rebuild-before-flip` or `rebuild-after-flip`; or `notify` does, at
    /// `notify-filed-before-offset`, `notify-claimed-before-sending`, `notify-sent-before-recording` or
    /// `notify-recorded-before-release`.
    FAIL_POINT: String = Key::optional();
}

/// The declarations of all settings.
#[must_use]
pub fn keys() -> Vec<Declaration> {
    kit_settings::all(&[KEYS, page::KEYS, watchdog::KEYS, brokers::KEYS], &[("LISTEN", "127.0.0.1:8082")])
}

/// The service's settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Settings that both services have.
    pub kit: KitSettings,
    /// Connection to the read models.
    pub mongo: MongoSettings,
    /// The source of events.
    pub kafka: KafkaSettings,
    feed_url: Url,
    feed_token: Option<Secret>,
    feed_timeout: Duration,
    authorities: Option<Authorities>,
    /// Bounds of the projector's work.
    pub limits: Limits,
    /// The pause between two comparisons of heads.
    pub watchdog: Duration,
    /// Most live streams.
    pub streams: usize,
    /// The page for people, if there is one.
    pub page: Option<Page>,
    /// Notifications.
    pub notify: NotifySettings,
}

/// The settings of notifications.
#[derive(Debug, Clone)]
pub struct NotifySettings {
    database: String,
    /// The keys of addresses and secrets, if there are notifications.
    pub keys: Option<Keys>,
    group: String,
    /// The time in which an endpoint answers.
    pub timeout: Duration,
    /// The sender of mails, if there are any.
    pub sender: Option<Sender>,
    server: Option<MailServer>,
    /// Whether endpoints on this machine are allowed.
    pub loopback: bool,
}

impl Config {
    /// The command service's feed over HTTP.
    ///
    /// # Errors
    /// When the HTTP client can't be made.
    pub fn feed(&self) -> anyhow::Result<HttpFeed> {
        let credentials = self.feed_token.clone().map_or(Credentials::Header, Credentials::Token);
        Ok(HttpFeed::new(&self.feed_url, credentials, self.feed_timeout, self.authorities.as_ref())?)
    }

    /// Subscriptions with their deliveries, and calendars, over one pool: both are in `NOTIFY_DATABASE`. Without a key
    /// subscriptions can be erased, and nothing else; calendars need none.
    ///
    /// # Errors
    /// When `MONGODB_URL` is no address.
    pub async fn notify_database(&self) -> Result<(MongoNotifications, MongoCalendars), StoreError> {
        let database = self.notify.database.clone();
        let connection = Connection::open(&MongoSettings { database, ..self.mongo.clone() }).await?;
        let keys = self.notify.keys.clone().unwrap_or_default();
        Ok((MongoNotifications::over(&connection, keys), MongoCalendars::over(&connection)))
    }

    /// How the command `notify` sends mails, if it does.
    ///
    /// # Errors
    /// When there is a sender and no server.
    pub fn post(&self) -> anyhow::Result<Option<Post>> {
        let Some(sender) = self.notify.sender.clone() else { return Ok(None) };
        let server = self.notify.server.clone();
        let server =
            server.ok_or_else(|| anyhow::anyhow!("SMTP_URL: required by notify beside MAIL_FROM"))?;
        Ok(Some(Post { server, sender }))
    }

    /// The source of events for the command `notify`.
    #[must_use]
    pub fn notify_kafka(&self) -> KafkaSettings {
        KafkaSettings { group: self.notify.group.clone(), ..self.kafka.clone() }
    }

    /// Reads settings that [`keys`] declares.
    ///
    /// # Errors
    /// All mistakes, at once.
    pub fn read(mut settings: Settings) -> Result<Self, Mistakes> {
        let kit = KitSettings::read(&mut settings);
        let mongodb_url = settings.read(&MONGODB_URL);
        let mongodb_database = settings.read(&MONGODB_DATABASE);
        let authorities = settings.read(&TLS_CA_FILE);
        let brokers = Brokers::read(&mut settings);
        let topic = settings.read(&KAFKA_TOPIC);
        let partitions = settings.read(&KAFKA_PARTITIONS);
        let group = settings.read(&KAFKA_GROUP);
        let notices = settings.read(&KAFKA_NOTICES_TOPIC);
        let session_timeout = settings.read(&KAFKA_SESSION_TIMEOUT_MS);
        let feed_url = settings.read(&FEED_URL);
        let feed_token = settings.read_secret(&FEED_TOKEN);
        let feed_timeout = settings.read(&FEED_TIMEOUT_SECONDS);
        let rows = settings.read(&BATCH_ROWS);
        let watchdog = settings.read(&WATCHDOG_SECONDS);
        let streams = settings.read(&LIVE_STREAMS);
        let commands = settings.read(&PAGE_COMMANDS_URL);
        let sign_in = kit.as_ref().and_then(|kit| SignIn::read(&mut settings, &kit.auth));
        let page = commands.zip(sign_in).map(|(HttpUrl(commands), sign_in)| Page { commands, sign_in });
        let notify_database = settings.read(&NOTIFY_DATABASE);
        let notify_keys = settings.read(&NOTIFY_KEY).map(|text| text.expose_secret().parse::<Keys>());
        if let Some(Err(mistake)) = &notify_keys {
            settings.mistake(&NOTIFY_KEY, (*mistake).to_owned());
        }
        let notify_group = settings.read(&NOTIFY_GROUP);
        let webhook_timeout = settings.read(&WEBHOOK_TIMEOUT_SECONDS);
        let webhook_loopback = settings.read(&WEBHOOK_LOOPBACK);
        let sender = settings.read(&MAIL_FROM);
        let server =
            settings.read(&SMTP_URL).map(|url| MailServer::read(url.expose_secret(), authorities.as_ref()));
        if let Some(Err(mistake)) = &server {
            settings.mistake(&SMTP_URL, mistake.to_string());
        }
        let points =
            [&[BEFORE_OFFSET], rebuild::ABORT_POINTS.as_slice(), notifications::ABORT_POINTS.as_slice()]
                .concat();
        let abort_at = AbortPoint::read(&mut settings, &FAIL_POINT, &points);
        settings.finish(|| {
            let defaults = Limits::default();
            let rows = rows?;
            Some(Self {
                kit: kit?,
                mongo: MongoSettings {
                    url: mongodb_url?,
                    database: mongodb_database?,
                    authorities: authorities.clone(),
                },
                kafka: KafkaSettings {
                    brokers: brokers?,
                    topic: topic?,
                    partitions: partitions?,
                    group: group?,
                    session_timeout: session_timeout?,
                    notices,
                },
                feed_url: feed_url?.0,
                feed_token,
                feed_timeout: feed_timeout?,
                authorities,
                limits: Limits {
                    batch: Bounds { rows, ..defaults.batch },
                    inbox: Bounds { rows: defaults.inbox.rows.max(rows * 2), ..defaults.inbox },
                    abort_at,
                },
                watchdog: watchdog?,
                streams: streams?,
                page,
                notify: NotifySettings {
                    database: notify_database?,
                    keys: notify_keys.and_then(Result::ok),
                    group: notify_group?,
                    timeout: webhook_timeout?,
                    sender,
                    server: server.and_then(Result::ok),
                    loopback: webhook_loopback?,
                },
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Mistakes> {
        Config::read(Settings::from_variables(keys(), pairs.iter().copied()))
    }

    const NEEDED: [(&str, &str); 3] =
        [("MONGODB_URL", "mongodb://u:hunter2@h/"), ("KAFKA_BROKERS", "h:9092"), ("JWKS_FILE", "jwks.json")];

    #[test]
    fn three_settings_are_required_and_all_mistakes_are_reported_at_once() {
        let config = read(&NEEDED).unwrap();
        assert_eq!(config.kit.server.listen, "127.0.0.1:8082".parse().unwrap());
        assert_eq!(config.kafka.partitions, shared_events::topics::DEFAULT_PARTITIONS);
        assert!(!format!("{config:?}").contains("hunter2"));
        let pairs = [
            ("FEED_URL", "ftp://h"),
            ("BATCH_ROWS", "0"),
            ("KAFKA_SESSION_TIMEOUT_MS", "1"),
            ("FAIL_POINT", "nowhere"),
        ];
        let mut wrong: Vec<String> =
            read(&pairs).unwrap_err().0.into_iter().map(|mistake| mistake.key).collect();
        wrong.sort_unstable();
        let expected = [
            "BATCH_ROWS",
            "FAIL_POINT",
            "FEED_URL",
            "JWKS_FILE",
            "KAFKA_BROKERS",
            "KAFKA_SESSION_TIMEOUT_MS",
            "MONGODB_URL",
        ];
        assert_eq!(wrong, expected);
    }

    #[test]
    fn the_readme_lists_every_setting() {
        let readme = include_str!("../README.md");
        let table = service_kit::config::markdown_table(&keys());
        assert!(readme.contains(&table), "the table of settings should be:\n{table}");
    }
}

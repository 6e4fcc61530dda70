//! The service's settings.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;
use secrecy::SecretString;
use service_kit::{
    brokers::{self, Brokers},
    clock::Clock,
    config::{Key, Mistakes, Settings},
    dev_key::{self, DevKey},
    kit_settings::{self, KitSettings, LISTEN},
    tls::{Authorities, CA_FILE},
};
use shared_events::topics::EVENTS_TOPIC;

use crate::{
    feed::{Credentials, HttpFeed},
    kafka::KafkaSettings,
    projector::{Bounds, FailPoint, Limits},
    stores::mongo::MongoSettings,
};

/// The settings of this service alone; those of both services are in [`kit_settings::KEYS`].
pub const KEYS: &[Key] = &[
    Key::with_default(LISTEN, "127.0.0.1:8082", "Address and port to answer queries on."),
    Key::required(
        "MONGODB_URL",
        "Where the read models are, as a MongoDB connection string. Without `tls=`, servers on other machines are reached \
         by TLS, their certificates and names verified; `tls=false` is without. Each thread that answers queries (one \
         for each processor) has a pool of its own beside the projector's; `maxPoolSize` (64) bounds each.",
    )
    .secret(),
    Key::with_default("MONGODB_DATABASE", "room_reservations", "The database of the read models."),
    Key::with_default("KAFKA_TOPIC", EVENTS_TOPIC, "The topic of events."),
    Key::with_default("KAFKA_GROUP", "query-service", "The consumer group that shares the partitions."),
    Key::with_default(
        "KAFKA_SESSION_TIMEOUT_MS",
        "6000",
        "Milliseconds after which others take over the partitions of an instance that died, 6000 to 300000.",
    ),
    Key::with_default("FEED_URL", "http://127.0.0.1:8081", "The command service, whose feed fills gaps."),
    Key::optional("FEED_TOKEN", "A token with the role `service` for the feed.").secret(),
    Key::optional(
        "FEED_KEY_DIR",
        "Folder of the development key, with which the service signs itself tokens for the feed.",
    ),
    Key::with_default("FEED_TIMEOUT_SECONDS", "3", "Seconds in which the feed answers, 1 to 60."),
    Key::with_default("BATCH_ROWS", "10000", "Most events that are written at once, 1 to 50000."),
    Key::with_default(
        "WATCHDOG_SECONDS",
        "30",
        "Seconds between two comparisons of the feed's heads with what is written, 1 to 86400.",
    ),
    Key::optional(
        "FAIL_POINT",
        "For tests: `after-write-before-offset` ends the process there, as a crash would.",
    ),
];

/// All settings, as they are declared.
#[must_use]
pub fn keys() -> Vec<Key> {
    [KEYS, brokers::KEYS, kit_settings::KEYS].concat()
}

/// What the service was told.
#[derive(Debug, Clone)]
pub struct Config {
    /// What both services are told.
    pub kit: KitSettings,
    /// Where the read models are.
    pub mongo: MongoSettings,
    /// Where events come from.
    pub kafka: KafkaSettings,
    /// The command service.
    pub feed_url: Url,
    /// How this service shows who it is.
    pub feed_identity: FeedIdentity,
    /// In which the feed answers.
    pub feed_timeout: Duration,
    /// Who signs the feed's certificate, beside the public authorities.
    pub authorities: Option<Authorities>,
    /// How much is worked on at once.
    pub limits: Limits,
    /// Between two comparisons of heads.
    pub watchdog: Duration,
}

/// How this service shows the feed who it is.
#[derive(Debug, Clone)]
pub enum FeedIdentity {
    /// With a token.
    Token(SecretString),
    /// With tokens that it signs with the development key in this folder.
    Key(PathBuf),
    /// With the development header, where the feed trusts it.
    Header,
}

impl FeedIdentity {
    /// What the feed's client shows.
    ///
    /// # Errors
    /// When the development key can't be read or made.
    pub fn credentials(&self, clock: Clock) -> Result<Credentials, dev_key::Error> {
        Ok(match self {
            Self::Header => Credentials::Header,
            Self::Token(token) => Credentials::Token(token.clone()),
            Self::Key(folder) => {
                let key = DevKey::ensure(folder)?;
                Credentials::Signed(Box::new(move || {
                    let token = key.token("query-service", &["service"], 1, &clock);
                    token.map(SecretString::from).map_err(|error| error.to_string())
                }))
            }
        })
    }
}

impl Config {
    /// The command service's feed over HTTP.
    ///
    /// # Errors
    /// When there are no credentials for it, or no HTTP client can be made.
    pub fn feed(&self, clock: Clock) -> anyhow::Result<HttpFeed> {
        let credentials = self.feed_identity.credentials(clock)?;
        Ok(HttpFeed::new(&self.feed_url, credentials, self.feed_timeout, self.authorities.as_ref())?)
    }

    /// Reads settings that were declared with [`keys`].
    ///
    /// # Errors
    /// All mistakes.
    pub fn read(mut settings: Settings) -> Result<Self, Mistakes> {
        let kit = KitSettings::read(&mut settings);
        let mongodb_url = settings.secret("MONGODB_URL");
        let mongodb_database = settings.get("MONGODB_DATABASE");
        let authorities: Option<Authorities> = settings.optional(CA_FILE);
        let brokers = Brokers::read(&mut settings);
        let topic = settings.get("KAFKA_TOPIC");
        let group = settings.get("KAFKA_GROUP");
        let session_timeout = settings.within("KAFKA_SESSION_TIMEOUT_MS", 6_000, 300_000);
        let feed_url: Option<Url> = settings.get("FEED_URL");
        if feed_url.as_ref().is_some_and(|url| !matches!(url.scheme(), "http" | "https")) {
            settings.mistake("FEED_URL", "must begin with http:// or https://");
        }
        let feed_identity = match (settings.optional_secret("FEED_TOKEN"), settings.optional("FEED_KEY_DIR"))
        {
            (Some(_), Some(_)) => {
                settings.mistake("FEED_KEY_DIR", "can't be set together with FEED_TOKEN");
                None
            }
            (Some(token), None) => Some(FeedIdentity::Token(token)),
            (None, Some(folder)) => Some(FeedIdentity::Key(folder)),
            (None, None) => Some(FeedIdentity::Header),
        };
        let feed_timeout = settings.within("FEED_TIMEOUT_SECONDS", 1, 60).map(Duration::from_secs);
        let rows = settings.within("BATCH_ROWS", 1_usize, 50_000);
        let watchdog = settings.within("WATCHDOG_SECONDS", 1, 86_400).map(Duration::from_secs);
        let fail_point: Option<FailPoint> = settings.optional("FAIL_POINT");
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
                    group: group?,
                    session_timeout: Duration::from_millis(session_timeout?),
                },
                feed_url: feed_url?,
                feed_identity: feed_identity?,
                feed_timeout: feed_timeout?,
                authorities,
                limits: Limits {
                    batch: Bounds { rows, ..defaults.batch },
                    inbox: Bounds { rows: defaults.inbox.rows.max(rows * 2), ..defaults.inbox },
                    fail_point,
                },
                watchdog: watchdog?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Mistakes> {
        let environment: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::read(Settings::from_parts(&keys(), environment, ""))
    }

    const NEEDED: [(&str, &str); 3] =
        [("MONGODB_URL", "mongodb://u:hunter2@h/"), ("KAFKA_BROKERS", "h:9092"), ("JWKS_FILE", "jwks.json")];

    #[test]
    fn three_settings_are_needed_and_all_mistakes_are_reported_at_once() {
        let config = read(&NEEDED).unwrap();
        assert_eq!(config.kit.server.listen, "127.0.0.1:8082".parse().unwrap());
        assert!(!format!("{config:?}").contains("hunter2"));
        let pairs = [("FEED_URL", "ftp://h"), ("BATCH_ROWS", "0"), ("KAFKA_SESSION_TIMEOUT_MS", "1")];
        let mut wrong: Vec<String> =
            read(&pairs).unwrap_err().0.into_iter().map(|mistake| mistake.key).collect();
        wrong.sort_unstable();
        let expected = [
            "BATCH_ROWS",
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

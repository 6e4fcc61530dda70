//! The settings of this service, from the environment and an optional TOML file.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use service_kit::{
    brokers::{self, Brokers},
    config::{Key, Mistakes, Settings},
    ids::new_id,
    kit_settings::{self, KitSettings, LISTEN},
    tls::{Authorities, CA_FILE},
};

use crate::{
    kafka::KafkaOptions,
    outbox::{LeaseOptions, RelayOptions},
    writer,
};

/// The setting with the event store's URL.
const MYSQL_URL: &str = "MYSQL_URL";

/// The settings that only this service has.
const KEYS: &[Key] = &[
    Key::with_default(LISTEN, "127.0.0.1:8081", "Address to listen on."),
    Key::required(
        MYSQL_URL,
        "The event store: `mysql://user:password@host:port/database`. Without `?ssl-mode=`, one on another machine is \
         reached by TLS, its certificate and name verified (`VERIFY_IDENTITY`); `DISABLED` is without TLS.",
    )
    .secret(),
    Key::with_default("MYSQL_CONNECTIONS", "8", "Connections beside the writer's own, 1 to 100."),
    Key::with_default(
        "KAFKA_TOPIC",
        "reservations.events",
        "The topic of all events; made where it is missing.",
    ),
    Key::with_default("KAFKA_PARTITIONS", "4", "Partitions of the topic; one that exists must have as many."),
    Key::with_default("KAFKA_REPLICATION", "1", "Replicas of the topic where it is made."),
    Key::with_default(
        "KAFKA_RETENTION_HOURS",
        "168",
        "Hours for which the topic keeps events where it is made, 1 to 87600; a topic that exists is left as it is, and a log says so.",
    ),
    Key::optional(
        "INSTANCE_ID",
        "Unique name of this process, for its leases, at most 90 visible ASCII characters; a random one by default.",
    ),
    Key::with_default(
        "QUEUE_CAPACITY",
        "4096",
        "Commands that may wait; one more is answered 503. 1 to 1000000.",
    ),
    Key::with_default(
        "COMMAND_TIMEOUT_SECONDS",
        "10",
        "Seconds in which a command is committed or given up, 1 to 600.",
    ),
    Key::with_default(
        "CACHED_ROOMS",
        "100000",
        "Rooms whose decision states are kept in memory, at least 1.",
    ),
    Key::with_default(
        "LEASE_SECONDS",
        "3",
        "Seconds without a heartbeat after which the other instances relay in this one's place, 1 to 300.",
    ),
    Key::with_default(
        "RELAY_POLL_MILLISECONDS",
        "25",
        "How often the outbox is read without a wake-up: for what other instances committed. 1 to 60000.",
    ),
    Key::with_default("RELAY_BATCH", "2000", "Most events read from the outbox together, 1 to 100000."),
    Key::with_default("IDEMPOTENCY_DAYS", "7", "Days for which idempotency keys are kept, 1 to 3650."),
    Key::optional(
        "FAIL_POINT",
        "For tests: the process ends itself there, `after-commit-before-relay` or `after-send-before-delete`.",
    ),
];

/// All settings of this service.
#[must_use]
pub fn keys() -> Vec<Key> {
    [KEYS, brokers::KEYS, kit_settings::KEYS].concat()
}

/// The event store's URL, with the authorities of `TLS_CA_FILE` where it names none; `None` is a recorded mistake.
pub fn mysql_url(settings: &mut Settings) -> Option<SecretString> {
    let url = settings.secret(MYSQL_URL);
    let authorities: Option<Authorities> = settings.optional(CA_FILE);
    let url = url?;
    Some(
        authorities
            .map_or(url.clone(), |authorities| authorities.in_url(url.expose_secret(), "ssl-ca").into()),
    )
}

/// The values of [`keys`].
#[derive(Debug)]
pub struct Config {
    /// What both services have.
    pub kit: KitSettings,
    /// The event store.
    pub mysql_url: SecretString,
    /// Connections to it beside the writer's own.
    pub mysql_connections: u32,
    /// The log.
    pub kafka: KafkaOptions,
    /// The leases of the relay.
    pub lease: LeaseOptions,
    /// The relay.
    pub relay: RelayOptions,
    /// The writer.
    pub writer: writer::Options,
    /// How long idempotency keys are kept.
    pub keys_kept: Duration,
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// All mistakes at once, each with the name of its setting.
    pub fn read(mut settings: Settings) -> Result<Self, Mistakes> {
        let kit = KitSettings::read(&mut settings);
        let mysql_url = mysql_url(&mut settings);
        let mysql_connections = settings.within("MYSQL_CONNECTIONS", 1, 100);
        let brokers = Brokers::read(&mut settings);
        let topic = settings.get("KAFKA_TOPIC");
        let partitions = settings.within("KAFKA_PARTITIONS", 1, 10_000);
        let replication = settings.within("KAFKA_REPLICATION", 1, 100);
        let retention_hours = settings.within("KAFKA_RETENTION_HOURS", 1, 87_600);
        let holder: Option<String> = settings.optional("INSTANCE_ID");
        if holder.as_ref().is_some_and(|name| !LeaseOptions::can_name(name)) {
            settings.mistake("INSTANCE_ID", "must be at most 90 visible ASCII characters");
        }
        let queue_capacity = settings.within("QUEUE_CAPACITY", 1, 1_000_000);
        let deadline = settings.within("COMMAND_TIMEOUT_SECONDS", 1, 600).map(Duration::from_secs);
        let cached_rooms = settings.within("CACHED_ROOMS", 1, usize::MAX);
        let takeover = settings.within("LEASE_SECONDS", 1, 300).map(Duration::from_secs);
        let poll = settings.within("RELAY_POLL_MILLISECONDS", 1, 60_000).map(Duration::from_millis);
        let batch = settings.within("RELAY_BATCH", 1, 100_000);
        let keys_kept =
            settings.within("IDEMPOTENCY_DAYS", 1, 3650).map(|days| Duration::from_hours(24 * days));
        let abort_at = settings.optional("FAIL_POINT");
        settings.finish(|| {
            Some(Self {
                kit: kit?,
                mysql_url: mysql_url?,
                mysql_connections: mysql_connections?,
                kafka: KafkaOptions {
                    brokers: brokers?,
                    topic: topic?,
                    partitions: partitions?,
                    replication: replication?,
                    retention_hours: retention_hours?,
                },
                lease: LeaseOptions {
                    holder: holder.unwrap_or_else(|| new_id().to_string()),
                    takeover: takeover?,
                },
                relay: RelayOptions { batch: batch?, poll: poll?, abort_at },
                writer: writer::Options {
                    queue_capacity: queue_capacity?,
                    deadline: deadline?,
                    cached_rooms: cached_rooms?,
                },
                keys_kept: keys_kept?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use service_kit::config::markdown_table;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Mistakes> {
        let environment: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::read(Settings::from_parts(&keys(), environment, ""))
    }

    #[test]
    fn three_settings_are_enough() {
        let config =
            read(&[("MYSQL_URL", "mysql://h/d"), ("KAFKA_BROKERS", "h:1"), ("JWKS_FILE", "/k/jwks.json")])
                .unwrap();
        assert_eq!(config.kit.server.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(config.kafka.topic, shared_events::topics::EVENTS_TOPIC);
        assert_eq!(config.kafka.partitions, shared_events::topics::DEFAULT_PARTITIONS);
        assert_eq!(config.keys_kept, Duration::from_hours(7 * 24));
    }

    #[test]
    fn every_mistake_is_reported_with_the_name_of_its_setting() {
        let mistakes = read(&[
            ("LISTEN", "x"),
            ("QUEUE_CAPACITY", "0"),
            ("FAIL_POINT", "nowhere"),
            ("INSTANCE_ID", "my pod"),
        ])
        .unwrap_err();
        let mut names: Vec<&str> = mistakes.0.iter().map(|mistake| mistake.key.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "FAIL_POINT",
                "INSTANCE_ID",
                "JWKS_FILE",
                "KAFKA_BROKERS",
                "LISTEN",
                "MYSQL_URL",
                "QUEUE_CAPACITY"
            ]
        );
    }

    #[test]
    fn the_readme_has_the_table_of_all_settings() {
        let table = markdown_table(&keys());
        assert!(include_str!("../README.md").contains(&table), "the README needs this table:\n{table}");
    }
}

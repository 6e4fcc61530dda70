//! The settings of this service, from the environment and an optional TOML file.

use std::time::Duration;

use secrecy::SecretString;
use service_kit::{
    abort_point::AbortPoint,
    brokers::{self, Brokers},
    config::{Declaration, Key, Mistakes, Need, Secret, Settings},
    declare,
    ids::new_id,
    kit_settings::{self, KitSettings, TLS_CA_FILE},
};
use shared_events::topics::EVENTS_TOPIC;

use crate::{
    binlog_relay,
    housekeeping::{self, KeysKept},
    kafka::KafkaOptions,
    outbox::{ABORT_POINTS, LeaseOptions, RelayOptions},
    writer,
};

declare! {
    /// The settings that only this service has.
    KEYS:
    /// URL of the event store: `mysql://user:password@host:port/database`. Without `?ssl-mode=`, a server on another machine
    /// needs TLS with a verified certificate and name (`VERIFY_IDENTITY`). `DISABLED` is without TLS.
    MYSQL_URL: SecretString = Key::secret(Need::Required);
    /// The same for a user that may erase persons, so that the user of `MYSQL_URL` needs no right to change events.
    MYSQL_ERASURE_URL: SecretString = Key::secret(Need::Optional);
    /// Connections beside the writer's own.
    MYSQL_CONNECTIONS: u32 = Key::default("8").within(1, 100);
    /// Topic of all events. The service creates it if it is missing.
    KAFKA_TOPIC: String = Key::default(EVENTS_TOPIC);
    /// Partitions that events are in; the query service needs the same. An existing topic must have at least as many.
    KAFKA_PARTITIONS: i32 = Key::default("4").within(1, 10_000);
    /// Replicas of a new topic.
    KAFKA_REPLICATION: i32 = Key::default("1").within(1, 100);
    /// Hours for which a new topic keeps events. An existing topic stays as it is; the log warns of another value.
    KAFKA_RETENTION_HOURS: u32 = Key::default("168").within(1, 87_600);
    /// Unique name of this process in leases: at most 90 visible ASCII characters. Random by default.
    INSTANCE_ID: String = Key::optional();
    /// Most waiting commands. One more gets 503.
    QUEUE_CAPACITY: usize = Key::default("4096").within(1, 1_000_000);
    /// Seconds for which a command waits and is retried before it gets 503.
    COMMAND_TIMEOUT_SECONDS: Duration = Key::seconds("10").within(1, 600);
    /// Rooms whose decision states are cached.
    CACHED_ROOMS: usize = Key::default("100000").at_least(1);
    /// Seconds without a heartbeat after which other instances take over this one's buckets.
    LEASE_SECONDS: Duration = Key::seconds("3").within(1, 300);
    /// Interval between reads of the outbox. It bounds the latency of other instances' commits.
    RELAY_POLL_MILLISECONDS: Duration = Key::milliseconds("25").within(1, 60_000);
    /// Most events in one read of the outbox.
    RELAY_BATCH: u32 = Key::default("2000").within(1, 100_000);
    /// For tests: the process aborts there, such as at `after-commit-before-relay`.
    FAIL_POINT: String = Key::optional();
}

/// All settings of this service.
#[must_use]
pub fn keys() -> Vec<Declaration> {
    kit_settings::all(&[KEYS, housekeeping::KEYS, brokers::KEYS], &[("LISTEN", "127.0.0.1:8081")])
}

/// The event store's URL, with the authorities of `TLS_CA_FILE` unless it names others. `None` is a recorded mistake.
pub fn mysql_url(settings: &mut Settings) -> Option<Secret> {
    let url = settings.read_secret(&MYSQL_URL);
    url.map(|url| with_authorities(settings, url))
}

/// The settings of Kafka. `None` is a recorded mistake.
pub(crate) fn kafka_options(settings: &mut Settings) -> Option<KafkaOptions> {
    let brokers = Brokers::read(settings);
    let topic = settings.read(&KAFKA_TOPIC);
    let partitions = settings.read(&KAFKA_PARTITIONS);
    let replication = settings.read(&KAFKA_REPLICATION);
    let retention_hours = settings.read(&KAFKA_RETENTION_HOURS);
    Some(KafkaOptions {
        brokers: brokers?,
        topic: topic?,
        partitions: partitions?,
        replication: replication?,
        retention_hours: retention_hours?,
    })
}

fn with_authorities(settings: &mut Settings, url: Secret) -> Secret {
    match settings.read(&TLS_CA_FILE) {
        Some(authorities) => url.completed(move |url| authorities.in_url(url, "ssl-ca")),
        None => url,
    }
}

/// The values of [`keys`].
#[derive(Debug)]
pub struct Config {
    /// Settings that both services have.
    pub kit: KitSettings,
    /// URL of the event store.
    pub mysql_url: Secret,
    /// URL of the event store for the user that erases persons, if it is another one.
    pub mysql_erasure_url: Option<Secret>,
    /// Connections beside the writer's own.
    pub mysql_connections: u32,
    /// Settings of Kafka.
    pub kafka: KafkaOptions,
    /// Settings of the leases.
    pub lease: LeaseOptions,
    /// Settings of the relay.
    pub relay: RelayOptions,
    /// Settings of the writer.
    pub writer: writer::Options,
    /// Ages at which idempotency keys are deleted.
    pub keys_kept: KeysKept,
}

impl Config {
    /// Reads settings that were declared with [`keys`].
    ///
    /// # Errors
    /// All mistakes.
    pub fn read(mut settings: Settings) -> Result<Self, Mistakes> {
        let kit = KitSettings::read(&mut settings);
        let mysql_url = mysql_url(&mut settings);
        let mysql_erasure_url = settings.read_secret(&MYSQL_ERASURE_URL);
        let mysql_erasure_url = mysql_erasure_url.map(|url| with_authorities(&mut settings, url));
        let mysql_connections = settings.read(&MYSQL_CONNECTIONS);
        let kafka = kafka_options(&mut settings);
        let holder = settings.read(&INSTANCE_ID);
        if holder.as_ref().is_some_and(|name| !LeaseOptions::can_name(name)) {
            settings.mistake(&INSTANCE_ID, "must be at most 90 visible ASCII characters");
        }
        let queue_capacity = settings.read(&QUEUE_CAPACITY);
        let deadline = settings.read(&COMMAND_TIMEOUT_SECONDS);
        let cached_rooms = settings.read(&CACHED_ROOMS);
        let takeover = settings.read(&LEASE_SECONDS);
        let poll = settings.read(&RELAY_POLL_MILLISECONDS);
        let batch = settings.read(&RELAY_BATCH);
        let keys_kept = KeysKept::read(&mut settings);
        let points = [&ABORT_POINTS[..], &binlog_relay::ABORT_POINTS.map(AbortPoint::named)].concat();
        let abort_at = AbortPoint::read(&mut settings, &FAIL_POINT, &points);
        settings.finish(|| {
            Some(Self {
                kit: kit?,
                mysql_url: mysql_url?,
                mysql_erasure_url,
                mysql_connections: mysql_connections?,
                kafka: kafka?,
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
    use service_kit::config::markdown_table;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Mistakes> {
        Config::read(Settings::from_variables(keys(), pairs.iter().copied()))
    }

    #[test]
    fn three_settings_are_enough() {
        let config =
            read(&[("MYSQL_URL", "mysql://h/d"), ("KAFKA_BROKERS", "h:1"), ("JWKS_FILE", "/k/jwks.json")])
                .unwrap();
        assert_eq!(config.kit.server.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(config.kafka.topic, shared_events::topics::EVENTS_TOPIC);
        assert_eq!(config.kafka.partitions, shared_events::topics::DEFAULT_PARTITIONS);
        let kept = KeysKept { requests: Duration::from_hours(7 * 24), import_lines: None };
        assert_eq!(config.keys_kept, kept);
        assert_eq!(format!("{:?}", config.relay), format!("{:?}", RelayOptions::default()));
        assert_eq!(format!("{:?}", config.writer), format!("{:?}", writer::Options::default()));
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

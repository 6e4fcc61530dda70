//! The settings of Debezium's stock connector that publishes this database's events as the relay does.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The setting that says which changes the connector leaves out.
pub(super) const SKIPPED: &str = "skipped.operations";
/// While it only learns the tables: all changes.
pub(super) const EVERYTHING: &str = "c,u,d,t";
/// While it publishes: all but inserts. An erasure changes events in place.
pub(super) const ALL_BUT_INSERTS: &str = "u,d,t";

/// The settings of a connector.
pub(super) type Settings = BTreeMap<String, String>;

/// The topics that the connector needs beside that of the events.
#[derive(Debug)]
pub(super) struct OwnTopics {
    pub(super) heartbeats: String,
    pub(super) schema_history: String,
}

impl OwnTopics {
    pub(super) fn of(topic: &str) -> Self {
        Self {
            heartbeats: format!("__debezium-heartbeat.{topic}"),
            schema_history: format!("{topic}.schema-history"),
        }
    }
}

/// The settings for the database of a URL. User and password are variables of the worker.
pub(super) fn settings(mysql_url: &str, brokers: &str, topic: &str) -> anyhow::Result<Settings> {
    let url = reqwest::Url::parse(mysql_url).context("MYSQL_URL can't be used")?;
    let database = url.path().trim_start_matches('/');
    let database = if database.is_empty() { crate::event_store::mysql::DEFAULT_DATABASE } else { database };
    // Names are patterns in these settings.
    let literal = |name: &str| name.replace('.', "\\.").replace('$', "\\$");
    ensure!(!topic.contains('$'), "the name of the topic has a $");
    let host = url.host_str().context("MYSQL_URL names no host")?;
    let port = url.port().unwrap_or(3306).to_string();
    let server_id = server_id(topic).to_string();
    let schema_history = OwnTopics::of(topic).schema_history;
    let table = format!("{}\\.events", literal(database));
    let (databases, events) = (literal(database), literal(topic));
    let from_url = [
        ("database.hostname", host),
        ("database.port", &port),
        ("database.server.id", &server_id),
        ("topic.prefix", topic),
        ("database.include.list", &databases),
        ("table.include.list", &table),
        ("schema.history.internal.kafka.bootstrap.servers", brokers),
        ("schema.history.internal.kafka.topic", &schema_history),
        ("predicates.ours.pattern", &events),
        ("transforms.outbox.route.topic.replacement", topic),
    ];
    let all = from_url.into_iter().chain(ALWAYS);
    Ok(all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Settings that are the same for every database.
const ALWAYS: [(&str, &str); 46] = [
    ("connector.class", "io.debezium.connector.mysql.MySqlConnector"),
    ("tasks.max", "1"),
    ("database.user", "${env:DEBEZIUM_USER}"),
    ("database.password", "${env:DEBEZIUM_PASSWORD}"),
    // Without it, a user's first login needs TLS.
    ("driver.allowPublicKeyRetrieval", "true"),
    ("snapshot.mode", "no_data"),
    // The table's columns are read without a lock, which would stop all appends.
    ("snapshot.locking.mode", "none"),
    (SKIPPED, ALL_BUT_INSERTS),
    ("tombstones.on.delete", "false"),
    ("include.schema.changes", "false"),
    ("extended.headers.enabled", "false"),
    // The version is a text like that of the relay.
    ("bigint.unsigned.handling.mode", "long"),
    ("schema.history.internal.store.only.captured.tables.ddl", "true"),
    // Offsets move on while other tables change, so the end of a hand-over is seen.
    ("heartbeat.interval.ms", "1000"),
    ("poll.interval.ms", "1"),
    ("max.batch.size", "8192"),
    ("max.queue.size", "32768"),
    ("producer.override.linger.ms", "0"),
    ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
    ("header.converter", "org.apache.kafka.connect.storage.StringConverter"),
    // The payload, byte for byte.
    ("value.converter", "io.debezium.converters.BinaryDataConverter"),
    ("value.converter.delegate.converter.type", "org.apache.kafka.connect.json.JsonConverter"),
    ("value.converter.delegate.converter.type.schemas.enable", "false"),
    ("predicates", "ours"),
    ("predicates.ours.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches"),
    ("transforms", "outbox,noid,source,ctype"),
    ("transforms.outbox.type", "io.debezium.transforms.outbox.EventRouter"),
    ("transforms.outbox.table.field.event.id", "ce_id"),
    ("transforms.outbox.table.field.event.key", "ce_key"),
    ("transforms.outbox.table.field.event.payload", "payload"),
    ("transforms.outbox.route.by.field", "type"),
    (
        "transforms.outbox.table.fields.additional.placement",
        "ce_specversion:header,ce_id:header,type:header:ce_type,ce_time:header,ce_subject:header,version:header:ce_sequence,\
         ce_actor:header,ce_correlationid:header,ce_causationid:header,ce_recordedtime:header,traceparent:header",
    ),
    // The router adds a header of its own.
    ("transforms.noid.type", "org.apache.kafka.connect.transforms.DropHeaders"),
    ("transforms.noid.headers", "id"),
    ("transforms.noid.predicate", "ours"),
    ("transforms.source.type", "org.apache.kafka.connect.transforms.InsertHeader"),
    ("transforms.source.header", "ce_source"),
    ("transforms.source.value.literal", shared_events::envelope::SOURCE),
    ("transforms.source.predicate", "ours"),
    ("transforms.ctype.type", "org.apache.kafka.connect.transforms.InsertHeader"),
    ("transforms.ctype.header", "content-type"),
    ("transforms.ctype.value.literal", shared_events::envelope::CONTENT_TYPE),
    ("transforms.ctype.predicate", "ours"),
    // An event that can't be sent stops the connector. Left out, it would be missing in the topic.
    ("errors.tolerance", "none"),
    ("schema.history.internal.kafka.recovery.poll.interval.ms", "1000"),
    ("schema.history.internal.kafka.recovery.attempts", "60"),
];

/// A number that no other reader of the server's binary log should have.
fn server_id(topic: &str) -> u32 {
    let hash = Sha256::digest(topic);
    1_000_000_000 + hash.iter().take(3).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// A connector as Connect's REST interface takes it, stopped.
pub(super) fn stopped(name: &str, settings: &Settings) -> Value {
    json!({"name": name, "config": settings, "initial_state": "STOPPED"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connector_is_of_this_database_and_knows_no_secret() {
        let url = "mysql://reservations:secret@db.example:3307/house.rooms?ssl-mode=REQUIRED";
        let settings = settings(url, "kafka-1:9092,kafka-2:9092", "rooms.events").unwrap();
        for (name, value) in [
            ("database.hostname", "db.example"),
            ("database.port", "3307"),
            ("database.include.list", "house\\.rooms"),
            ("table.include.list", "house\\.rooms\\.events"),
            ("topic.prefix", "rooms.events"),
            ("transforms.outbox.route.topic.replacement", "rooms.events"),
            ("predicates.ours.pattern", "rooms\\.events"),
            ("schema.history.internal.kafka.bootstrap.servers", "kafka-1:9092,kafka-2:9092"),
        ] {
            assert_eq!(settings.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!settings.values().any(|value| value.contains("secret")));
        assert_ne!(server_id("rooms.events"), server_id("other.events"));
    }
}

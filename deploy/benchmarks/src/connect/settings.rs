//! The settings of the peers: default, tuned for rate, and tuned for latency.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use reqwest::Url;
use serde::Serialize;

use system_tests::Namespace;

use crate::rig::Rig;

/// The settings of a connector.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Settings(BTreeMap<String, String>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tuning {
    Default,
    Rate,
    Latency,
}

impl Settings {
    fn of<V: Into<String>>(pairs: impl IntoIterator<Item = (&'static str, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }

    fn with<const N: usize>(mut self, pairs: [(&'static str, &str); N]) -> Self {
        self.0.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// The number of tasks.
    pub(super) fn tasks(&self) -> usize {
        self.0.get("tasks.max").and_then(|tasks| tasks.parse().ok()).unwrap_or(1)
    }
}

/// The settings of the worker. Its name is also that of its group and the prefix of its topics.
pub(super) fn worker(name: &str, brokers: &str, address: &str, plugins: &Path) -> String {
    let mut lines = vec![
        format!("bootstrap.servers={brokers}"),
        format!("group.id={name}"),
        format!("listeners=http://{address}"),
        format!("plugin.path={}", plugins.display()),
    ];
    for converter in ["key", "value"] {
        lines.push(format!("{converter}.converter=org.apache.kafka.connect.storage.StringConverter"));
    }
    for storage in STORAGES {
        lines.push(format!("{storage}.storage.topic={name}-{storage}"));
        lines.push(format!("{storage}.storage.replication.factor=1"));
    }
    lines.extend(
        [
            "offset.flush.interval.ms=10000",
            "plugin.discovery=hybrid_warn",
            "connector.client.config.override.policy=All",
            "scheduled.rebalance.max.delay.ms=0",
        ]
        .map(str::to_owned),
    );
    lines.join("\n")
}

const STORAGES: [&str; 3] = ["config", "offset", "status"];

/// The internal topics of a worker and its connectors.
pub(super) fn topics(worker: &str, connectors: &[String]) -> Vec<String> {
    let of_worker = STORAGES.iter().map(|storage| format!("{worker}-{storage}"));
    of_worker.chain(connectors.iter().map(|connector| history_topic(connector))).collect()
}

fn history_topic(connector: &str) -> String {
    format!("{connector}-history")
}

/// Debezium's MySQL connector with the outbox event router, from the outbox table of a namespace to its topic. The user
/// of `MYSQL_URL` must be allowed to read the binary log.
pub(crate) fn source(rig: &Rig, namespace: &Namespace, name: &str, tuning: Tuning) -> Result<Settings> {
    let url = Url::parse(&rig.servers.mysql).context("MYSQL_URL")?;
    // Every reader of the binary log needs a unique number.
    static READERS: AtomicU32 = AtomicU32::new(0);
    let reader = std::process::id() % 1_000_000 * 100 + READERS.fetch_add(1, Ordering::Relaxed);
    let settings = Settings::of([
        ("connector.class", "io.debezium.connector.mysql.MySqlConnector".to_owned()),
        ("tasks.max", "1".to_owned()),
        ("database.hostname", url.host_str().context("MYSQL_URL names no host")?.to_owned()),
        ("database.port", url.port().unwrap_or(3306).to_string()),
        ("database.user", url.username().to_owned()),
        ("database.password", url.password().unwrap_or_default().to_owned()),
        ("database.server.id", (1_000_000 + reader).to_string()),
        ("database.include.list", namespace.name.clone()),
        ("table.include.list", format!("{}.outbox", namespace.name)),
        ("topic.prefix", name.to_owned()),
        ("schema.history.internal.kafka.bootstrap.servers", rig.servers.brokers.clone()),
        ("schema.history.internal.kafka.topic", history_topic(name)),
        ("transforms.outbox.route.topic.replacement", namespace.name.clone()),
    ])
    .with([
        // Rows from before the start are skipped.
        ("snapshot.mode", "no_data"),
        ("include.schema.changes", "false"),
        ("tombstones.on.delete", "false"),
        ("schema.history.internal.store.only.captured.tables.ddl", "true"),
        ("transforms", "outbox"),
        ("transforms.outbox.type", "io.debezium.transforms.outbox.EventRouter"),
        ("transforms.outbox.table.fields.additional.placement", "type:header:eventType"),
        // Without it a user's first login needs TLS.
        ("driver.allowPublicKeyRetrieval", "true"),
    ]);
    if tuning == Tuning::Default {
        return Ok(settings);
    }
    let latency = tuning == Tuning::Latency;
    Ok(settings.with([
        ("extended.headers.enabled", "false"),
        ("database.ssl.mode", "disabled"),
        ("max.batch.size", "8192"),
        ("max.queue.size", "32768"),
        ("poll.interval.ms", if latency { "1" } else { "10" }),
        ("producer.override.linger.ms", if latency { "0" } else { "5" }),
        ("producer.override.batch.size", "262144"),
        ("producer.override.buffer.memory", "67108864"),
    ]))
}

/// The MongoDB sink connector, from the topic of a namespace to one collection of its database. Each message is a
/// document with its `_id`.
pub(crate) fn sink(rig: &Rig, namespace: &Namespace, collection: &str, tuning: Tuning) -> Settings {
    let separator = if rig.servers.mongodb.contains('?') { '&' } else { '?' };
    let strategy = "com.mongodb.kafka.connect.sink";
    let settings = Settings::of([
        ("connector.class", "com.mongodb.kafka.connect.MongoSinkConnector".to_owned()),
        ("tasks.max", "1".to_owned()),
        ("topics", namespace.name.clone()),
        // As durable as our projector.
        ("connection.uri", format!("{}{separator}w=majority&journal=true", rig.servers.mongodb)),
        ("database", namespace.name.clone()),
        ("collection", collection.to_owned()),
        ("document.id.strategy", format!("{strategy}.processor.id.strategy.ProvidedInValueStrategy")),
        ("writemodel.strategy", format!("{strategy}.writemodel.strategy.ReplaceOneDefaultStrategy")),
    ])
    .with([
        // Without it the connector logs a warning for each document.
        ("document.id.strategy.overwrite.existing", "true"),
        ("max.batch.size", "1000"),
        ("bulk.write.ordered", "false"),
    ]);
    if tuning == Tuning::Default {
        return settings;
    }
    settings.with([
        ("tasks.max", "2"),
        ("consumer.override.max.poll.records", "2000"),
        ("consumer.override.max.partition.fetch.bytes", "4194304"),
    ])
}

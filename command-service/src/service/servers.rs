//! The real stack: connects MySQL and Kafka, and shares the relay's work with other instances by leases.

use std::sync::Arc;

use anyhow::Context;
use service_kit::{
    readiness::{Component, Readiness},
    retry::{Backoff, Stopped, until_it_succeeds},
};

use super::Work;
use crate::{
    binlog_relay::BinlogRelay,
    config::Config,
    event_store::{Buckets, mysql::MySqlStore},
    kafka::{KafkaOptions, KafkaPublisher, ensure_topic, watch_topic},
    outbox::{LeaseOptions, assignment, keep_leases},
};

/// MySQL and Kafka, and this instance's share of the relay's work.
pub struct Servers {
    store: MySqlStore,
    kafka: KafkaOptions,
    lease: LeaseOptions,
}

impl Servers {
    /// The servers of these settings. Connects to nothing yet.
    ///
    /// # Errors
    /// When the URL of MySQL can't be used.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        config.kafka.brokers.warn_if_open();
        let (url, erasure_url) = (config.mysql_url.clone(), config.mysql_erasure_url.clone());
        let store = MySqlStore::open(url, config.mysql_connections, erasure_url, None)
            .context("MYSQL_URL or MYSQL_ERASURE_URL can't be used")?;
        Ok(Self { store, kafka: config.kafka.clone(), lease: config.lease.clone() })
    }

    /// Spawns a task that waits for MySQL and then starts the work.
    pub(super) fn start(self, work: Work, mysql: Component, readiness: &Readiness) {
        let [kafka, topic, mode] = ["kafka", "topic", "relay"].map(|name| readiness.component(name));
        let watched = watch_topic(self.kafka.clone(), topic, work.lifecycle.soft());
        work.lifecycle.spawn_infallible("topic", watched);
        work.lifecycle.clone().spawn_infallible("start", self.run(work, mysql, kafka, mode));
    }

    async fn run(self, work: Work, mysql: Component, kafka: Component, mode: Component) {
        let clock = work.clock.clone();
        let lifecycle = work.lifecycle.clone();
        let stop = lifecycle.soft();
        let migrated = until_it_succeeds(&mysql, &stop, Backoff::for_server(), || self.store.migrate());
        if let Err(Stopped) = migrated.await {
            return;
        }
        let (assigner, assigned) = assignment(Buckets::NONE);
        let (leadership, abort_at) = (assigner.leadership(), work.relay.abort_at);
        let publisher = KafkaPublisher::new(self.kafka.clone());
        let relayed = work.start(Arc::new(self.store.clone()), publisher, assigned, mysql);
        {
            let publisher = KafkaPublisher::new(self.kafka.clone());
            let relay = BinlogRelay::new(self.store.clone(), publisher, clock, mode, leadership, abort_at);
            lifecycle.spawn_infallible("binlog relay", relay.run(relayed.clone()));
        }
        lifecycle.spawn_infallible("leases", async move {
            let reach = || ensure_topic(&self.kafka);
            keep_leases(Arc::new(self.store), self.lease, assigner, kafka, reach, relayed).await;
        });
        stop.cancelled().await;
    }
}

//! The service as a process: its parts, put together.
//!
//! HTTP is up first and answers 503 until the event store is reached. At the end the parts stop in the order of the way
//! that a command goes: HTTP takes no more, the writer finishes what waits, the relay delivers what it can of what is left,
//! the leases are given back.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use secrecy::ExposeSecret;
use service_kit::{
    clock::Clock,
    http::server::{HttpParts, HttpService},
    readiness::{Component, Readiness},
    retry::{Backoff, Stopped, until_it_succeeds},
    shutdown::{End, Lifecycle},
    telemetry::Metrics,
    traces::Traces,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    event_store::{Buckets, EventStore, StoreError, mysql::MySqlStore},
    housekeeping::{measure_outbox, sweep_keys},
    http::{Api, Backend, Gate, OPENAPI, configure},
    kafka::{KafkaPublisher, ensure_topic},
    outbox::{Relay, allotment, handoff, keep_leases},
    writer::writer,
};

/// Name of the service in logs and metrics.
pub const NAME: &str = "command-service";
/// How often histograms are folded, so that they don't grow between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves until the process is asked to end, or one of its parts ends by itself.
///
/// # Errors
/// When it can't start: the address is taken, or a setting can't be used.
pub async fn serve(config: Config) -> anyhow::Result<End> {
    let clock = Clock::with_offset(config.kit.clock_offset_seconds);
    let lifecycle = Lifecycle::new(config.kit.shutdown_timeout);
    let readiness = Readiness::new(clock.clone());
    let metrics = Metrics::install()?;
    let traces = Traces::start(NAME, config.kit.traces.as_ref())?;
    let authenticator = config.kit.auth.authenticator(clock.clone())?;
    let store = open_store(&config)?;
    config.kafka.brokers.warn_if_open();
    let components = Components { mysql: readiness.component("mysql"), kafka: readiness.component("kafka") };
    if let Some(jwks) = authenticator.jwks().cloned() {
        let (component, stop) = (readiness.component("jwks"), lifecycle.soft());
        lifecycle.spawn("jwks", async move {
            jwks.keep_fresh(component, stop).await;
            Ok(())
        });
    }
    let gate = Gate::default();
    let parts = HttpParts {
        service: NAME,
        authenticator,
        readiness,
        metrics: metrics.clone(),
        openapi: OPENAPI,
        request_timeout: config.kit.server.request_timeout,
    };
    let api = Api::new(gate.clone(), clock.clone(), lifecycle.soft());
    let http = HttpService::bind(parts, &config.kit.server, configure(api))?;
    tracing::info!(address = %http.address, metrics = ?http.admin_address, "listening");
    let (stop, closing) = (lifecycle.soft(), gate.clone());
    lifecycle.spawn("http", async move {
        let outcome = http.run(stop).await;
        closing.close();
        outcome.context("serving HTTP")
    });
    let stop = lifecycle.soft();
    lifecycle.spawn("metrics", async move {
        while tokio::time::timeout(UPKEEP, stop.cancelled()).await.is_err() {
            metrics.upkeep();
        }
        Ok(())
    });
    let parts = Parts { config, clock, store, gate, lifecycle: lifecycle.clone() };
    lifecycle.spawn("start", start(parts, components));
    let end = lifecycle.run().await;
    traces.finish().await;
    Ok(end)
}

/// Brings the event store's tables up to date. Waits for the store.
///
/// # Errors
/// When the store refuses.
pub async fn migrate(url: &str) -> anyhow::Result<()> {
    let store = MySqlStore::open(url, 1, None)?;
    let component = Readiness::new(Clock::system()).component("mysql");
    let never = CancellationToken::new();
    let migrated =
        until_it_succeeds(&component, &never, Backoff::for_server(), async || {
            match try_to_migrate(&store).await {
                Err(error @ StoreError::Unavailable { .. }) => Err(error),
                outcome => Ok(outcome),
            }
        });
    migrated.await??;
    store.close().await;
    Ok(())
}

/// Migrates, or logs why not, with all causes.
async fn try_to_migrate(store: &MySqlStore) -> Result<(), StoreError> {
    store.migrate().await.inspect_err(|error| {
        tracing::warn!(error = error as &dyn std::error::Error, "the event store is not ready");
    })
}

fn open_store(config: &Config) -> anyhow::Result<MySqlStore> {
    MySqlStore::open(config.mysql_url.expose_secret(), config.mysql_connections, None)
        .context("MYSQL_URL can't be used")
}

struct Components {
    mysql: Component,
    kafka: Component,
}

struct Parts {
    config: Config,
    clock: Clock,
    store: MySqlStore,
    gate: Gate,
    lifecycle: Lifecycle,
}

/// Reaches the servers, then starts what needs them, and stays until the process ends.
async fn start(parts: Parts, components: Components) -> anyhow::Result<()> {
    let Parts { config, clock, store, gate, lifecycle } = parts;
    let soft = lifecycle.soft();
    let migrated = until_it_succeeds(&components.mysql, &soft, Backoff::for_server(), async || {
        try_to_migrate(&store).await
    });
    if let Err(Stopped) = migrated.await {
        return Ok(());
    }
    let (committed, handed) = handoff();
    let shared: Arc<dyn EventStore> = Arc::new(store.clone());
    let (writer, writing) = writer(Arc::clone(&shared).into(), clock.clone(), committed, &config.writer);
    gate.open(Backend { writer, log: Arc::clone(&shared) as _, erasures: Arc::clone(&shared) as _ });
    let (written, relayed) = (CancellationToken::new(), CancellationToken::new());
    let ended = written.clone();
    lifecycle.spawn("writer", async move {
        let _ended = ended.drop_guard();
        writing.await;
        Ok(())
    });
    let relay = Relay::new(
        Arc::clone(&shared) as _,
        Arc::clone(&shared) as _,
        KafkaPublisher::new(config.kafka.clone()),
        clock.clone(),
        config.relay.clone(),
    );
    let (allotter, allotted) = allotment(Buckets::NONE);
    let (leases, options, stop) = (Arc::new(store.clone()), config.lease.clone(), relayed.clone());
    lifecycle.spawn("leases", async move {
        let reach = || ensure_topic(&config.kafka);
        keep_leases(leases, options, allotter, components.kafka, reach, stop).await;
        Ok(())
    });
    lifecycle.spawn("relay", async move {
        let _ended = relayed.drop_guard();
        relay.run(allotted, handed, written).await;
        Ok(())
    });
    let (old, stop) = (Arc::clone(&shared), soft.clone());
    lifecycle.spawn("sweep", async move {
        sweep_keys(old, config.keys_kept, stop).await;
        Ok(())
    });
    let stop = soft.clone();
    lifecycle.spawn("measure", async move {
        measure_outbox(shared, clock, components.mysql, stop).await;
        Ok(())
    });
    soft.cancelled().await;
    Ok(())
}

//! The composition of the whole service, the same for the real stack and for the embedded default.
//!
//! HTTP starts first and answers 503 until the event store is reached. At the end the parts stop in the order in which a
//! command passes them: HTTP takes no more requests, the writer finishes its queue, the relay delivers the rest, and the
//! leases are given back.

#[cfg(all(feature = "binlog", feature = "kafka"))]
mod servers;

use std::{net::SocketAddr, sync::Arc};

use service_kit::{
    auth::Authenticator,
    clock::Clock,
    http::{server::HttpParts, service},
    kit_settings::ServerSettings,
    readiness::{Component, Readiness},
    shutdown::Lifecycle,
    telemetry::Metrics,
};
use shared_events::time_zone::Database;
use tokio_util::sync::CancellationToken;

#[cfg(all(feature = "binlog", feature = "kafka"))]
pub use servers::Servers;

use crate::{
    event_store::{Buckets, EventStore},
    housekeeping::{KeysKept, measure_outbox, measure_queue, sweep_keys},
    http::{Api, Backend, Gate, OPENAPI, configure},
    in_process::InProcessLog,
    outbox::{AssignedBuckets, Publisher, Relay, RelayOptions, assignment, handoff},
    writer::{self, writer},
};

/// Name of the service in logs and metrics.
pub const NAME: &str = "command-service";

/// The parts of the service that differ between the real stack, the embedded default and tests.
pub struct Service {
    /// The event store and the log.
    pub stack: Stack,
    /// Authenticates callers.
    pub authenticator: Authenticator,
    /// Settings of the HTTP server.
    pub server: ServerSettings,
    /// The clock of commands.
    pub clock: Clock,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Settings of the writer.
    pub writer: writer::Options,
    /// Settings of the relay.
    pub relay: RelayOptions,
    /// Ages at which idempotency keys are deleted.
    pub keys_kept: KeysKept,
}

/// The event store and the log.
pub enum Stack {
    /// MySQL and Kafka, shared with other instances.
    #[cfg(all(feature = "binlog", feature = "kafka"))]
    Servers(Box<Servers>),
    /// A store that no other process uses, and a channel to the projector.
    InProcess(Arc<dyn EventStore>, InProcessLog),
}

impl Service {
    /// Starts the service's tasks in `lifecycle` and returns the address that it listens on. HTTP answers at once;
    /// `/health/ready` tells when commands are accepted.
    ///
    /// # Errors
    /// When it can't listen.
    pub fn start(self, lifecycle: &Lifecycle) -> anyhow::Result<SocketAddr> {
        let zones = Database::get();
        let readiness =
            Readiness::new(self.clock.clone()).with_time_zones(zones.version(), zones.source().name());
        // Before HTTP: a service without components would be ready.
        let component = readiness.component(match &self.stack {
            #[cfg(all(feature = "binlog", feature = "kafka"))]
            Stack::Servers(_) => "mysql",
            Stack::InProcess(..) => "sqlite",
        });
        let gate = Gate::default();
        let api = Api::new(gate.clone(), self.clock.clone(), lifecycle.soft());
        let parts = HttpParts {
            service: NAME,
            authenticator: self.authenticator,
            readiness: readiness.clone(),
            metrics: self.metrics,
            openapi: OPENAPI,
            request_timeout: self.server.request_timeout,
        };
        let closing = gate.clone();
        let address =
            service::start(parts, &self.server, configure(api), lifecycle, move || closing.close())?;
        let work = Work {
            clock: self.clock,
            writer: self.writer,
            relay: self.relay,
            keys_kept: self.keys_kept,
            gate,
            lifecycle: lifecycle.clone(),
        };
        match self.stack {
            #[cfg(all(feature = "binlog", feature = "kafka"))]
            Stack::Servers(servers) => servers.start(work, component, &readiness),
            Stack::InProcess(store, log) => {
                // The only relay has all buckets, for as long as it runs.
                let (_, assigned) = assignment(Buckets::ALL);
                work.start(store, log, assigned, component);
            }
        }
        Ok(address)
    }
}

/// The tasks that need the event store.
struct Work {
    clock: Clock,
    writer: writer::Options,
    relay: RelayOptions,
    keys_kept: KeysKept,
    gate: Gate,
    lifecycle: Lifecycle,
}

impl Work {
    /// Starts writer, relay and housekeeping, and opens the gate. The returned token is cancelled when the relay has ended.
    fn start(
        self,
        store: Arc<dyn EventStore>,
        publisher: impl Publisher + 'static,
        assigned: AssignedBuckets,
        component: Component,
    ) -> CancellationToken {
        let Self { clock, writer: options, relay, keys_kept, gate, lifecycle } = self;
        let (committed, handed) = handoff();
        let (writer, writing) = writer(Arc::clone(&store).into(), clock.clone(), committed, &options);
        gate.open(Backend::new(writer, Arc::clone(&store)));
        let (written, relayed) = (CancellationToken::new(), CancellationToken::new());
        let ended = written.clone();
        lifecycle.spawn_infallible("writer", async move {
            let _ended = ended.drop_guard();
            writing.await;
        });
        let relay =
            Relay::new(Arc::clone(&store) as _, Arc::clone(&store) as _, publisher, clock.clone(), relay);
        let ended = relayed.clone();
        lifecycle.spawn_infallible("relay", async move {
            let _ended = ended.drop_guard();
            relay.run(assigned, handed, written).await;
        });
        let keys = Arc::clone(&store) as _;
        lifecycle.spawn_infallible("sweep", sweep_keys(keys, keys_kept, lifecycle.soft()));
        let measured = measure_outbox(store, clock, component, lifecycle.soft());
        lifecycle.spawn_infallible("measure outbox", measured);
        lifecycle.spawn_infallible("measure queue", measure_queue(gate, lifecycle.soft()));
        relayed
    }
}

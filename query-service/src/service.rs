//! The composition of the whole service, the same for the real stack and for the embedded default.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use service_kit::{
    auth::Authenticator,
    clock::Clock,
    http::{server::HttpParts, service},
    kit_settings::ServerSettings,
    readiness::Readiness,
    shutdown::Lifecycle,
    telemetry::Metrics,
};
use shared_events::RawEvent;
use shared_events::time_zone::Database;
use tokio::sync::{mpsc, watch};

use crate::{
    calendars::Calendars,
    feed::Feed,
    generations::{self, AllFrozen, Feeding},
    http::{self, Api},
    live::Hub,
    notifications::{ENDPOINT_ANSWERS_WITHIN, Notifications, Post},
    page::Page,
    projector::Limits,
    read_models::generation::Registry,
};
#[cfg(all(feature = "mongodb", feature = "kafka"))]
use crate::{
    kafka::{self, KafkaSettings},
    stores::mongo::MongoSettings,
};

/// Name of the service in logs and metrics.
pub const NAME: &str = "query-service";

/// The parts of the service that differ between the real stack, the embedded default and tests.
pub struct Service {
    /// The source of events and the store of read models.
    pub stack: Stack,
    /// Gives missing events.
    pub feed: Arc<dyn Feed>,
    /// Authenticates callers.
    pub authenticator: Authenticator,
    /// Settings of the HTTP server.
    pub server: ServerSettings,
    /// The clock of queries.
    pub clock: Clock,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Bounds of the projector's work.
    pub limits: Limits,
    /// The pause between two comparisons of heads.
    pub watchdog: Duration,
    /// Most live streams.
    pub streams: usize,
    /// The page for people, if the service has it.
    pub page: Option<Page>,
    /// Calendars with secret addresses.
    pub calendars: Arc<dyn Calendars>,
    /// Subscriptions. In one process the service also notifies them; otherwise the role `notify` does.
    pub notifications: Option<Notifications>,
    /// How one process sends mails, if it does.
    pub post: Option<Post>,
}

/// The source of events and the store of read models.
pub enum Stack {
    /// Kafka and MongoDB, shared with other instances. MongoDB holds the generations of its registry.
    #[cfg(all(feature = "mongodb", feature = "kafka"))]
    Servers(Box<KafkaSettings>, MongoSettings),
    /// A bounded channel in this process, and memory.
    InProcess(mpsc::Receiver<RawEvent>),
}

impl Service {
    /// Starts the service's tasks in `lifecycle` and returns the address that it listens on. HTTP answers at once;
    /// `/health/ready` tells when queries are answered.
    ///
    /// # Errors
    /// When it can't listen.
    pub fn start(self, lifecycle: &Lifecycle) -> anyhow::Result<SocketAddr> {
        let zones = Database::get();
        let readiness =
            Readiness::new(self.clock.clone()).with_time_zones(zones.version(), zones.source().name());
        // Before HTTP: a service without components would be ready.
        let component = readiness.component(match &self.stack {
            #[cfg(all(feature = "mongodb", feature = "kafka"))]
            Stack::Servers(..) => "mongodb",
            Stack::InProcess(_) => "readModels",
        });
        #[cfg(all(feature = "mongodb", feature = "kafka"))]
        if matches!(self.stack, Stack::Servers(..)) {
            self.feed.report_to(readiness.component("feed"));
        }
        let (shown, to_read) = watch::channel(None);
        let (frozen, frozen_to_read) = watch::channel(AllFrozen::new());
        let (registry, registry_to_read) = watch::channel(Registry::default());
        let live = Arc::new(Hub::new(self.streams));
        let api = Api {
            shown: to_read.clone(),
            frozen: frozen_to_read,
            registry: registry_to_read,
            clock: self.clock.clone(),
            live: Arc::clone(&live),
            stop: lifecycle.soft(),
            calendars: self.calendars,
            notifications: self.notifications.clone(),
        };
        let parts = HttpParts {
            service: NAME,
            authenticator: self.authenticator,
            readiness: readiness.clone(),
            metrics: self.metrics,
            openapi: http::OPENAPI,
            request_timeout: self.server.request_timeout,
        };
        let page = self.page;
        let configure = move |config: &mut _| {
            http::configure(config, api.clone());
            if let Some(page) = page.clone() {
                http::configure_page(config, page);
            }
        };
        let address = service::start(parts, &self.server, configure, lifecycle, || {})?;
        let told = generations::tell(Arc::clone(&live), to_read, self.clock.clone());
        let stop = lifecycle.soft();
        lifecycle.spawn_infallible("live", async move { _ = stop.run_until_cancelled(told).await });
        let feeding = Feeding {
            feed: self.feed,
            clock: self.clock,
            limits: self.limits,
            watchdog: self.watchdog,
            shown,
            live: Arc::clone(&live),
            frozen,
            registry,
            readiness,
            stop: lifecycle.soft(),
        };
        match self.stack {
            #[cfg(all(feature = "mongodb", feature = "kafka"))]
            Stack::Servers(kafka, mongo) => {
                let followed = kafka::follow(*kafka.clone(), live, lifecycle.soft());
                lifecycle.spawn("live-kafka", async { Ok(followed.await?) });
                if let Some(topic) = kafka.notices.clone() {
                    let (kafka, clock, stop) = (*kafka.clone(), feeding.clock.clone(), lifecycle.soft());
                    lifecycle.spawn("notices", async move {
                        Ok(kafka::write_notices(kafka, topic, clock, stop).await?)
                    });
                }
                lifecycle.spawn("projector", feeding.registered(component, *kafka, mongo));
            }
            Stack::InProcess(events) => {
                let started = self
                    .notifications
                    .map(|all| all.start(ENDPOINT_ANSWERS_WITHIN, self.post, None, lifecycle));
                let teller = started.transpose()?;
                lifecycle.spawn("projector", async move {
                    feeding.in_process(component, events, teller).await;
                    Ok(())
                });
            }
        }
        Ok(address)
    }
}

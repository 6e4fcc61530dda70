//! The composition of the role `notify`: events in, webhooks and mails out.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use service_kit::{
    abort_point::AbortPoint,
    auth::Authenticator,
    clock::Clock,
    http::{server::HttpParts, service},
    kit_settings::ServerSettings,
    readiness::Readiness,
    retry::{Backoff, until_it_succeeds},
    shutdown::Lifecycle,
    telemetry::Metrics,
};
use shared_events::time_zone::Database;

use crate::{
    http::OPENAPI,
    kafka::{Filing, KafkaSettings},
    notifications::{Notifications, Post, Teller, mongo::MongoNotifications},
    service::NAME,
    stores::{
        StoreError,
        mongo::{Connection, Generations, MongoSettings},
    },
};

/// The pause between two looks for the live generation.
const POLL: Duration = Duration::from_secs(1);

/// The parts of the role.
pub struct Notifier {
    /// The source of events, with the group of the role.
    pub kafka: KafkaSettings,
    /// Subscriptions and deliveries.
    pub store: MongoNotifications,
    /// The read models, for names and kinds of rooms.
    pub models: MongoSettings,
    /// How mails are sent, if they are.
    pub post: Option<Post>,
    /// Whether endpoints on this machine are allowed.
    pub loopback: bool,
    /// The time in which an endpoint answers.
    pub timeout: Duration,
    /// Authenticates those who change the log level.
    pub authenticator: Authenticator,
    /// Settings of the HTTP server, which has health and metrics alone.
    pub server: ServerSettings,
    /// The clock.
    pub clock: Clock,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// The place where the process aborts, in tests.
    pub abort_at: Option<AbortPoint>,
}

impl Notifier {
    /// Starts the tasks in `lifecycle` and returns the address that it listens on.
    ///
    /// # Errors
    /// When it can't listen.
    pub fn start(self, lifecycle: &Lifecycle) -> anyhow::Result<SocketAddr> {
        let zones = Database::get();
        let readiness =
            Readiness::new(self.clock.clone()).with_time_zones(zones.version(), zones.source().name());
        let (store, kafka) = (readiness.component("mongodb"), readiness.component("kafka"));
        let parts = HttpParts {
            service: NAME,
            authenticator: self.authenticator,
            readiness,
            metrics: self.metrics,
            openapi: OPENAPI,
            request_timeout: self.server.request_timeout,
        };
        let address = service::start(parts, &self.server, |_| {}, lifecycle, || {})?;
        let mails = self.post.is_some();
        let notifications =
            Notifications::over(Arc::new(self.store.clone()), self.clock, self.loopback, mails);
        let teller = notifications.start(self.timeout, self.post, self.abort_at, lifecycle)?;
        let mut rooms =
            LiveRooms { settings: self.models, generations: None, read: None, teller: teller.clone() };
        let (stop, mongo, abort_at) = (lifecycle.soft(), self.store, self.abort_at);
        let settings = self.kafka;
        lifecycle.spawn("filing", async move {
            let prepared = until_it_succeeds(&store, &stop, Backoff::for_server(), || mongo.create_indexes());
            if prepared.await.is_err() {
                return Ok(());
            }
            // The first events have names of rooms, too.
            rooms.look().await;
            tokio::select! {
                outcome = Filing { settings, teller, kafka, store, abort_at }.run(stop) => Ok(outcome?),
                () = rooms.follow() => Ok(()),
            }
        });
        Ok(address)
    }
}

/// Lets the teller read rooms from the live generation.
struct LiveRooms {
    settings: MongoSettings,
    generations: Option<Generations>,
    read: Option<u32>,
    teller: Teller,
}

impl LiveRooms {
    /// Follows the live generation for as long as it is polled.
    async fn follow(mut self) {
        loop {
            self.look().await;
            tokio::time::sleep(POLL).await;
        }
    }

    async fn look(&mut self) {
        if let Err(error) = self.read_live().await {
            tracing::debug!(%error, "rooms can't be read now");
        }
    }

    async fn read_live(&mut self) -> Result<(), StoreError> {
        let generations = match &self.generations {
            Some(generations) => generations,
            None => self.generations.insert(Generations::over(Connection::open(&self.settings).await?)),
        };
        let live = generations.read().await?.live;
        if let Some(number) = live.filter(|_| live != self.read) {
            self.teller.read_rooms_from(Arc::new(generations.models(number).await?));
            self.read = live;
        }
        Ok(())
    }
}

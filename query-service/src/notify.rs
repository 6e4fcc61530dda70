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
        let readiness = Readiness::new(self.clock.clone());
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
        let named = read_rooms(self.models, teller.clone());
        let ended = lifecycle.soft();
        lifecycle.spawn_infallible("rooms", async move { _ = ended.run_until_cancelled(named).await });
        let (stop, mongo, abort_at) = (lifecycle.soft(), self.store, self.abort_at);
        let settings = self.kafka;
        lifecycle.spawn("filing", async move {
            let prepared = until_it_succeeds(&store, &stop, Backoff::for_server(), || mongo.create_indexes());
            if prepared.await.is_err() {
                return Ok(());
            }
            Ok(Filing { settings, teller, kafka, store, abort_at }.run(stop).await?)
        });
        Ok(address)
    }
}

/// Lets the teller read rooms from the live generation, for as long as it is polled.
async fn read_rooms(models: MongoSettings, teller: Teller) {
    let (mut generations, mut read) = (None, None);
    loop {
        match follow(&models, &mut generations, &mut read, &teller).await {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "rooms can't be read now"),
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn follow(
    models: &MongoSettings,
    generations: &mut Option<Generations>,
    read: &mut Option<u32>,
    teller: &Teller,
) -> Result<(), StoreError> {
    let generations = match generations {
        Some(generations) => generations,
        None => generations.insert(Generations::over(Connection::open(models).await?)),
    };
    let live = generations.read().await?.live;
    if let Some(number) = live.filter(|_| live != *read) {
        teller.read_rooms_from(Arc::new(generations.models(number).await?));
        *read = live;
    }
    Ok(())
}

//! The whole service, put together from its parts: the same for the real stack and for the embedded default.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use service_kit::{
    auth::Authenticator,
    clock::Clock,
    http::{server::HttpParts, service},
    kit_settings::ServerSettings,
    readiness::{Component, Readiness},
    retry::Backoff,
    shutdown::Lifecycle,
    telemetry::Metrics,
};
use shared_events::{RawEvent, feed::Head};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    feed::{Feed, all_heads},
    generations::Shown,
    http::{self, Api},
    progress::Progress,
    projector::{Dependencies, Inbox, Limits, Message, Pipeline, Projector, watchdog},
    stores::memory::MemoryReadModels,
};
#[cfg(all(feature = "mongodb", feature = "kafka"))]
use crate::{generations::Feeding, kafka::KafkaSettings, stores::mongo::MongoSettings};

/// What the service is made of.
pub struct Service {
    /// Where missing events are read.
    pub feed: Arc<dyn Feed>,
    /// Where events come from.
    pub source: Source,
    /// Recognises callers.
    pub authenticator: Authenticator,
    /// Where and how HTTP is answered.
    pub server: ServerSettings,
    /// The time.
    pub clock: Clock,
    /// The process's metrics.
    pub metrics: Metrics,
    /// How much is worked on at once.
    pub limits: Limits,
    /// Between two comparisons of heads.
    pub watchdog: Duration,
}

/// Where events come from, and with that where the read models are.
pub enum Source {
    /// A topic. The read models are in MongoDB, in as many generations as its registry says, and outlive the process.
    #[cfg(all(feature = "mongodb", feature = "kafka"))]
    Kafka(Box<KafkaSettings>, MongoSettings),
    /// A bounded channel in this process. The read models live in memory and are made from the feed at start.
    InProcess(mpsc::Receiver<RawEvent>),
}

impl Service {
    /// Starts the service's tasks in `lifecycle` and gives the address that it listens on. It answers at once;
    /// `/health/ready` tells when it can do its work.
    ///
    /// # Errors
    /// When it can't listen.
    pub fn start(self, lifecycle: &Lifecycle) -> anyhow::Result<SocketAddr> {
        let readiness = Readiness::new(self.clock.clone());
        let (shown, to_read) = watch::channel(None);
        let api = Api { shown: to_read, clock: self.clock.clone() };
        let http_parts = HttpParts {
            service: "query-service",
            authenticator: self.authenticator,
            readiness: readiness.clone(),
            metrics: self.metrics,
            openapi: http::document(),
            request_timeout: self.server.request_timeout,
        };
        let address = service::start(
            http_parts,
            &self.server,
            move |config| http::configure(config, api.clone()),
            lifecycle,
            || {},
        )?;
        match self.source {
            #[cfg(all(feature = "mongodb", feature = "kafka"))]
            Source::Kafka(kafka, mongo) => {
                let feeding = Feeding {
                    mongo,
                    kafka: *kafka,
                    feed: self.feed,
                    clock: self.clock,
                    limits: self.limits,
                    watchdog: self.watchdog,
                    shown,
                    readiness,
                    stop: lifecycle.soft(),
                };
                lifecycle.spawn("query projector", feeding.run());
            }
            Source::InProcess(events) => {
                let projection = InProcess {
                    feed: self.feed,
                    clock: self.clock,
                    limits: self.limits,
                    watchdog: self.watchdog,
                    shown,
                    component: readiness.component("readModels"),
                    stop: lifecycle.soft(),
                };
                lifecycle.spawn("query projector", projection.run(events));
            }
        }
        Ok(address)
    }
}

/// What brings events into the one generation that lives in memory.
struct InProcess {
    feed: Arc<dyn Feed>,
    clock: Clock,
    limits: Limits,
    watchdog: Duration,
    shown: watch::Sender<Option<Arc<Shown>>>,
    component: Component,
    stop: CancellationToken,
}

impl InProcess {
    /// Makes the read models from the feed, then keeps them up to date from the channel.
    async fn run(self, events: mpsc::Receiver<RawEvent>) -> anyhow::Result<()> {
        const THE_PARTITION: i32 = 0;
        let models = Arc::new(MemoryReadModels::new());
        let parts = Dependencies {
            store: Arc::clone(&models) as _,
            feed: self.feed,
            progress: Arc::new(Progress::default()),
            clock: self.clock,
        };
        let shown = Shown { models, progress: Arc::clone(&parts.progress) };
        let projector = Projector::new(parts, self.limits, self.component.clone());
        self.component.failing("the read models are being rebuilt");
        projector.route_by(Box::new(|_| THE_PARTITION));
        let mut pipeline = Pipeline::new(projector.dependencies().clone());
        let rebuilt = rebuild(&projector, &mut pipeline, &self.component);
        if self.stop.run_until_cancelled(rebuilt).await.is_none() {
            return Ok(());
        }
        shown.progress.set_owned(Box::new(|_| true));
        let inbox = projector.start_with(THE_PARTITION, pipeline);
        self.shown.send_replace(Some(Arc::new(shown)));
        self.component.ok();
        tokio::select! {
            () = forever(forward(events, &inbox)) => {}
            () = watchdog::watch(&projector, self.watchdog, self.stop.clone()) => {}
        }
        projector.stop(&[THE_PARTITION], Duration::from_secs(3)).await;
        Ok(())
    }
}

/// Does not end when its task does.
async fn forever(task: impl Future<Output = ()>) {
    task.await;
    std::future::pending().await
}

/// Hands events on until the command side ends; what it has committed by then is made anew from its store.
async fn forward(mut events: mpsc::Receiver<RawEvent>, inbox: &Inbox) {
    let mut offset = 0;
    while let Some(event) = events.recv().await {
        if inbox.push_when_there_is_room(Message::event(offset, event)).await.is_err() {
            return;
        }
        offset += 1;
    }
}

/// Reads all streams, as often as it takes.
async fn rebuild(projector: &Projector, pipeline: &mut Pipeline, component: &Component) {
    let feed = projector.dependencies().feed.as_ref();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        let outcome: Result<usize, String> = async {
            let heads: Vec<Head> = all_heads(feed).await.map_err(|error| error.to_string())?;
            pipeline.compare(&heads).await.map_err(|error| error.to_string())?;
            Ok(pipeline.rooms_behind())
        }
        .await;
        match outcome {
            Ok(0) => return,
            Ok(behind) => component.failing(format!("{behind} rooms are not rebuilt yet")),
            Err(error) => component.failing(error),
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

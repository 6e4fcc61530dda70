//! The whole service, put together from its parts: the same for the real stack and for the embedded default.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::future::BoxFuture;

use service_kit::{
    auth::Authenticator,
    clock::Clock,
    http::server::{HttpParts, HttpService},
    kit_settings::ServerSettings,
    readiness::{Component, Readiness},
    retry::{Backoff, until_it_succeeds},
    shutdown::Lifecycle,
    telemetry::Metrics,
};
use shared_events::{RecordedEvent, RoomId, feed::Head};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    feed::Feed,
    http::{self, Api},
    kafka::{self, KafkaSettings},
    progress::Progress,
    projector::{Inbox, Limits, Message, Parts, Pipeline, Projector, take_requests, watchdog},
    stores::{ReadModels, StoreError},
};

/// How often the store is asked whether it is there.
const LOOK_AT_STORE: Duration = Duration::from_secs(5);
/// How often histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the service is made of.
pub struct Service {
    /// Opens what keeps the read models; tried until it succeeds.
    pub store: OpenStore,
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

/// Opens the read models, or says why they can't be opened now.
pub type OpenStore =
    Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn ReadModels>, StoreError>> + Send + Sync>;

/// Where events come from.
pub enum Source {
    /// A topic. The read models are kept elsewhere and outlive the process.
    Kafka(KafkaSettings),
    /// A bounded channel in this process. The read models live in memory and are made from the feed at start.
    InProcess(mpsc::Receiver<RecordedEvent>),
}

impl Service {
    /// Starts the service's tasks in `lifecycle` and gives the address that it listens on. It answers at once;
    /// `/health/ready` tells when it can do its work.
    ///
    /// # Errors
    /// When it can't listen.
    pub fn start(self, lifecycle: &Lifecycle) -> anyhow::Result<SocketAddr> {
        let readiness = Readiness::new(self.clock.clone());
        let progress = Arc::new(Progress::default());
        let models = Arc::new(OnceLock::new());
        let api =
            Api { models: Arc::clone(&models), progress: Arc::clone(&progress), clock: self.clock.clone() };
        let http_parts = HttpParts {
            service: "query-service",
            authenticator: self.authenticator.clone(),
            readiness: readiness.clone(),
            metrics: self.metrics.clone(),
            openapi: http::document(),
            request_timeout: self.server.request_timeout,
        };
        let server =
            HttpService::bind(http_parts, &self.server, move |config| http::configure(config, api.clone()))?;
        let address = server.address;
        let stop = lifecycle.soft();
        lifecycle.spawn("query http", async move { Ok(server.run(stop).await?) });
        if let Some(jwks) = self.authenticator.jwks().cloned() {
            let (component, stop) = (readiness.component("jwks"), lifecycle.soft());
            lifecycle.spawn("query jwks", async move {
                jwks.keep_fresh(component, stop).await;
                Ok(())
            });
        }
        lifecycle.spawn("query metrics", keep_up(self.metrics, lifecycle.soft()));
        let projection = Projection {
            open: self.store,
            models,
            feed: self.feed,
            progress,
            clock: self.clock,
            limits: self.limits,
            watchdog: self.watchdog,
            stop: lifecycle.soft(),
        };
        match self.source {
            Source::Kafka(settings) => {
                let (store, kafka) = (readiness.component("mongodb"), readiness.component("kafka"));
                lifecycle.spawn("query projector", projection.run_on_kafka(settings, store, kafka));
            }
            Source::InProcess(events) => {
                let store = readiness.component("readModels");
                lifecycle.spawn("query projector", projection.run_in_process(events, store));
            }
        }
        Ok(address)
    }
}

/// What brings events into the read models.
struct Projection {
    open: OpenStore,
    /// Set when queries may read.
    models: Arc<OnceLock<Arc<dyn ReadModels>>>,
    feed: Arc<dyn Feed>,
    progress: Arc<Progress>,
    clock: Clock,
    limits: Limits,
    watchdog: Duration,
    stop: CancellationToken,
}

impl Projection {
    /// The projector, once the store is open; none when it was stopped first.
    async fn projector(&self, component: &Component) -> Option<Arc<Projector>> {
        let store = until_it_succeeds(component, &self.stop, Backoff::for_server(), &self.open).await.ok()?;
        let parts = Parts {
            store,
            feed: Arc::clone(&self.feed),
            progress: Arc::clone(&self.progress),
            clock: self.clock.clone(),
        };
        Some(Arc::new(Projector::new(parts, self.limits, component.clone())))
    }

    fn let_queries_read(&self, projector: &Projector) {
        // Set once: this runs once.
        let _ = self.models.set(Arc::clone(&projector.parts().store));
    }

    async fn run_on_kafka(
        self,
        settings: KafkaSettings,
        component: Component,
        kafka: Component,
    ) -> anyhow::Result<()> {
        let Some(projector) = self.projector(&component).await else { return Ok(()) };
        self.let_queries_read(&projector);
        let consumed = kafka::consume(settings, Arc::clone(&projector), kafka, self.stop.clone());
        let store = Arc::clone(&projector.parts().store);
        tokio::select! {
            outcome = consumed => Ok(outcome?),
            // Both end when they are stopped, while the consumer still has offsets to commit.
            () = forever(look_at(store, component, self.stop.clone())) => Ok(()),
            () = forever(watchdog::watch(&projector, self.watchdog, self.stop.clone())) => Ok(()),
            () = forever(take_requests(&projector, self.stop.clone())) => Ok(()),
        }
    }

    /// Makes the read models from the feed, then keeps them up to date from the channel.
    async fn run_in_process(
        self,
        events: mpsc::Receiver<RecordedEvent>,
        component: Component,
    ) -> anyhow::Result<()> {
        const THE_PARTITION: i32 = 0;
        let Some(projector) = self.projector(&component).await else { return Ok(()) };
        component.failing("the read models are being rebuilt");
        projector.route_by(Box::new(|_| THE_PARTITION));
        let mut pipeline = Pipeline::new(projector.parts().clone());
        let rebuilt = rebuild(&projector, &mut pipeline, &component);
        if self.stop.run_until_cancelled(rebuilt).await.is_none() {
            return Ok(());
        }
        self.progress.set_owned(Box::new(|_| true));
        let inbox = projector.start_with(THE_PARTITION, pipeline);
        self.let_queries_read(&projector);
        component.ok();
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
async fn forward(mut events: mpsc::Receiver<RecordedEvent>, inbox: &Inbox) {
    let mut offset = 0;
    while let Some(event) = events.recv().await {
        if inbox.push_when_there_is_room(Message::event(offset, event)).await.is_err() {
            return;
        }
        offset += 1;
    }
}

/// Folds what histograms collected, so that they don't grow between scrapes.
async fn keep_up(metrics: Metrics, stop: CancellationToken) -> anyhow::Result<()> {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        metrics.upkeep();
    }
    Ok(())
}

/// Notices a store that is gone while no event comes.
async fn look_at(store: Arc<dyn ReadModels>, component: Component, stop: CancellationToken) {
    let nobodys = RoomId(Uuid::nil());
    while let Some(outcome) = stop.run_until_cancelled(store.checkpoints(&[nobodys])).await {
        match outcome {
            Ok(_) => component.ok(),
            Err(error) => component.failing(error.to_string()),
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_AT_STORE)).await.is_none() {
            break;
        }
    }
}

/// Reads all streams, as often as it takes.
async fn rebuild(projector: &Projector, pipeline: &mut Pipeline, component: &Component) {
    let feed = projector.parts().feed.as_ref();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        let outcome: Result<usize, String> = async {
            let heads: Vec<Head> = watchdog::all_heads(feed).await.map_err(|error| error.to_string())?;
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

//! Brings events into every generation that is to be fed, and lets queries read the live one. What is to be done is
//! read from the registry again and again, so that no instance has to be told.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use service_kit::{
    clock::Clock,
    readiness::{Component, Readiness},
    retry::{Backoff, until_it_succeeds},
};
use shared_events::Timestamp;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::Shown;
use crate::{
    feed::Feed,
    kafka::{self, KafkaSettings},
    progress::Progress,
    projector::{Dependencies, Limits, Projector, take_requests, watchdog},
    read_models::generation::Registry,
    stores::{
        StoreError, in_time,
        mongo::{Connection, Generations, MongoSettings},
    },
};

/// How often the registry is read: so long after a flip an instance may still answer from the generation before.
const LOOK: Duration = Duration::from_millis(500);

/// What it takes to feed generations.
pub struct Feeding {
    /// Where they are.
    pub mongo: MongoSettings,
    /// Where events come from; the group is that of the first generation.
    pub kafka: KafkaSettings,
    /// Where missing events are read.
    pub feed: Arc<dyn Feed>,
    /// The time.
    pub clock: Clock,
    /// How much is worked on at once, in each generation.
    pub limits: Limits,
    /// Between two comparisons of heads.
    pub watchdog: Duration,
    /// What queries read.
    pub shown: watch::Sender<Option<Arc<Shown>>>,
    /// Counts in how the live generation is.
    pub readiness: Readiness,
    /// Ends it.
    pub stop: CancellationToken,
}

/// A generation that this process feeds.
struct Fed {
    shown: Arc<Shown>,
    readiness: Readiness,
    is_shown: Arc<AtomicBool>,
    stop: CancellationToken,
}

/// A generation whose projector has ended, and how.
type Ended = (u32, anyhow::Result<()>);

impl Feeding {
    /// Feeds and shows until it is stopped.
    ///
    /// # Errors
    /// When a projector ends by itself.
    pub async fn run(self) -> anyhow::Result<()> {
        let component = self.readiness.component("mongodb");
        let nothing_yet = Readiness::new(self.clock.clone());
        let _starting = nothing_yet.component("kafka");
        self.readiness.count_in(&nothing_yet);
        let connect = || async {
            Connection::open(&self.mongo).await.inspect_err(|error| {
                tracing::warn!(error = error as &dyn std::error::Error, "the read models are not ready");
            })
        };
        let Ok(connection) = until_it_succeeds(&component, &self.stop, Backoff::for_server(), connect).await
        else {
            return Ok(());
        };
        let generations = Generations::over(connection);
        let mut fed = BTreeMap::new();
        let mut projectors = JoinSet::new();
        while !self.stop.is_cancelled() {
            let looked = in_time(self.look(&generations, &mut fed, &mut projectors));
            if let Some(outcome) = self.stop.run_until_cancelled(looked).await {
                report(&component, outcome);
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                Some(ended) = projectors.join_next() => forget(&mut fed, ended?)?,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        while let Some(ended) = projectors.join_next().await {
            ended?.1?;
        }
        Ok(())
    }

    /// Reads the registry and does as it says. False while there is nothing to show.
    async fn look(
        &self,
        generations: &Generations,
        fed: &mut BTreeMap<u32, Fed>,
        projectors: &mut JoinSet<Ended>,
    ) -> Result<bool, StoreError> {
        let mut registry = generations.read().await?;
        if registry.live.is_none() {
            generations.ensure_first(self.now()).await?;
            registry = generations.read().await?;
        }
        // The live one first: queries wait for it, and for no other.
        for number in registry.live.into_iter().chain(registry.fed()) {
            if fed.contains_key(&number) || !registry.fed().any(|to_feed| to_feed == number) {
                continue;
            }
            match self.start(generations, number, projectors).await {
                Ok(started) => _ = fed.insert(number, started),
                Err(error) if registry.live == Some(number) => return Err(error),
                Err(error) => tracing::warn!(generation = number, %error, "it can't be fed now"),
            }
            self.show(&registry, fed);
        }
        self.show(&registry, fed);
        let to_feed: Vec<u32> = registry.fed().collect();
        for (_, unwanted) in fed.iter().filter(|(number, _)| !to_feed.contains(number)) {
            // Its collections go when the last instance has left its group: not before all requests that read it ended.
            if Arc::strong_count(&unwanted.shown) == 1 {
                unwanted.stop.cancel();
            }
        }
        Ok(self.shown.borrow().is_some())
    }

    async fn start(
        &self,
        generations: &Generations,
        number: u32,
        projectors: &mut JoinSet<Ended>,
    ) -> Result<Fed, StoreError> {
        let models = Arc::new(generations.models(number).await?);
        let parts = Dependencies {
            store: Arc::clone(&models) as _,
            feed: Arc::clone(&self.feed),
            progress: Arc::new(Progress::default()),
            clock: self.clock.clone(),
        };
        let fed = Fed {
            shown: Arc::new(Shown { models, progress: Arc::clone(&parts.progress) }),
            readiness: Readiness::new(self.clock.clone()),
            is_shown: Arc::new(AtomicBool::new(false)),
            stop: self.stop.child_token(),
        };
        let store = fed.readiness.component("mongodb");
        store.ok();
        let projector = Projector::new(parts, self.limits, store);
        let projection = Projection {
            projector: Arc::new(projector.for_generation(number, Arc::clone(&fed.is_shown))),
            settings: self.kafka.of_generation(number),
            kafka: fed.readiness.component("kafka"),
            watchdog: self.watchdog,
            stop: fed.stop.clone(),
        };
        tracing::info!(generation = number, group = projection.settings.group, "the generation is fed");
        projectors.spawn(async move { (number, projection.run().await) });
        Ok(fed)
    }

    /// Lets queries read the live generation.
    fn show(&self, registry: &Registry, fed: &BTreeMap<u32, Fed>) {
        let Some((number, live)) = registry.live.and_then(|live| fed.get_key_value(&live)) else { return };
        if live.is_shown.load(Ordering::Relaxed) {
            return;
        }
        for (other, fed) in fed {
            fed.is_shown.store(other == number, Ordering::Relaxed);
        }
        self.readiness.count_in(&live.readiness);
        self.shown.send_replace(Some(Arc::clone(&live.shown)));
        metrics::gauge!("read_models_generation").set(*number);
        tracing::info!(generation = number, "queries read this generation");
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.clock.now_ms())
    }
}

fn report(component: &Component, looked: Result<bool, StoreError>) {
    match looked {
        Ok(true) => component.ok(),
        Ok(false) => component.failing("a rebuild has not yet made the first generation of this form"),
        Err(error) => component.failing(error.to_string()),
    }
}

/// Takes note of a projector that has ended, which it should only when it was told to.
fn forget(fed: &mut BTreeMap<u32, Fed>, (number, outcome): Ended) -> anyhow::Result<()> {
    outcome?;
    let was_told = fed.remove(&number).is_some_and(|fed| fed.stop.is_cancelled());
    anyhow::ensure!(was_told, "the projector of generation {number} ended by itself");
    tracing::info!(generation = number, "the generation is not fed any more");
    Ok(())
}

/// What feeds one generation.
struct Projection {
    projector: Arc<Projector>,
    settings: KafkaSettings,
    kafka: Component,
    watchdog: Duration,
    stop: CancellationToken,
}

impl Projection {
    async fn run(self) -> anyhow::Result<()> {
        let consumed =
            kafka::consume(self.settings, Arc::clone(&self.projector), self.kafka, self.stop.clone());
        // These end when they are stopped, while the consumer still has offsets to commit.
        let beside = async {
            tokio::join!(
                watchdog::watch(&self.projector, self.watchdog, self.stop.clone()),
                take_requests(&self.projector, self.stop.clone())
            );
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = consumed => Ok(outcome?),
            () = beside => Ok(()),
        }
    }
}

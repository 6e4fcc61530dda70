//! Feeds the generations of the registry and shows the live one. Each instance polls the registry, so none has to be told.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use service_kit::{
    readiness::{Component, Readiness},
    retry::{Backoff, until_it_succeeds},
};
use shared_events::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Feeding, Frozen, Shown};
use crate::{
    kafka::{self, KafkaSettings},
    progress::Progress,
    projector::{Dependencies, Projector, take_requests, watchdog, write_usage},
    read_models::generation::Registry,
    stores::{
        StoreError, in_time,
        mongo::{Connection, Generations, MongoSettings},
    },
};

/// The pause between two reads of the registry. After a flip, queries may read the old generation for this long.
const POLL: Duration = Duration::from_millis(500);

/// The generations of the registry that this process feeds.
struct Registered {
    feeding: Feeding,
    kafka: KafkaSettings,
    generations: Generations,
    fed: BTreeMap<u32, Fed>,
    projectors: JoinSet<Ended>,
}

/// A generation that this process feeds.
struct Fed {
    shown: Arc<Shown>,
    readiness: Readiness,
    is_shown: Arc<AtomicBool>,
    stop: CancellationToken,
}

/// The number of a generation and the outcome of its projector.
type Ended = (u32, anyhow::Result<()>);

impl Feeding {
    /// Feeds the generations of a database from Kafka until it is stopped. `kafka` names the group of the first one.
    ///
    /// # Errors
    /// When a projector ends by itself.
    pub async fn registered(
        self,
        component: Component,
        kafka: KafkaSettings,
        mongo: MongoSettings,
    ) -> anyhow::Result<()> {
        let nothing_yet = Readiness::new(self.clock.clone());
        let _starting = nothing_yet.component("kafka");
        self.readiness.count_in(&nothing_yet);
        let reached =
            until_it_succeeds(&component, &self.stop, Backoff::for_server(), || reach(&mongo)).await;
        let Ok(generations) = reached else { return Ok(()) };
        let registered = Registered {
            feeding: self,
            kafka,
            generations,
            fed: BTreeMap::new(),
            projectors: JoinSet::new(),
        };
        registered.run(&component).await
    }
}

/// Connects, and reads the registry once: opening a connection reaches no server.
async fn reach(mongo: &MongoSettings) -> Result<Generations, StoreError> {
    let generations = Generations::over(Connection::open(mongo).await?);
    generations.read().await?;
    Ok(generations)
}

impl Registered {
    async fn run(mut self, component: &Component) -> anyhow::Result<()> {
        let stop = self.feeding.stop.clone();
        while !stop.is_cancelled() {
            match stop.run_until_cancelled(in_time(self.follow_registry())).await {
                Some(Ok(())) if self.feeding.shown.borrow().is_some() => component.ok(),
                Some(Ok(())) => {
                    component.failing("a rebuild has not yet made the first generation of this form");
                }
                Some(Err(error)) => component.failing(error.to_string()),
                None => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(ended) = self.projectors.join_next() => self.forget(ended?)?,
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while let Some(ended) = self.projectors.join_next().await {
            ended?.1?;
        }
        Ok(())
    }

    /// Reads the registry, then starts, shows and stops generations accordingly.
    async fn follow_registry(&mut self) -> Result<(), StoreError> {
        let mut registry = self.generations.read().await?;
        if registry.live.is_none() {
            let now = Timestamp::from_epoch_millis(self.feeding.clock.now_ms());
            self.generations.ensure_first(now).await?;
            registry = self.generations.read().await?;
        }
        // The live one first: queries wait for it alone.
        for number in registry.live.into_iter().chain(registry.fed()) {
            if self.fed.contains_key(&number) || !registry.is_fed(number) {
                continue;
            }
            match self.start(number).await {
                Ok(started) => _ = self.fed.insert(number, started),
                Err(error) if registry.live == Some(number) => return Err(error),
                Err(error) => tracing::warn!(generation = number, %error, "the generation can't be fed now"),
            }
            self.show_live(&registry);
        }
        self.show_live(&registry);
        self.show_frozen(&registry);
        self.feeding.registry.send_replace(registry.clone());
        for (_, dropped) in self.fed.iter().filter(|(number, _)| !registry.is_fed(**number)) {
            // Its collections go when the last member has left its group, so its last request ends first.
            if Arc::strong_count(&dropped.shown) == 1 {
                dropped.stop.cancel();
            }
        }
        Ok(())
    }

    async fn start(&mut self, number: u32) -> Result<Fed, StoreError> {
        let feeding = &self.feeding;
        let models = Arc::new(self.generations.models(number).await?);
        let progress = Arc::new(Progress::default());
        let dependencies = Dependencies {
            store: Arc::clone(&models) as _,
            feed: Arc::clone(&feeding.feed),
            progress: Arc::clone(&progress),
            clock: feeding.clock.clone(),
        };
        let fed = Fed {
            shown: Arc::new(Shown::new(models, progress)),
            readiness: Readiness::new(feeding.clock.clone()),
            is_shown: Arc::new(AtomicBool::new(false)),
            stop: feeding.stop.child_token(),
        };
        let store = fed.readiness.component("mongodb");
        store.ok();
        let projector = Projector::new(dependencies, feeding.limits, store);
        let projection = Projection {
            projector: Arc::new(projector.for_generation(number, Arc::clone(&fed.is_shown))),
            settings: self.kafka.of_generation(number),
            kafka: fed.readiness.component("kafka"),
            watchdog: feeding.watchdog,
            stop: fed.stop.clone(),
        };
        tracing::info!(generation = number, group = projection.settings.group, "the generation is fed");
        self.projectors.spawn(async move { (number, projection.run().await) });
        Ok(fed)
    }

    /// Lets queries read the live generation.
    fn show_live(&self, registry: &Registry) {
        let Some((number, live)) = registry.live.and_then(|live| self.fed.get_key_value(&live)) else {
            return;
        };
        if live.is_shown.load(Ordering::Relaxed) {
            return;
        }
        for (other, fed) in &self.fed {
            fed.is_shown.store(other == number, Ordering::Relaxed);
        }
        self.feeding.readiness.count_in(&live.readiness);
        self.feeding.shown.send_replace(Some(Arc::clone(&live.shown)));
        metrics::gauge!("read_models_generation").set(*number);
        tracing::info!(generation = number, "queries read this generation");
    }

    /// Lets queries read the frozen generations by their numbers.
    fn show_frozen(&self, registry: &Registry) {
        let wanted: BTreeMap<u32, Timestamp> = registry.frozen().collect();
        self.feeding.frozen.send_if_modified(|known| {
            let before = known.len();
            known.retain(|number, _| wanted.contains_key(number));
            let mut changed = known.len() != before;
            for (number, until) in wanted {
                known.entry(number).or_insert_with(|| {
                    changed = true;
                    let models = Arc::new(self.generations.frozen_models(number));
                    Frozen { shown: Arc::new(Shown::new(models, Arc::default())), until }
                });
            }
            changed
        });
    }

    /// Forgets a generation whose projector has ended. The projector must have been stopped.
    fn forget(&mut self, (number, outcome): Ended) -> anyhow::Result<()> {
        outcome?;
        let stopped = self.fed.remove(&number).is_some_and(|fed| fed.stop.is_cancelled());
        anyhow::ensure!(stopped, "the projector of generation {number} ended by itself");
        tracing::info!(generation = number, "the generation is not fed any more");
        Ok(())
    }
}

/// The projector of one generation with its sources.
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
        // The consumer ends last: it commits offsets after the others have ended.
        let beside = async {
            tokio::join!(
                watchdog::watch(&self.projector, self.watchdog, self.stop.clone()),
                take_requests(&self.projector, self.stop.clone()),
                write_usage(&self.projector, self.stop.clone())
            );
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = consumed => Ok(outcome?),
            () = beside => Ok(()),
        }
    }
}

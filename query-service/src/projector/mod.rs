//! Projects events into the read models, from any source. Each partition has a pipeline.

mod behind;
mod filling;
pub mod inbox;
pub mod message;
mod metrics;
mod operating;
mod parking;
mod pipeline;
mod room;
mod run;
pub mod watchdog;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use service_kit::{abort_point::AbortPoint, readiness::Component};
use shared_events::{RoomId, feed::Head};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::metrics::ProjectorMetrics;
use crate::read_models::Request;

pub use behind::{USAGE_BEHIND, write_usage};
pub use inbox::{Bounds, Inbox};
pub use message::{Content, Message, UnreadableMessage};
pub use metrics::{LAG, VISIBLE_SECONDS};
pub use operating::take_requests;
pub use pipeline::{Dependencies, LIST_IS_GOOD_FOR, Pipeline};

/// Documents and checkpoints are written, and the offset is not stored.
pub const BEFORE_OFFSET: AbortPoint = AbortPoint::named("after-write-before-offset");

/// Bounds of the projector's work.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The bounds of a batch.
    pub batch: Bounds,
    /// The bounds at which an inbox is full and its source pauses.
    pub inbox: Bounds,
    /// The place where the process aborts, in tests.
    pub abort_at: Option<AbortPoint>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch: Bounds { rows: 10_000, bytes: 8 * 1024 * 1024 },
            inbox: Bounds { rows: 20_000, bytes: 32 * 1024 * 1024 },
            abort_at: None,
        }
    }
}

/// The pipelines that run in this process.
pub struct Projector {
    dependencies: Dependencies,
    limits: Limits,
    store: Component,
    metrics: ProjectorMetrics,
    runtime: Handle,
    running: Mutex<HashMap<i32, Running>>,
    routing: OnceLock<Routing>,
}

/// Gives the partition of a room's messages.
pub type Routing = Box<dyn Fn(RoomId) -> i32 + Send + Sync>;

struct Running {
    inbox: Arc<Inbox>,
    /// The offset after the last processed message, or [`NONE`].
    next_offset: Arc<AtomicI64>,
    heads: mpsc::Sender<Vec<Head>>,
    requests: mpsc::Sender<Request>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

const NONE: i64 = -1;

/// A pipeline ended by itself, which is a defect. Restart the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline of partition {0} ended by itself")]
pub struct PipelineEnded(pub i32);

impl Projector {
    /// A projector without partitions. Its pipelines run on the current runtime, and `store` shows whether they can write.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn new(dependencies: Dependencies, limits: Limits, store: Component) -> Self {
        Self {
            dependencies,
            limits,
            store,
            metrics: ProjectorMetrics::default(),
            runtime: Handle::current(),
            running: Mutex::default(),
            routing: OnceLock::new(),
        }
    }

    /// Labels the metrics with this generation while it is not shown.
    #[must_use]
    pub fn for_generation(self, number: u32, is_shown: Arc<AtomicBool>) -> Self {
        Self { metrics: ProjectorMetrics::of_generation(number, is_shown), ..self }
    }

    /// The dependencies of its pipelines.
    #[must_use]
    pub fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// Starts a new pipeline for a partition, and returns its inbox.
    pub fn start(&self, partition: i32) -> Arc<Inbox> {
        let mut pipeline = Pipeline::new(self.dependencies.clone());
        pipeline.metrics = self.metrics.clone();
        self.start_with(partition, pipeline)
    }

    /// Starts a partition with a pipeline that has rebuilt the read models.
    pub fn start_with(&self, partition: i32, pipeline: Pipeline) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new(self.limits.inbox));
        let next_offset = Arc::new(AtomicI64::new(NONE));
        let stop = CancellationToken::new();
        let (heads, compared) = mpsc::channel(1);
        let (requests, asked) = mpsc::channel(1);
        let task = self.runtime.spawn(run::run(run::Run {
            pipeline,
            inbox: Arc::clone(&inbox),
            compared,
            asked,
            next_offset: Arc::clone(&next_offset),
            stop: stop.clone(),
            limits: self.limits,
            store: self.store.clone(),
        }));
        let running = Running { inbox: Arc::clone(&inbox), next_offset, heads, requests, stop, task };
        self.running().insert(partition, running);
        inbox
    }

    /// Ends these partitions' pipelines, and returns the offsets that may be stored. A running batch is abandoned when it
    /// does not finish `within` that time. Usage that is folded is written, if time is left.
    pub async fn stop(&self, partitions: &[i32], within: Duration) -> Vec<(i32, i64)> {
        let ending: Vec<(i32, Running)> = {
            let mut running = self.running();
            partitions.iter().filter_map(|partition| running.remove_entry(partition)).collect()
        };
        for (_, running) in &ending {
            running.stop.cancel();
            running.inbox.close();
        }
        let deadline = tokio::time::Instant::now() + within;
        let mut offsets = Vec::new();
        for (partition, mut running) in ending {
            if tokio::time::timeout_at(deadline, &mut running.task).await.is_err() {
                tracing::warn!(partition, "a batch is abandoned");
                running.task.abort();
            }
            offsets.extend(running.processed().map(|offset| (partition, offset)));
        }
        // The next owner need not fold it again.
        match tokio::time::timeout_at(deadline, self.dependencies.store.write_usage()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the next owner folds usage again"),
            Err(_) => tracing::warn!("the next owner folds usage again: it could not be written in time"),
        }
        offsets
    }

    /// The offset after the last processed message of each partition.
    #[must_use]
    pub fn processed(&self) -> Vec<(i32, i64)> {
        let running = self.running();
        running.iter().filter_map(|(partition, running)| Some((*partition, running.processed()?))).collect()
    }

    /// The partitions of the running pipelines.
    #[must_use]
    pub fn partitions(&self) -> Vec<i32> {
        self.running().keys().copied().collect()
    }

    /// Sets the number of a partition's messages that are not processed yet.
    pub fn count_lag(&self, partition: i32, messages: i64) {
        self.metrics.lag(partition, messages);
    }

    /// Checks that all pipelines still run.
    pub fn check(&self) -> Result<(), PipelineEnded> {
        let running = self.running();
        let ended = running.iter().find(|(_, running)| running.task.is_finished());
        ended.map_or(Ok(()), |(partition, _)| Err(PipelineEnded(*partition)))
    }

    /// Sets the function that gives a room's partition.
    pub fn route_by(&self, routing: Routing) {
        // The number of partitions never changes: a second call sets the same.
        let _ = self.routing.set(routing);
    }

    /// The partition of a room, once [`Projector::route_by`] was called.
    #[must_use]
    pub fn partition_of(&self, room: RoomId) -> Option<i32> {
        self.routing.get().map(|routing| routing(room))
    }

    /// Lets an idle pipeline compare heads with its checkpoints. Heads are dropped while earlier ones wait.
    pub fn compare(&self, partition: i32, heads: Vec<Head>) {
        if let Some(running) = self.running().get(&partition) {
            let _ = running.heads.try_send(heads);
        }
    }

    /// Hands a request to the pipeline of its room, if the pipeline runs here and has no other request.
    pub fn operate(&self, request: Request) {
        let Some(partition) = self.partition_of(request.room) else { return };
        if let Some(running) = self.running().get(&partition) {
            let _ = running.requests.try_send(request);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<i32, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn processed(&self) -> Option<i64> {
        Some(self.next_offset.load(Ordering::Acquire)).filter(|offset| *offset != NONE)
    }
}

//! Generations: each is one full set of read models, fed by its own consumer group, with its own checkpoints. Queries read
//! the live one. A single document names it, so a flip and a rollback are one write each.

mod in_process;
#[cfg(all(feature = "mongodb", feature = "kafka"))]
mod registered;
#[cfg(all(feature = "mongodb", feature = "kafka"))]
pub mod servers;
mod telling;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use service_kit::{clock::Clock, readiness::Readiness};
use shared_events::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use telling::tell;

use crate::{
    feed::Feed,
    live::Hub,
    progress::Progress,
    projector::Limits,
    queries::{Crowd, KeptKinds},
    read_models::generation::Registry,
    stores::Queries,
};

/// The generation that queries read. A request looks it up once and reads everything there.
pub struct Shown {
    /// Its documents.
    pub models: Arc<dyn Queries>,
    /// The versions up to which its rooms are visible.
    pub progress: Arc<Progress>,
    /// Waits for usage positions.
    pub usage: Progress,
    /// Its kinds.
    pub kinds: KeptKinds,
    /// The statistics that read it.
    pub statistics: Crowd,
    /// The searches for rooms that read it.
    pub searches: Crowd,
}

impl Shown {
    /// A generation that no query has read.
    #[must_use]
    pub fn new(models: Arc<dyn Queries>, progress: Arc<Progress>) -> Self {
        let (statistics, searches) = (Crowd::of_statistics(), Crowd::of_searches());
        Self {
            models,
            progress,
            usage: Progress::default(),
            kinds: KeptKinds::default(),
            statistics,
            searches,
        }
    }
}

/// The frozen generations by number.
pub type AllFrozen = BTreeMap<u32, Frozen>;

/// A generation that shows the events up to a moment.
#[derive(Clone)]
pub struct Frozen {
    /// The generation.
    pub shown: Arc<Shown>,
    /// The moment: the present of its queries.
    pub until: Timestamp,
}

/// Brings events into generations and shows the live one to queries.
pub struct Feeding {
    /// Gives missing events.
    pub feed: Arc<dyn Feed>,
    /// The clock.
    pub clock: Clock,
    /// Bounds of the work on each generation.
    pub limits: Limits,
    /// The pause between two comparisons of heads.
    pub watchdog: Duration,
    /// The generation that queries read.
    pub shown: watch::Sender<Option<Arc<Shown>>>,
    /// Tells clients what changes.
    pub live: Arc<Hub>,
    /// The generations that queries read by number.
    pub frozen: watch::Sender<AllFrozen>,
    /// All generations, for administrators.
    pub registry: watch::Sender<Registry>,
    /// Tells whether the live generation works.
    pub readiness: Readiness,
    /// Ends the feeding.
    pub stop: CancellationToken,
}

//! Generations of read models: each is a set of collections of its own, is fed by a consumer group of its own, and has its
//! own checkpoints. One of them is shown; which one is a single document, so that to flip and to roll back are one
//! write each.

#[cfg(all(feature = "mongodb", feature = "kafka"))]
mod feeding;
#[cfg(all(feature = "mongodb", feature = "kafka"))]
pub mod operate;

use std::sync::Arc;

#[cfg(all(feature = "mongodb", feature = "kafka"))]
pub use feeding::Feeding;

use crate::{progress::Progress, stores::Queries};

/// What queries read: one generation of read models, and how far this process has brought it. A request looks this up
/// once and reads all that it reads there.
pub struct Shown {
    /// The documents.
    pub models: Arc<dyn Queries>,
    /// What has become visible of them.
    pub progress: Arc<Progress>,
}

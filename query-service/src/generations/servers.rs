//! The servers of an operator's command, and the flip from one generation to another.

use std::sync::Arc;

use service_kit::{abort_point::AbortPoint, clock::Clock};
use shared_events::Timestamp;

use crate::{
    feed::HttpFeed,
    kafka::KafkaSettings,
    stores::{StoreError, Swap, mongo::Generations},
};

/// The servers that the service works with, for a command.
pub struct Servers {
    /// The generations in MongoDB.
    pub generations: Generations,
    /// The feed of the command service.
    pub feed: Arc<HttpFeed>,
    /// The topic, and the group of the first generation.
    pub kafka: KafkaSettings,
    /// The clock.
    pub clock: Clock,
    /// Where a rebuild aborts, in tests.
    pub abort_at: Option<AbortPoint>,
}

/// The outcome of a flip.
pub enum Flip {
    /// Queries read the other generation.
    Done,
    /// Queries read the same generation as before, for this reason.
    Refused(String),
}

impl Servers {
    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.clock.now_ms())
    }

    /// Lets queries read generation `to`, where `from` is live.
    pub async fn flip(&self, from: Option<u32>, to: u32) -> Result<Flip, StoreError> {
        let swap = self.generations.flip(from, to).await?;
        let registry = self.generations.read().await?;
        if swap == Swap::Moved && registry.live != Some(to) {
            return Ok(Flip::Refused("another command flipped at the same time".to_owned()));
        }
        // A drop that began at the same time found that `to` was not live.
        if registry.is_fed(to) {
            return Ok(Flip::Done);
        }
        if let Some(from) = from {
            self.generations.flip(Some(to), from).await?;
        }
        Ok(Flip::Refused(format!("generation {to} is being dropped")))
    }
}

//! What operators' commands work with: the same servers, under the same settings, as the service.

use std::sync::Arc;

use anyhow::Context as _;
use service_kit::clock::Clock;
use shared_events::Timestamp;

use crate::{
    config::Config,
    feed::HttpFeed,
    kafka::KafkaSettings,
    stores::mongo::{Connection, Generations},
};

/// The servers that a command needs.
pub struct Servers {
    /// The read models.
    pub generations: Generations,
    /// The events.
    pub feed: Arc<HttpFeed>,
    /// The topic, with the group of the first generation.
    pub kafka: KafkaSettings,
    /// The time.
    pub clock: Clock,
}

impl Servers {
    /// Connects to the servers that the settings name.
    ///
    /// # Errors
    /// When MongoDB can't be reached, or there are no credentials for the feed.
    pub async fn connect(config: Config) -> anyhow::Result<Self> {
        let clock = Clock::with_offset(config.kit.clock_offset_seconds);
        let feed = config.feed(clock.clone())?;
        let generations = Generations::over(Connection::open(&config.mongo).await.context("MongoDB")?);
        Ok(Self { generations, feed: Arc::new(feed), kafka: config.kafka, clock })
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.clock.now_ms())
    }
}

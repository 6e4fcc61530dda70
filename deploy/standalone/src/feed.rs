//! The feed of the embedded default, read from the store without HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use command_service::event_store::{ERASURES_PAGE, EventStore};
use query_service::feed::{Feed, FeedError};
use shared_events::{
    RawEvent, RoomId, Version,
    erasure::ErasuresPage,
    feed::{Head, Page},
};

/// Streams, or events of a stream, in one read.
const PAGE: u32 = 1000;

/// The feed of a store.
pub(crate) struct StoreFeed(pub(crate) Arc<dyn EventStore>);

#[async_trait]
impl Feed for StoreFeed {
    async fn heads(&self, cursor: Option<&str>) -> Result<Page<Head>, FeedError> {
        let after = cursor.map(str::parse::<RoomId>).transpose();
        let after = after.map_err(|error| FeedError::Answer(format!("the cursor is not a room: {error}")))?;
        let heads = self.0.all_heads(after, PAGE).await.map_err(unreachable)?;
        let full = heads.len() == PAGE as usize;
        let next = heads.last().filter(|_| full).map(|(room, _)| room.to_string());
        Ok(Page { items: heads.into_iter().map(|(room, version)| Head { room, version }).collect(), next })
    }

    async fn events(&self, room: RoomId, after: Version) -> Result<Vec<RawEvent>, FeedError> {
        let stored = self.0.stream(room, after, PAGE).await.map_err(unreachable)?;
        let read = stored.into_iter().map(|event| event.into_raw());
        read.collect::<Result<_, _>>().map_err(|error| FeedError::Answer(error.to_string()))
    }

    async fn erasures(&self, after: u64) -> Result<ErasuresPage, FeedError> {
        self.0.erasures(after, ERASURES_PAGE).await.map_err(unreachable)
    }
}

fn unreachable(error: command_service::event_store::StoreError) -> FeedError {
    FeedError::Unreachable(error.to_string())
}

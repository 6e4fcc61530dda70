//! Learns who was erased: adds to the stored list what the event store's list has gained.

use std::sync::Arc;

use shared_events::Erasures;

use crate::{
    feed::{Feed, FeedError},
    stores::{ErasureList, StoreError, Swap},
};

/// Why the list can't be learnt. It is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The feed fails.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads new persons from the feed, stores them, and gives the whole list.
///
/// # Errors
/// When the feed can't be read, or the store can't be read or written.
pub async fn learn(feed: &dyn Feed, store: &dyn ErasureList) -> Result<Arc<Erasures>, LearnError> {
    loop {
        // The stored list is read first: then the feed's is at least as new.
        let known = store.erasures().await?;
        let mut page = feed.erasures(known.as_ref().map_or(0, |known| known.after())).await?;
        if let Some(known) = known.as_ref().filter(|known| known.is_up_to_date(&page)) {
            return Ok(Arc::clone(known));
        }
        let mut list = known.as_deref().cloned().unwrap_or_default();
        while !list.add(page) {
            page = feed.erasures(list.after()).await?;
        }
        let list = Arc::new(list);
        if store.keep_erasures(known.as_deref(), &list).await? == Swap::Done {
            return Ok(list);
        }
    }
}

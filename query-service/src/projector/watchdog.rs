//! Losses that no later event shows: streams' heads are compared with what is written, now and then.

use std::{collections::HashMap, time::Duration};

use shared_events::feed::Head;
use tokio_util::sync::CancellationToken;

use super::Projector;
use crate::feed::{Feed, FeedError};

/// Reads all heads.
///
/// # Errors
/// When the feed can't be read to its end.
pub async fn all_heads(feed: &dyn Feed) -> Result<Vec<Head>, FeedError> {
    let mut heads = Vec::new();
    let mut cursor = None;
    loop {
        let page = feed.heads(cursor.as_deref()).await?;
        heads.extend(page.items);
        match page.next {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            Some(_) => return Err(FeedError::Answer("the same cursor again".to_owned())),
            None => return Ok(heads),
        }
    }
}

/// Compares until it is stopped. What is compared are the heads of the round before, so that what is merely on its
/// way is not taken for lost.
pub async fn watch(projector: &Projector, every: Duration, stop: CancellationToken) {
    let mut before: Vec<Head> = Vec::new();
    loop {
        let mut by_partition: HashMap<i32, Vec<Head>> = HashMap::new();
        for head in before {
            if let Some(partition) = projector.partition_of(head.room) {
                by_partition.entry(partition).or_default().push(head);
            }
        }
        for (partition, heads) in by_partition {
            projector.compare(partition, heads);
        }
        before = match all_heads(projector.parts().feed.as_ref()).await {
            Ok(heads) => heads,
            Err(error) => {
                tracing::info!(%error, "heads can't be compared now");
                Vec::new()
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
            return;
        }
    }
}

//! Finds losses that no later event shows: it compares the streams' heads with the read models regularly.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use service_kit::{config::Key, declare};
use shared_events::{RoomId, Version, feed::Head};
use tokio_util::sync::CancellationToken;

use super::Projector;
use crate::{
    erasures::{LearnError, learn},
    feed::all_heads,
    stores::{StoreError, in_time},
};

declare! {
    /// The settings of the watchdog.
    pub KEYS:
    /// Seconds between two comparisons of the feed's heads with the read models.
    pub WATCHDOG_SECONDS: Duration = Key::seconds("30").within(1, 86_400);
}

/// Gauge: rooms whose read models show events that the event store lacks. An older copy of the event store was restored,
/// without events that were published.
pub const AHEAD: &str = "projector_rooms_ahead";

/// Rooms whose checkpoint is beyond the head, each with both. The checkpoints are read before the heads: the event store
/// has lost committed events.
pub(crate) fn ahead(
    checkpoints: &BTreeMap<RoomId, Version>,
    heads: &[Head],
) -> Vec<(RoomId, Version, Version)> {
    let heads: HashMap<RoomId, Version> = heads.iter().map(|head| (head.room, head.version)).collect();
    let head = |room| heads.get(room).copied().unwrap_or_default();
    let with_head = checkpoints.iter().map(|(room, version)| (*room, *version, head(room)));
    with_head.filter(|(_, version, head)| version > head).collect()
}

/// The versions of the rooms' checkpoints. Counts the parked rooms.
async fn versions(
    projector: &Projector,
    rooms: impl Iterator<Item = RoomId>,
) -> Result<BTreeMap<RoomId, Version>, StoreError> {
    let rooms: Vec<RoomId> = rooms.collect();
    let checkpoints = in_time(projector.dependencies().store.checkpoints(&rooms)).await?;
    let parked = checkpoints.values().filter(|checkpoint| checkpoint.parked.is_some()).count();
    projector.metrics.handles().waiting.set(u32::try_from(parked).unwrap_or(u32::MAX));
    Ok(checkpoints.into_iter().map(|(room, checkpoint)| (room, checkpoint.version)).collect())
}

fn tell(ahead: &[(RoomId, Version, Version)]) {
    for (room, shown, stored) in ahead.iter().take(10) {
        tracing::error!(%room, shown = shown.get(), stored = stored.get(), "the event store lacks events that the read models show");
    }
    metrics::gauge!(AHEAD).set(u32::try_from(ahead.len()).unwrap_or(u32::MAX));
}

/// Reads new erased persons from the feed: restored read models may have an older one.
async fn learn_erasures(projector: &Projector) {
    let parts = projector.dependencies();
    match learn(parts.feed.as_ref(), parts.store.as_ref()).await {
        // The projector reports a store that fails.
        Ok(_) | Err(LearnError::Store(_)) => {}
        Err(LearnError::Feed(error)) => {
            tracing::info!(%error, "the list of erased persons can't be read now");
        }
    }
}

/// Compares until it is stopped. It uses the heads of the round before, so that events on their way are not taken for
/// lost.
pub async fn watch(projector: &Projector, every: Duration, stop: CancellationToken) {
    let mut before: Vec<Head> = Vec::new();
    loop {
        learn_erasures(projector).await;
        let mut by_partition: HashMap<i32, Vec<Head>> = HashMap::new();
        for &head in &before {
            if let Some(partition) = projector.partition_of(head.room) {
                by_partition.entry(partition).or_default().push(head);
            }
        }
        for (partition, heads) in by_partition {
            projector.compare(partition, heads);
        }
        let shown = versions(projector, before.iter().map(|head| head.room)).await;
        before = match all_heads(projector.dependencies().feed.as_ref()).await {
            Ok(heads) => {
                // The projector reports a store that fails.
                shown.iter().for_each(|shown| tell(&ahead(shown, &heads)));
                heads
            }
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_room_is_ahead_only_if_the_event_store_lacks_its_events() {
        let room = |n| RoomId(Uuid::from_u128(n));
        let [zero, two, three] = [0, 2, 3].map(Version::from);
        let shown = BTreeMap::from([(room(1), three), (room(2), three), (room(3), three), (room(4), zero)]);
        let heads = [Head { room: room(1), version: three }, Head { room: room(2), version: two }];
        assert_eq!(ahead(&shown, &heads), [(room(2), three, two), (room(3), three, zero)]);
    }
}

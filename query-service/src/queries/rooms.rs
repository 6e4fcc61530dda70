//! Lists of rooms and kinds.

use std::{sync::Arc, time::Duration};

use shared_events::{RoomId, names::sort_key};
use tokio::{sync::Mutex, time::Instant};

use super::{Page, PageRequest, QueryError};
use crate::{
    read_models::{KindCount, RoomDoc},
    stores::{Queries, RoomFilter, StoreError},
};

/// Rooms that can be booked, by name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rooms {
    /// Only these rooms.
    pub filter: RoomFilter,
}

impl Rooms {
    /// One page of them.
    pub async fn run(&self, models: &dyn Queries, page: &PageRequest) -> Result<Page<RoomDoc>, QueryError> {
        let after: Option<(RoomId, String)> = page.after(self)?;
        let after = after.map(|(id, name)| (name, id));
        let rooms = models.rooms_by_name(&self.filter, after.as_ref(), page.to_read()).await?;
        Ok(page.page(self, rooms, |room| (room.room, room.settings.name.clone())))
    }
}

/// Kinds by name, each with the number of its rooms that can be booked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Kinds;

impl Kinds {
    /// One page of them, out of all.
    ///
    /// # Errors
    /// [`QueryError::InvalidCursor`].
    pub fn page(&self, all: &[KindCount], page: &PageRequest) -> Result<Page<KindCount>, QueryError> {
        let after: Option<String> = page.after(self)?;
        let begin = after.map_or(0, |after| all.partition_point(|kind| kind.sort_key() <= sort_key(&after)));
        let kinds = all.iter().skip(begin).take(page.to_read()).cloned().collect();
        Ok(page.page(self, kinds, |kind| kind.kind.clone()))
    }
}

/// The kinds of a generation. Counting them reads all rooms, so requests share a count.
#[derive(Default)]
pub struct KeptKinds(Mutex<Option<(Instant, Arc<Vec<KindCount>>)>>);

impl KeptKinds {
    /// The age of the oldest count for a request without a token.
    pub const KEPT: Duration = Duration::from_secs(1);

    /// The kinds as they were at `oldest` or later. Counts again if they were counted before, one request at a time.
    ///
    /// # Errors
    /// When they can't be counted.
    pub async fn since(
        &self,
        oldest: Instant,
        count: impl AsyncFnOnce() -> Result<Vec<KindCount>, StoreError>,
    ) -> Result<Arc<Vec<KindCount>>, StoreError> {
        let mut kept = self.0.lock().await;
        if let Some((counted_at, kinds)) = kept.as_ref()
            && *counted_at >= oldest
        {
            return Ok(Arc::clone(kinds));
        }
        let counted_at = Instant::now();
        let kinds = Arc::new(count().await?);
        *kept = Some((counted_at, Arc::clone(&kinds)));
        Ok(kinds)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_requests_for_kinds_share_a_count_and_one_with_a_token_sees_what_came_before() {
        let (kept, counts) = (KeptKinds::default(), Cell::new(0));
        let ask = async |oldest| {
            let count = async || {
                sleep(Duration::from_millis(100)).await;
                counts.update(|counts| counts + 1);
                Ok(vec![KindCount { kind: "meeting".to_owned(), rooms: counts.get() }])
            };
            kept.since(oldest, count).await.unwrap()[0].rooms
        };
        let lately = || Instant::now() - KeptKinds::KEPT;
        advance(Duration::from_secs(60)).await;
        assert_eq!(join_all((0..1000).map(|_| ask(lately()))).await, vec![1; 1000]);
        assert_eq!(
            join_all((0..1000).map(|_| ask(Instant::now()))).await,
            vec![2; 1000],
            "counted after they came"
        );
        assert_eq!(ask(lately()).await, 2);
        advance(KeptKinds::KEPT).await;
        assert_eq!(ask(lately()).await, 3, "the count is too old");
    }

    #[test]
    fn kinds_come_in_pages() {
        let all: Vec<_> = ["a", "b", "c"].map(|kind| KindCount { kind: kind.to_owned(), rooms: 1 }).into();
        let first = Kinds.page(&all, &PageRequest::first(2)).unwrap();
        assert_eq!(first.items, all[..2]);
        let rest = Kinds.page(&all, &PageRequest { limit: 2, cursor: first.next }).unwrap();
        assert_eq!((rest.items.as_slice(), rest.next), (&all[2..], None));
    }
}

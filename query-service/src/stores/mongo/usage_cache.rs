//! A cache of usage documents, so that the next batch of a room need not load them.
//!
//! A document follows from its room's events up to its version, so a folded one is right whatever is stored. A batch must
//! never be folded into a document that lacks events before it. So the cache gives a room's documents only to the batch
//! that continues the last one, and they return only after the checkpoint is written. After another owner's batch, a
//! restored older copy or a failed write, the look-up finds nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use shared_events::{RoomId, Version};

use super::documents::PackedUsage;

/// Most documents of each half. Packed, the two tables of a month take about a hundred bytes each.
const HALF: usize = 8192;
/// Most documents of a room: the months for which it is reserved now.
const OF_ROOM: usize = 12;

#[derive(Debug, Default)]
pub(super) struct UsageCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    recent: HashMap<RoomId, RoomUsage>,
    /// How many documents those are.
    documents: usize,
    /// The recent half before this one. Dropped when the recent half is full again.
    older: HashMap<RoomId, RoomUsage>,
}

/// Usage documents of a room, not necessarily all of them.
#[derive(Clone, Debug)]
struct RoomUsage {
    /// The room's checkpoint: all events up to it are counted.
    complete_to: Version,
    documents: Vec<PackedUsage>,
}

impl UsageCache {
    /// Takes the documents of a room whose checkpoint is at `version`. Those of another version are dropped.
    pub(super) fn take(&self, room: RoomId, version: Version) -> Vec<PackedUsage> {
        let mut state = self.state();
        let recent = state.recent.remove(&room);
        if let Some(found) = &recent {
            state.documents -= found.documents.len();
        }
        let older = state.older.remove(&room);
        let found = recent.or(older).filter(|found| found.complete_to == version);
        found.map(|found| found.documents).unwrap_or_default()
    }

    /// Keeps the documents of a room whose checkpoint is at `version` now, at most the last ones.
    pub(super) fn put(&self, room: RoomId, version: Version, mut documents: Vec<PackedUsage>) {
        documents.drain(..documents.len().saturating_sub(OF_ROOM));
        let mut state = self.state();
        state.documents += documents.len();
        if let Some(before) = state.recent.insert(room, RoomUsage { complete_to: version, documents }) {
            state.documents -= before.documents.len();
        }
        if state.documents > HALF {
            state.older = std::mem::take(&mut state.recent);
            state.documents = 0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use shared_events::TimeZone;
    use uuid::Uuid;

    use super::*;
    use crate::read_models::{UsageDoc, UsageKey, usage::Month};

    fn room(n: usize) -> RoomId {
        RoomId(Uuid::from_u128(n as u128))
    }

    fn usage(n: usize) -> PackedUsage {
        in_month(n, 202_606)
    }

    fn in_month(n: usize, month: i32) -> PackedUsage {
        let month = Month::of_code(month).unwrap();
        let key = UsageKey { room: room(n), zone: TimeZone(chrono_tz::UTC), month };
        PackedUsage::pack(&UsageDoc { version: 7.into(), ..UsageDoc::empty(key) })
    }

    #[test]
    fn only_the_batch_that_goes_on_from_there_finds_a_room_and_only_once() {
        let cache = UsageCache::default();
        cache.put(room(1), 9.into(), vec![usage(1)]);
        assert_eq!(cache.take(room(1), 9.into()), [usage(1)]);
        assert!(cache.take(room(1), 9.into()).is_empty(), "it was not put back");
        for other in [8, 10] {
            cache.put(room(1), 9.into(), vec![usage(1)]);
            assert!(cache.take(room(1), other.into()).is_empty());
            assert!(cache.take(room(1), 9.into()).is_empty(), "it is not known any more");
        }
    }

    #[test]
    fn of_a_room_the_months_that_were_written_last_are_kept() {
        let cache = UsageCache::default();
        let months = |years: std::ops::RangeInclusive<i32>| {
            let codes = years.flat_map(|year| (1..=12).map(move |month| year * 100 + month));
            codes.map(|month| in_month(1, month)).collect::<Vec<_>>()
        };
        cache.put(room(1), 9.into(), months(2025..=2026));
        assert_eq!(cache.take(room(1), 9.into()), months(2026..=2026));
        assert_eq!(cache.state().documents, 0);
    }

    #[test]
    fn it_is_bounded_and_keeps_what_was_used_last() {
        let cache = UsageCache::default();
        for n in 0..3 * HALF {
            cache.put(room(n), 1.into(), vec![usage(n)]);
            assert_eq!(cache.take(room(0), 1.into()).len(), 1);
            cache.put(room(0), 1.into(), vec![usage(0)]);
        }
        let kept = (0..3 * HALF).filter(|n| !cache.take(room(*n), 1.into()).is_empty()).count();
        assert!((HALF..=2 * HALF + 1).contains(&kept), "{kept}");
        assert!(cache.take(room(3 * HALF - 1), 1.into()).is_empty(), "all were taken");
        assert_eq!(cache.state().documents, 0);
    }
}

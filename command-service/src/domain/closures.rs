//! The closures of a room, which may overlap one another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared_events::{Closure, ClosureId, Interval, Minute};

use super::values::MAX_STAY_MINUTES;

/// Most closures of a room that have not ended.
pub(crate) const MOST_CLOSURES: usize = 400;
/// Ended closures whose ids a room remembers.
const REMEMBERED_IDS: usize = 1_000;

/// The closures that a room remembers whole, and the ids of those that it has forgotten.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Closures {
    /// By end, then id.
    known: Vec<Closure>,
    /// Forgotten closures, each with its end.
    ended: BTreeMap<ClosureId, Minute>,
    /// Whether some are forgotten with their ids.
    has_lost: bool,
}

/// What a room knows of a closure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KnownClosure<'a> {
    /// The room has it.
    Here(&'a Closure),
    /// The room has it, and has forgotten all of it but its id.
    Ended,
    /// The room does not have it.
    Nowhere,
    /// The room has forgotten it with its id, if it has it.
    Lost,
}

/// What one forgetting has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ForgottenClosures {
    closures: Vec<Closure>,
    ids: Vec<(ClosureId, Minute)>,
    had_lost: bool,
}

/// What an event has taken from the closures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TakenClosure {
    closure: Option<Box<Closure>>,
    ended: Option<Minute>,
}

impl Closures {
    pub(super) fn insert(&mut self, closure: Closure) {
        let place = self.known.partition_point(|other| (other.to, other.id) < (closure.to, closure.id));
        self.known.insert(place, closure);
    }

    pub(super) fn take(&mut self, id: ClosureId) -> TakenClosure {
        let place = self.known.iter().position(|closure| closure.id == id);
        let closure = place.map(|place| Box::new(self.known.remove(place)));
        TakenClosure { closure, ended: self.ended.remove(&id) }
    }

    /// Undoes a [`take`](Self::take), and the insertion that followed it.
    pub(super) fn put_back(&mut self, id: ClosureId, taken: TakenClosure) {
        self.take(id);
        taken.closure.into_iter().for_each(|closure| self.insert(*closure));
        self.ended.extend(taken.ended.map(|end| (id, end)));
    }

    /// Forgets the first ones to end, up to one that is not over, but for their ids.
    pub(super) fn forget(&mut self, is_over: impl Fn(Minute) -> bool) -> ForgottenClosures {
        let had_lost = self.has_lost;
        let over = self.known.partition_point(|closure| is_over(closure.to));
        let closures: Vec<Closure> = self.known.drain(..over).collect();
        self.ended.extend(closures.iter().map(|closure| (closure.id, closure.to)));
        let mut ids = Vec::new();
        while self.ended.len() > REMEMBERED_IDS
            && let Some((id, end)) =
                self.ended.iter().map(|(id, end)| (*id, *end)).min_by_key(|(id, end)| (*end, *id))
        {
            self.ended.remove(&id);
            ids.push((id, end));
            self.has_lost = true;
        }
        ForgottenClosures { closures, ids, had_lost }
    }

    /// Undoes a [`forget`](Self::forget).
    pub(super) fn remember(&mut self, forgotten: ForgottenClosures) {
        self.ended.extend(forgotten.ids);
        for closure in forgotten.closures {
            self.ended.remove(&closure.id);
            self.insert(closure);
        }
        self.has_lost = forgotten.had_lost;
    }

    /// What is known of a closure.
    pub(crate) fn get(&self, id: ClosureId) -> KnownClosure<'_> {
        match self.known.iter().find(|closure| closure.id == id) {
            Some(closure) => KnownClosure::Here(closure),
            None if self.ended.contains_key(&id) => KnownClosure::Ended,
            None if self.has_lost => KnownClosure::Lost,
            None => KnownClosure::Nowhere,
        }
    }

    /// The first closure that overlaps an interval, of those that the room remembers. Reads those that end after its start, up
    /// to the longest one that could begin in it.
    pub(crate) fn overlapping(&self, interval: Interval) -> Option<&Closure> {
        let first = self.known.partition_point(|closure| closure.to <= interval.from);
        let reach =
            |closure: &&Closure| !interval.to.plus(MAX_STAY_MINUTES).is_ok_and(|end| end <= closure.to);
        let end_after = self.known.iter().skip(first).take_while(reach);
        let overlapping = end_after.filter(|closure| closure.interval().overlaps(interval));
        overlapping.min_by_key(|closure| (closure.from, closure.id))
    }

    /// The number of those that end after a minute.
    pub(crate) fn ahead_of(&self, minute: Minute) -> usize {
        self.known.len() - self.known.partition_point(|closure| closure.to <= minute)
    }
}

impl ForgottenClosures {
    /// When the last forgotten closure ends.
    pub(super) fn until(&self) -> Option<Minute> {
        self.closures.last().map(|closure| closure.to)
    }
}

#[cfg(test)]
mod tests {
    use shared_events::RoomId;
    use uuid::Uuid;

    use super::*;

    fn at(minute: i64) -> Minute {
        Minute::from_epoch_minutes(minute).unwrap()
    }

    fn closure(id: u128, from: i64, to: i64) -> Closure {
        Closure {
            id: ClosureId(Uuid::from_u128(id)),
            room: RoomId(Uuid::nil()),
            from: at(from),
            to: at(to),
            reason: "New floor".into(),
            kind: None,
            all: false,
        }
    }

    #[test]
    fn the_first_of_several_overlapping_closures_is_found_whatever_their_ends() {
        let mut closures = Closures::default();
        for (id, from, to) in [(1, 10, 100), (2, 20, 30), (3, 40, 50)] {
            closures.insert(closure(id, from, to));
        }
        let found = |from, to| {
            let found = closures.overlapping(Interval { from: at(from), to: at(to) });
            found.map(|found| found.id.0.as_u128())
        };
        assert_eq!((found(0, 10), found(25, 45), found(100, 110)), (None, Some(1), None));
        assert_eq!((closures.ahead_of(at(30)), closures.ahead_of(at(100))), (2, 0));
    }

    #[test]
    fn a_thousand_ids_of_ended_closures_are_kept_and_a_forgetting_can_be_taken_back() {
        let mut closures = Closures::default();
        for (id, to) in (1..).zip(2..).take(REMEMBERED_IDS + 2) {
            closures.insert(closure(id, 1, to));
        }
        let before = closures.clone();
        let id = |id| ClosureId(Uuid::from_u128(id));
        let all = closures.forget(|_| true);
        assert_eq!(all.until(), Some(at(1_003)));
        assert_eq!(closures.get(id(2)), KnownClosure::Lost);
        assert_eq!(closures.get(id(3)), KnownClosure::Ended);
        let forgotten = closures.clone();
        let lifted = closures.take(id(3));
        assert_eq!(closures.get(id(3)), KnownClosure::Lost);
        closures.put_back(id(3), lifted);
        assert_eq!(closures, forgotten);
        closures.remember(all);
        assert_eq!(closures, before);
        assert_eq!(closures.get(id(1_003)), KnownClosure::Nowhere);
    }
}

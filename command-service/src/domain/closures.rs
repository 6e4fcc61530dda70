//! The closures of a room, which may overlap one another.

use serde::{Deserialize, Serialize};
use shared_events::{Closure, ClosureId, Interval, Minute};

use super::values::MAX_STAY_MINUTES;

/// Most closures of a room that have not ended.
pub(crate) const MOST_CLOSURES: usize = 400;

/// Closures by `from`, then id.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Closures(Vec<Closure>);

impl Closures {
    pub(super) fn insert(&mut self, closure: Closure) {
        let place = self.0.partition_point(|other| (other.from, other.id) < (closure.from, closure.id));
        self.0.insert(place, closure);
    }

    pub(super) fn remove(&mut self, id: ClosureId) -> Option<Closure> {
        let place = self.0.iter().position(|closure| closure.id == id)?;
        Some(self.0.remove(place))
    }

    /// The closure with an id.
    pub(crate) fn get(&self, id: ClosureId) -> Option<&Closure> {
        self.0.iter().find(|closure| closure.id == id)
    }

    /// The first closure that overlaps an interval. Reads those that begin before its end, back to the longest one that could
    /// reach into it.
    pub(crate) fn overlapping(&self, interval: Interval) -> Option<&Closure> {
        let end = self.0.partition_point(|closure| closure.from < interval.to);
        let reach =
            |closure: &&Closure| !closure.from.plus(MAX_STAY_MINUTES).is_ok_and(|end| end <= interval.from);
        let begin_before = self.0.iter().take(end).rev().take_while(reach);
        begin_before.filter(|closure| closure.interval().overlaps(interval)).last()
    }

    /// The number of those that end after a minute.
    pub(crate) fn ahead_of(&self, minute: Minute) -> usize {
        self.0.iter().filter(|closure| closure.to > minute).count()
    }
}

//! Values ordered by time, one per reservation; found by time or by reservation in O(log n).

use std::collections::{BTreeMap, HashMap};

use shared_events::{Minute, ReservationId};
use uuid::Uuid;

/// The reservation distinguishes values at one time.
type Key = (Minute, ReservationId);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Timeline<T> {
    by_time: BTreeMap<Key, T>,
    times: HashMap<ReservationId, Minute>,
}

impl<T> Timeline<T> {
    pub(super) fn new() -> Self {
        Self { by_time: BTreeMap::new(), times: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    pub(super) fn get(&self, id: ReservationId) -> Option<&T> {
        self.by_time.get(&(*self.times.get(&id)?, id))
    }

    /// Replaces the value of the reservation.
    pub(super) fn insert(&mut self, time: Minute, id: ReservationId, value: T) {
        self.remove(id);
        self.times.insert(id, time);
        self.by_time.insert((time, id), value);
    }

    pub(super) fn remove(&mut self, id: ReservationId) -> Option<(Minute, T)> {
        let time = self.times.remove(&id)?;
        Some((time, self.by_time.remove(&(time, id))?))
    }

    pub(super) fn first(&self) -> Option<(Minute, &T)> {
        self.by_time.first_key_value().map(|((time, _), value)| (*time, value))
    }

    pub(super) fn pop_first(&mut self) -> Option<(Minute, ReservationId, T)> {
        let ((time, id), value) = self.by_time.pop_first()?;
        self.times.remove(&id);
        Some((time, id, value))
    }

    /// The values at times before this one, latest first.
    pub(super) fn before(&self, time: Minute) -> impl Iterator<Item = (ReservationId, &T)> {
        self.by_time.range(..(time, ReservationId(Uuid::nil()))).rev().map(|((_, id), value)| (*id, value))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.by_time.values_mut()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Minute, ReservationId, &T)> {
        self.by_time.iter().map(|((time, id), value)| (*time, *id, value))
    }
}

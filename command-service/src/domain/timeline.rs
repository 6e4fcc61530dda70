//! Values ordered by time, one per reservation; found by time or by reservation in O(log n).

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared_events::{Minute, Reservation, ReservationId};
use uuid::Uuid;

/// A value with its place in a timeline.
pub(super) trait Timed {
    fn id(&self) -> ReservationId;
    fn time(&self) -> Minute;
}

impl Timed for Reservation {
    fn id(&self) -> ReservationId {
        self.id
    }

    fn time(&self) -> Minute {
        self.busy_interval().from
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Timeline<T> {
    /// The reservation distinguishes values at one time.
    by_time: BTreeMap<(Minute, ReservationId), T>,
    times: HashMap<ReservationId, Minute>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self { by_time: BTreeMap::new(), times: HashMap::new() }
    }
}

impl<T: Timed> Timeline<T> {
    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    pub(super) fn get(&self, id: ReservationId) -> Option<&T> {
        self.by_time.get(&(*self.times.get(&id)?, id))
    }

    /// Replaces the value of the reservation.
    pub(super) fn insert(&mut self, value: T) {
        let (time, id) = (value.time(), value.id());
        self.remove(id);
        self.times.insert(id, time);
        self.by_time.insert((time, id), value);
    }

    pub(super) fn remove(&mut self, id: ReservationId) -> Option<T> {
        let time = self.times.remove(&id)?;
        self.by_time.remove(&(time, id))
    }

    /// Removes the first values, up to one that is not `old`.
    pub(super) fn remove_first(&mut self, old: impl Fn(&T) -> bool) -> Vec<T> {
        let mut removed = Vec::new();
        while let Some(first) = self.by_time.first_entry().filter(|first| old(first.get())) {
            let value = first.remove();
            self.times.remove(&value.id());
            removed.push(value);
        }
        removed
    }

    /// The values at times before this one, latest first.
    pub(super) fn before(&self, time: Minute) -> impl Iterator<Item = &T> {
        self.by_time.range(..(time, ReservationId(Uuid::nil()))).rev().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.by_time.values_mut()
    }

    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.by_time.values()
    }
}

impl<T: Timed> FromIterator<T> for Timeline<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut timeline = Self::default();
        values.into_iter().for_each(|value| timeline.insert(value));
        timeline
    }
}

/// A list of the values.
impl<T: Timed + Serialize> Serialize for Timeline<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.values())
    }
}

impl<'de, T: Timed + Deserialize<'de>> Deserialize<'de> for Timeline<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from_iter)
    }
}

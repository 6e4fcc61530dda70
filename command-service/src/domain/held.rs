//! The reservations that hold time of a room: by time, and by the series with which they were made.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared_events::{Erasures, Minute, Reservation, ReservationId, SeriesId};

use super::timeline::Timeline;

/// Reservations that never overlap, so their ends have the order of their starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    by_time: Timeline<Reservation>,
    by_series: HashMap<SeriesId, BTreeSet<(Minute, ReservationId)>>,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    pub(super) fn get(&self, id: ReservationId) -> Option<&Reservation> {
        self.by_time.get(id)
    }

    /// Replaces the reservation of this id.
    pub(super) fn insert(&mut self, reservation: Reservation) {
        self.remove(reservation.id);
        if let Some(series) = reservation.series {
            self.by_series.entry(series).or_default().insert((reservation.from, reservation.id));
        }
        self.by_time.insert(reservation);
    }

    pub(super) fn remove(&mut self, id: ReservationId) -> Option<Reservation> {
        let removed = self.by_time.remove(id)?;
        self.unlink(&removed);
        Some(removed)
    }

    /// Removes the first reservations, up to one that is not `old`.
    pub(super) fn remove_first(&mut self, old: impl Fn(&Reservation) -> bool) -> Vec<Reservation> {
        let removed = self.by_time.remove_first(old);
        removed.iter().for_each(|reservation| self.unlink(reservation));
        removed
    }

    fn unlink(&mut self, reservation: &Reservation) {
        let Some(series) = reservation.series else { return };
        if let Some(of_series) = self.by_series.get_mut(&series) {
            of_series.remove(&(reservation.from, reservation.id));
            if of_series.is_empty() {
                self.by_series.remove(&series);
            }
        }
    }

    /// Masks the reservations of erased persons.
    pub(super) fn mask(&mut self, erasures: &Erasures) {
        for reservation in self.by_time.values_mut() {
            erasures.mask_reservation(reservation);
        }
    }

    /// The reservations that begin before this time, latest first.
    pub(super) fn before(&self, time: Minute) -> impl Iterator<Item = &Reservation> {
        self.by_time.before(time)
    }

    /// The reservations by time.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &Reservation> {
        self.by_time.values()
    }

    /// The reservations of a series, by time.
    pub(super) fn of_series(&self, series: SeriesId) -> impl Iterator<Item = &Reservation> {
        self.by_series.get(&series).into_iter().flatten().filter_map(|(_, id)| self.by_time.get(*id))
    }
}

/// A list of the reservations.
impl Serialize for Held {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_time.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut held = Self::default();
        Vec::deserialize(deserializer)?.into_iter().for_each(|reservation| held.insert(reservation));
        Ok(held)
    }
}

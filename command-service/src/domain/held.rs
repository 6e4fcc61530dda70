//! The reservations that hold time of a room: by time, by owner, and by the series with which they were made.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared_events::{Erasures, Minute, Reservation, ReservationId, SeriesId, UserId};

use super::timeline::Timeline;

/// Reservations that never overlap, so their ends have the order of their starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    by_time: Timeline<Reservation>,
    by_owner: HashMap<UserId, BTreeSet<(Minute, ReservationId)>>,
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
        let place = (reservation.from, reservation.id);
        if let Some(series) = reservation.series {
            self.by_series.entry(series).or_default().insert(place);
        }
        match self.by_owner.get_mut(&reservation.reserved_by) {
            Some(of_owner) => _ = of_owner.insert(place),
            None => _ = self.by_owner.insert(reservation.reserved_by.clone(), BTreeSet::from([place])),
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
        let place = (reservation.from, reservation.id);
        if let Some(series) = &reservation.series {
            unlink(&mut self.by_series, series, place);
        }
        unlink(&mut self.by_owner, &reservation.reserved_by, place);
    }

    /// Masks the reservations of erased persons.
    pub(super) fn mask(&mut self, erasures: &Erasures) {
        for reservation in self.by_time.values_mut() {
            let (owner, place) = (reservation.reserved_by.clone(), (reservation.from, reservation.id));
            if erasures.mask_reservation(reservation) && owner != reservation.reserved_by {
                unlink(&mut self.by_owner, &owner, place);
                self.by_owner.entry(reservation.reserved_by.clone()).or_default().insert(place);
            }
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

    /// The reservations of an owner, latest first.
    pub(super) fn of_owner(&self, owner: &UserId) -> impl Iterator<Item = &Reservation> {
        let places = self.by_owner.get(owner).into_iter().flatten().rev();
        places.filter_map(|(_, id)| self.by_time.get(*id))
    }

    /// The reservations of a series, by time.
    pub(super) fn of_series(&self, series: SeriesId) -> impl Iterator<Item = &Reservation> {
        self.by_series.get(&series).into_iter().flatten().filter_map(|(_, id)| self.by_time.get(*id))
    }
}

fn unlink<K: Eq + Hash>(
    index: &mut HashMap<K, BTreeSet<(Minute, ReservationId)>>,
    key: &K,
    place: (Minute, ReservationId),
) {
    if let Some(places) = index.get_mut(key) {
        places.remove(&place);
        if places.is_empty() {
            index.remove(key);
        }
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

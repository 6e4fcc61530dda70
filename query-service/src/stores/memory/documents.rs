//! The documents, and the orders of their lists.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
};

use shared_events::{
    ClosureId, DecodedEvent, Erasures, Interval, Minute, ReservationId, RoomId, Timestamp, UserId, Version,
    names::sort_key,
};
use uuid::Uuid;

use crate::{
    projections::{LONGEST_STAY, closures, history, reservations, rooms, usage},
    read_models::{
        Change, Checkpoint, ClosureDoc, HistoryDoc, ParkedMessage, ReservationDoc, RoomDoc, RoomDocuments,
        UsageDoc, history::Part, reservation::with_buffers, usage::Month,
    },
};

/// A live reservation's place in its room's schedule.
pub(super) type InRoom = (RoomId, Minute, ReservationId);

#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) checkpoints: HashMap<RoomId, Checkpoint>,
    pub(super) parked: HashMap<RoomId, ParkedMessage>,
    pub(super) dropped: HashSet<(RoomId, Version)>,
    pub(super) erasures: Option<Arc<Erasures>>,
    pub(super) rooms: BTreeMap<RoomId, RoomDoc>,
    /// Rooms that are not retired, by the [`sort_key`] of their names.
    pub(super) rooms_by_name: BTreeSet<(String, RoomId)>,
    pub(super) reservations: HashMap<ReservationId, ReservationDoc>,
    pub(super) closures: BTreeMap<(RoomId, ClosureId), ClosureDoc>,
    live_by_room: BTreeSet<InRoom>,
    pub(super) live_by_user: BTreeSet<(UserId, Minute, ReservationId)>,
    pub(super) history: BTreeMap<(RoomId, Version), HistoryDoc>,
    /// By each of the people whom an entry concerns.
    pub(super) history_by_user: BTreeSet<(UserId, Timestamp, RoomId, Version)>,
    /// The two halves of a move have one revision.
    pub(super) history_by_revision: BTreeSet<(ReservationId, u32, RoomId, Version)>,
    pub(super) history_by_part: BTreeSet<(RoomId, Part, Version)>,
    usage: HashMap<RoomId, Vec<UsageDoc>>,
}

impl Documents {
    pub(super) fn fold(&mut self, decoded: &DecodedEvent) {
        if let Some(room) = rooms::touches(decoded) {
            self.fold_room(room, decoded);
        }
        if let Some(reservation) = reservations::touches(decoded) {
            self.fold_reservation(reservation, decoded);
        }
        if let Some(closure) = closures::touches(decoded) {
            let place = (decoded.room, closure);
            if let Some(doc) = closures::fold(self.closures.remove(&place), decoded) {
                self.closures.insert(place, doc);
            }
        }
        let entry = history::entry(decoded);
        for key in usage::touches(&entry) {
            let docs = self.usage.entry(key.room).or_default();
            let stored = docs.iter().position(|doc| doc.key == key).map(|at| docs.swap_remove(at));
            docs.push(usage::fold(stored, key, &entry));
        }
        self.add_to_history(entry);
    }

    pub(super) fn delete(&mut self, room: RoomId) {
        if let Some(doc) = self.rooms.remove(&room) {
            self.rooms_by_name.remove(&(sort_key(&doc.settings.name), room));
        }
        self.reservations.retain(|_, doc| doc.reservation.room != room);
        let reservations = &self.reservations;
        self.live_by_room.retain(|(_, _, id)| reservations.contains_key(id));
        self.live_by_user.retain(|(_, _, id)| reservations.contains_key(id));
        self.closures.retain(|(of, _), _| *of != room);
        self.history.retain(|(of, _), _| *of != room);
        self.history_by_user.retain(|(_, _, of, _)| *of != room);
        self.history_by_revision.retain(|(_, _, of, _)| *of != room);
        self.history_by_part.retain(|(of, ..)| *of != room);
        self.usage.remove(&room);
    }

    /// Masks the erased persons in all documents.
    pub(super) fn mask(&mut self, list: &Erasures) {
        for doc in self.reservations.values_mut() {
            let reservation = &mut doc.reservation;
            let place = (reservation.reserved_by.clone(), reservation.from, reservation.id);
            if list.mask_reservation(reservation) && self.live_by_user.remove(&place) {
                let masked = (reservation.reserved_by.clone(), reservation.from, reservation.id);
                self.live_by_user.insert(masked);
            }
        }
        for entry in self.history.values_mut() {
            let before: Vec<UserId> = entry.people().cloned().collect();
            if let Change::Reservation { reservation, .. } = &mut entry.change {
                list.mask_reservation(reservation);
            }
            if let Some(pseudonym) = list.pseudonym(&entry.by) {
                entry.by = pseudonym.clone();
            }
            let place = |person: UserId| (person, entry.at, entry.room, entry.version);
            for person in before {
                self.history_by_user.remove(&place(person));
            }
            self.history_by_user.extend(entry.people().cloned().map(place));
        }
        for message in self.parked.values_mut() {
            if let Some(masked) = message.masked(list) {
                *message = masked;
            }
        }
    }

    fn add_to_history(&mut self, entry: HistoryDoc) {
        let (room, version) = (entry.room, entry.version);
        if self.history.contains_key(&(room, version)) {
            return;
        }
        self.history_by_user.extend(entry.people().map(|person| (person.clone(), entry.at, room, version)));
        if let Some(reservation) = entry.reservation() {
            self.history_by_revision.insert((reservation.id, reservation.revision, room, version));
        }
        self.history_by_part.extend(entry.parts().into_iter().map(|part| (room, part, version)));
        self.history.insert((room, version), entry);
    }

    fn fold_room(&mut self, room: RoomId, decoded: &DecodedEvent) {
        let stored = self.rooms.remove(&room);
        if let Some(stored) = &stored {
            self.rooms_by_name.remove(&(sort_key(&stored.settings.name), room));
        }
        let Some(doc) = rooms::fold(stored, decoded) else { return };
        if !doc.retired {
            self.rooms_by_name.insert((sort_key(&doc.settings.name), room));
        }
        self.rooms.insert(room, doc);
    }

    fn fold_reservation(&mut self, id: ReservationId, decoded: &DecodedEvent) {
        let stored = self.reservations.remove(&id);
        if let Some(ReservationDoc { reservation, .. }) = &stored {
            self.live_by_room.remove(&(reservation.room, reservation.from, id));
            self.live_by_user.remove(&(reservation.reserved_by.clone(), reservation.from, id));
        }
        let Some(doc) = reservations::fold(stored, decoded) else { return };
        if doc.is_live() {
            let reservation = &doc.reservation;
            self.live_by_room.insert((reservation.room, reservation.from, id));
            self.live_by_user.insert((reservation.reserved_by.clone(), reservation.from, id));
        }
        self.reservations.insert(id, doc);
    }

    /// Live reservations of a room that overlap an interval, by `from`, then id.
    pub(super) fn overlapping(
        &self,
        room: RoomId,
        during: Interval,
    ) -> impl Iterator<Item = (InRoom, &ReservationDoc)> {
        let first = (room, earliest_start(during.from), ReservationId(Uuid::nil()));
        let end = (room, during.to, ReservationId(Uuid::nil()));
        // An interval that ends before it begins overlaps nothing.
        let end = end.max(first);
        self.live_by_room
            .range(first..end)
            .filter_map(|key| self.reservations.get(&key.2).map(|doc| (*key, doc)))
            .filter(move |(_, doc)| doc.reservation.interval().overlaps(during))
    }

    /// All closures of a room, lifted ones too.
    pub(super) fn closures_of(&self, room: RoomId) -> impl Iterator<Item = &ClosureDoc> {
        let all = (room, ClosureId(Uuid::nil()))..=(room, ClosureId(Uuid::max()));
        self.closures.range(all).map(|(_, doc)| doc)
    }

    /// The closures of these rooms that overlap an interval, lifted ones too.
    pub(super) fn closures_during(
        &self,
        rooms: &[RoomId],
        during: Interval,
    ) -> impl Iterator<Item = &ClosureDoc> {
        let of_rooms = rooms.iter().flat_map(|room| self.closures_of(*room));
        of_rooms.filter(move |doc| doc.closure.interval().overlaps(during))
    }

    /// Whether a live reservation keeps the room busy in an interval.
    pub(super) fn busy(&self, room: RoomId, during: Interval) -> bool {
        let busy = |(_, doc): (_, &ReservationDoc)| doc.reservation.busy_interval().overlaps(during);
        self.overlapping(room, with_buffers(during)).any(busy)
    }

    pub(super) fn of_room(&self, room: RoomId, reservations: &[ReservationId]) -> RoomDocuments {
        let all = (room, Version::NONE)..=(room, u64::MAX.into());
        let history: Vec<_> = self.history.range(all).map(|(_, entry)| entry).collect();
        let known = history.iter().filter_map(|entry| entry.reservation()).map(|reservation| reservation.id);
        let live = self.live_by_room.iter().filter(|(of, _, _)| *of == room).map(|(_, _, id)| *id);
        let ids = known.chain(live).chain(reservations.iter().copied());
        let stored = ids.filter_map(|id| self.reservations.get(&id)).cloned();
        let usage = self.usage.get(&room).into_iter().flatten().cloned();
        let counted = self.checkpoints.get(&room).map(|checkpoint| checkpoint.version).unwrap_or_default();
        let history = history.iter().copied().cloned();
        let closures = self.closures_of(room).cloned();
        RoomDocuments::new(self.rooms.get(&room).cloned(), stored, closures, history, usage, counted)
    }

    pub(super) fn usage_of(
        &self,
        rooms: &[RoomId],
        months: RangeInclusive<Month>,
    ) -> impl Iterator<Item = &UsageDoc> {
        rooms
            .iter()
            .filter_map(|room| self.usage.get(room))
            .flatten()
            .filter(move |doc| months.contains(&doc.key.month))
    }
}

/// The earliest possible begin of a stay that goes on at `minute`.
pub(super) fn earliest_start(minute: Minute) -> Minute {
    minute.plus(-LONGEST_STAY).unwrap_or(Minute::EARLIEST)
}

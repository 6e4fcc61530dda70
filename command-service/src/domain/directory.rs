//! The directory: rooms by name and by kind.

use std::collections::HashMap;

use shared_events::{Event, ReservationId, RoomId};

use super::values::NameKey;

/// A room in the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomEntry {
    /// The room.
    pub room: RoomId,
    /// Its name. No other room that is not retired has one that looks alike, but for rooms of earlier builds.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Whether it is retired. A retired room has neither its name nor a place in its kind.
    pub retired: bool,
}

impl RoomEntry {
    /// The entry of a room after an event, if the event changes it.
    pub(crate) fn after(event: &Event) -> Option<Self> {
        let (room, retired) = match event {
            Event::RoomRegistered(e) => (&e.room, false),
            Event::RoomChanged(e) => (&e.room, false),
            Event::RoomRetired(e) => (&e.room, true),
            _ => return None,
        };
        let (name, kind) = (room.settings.name.clone(), room.settings.kind.clone());
        Some(Self { room: room.id, name, kind, retired })
    }
}

/// All rooms by name and by kind. Kinds are in their [normal form](shared_events::names::normal_form) and compared byte for
/// byte, names by their [keys](NameKey).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Directory {
    /// Each entry with its rank in the order of registration.
    entries: HashMap<RoomId, (usize, RoomEntry)>,
    kinds: HashMap<String, Vec<RoomId>>,
    names: HashMap<NameKey, Vec<RoomId>>,
    fingerprints: HashMap<u32, Vec<RoomId>>,
    registered: usize,
}

impl Directory {
    /// Replaces a room's entry and returns the old one. The rooms of a kind stay in the order of registration; a new room
    /// comes last.
    pub(crate) fn upsert(&mut self, entry: RoomEntry) -> Option<RoomEntry> {
        let room = entry.room;
        let (order, previous) = match self.entries.remove(&room) {
            Some((order, previous)) => {
                self.unlink(&previous);
                (order, Some(previous))
            }
            None => {
                self.fingerprints.entry(room.fingerprint()).or_default().push(room);
                self.registered += 1;
                (self.registered, None)
            }
        };
        if !entry.retired {
            let place_of = |room: &RoomId| self.entries.get(room).map_or(0, |(order, _)| *order);
            let insert = |rooms: &mut Vec<RoomId>| {
                rooms.insert(rooms.partition_point(|other| place_of(other) < order), room);
            };
            insert(self.names.entry(NameKey::of(&entry.name)).or_default());
            insert(self.kinds.entry(entry.kind.clone()).or_default());
        }
        self.entries.insert(room, (order, entry));
        previous
    }

    /// Undoes an [`upsert`](Self::upsert), which returned `previous`.
    pub(crate) fn restore(&mut self, room: RoomId, previous: Option<RoomEntry>) {
        match previous {
            Some(previous) => {
                self.upsert(previous);
            }
            None => {
                if let Some((_, entry)) = self.entries.remove(&room) {
                    self.unlink(&entry);
                    if let Some(rooms) = self.fingerprints.get_mut(&room.fingerprint()) {
                        rooms.retain(|other| *other != room);
                    }
                }
            }
        }
    }

    /// The rooms of a kind that are not retired, in the order of registration.
    pub(crate) fn rooms_of_kind(&self, kind: &str) -> &[RoomId] {
        self.kinds.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The rooms with this name, or with one that looks alike, that are not retired, in the order of registration.
    pub(crate) fn named_like(&self, name: &str) -> &[RoomId] {
        self.names.get(&NameKey::of(name)).map_or(&[], Vec::as_slice)
    }

    /// The rooms with this [fingerprint](RoomId::fingerprint), retired ones included; nearly always at most one.
    pub(crate) fn rooms_with_fingerprint(&self, fingerprint: u32) -> &[RoomId] {
        self.fingerprints.get(&fingerprint).map_or(&[], Vec::as_slice)
    }

    /// The rooms in which a reservation may have been made, by the fingerprint in its id.
    pub(crate) fn origins(&self, reservation: ReservationId) -> &[RoomId] {
        self.rooms_with_fingerprint(reservation.room_fingerprint())
    }

    fn unlink(&mut self, entry: &RoomEntry) {
        let key = NameKey::of(&entry.name);
        if let Some(rooms) = self.names.get_mut(&key) {
            rooms.retain(|room| *room != entry.room);
            if rooms.is_empty() {
                self.names.remove(&key);
            }
        }
        if let Some(rooms) = self.kinds.get_mut(&entry.kind) {
            rooms.retain(|room| *room != entry.room);
        }
    }
}

impl FromIterator<RoomEntry> for Directory {
    /// Collects entries that come in the order of registration.
    fn from_iter<I: IntoIterator<Item = RoomEntry>>(entries: I) -> Self {
        let mut directory = Self::default();
        for entry in entries {
            directory.upsert(entry);
        }
        directory
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> RoomId {
        RoomId(Uuid::from_u128(n))
    }

    fn entry(n: u128, name: &str, kind: &str) -> RoomEntry {
        RoomEntry { room: id(n), name: name.into(), kind: kind.into(), retired: false }
    }

    fn three() -> Directory {
        [entry(7, "a", "x"), entry(3, "b", "x"), entry(5, "c", "x")].into_iter().collect()
    }

    #[test]
    fn rooms_of_a_kind_come_in_the_order_of_registration() {
        let mut directory = three();
        assert_eq!(directory.rooms_of_kind("x"), [id(7), id(3), id(5)]);
        directory.upsert(entry(3, "b", "y"));
        assert_eq!(directory.rooms_of_kind("x"), [id(7), id(5)]);
        assert_eq!(directory.rooms_of_kind("y"), [id(3)]);
        directory.upsert(entry(3, "b", "x"));
        assert_eq!(directory.rooms_of_kind("x"), [id(7), id(3), id(5)]);
    }

    #[test]
    fn a_retired_room_is_found_by_its_fingerprint_only() {
        let mut directory = three();
        directory.upsert(RoomEntry { retired: true, ..entry(7, "a", "x") });
        assert_eq!(directory.rooms_of_kind("x"), [id(3), id(5)]);
        assert!(directory.named_like("a").is_empty());
        assert_eq!(directory.rooms_with_fingerprint(id(7).fingerprint()), [id(7)]);
        let made = ReservationId::made_in(id(7), Uuid::from_u128(1));
        assert_eq!(directory.origins(made), [id(7)]);
    }

    #[test]
    fn a_retired_room_does_not_take_its_old_name_from_a_new_one() {
        let mut directory = three();
        directory.upsert(RoomEntry { retired: true, ..entry(7, "a", "x") });
        directory.upsert(entry(9, "a", "x"));
        directory.upsert(RoomEntry { retired: true, ..entry(7, "a", "x") });
        assert_eq!(directory.named_like("A"), [id(9)]);
    }

    #[test]
    fn what_was_put_in_can_be_taken_back() {
        let mut directory = three();
        for change in
            [entry(3, "other", "y"), RoomEntry { retired: true, ..entry(3, "b", "x") }, entry(9, "new", "x")]
        {
            let previous = directory.upsert(change.clone());
            directory.restore(change.room, previous);
            let expected = three();
            assert_eq!(directory.rooms_of_kind("x"), expected.rooms_of_kind("x"));
            assert!(directory.rooms_of_kind("y").is_empty());
            for name in ["a", "b", "c", "other", "new"] {
                assert_eq!(directory.named_like(name), expected.named_like(name), "{name}");
            }
            assert!(!directory.entries.contains_key(&id(9)));
            assert!(directory.rooms_with_fingerprint(id(9).fingerprint()).is_empty());
        }
    }
}

//! The rooms that a decision sees.

use std::collections::HashMap;

use shared_events::{Event, Reservation, ReservationId, RoomId};

use super::{directory::Directory, room::Room};

/// Loaded rooms, and the directory of all rooms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms {
    loaded: HashMap<RoomId, Room>,
    whole: HashMap<RoomId, Room>,
    recalled: HashMap<(RoomId, ReservationId), Recalled>,
    /// Directory of all rooms, loaded or not.
    pub directory: Directory,
}

/// What the last event about a reservation in a room's stream says, when the room itself has forgotten it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Recalled {
    /// It is in the room.
    Here(Box<Reservation>),
    /// It was moved to this room.
    MovedTo(RoomId),
    /// It was cancelled in the room, with this revision.
    Cancelled(u32),
    /// It never was in the room.
    Never,
}

impl Recalled {
    /// The last of the events about one reservation in a room's stream, if there is any.
    pub(crate) fn by(room: RoomId, last: Option<&Event>) -> Self {
        let Some((event, found)) = last.and_then(|event| Some((event, event.reservation()?))) else {
            return Self::Never;
        };
        match event {
            Event::ReservationCancelled(_) => Self::Cancelled(found.revision),
            _ if found.room != room => Self::MovedTo(found.room),
            _ => Self::Here(Box::new(found.clone())),
        }
    }
}

/// Place of a reservation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Located<'a> {
    /// The reservation is in this room.
    Here(&'a Room, &'a Reservation),
    /// Unknown until this room is loaded.
    NeedsRoom(RoomId),
    /// Unknown until this room recalls the reservation, which it may have forgotten.
    NeedsRecall(RoomId),
    /// The reservation is cancelled or was never made.
    Nowhere,
}

impl Rooms {
    /// The room: the whole one, if inserted for the current decision, or the loaded one.
    pub(crate) fn get(&self, room: RoomId) -> Option<&Room> {
        self.whole.get(&room).or_else(|| self.loaded.get(&room))
    }

    /// The loaded room, to apply events.
    pub(crate) fn get_mut(&mut self, room: RoomId) -> Option<&mut Room> {
        self.loaded.get_mut(&room)
    }

    /// Whether the room is loaded.
    pub(crate) fn contains(&self, room: RoomId) -> bool {
        self.loaded.contains_key(&room)
    }

    /// Replaces a loaded room and returns the old one.
    pub(crate) fn insert(&mut self, room: Room) -> Option<Room> {
        self.loaded.insert(room.id(), room)
    }

    /// Unloads a room.
    pub(crate) fn remove(&mut self, room: RoomId) -> Option<Room> {
        self.loaded.remove(&room)
    }

    /// Unloads all rooms; the directory stays.
    pub(crate) fn clear(&mut self) {
        self.loaded.clear();
        self.forget_again();
    }

    /// Adds a whole room, at the version of the loaded one, until [`Rooms::forget_again`].
    pub(crate) fn insert_whole(&mut self, room: Room) {
        self.whole.insert(room.id(), room);
    }

    /// Adds what a loaded room has forgotten of a reservation, until [`Rooms::forget_again`].
    pub(crate) fn recall(&mut self, room: RoomId, reservation: ReservationId, recalled: Recalled) {
        self.recalled.insert((room, reservation), recalled);
    }

    /// Drops what only one decision needed. Called between a decision and the application of its events.
    pub(crate) fn forget_again(&mut self) {
        self.whole.clear();
        self.recalled.clear();
    }

    /// Looks for a reservation in one room.
    pub(crate) fn locate_in(&self, room: RoomId, reservation: ReservationId) -> Located<'_> {
        let Some(room) = self.get(room) else { return Located::NeedsRoom(room) };
        match room.reservation(reservation) {
            Some(found) => Located::Here(room, found),
            None if room.has_lost(reservation) || room.remembers_all() => Located::Nowhere,
            None => match self.recalled.get(&(room.id(), reservation)) {
                Some(Recalled::Here(found)) => Located::Here(room, found),
                Some(Recalled::MovedTo(_) | Recalled::Cancelled(_) | Recalled::Never) => Located::Nowhere,
                None => Located::NeedsRecall(room.id()),
            },
        }
    }

    /// The last revision of a reservation that was cancelled in this room, where [`Rooms::locate_in`] has found it nowhere.
    pub(crate) fn cancelled_in(&self, room: RoomId, reservation: ReservationId) -> Option<u32> {
        match self.recalled.get(&(room, reservation)) {
            Some(Recalled::Cancelled(revision)) => Some(*revision),
            _ => self.get(room)?.cancelled(reservation),
        }
    }

    /// The room to which a reservation was moved from here, if it has not come back.
    fn moved_to(&self, room: RoomId, reservation: ReservationId) -> Option<RoomId> {
        let room = self.get(room)?;
        let known = room.reservation(reservation).is_some() || room.has_lost(reservation);
        match self.recalled.get(&(room.id(), reservation)) {
            Some(Recalled::MovedTo(other)) if !known => Some(*other),
            _ => room.moved_to(reservation),
        }
    }

    /// Looks for a reservation in all rooms: starts where it was made and follows its moves.
    pub(crate) fn locate(&self, reservation: ReservationId) -> Located<'_> {
        self.trail(reservation)
            .into_iter()
            .filter(|room| self.moved_to(*room, reservation).is_none())
            .map(|room| self.locate_in(room, reservation))
            .find(|located| *located != Located::Nowhere)
            .unwrap_or(Located::Nowhere)
    }

    /// The rooms in which [`Rooms::locate`] looks, up to the first one that is not loaded.
    pub(crate) fn trail(&self, reservation: ReservationId) -> Vec<RoomId> {
        let mut trail = Vec::new();
        for origin in self.directory.origins(reservation) {
            let mut here = Some(*origin);
            // Rooms loaded at different times could form a circle.
            while let Some(room) = here.filter(|room| !trail.contains(room)) {
                trail.push(room);
                here = self.moved_to(room, reservation);
            }
        }
        trail
    }
}

#[cfg(test)]
mod tests {
    use shared_events::{
        Minute, Place, Timestamp, UserId,
        reservation_events::{ReservationMade, ReservationMovedOut},
    };
    use uuid::Uuid;

    use super::*;
    use crate::domain::RoomEntry;

    fn id(n: u128) -> RoomId {
        RoomId(Uuid::from_u128(n))
    }

    fn reservation(room: RoomId) -> Reservation {
        Reservation {
            id: ReservationId::made_in(id(1), Uuid::from_u128(1 << 64)),
            revision: 1,
            room,
            time_zone: "UTC".parse().unwrap(),
            from: Minute::from_epoch_minutes(100).unwrap(),
            to: Minute::from_epoch_minutes(110).unwrap(),
            offsets: None,
            busy: None,
            people: 1,
            title: None,
            reserved_for: None,
            reserved_by: UserId::new("ana").unwrap(),
            booked_by: None,
            series: None,
        }
    }

    /// A room that the reservation has left for another one.
    fn left(from: RoomId, to: RoomId) -> Room {
        let mut room = Room::new(from);
        let previous = Place { room: from, ..reservation(from).place() };
        let event = ReservationMovedOut { reservation: reservation(to), previous }.into();
        room.apply(1.into(), Timestamp::from_epoch_millis(0), &event).unwrap();
        room
    }

    fn rooms(loaded: impl IntoIterator<Item = Room>) -> Rooms {
        let mut rooms = Rooms::default();
        for n in 1..4 {
            let name = n.to_string();
            rooms.directory.upsert(RoomEntry { room: id(n), name, kind: "x".into(), retired: false });
        }
        for room in loaded {
            rooms.insert(room);
        }
        rooms
    }

    #[test]
    fn a_reservation_is_followed_as_far_as_rooms_are_loaded() {
        let rooms = rooms([left(id(1), id(2)), left(id(2), id(3))]);
        assert_eq!(rooms.locate(reservation(id(3)).id), Located::NeedsRoom(id(3)));
        assert_eq!(rooms.trail(reservation(id(3)).id), [id(1), id(2), id(3)]);
    }

    #[test]
    fn states_of_different_age_do_not_send_the_search_in_a_circle() {
        let rooms = rooms([left(id(1), id(2)), left(id(2), id(1))]);
        assert_eq!(rooms.locate(reservation(id(1)).id), Located::Nowhere);
    }

    #[test]
    fn a_whole_room_is_preferred_until_it_is_dropped() {
        let mut rooms = rooms([Room::new(id(1))]);
        let mut whole = Room::whole(id(1));
        let made = ReservationMade { reservation: reservation(id(1)) }.into();
        whole.apply(1.into(), Timestamp::from_epoch_millis(0), &made).unwrap();
        rooms.insert_whole(whole.clone());
        assert_eq!(rooms.get(id(1)), Some(&whole));
        assert_eq!(rooms.get_mut(id(1)), Some(&mut Room::new(id(1))));
        rooms.forget_again();
        assert_eq!(rooms.get(id(1)), Some(&Room::new(id(1))));
    }
}

//! What can be asked of the system, and how it is decided: given the rooms and a command, its events or a rejection.
//!
//! All of it is pure. A command carries its own time and its own id, so that the same command on the same state is always
//! decided the same, however often it is tried.

mod about_reservation;
mod cancel_reservation;
mod change_reservation;
mod change_room;
mod move_reservation;
#[cfg(test)]
mod properties;
mod register_room;
mod reserve;
mod reserve_kind;
mod retire_room;
mod room_checks;
#[cfg(test)]
mod scenario;

pub use cancel_reservation::CancelReservation;
pub use change_reservation::ChangeReservation;
pub use change_room::ChangeRoom;
pub use move_reservation::MoveReservation;
pub use register_room::RegisterRoom;
pub use reserve::{Reserve, Stay};
pub use reserve_kind::ReserveKind;
pub use retire_room::RetireRoom;
use shared_events::{Event, ReservationId, RoomId, Timestamp, UserId};
use uuid::Uuid;

use crate::domain::{Directory, Rejection, Rooms};

/// Who sends a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// The user; a reservation that is made is theirs.
    pub user: UserId,
    /// Administrators manage rooms, and change everybody's reservations.
    pub admin: bool,
}

/// Something that is asked of the system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// A UUIDv7 of its own, the same however often it is tried. The id of the room that it registers, and the unique part of
    /// the id of the reservation that it makes.
    pub id: Uuid,
    /// Who asks.
    pub actor: Actor,
    /// The time at which it is decided. For an imported command the time that the import gives.
    pub now: Timestamp,
    /// Whether it is a line of an import: refused where the room has seen later ones.
    pub imported: bool,
    /// The revision that the client wants to change: of the reservation, or of the room's settings.
    pub if_match: Option<u32>,
    /// What is asked.
    pub action: Action,
}

/// What a command asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// A new room.
    RegisterRoom(RegisterRoom),
    /// Other settings of a room.
    ChangeRoom(ChangeRoom),
    /// The end of a room.
    RetireRoom(RetireRoom),
    /// A stay in one room.
    Reserve(Reserve),
    /// A stay in any room of a kind.
    ReserveKind(ReserveKind),
    /// Other values of a reservation.
    ChangeReservation(ChangeReservation),
    /// A reservation in another room.
    MoveReservation(MoveReservation),
    /// The end of a reservation.
    CancelReservation(CancelReservation),
}

impl Action {
    /// What it is called where acts are recorded.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RegisterRoom(_) => "register-room",
            Self::ChangeRoom(_) => "change-room",
            Self::RetireRoom(_) => "retire-room",
            Self::Reserve(_) => "reserve",
            Self::ReserveKind(_) => "reserve-kind",
            Self::ChangeReservation(_) => "change-reservation",
            Self::MoveReservation(_) => "move-reservation",
            Self::CancelReservation(_) => "cancel-reservation",
        }
    }
}

/// An event that is to be appended to a room's stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEvent {
    /// The stream.
    pub room: RoomId,
    /// What happened.
    pub event: Event,
}

/// How a command is decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// These events are to be committed together, and the answer speaks of the last one. At least one; at most one a room.
    Events(Vec<NewEvent>),
    /// What it asks for is so already. The answer tells how it is.
    Unchanged {
        /// The room that was asked about, or in which the reservation is.
        room: RoomId,
        /// The reservation, where it was about one.
        reservation: Option<ReservationId>,
        /// Revision of the reservation, or of the room's settings.
        revision: u32,
    },
    /// It is refused.
    Rejected(Rejection),
    /// This room has to be [inserted](Rooms::insert) before it can be decided, as [`Room::new`](crate::domain::Room::new)
    /// where its stream is empty.
    NeedsRoom(RoomId),
    /// The room has forgotten what the decision needs: its [whole](Rooms::insert_whole) stream has to be put beside it.
    NeedsWholeStream(RoomId),
}

impl From<Rejection> for Decision {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl Decision {
    fn event(room: RoomId, event: impl Into<Event>) -> Self {
        Self::Events(vec![NewEvent { room, event: event.into() }])
    }
}

/// A decision, early where there is nothing left to check.
type Checked<T = Decision> = Result<T, Decision>;

impl Command {
    /// The rooms that have to be loaded before it is decided: for a kind, all its rooms. A decision may need more of them
    /// ([`Decision::NeedsRoom`]).
    #[must_use]
    pub fn rooms(&self, directory: &Directory) -> Vec<RoomId> {
        match &self.action {
            Action::RegisterRoom(_) => vec![RoomId(self.id)],
            Action::ChangeRoom(action) => vec![action.room],
            Action::RetireRoom(action) => vec![action.room],
            Action::Reserve(action) => vec![action.room],
            Action::ReserveKind(action) => directory.rooms_of_kind(&action.kind).to_vec(),
            Action::ChangeReservation(action) => places(directory, action.room, action.reservation),
            Action::CancelReservation(action) => places(directory, action.room, action.reservation),
            Action::MoveReservation(action) => {
                let mut rooms = places(directory, action.room, action.reservation);
                if !rooms.contains(&action.to_room) {
                    rooms.push(action.to_room);
                }
                rooms
            }
        }
    }

    /// All rooms on whose state its decision rested: those of [`Command::rooms`], and those to which a reservation was
    /// followed. A rejection holds if none of them has changed.
    #[must_use]
    pub fn rests_on(&self, rooms: &Rooms) -> Vec<RoomId> {
        let mut rests_on = self.rooms(&rooms.directory);
        if let Some(reservation) = self.anywhere() {
            rests_on.extend(rooms.trail(reservation));
            rests_on.sort_unstable();
            rests_on.dedup();
        }
        rests_on
    }

    /// The kind on whose list of rooms its decision rests.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match &self.action {
            Action::ReserveKind(action) => Some(&action.kind),
            _ => None,
        }
    }

    /// The name that it wants a room to have.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.action {
            Action::RegisterRoom(action) => Some(&action.settings.name),
            Action::ChangeRoom(action) => action.name.as_deref(),
            _ => None,
        }
    }

    /// Decides it.
    #[must_use]
    pub fn decide(&self, rooms: &Rooms) -> Decision {
        match &self.action {
            Action::RegisterRoom(action) => action.decide(self, rooms),
            Action::ChangeRoom(action) => action.decide(self, rooms),
            Action::RetireRoom(action) => action.decide(self, rooms),
            Action::Reserve(action) => action.decide(self, rooms),
            Action::ReserveKind(action) => action.decide(self, rooms),
            Action::ChangeReservation(action) => action.decide(self, rooms),
            Action::MoveReservation(action) => action.decide(self, rooms),
            Action::CancelReservation(action) => action.decide(self, rooms),
        }
        .unwrap_or_else(|early| early)
    }

    /// The reservation that it is about, where it does not say in which room that is.
    fn anywhere(&self) -> Option<ReservationId> {
        match &self.action {
            Action::ChangeReservation(ChangeReservation { room: None, reservation, .. })
            | Action::MoveReservation(MoveReservation { room: None, reservation, .. })
            | Action::CancelReservation(CancelReservation { room: None, reservation }) => Some(*reservation),
            _ => None,
        }
    }
}

/// The rooms in which a reservation is looked for first.
fn places(directory: &Directory, room: Option<RoomId>, reservation: ReservationId) -> Vec<RoomId> {
    room.map_or_else(|| directory.origins(reservation).to_vec(), |room| vec![room])
}

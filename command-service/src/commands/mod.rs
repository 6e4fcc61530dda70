//! Commands and their decisions: from the rooms and a command to events, or to a rejection.
//!
//! Everything here is pure. A command carries its own time and id, so a retry on the same state has the same decision.

mod about_reservation;
mod add_closure;
mod alternatives;
#[cfg(test)]
mod buffers;
mod cancel_reservation;
mod cancel_series;
mod change_reservation;
mod change_room;
mod change_series;
mod lift_closure;
mod move_reservation;
#[cfg(test)]
mod properties;
mod register_room;
mod reserve;
mod reserve_kind;
mod reserve_series;
mod restore_reservation;
mod retire_room;
mod room_checks;
#[cfg(test)]
mod scenario;
mod series;

pub use add_closure::AddClosure;
pub use alternatives::Alternative;
pub use cancel_reservation::CancelReservation;
pub use cancel_series::CancelSeries;
pub use change_reservation::ChangeReservation;
pub use change_room::{ChangeAhead, ChangeRoom};
pub use change_series::ChangeSeries;
pub use lift_closure::LiftClosure;
pub use move_reservation::MoveReservation;
pub use register_room::RegisterRoom;
pub use reserve::{Reserve, Stay};
pub use reserve_kind::ReserveKind;
pub use reserve_series::{OnConflict, ReserveSeries};
pub use restore_reservation::{RestoreReservation, Revision};
pub use retire_room::RetireRoom;
pub(crate) use series::SeriesDecision;
pub use series::{Following, Occurrence};
use shared_events::{Event, ReservationId, RoomId, SeriesId, Timestamp, UserId};
use uuid::Uuid;

use crate::domain::{Directory, Rejection, Rooms};

/// The sender of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// The user, the owner of new reservations unless they name another.
    pub user: UserId,
    /// Whether the user is an administrator: manages rooms, and may change all reservations.
    pub admin: bool,
    /// All roles of the user's token.
    pub roles: Vec<String>,
    /// Whether the user may reserve for others.
    pub delegate: bool,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// A UUIDv7, the same in every retry. It becomes the id of a registered room, and the unique part of a new reservation's
    /// id.
    pub id: Uuid,
    /// The sender.
    pub actor: Actor,
    /// The time of the decision. For an imported command, the time in the import.
    pub now: Timestamp,
    /// Where it comes from.
    pub origin: Origin,
    /// The revision that the client has: of the reservation, or of the room's settings.
    pub if_match: IfMatch,
    /// What the command does.
    pub action: Action,
}

/// Where a command comes from, which decides the rules about now that it keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A request. It keeps all rules.
    Request,
    /// A line of an import. Rejected when its reservation has changed later.
    Import,
    /// A roll-back. It keeps no rule about now, so stays that have begun or ended are taken back too.
    RollBack,
}

/// The revision to which a command applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IfMatch {
    /// Any revision.
    Any,
    /// This revision.
    Revision(u32),
    /// A revision that never existed.
    Nothing,
}

/// What a command does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Registers a room.
    RegisterRoom(RegisterRoom),
    /// Changes a room's settings.
    ChangeRoom(ChangeRoom),
    /// Retires a room.
    RetireRoom(RetireRoom),
    /// Reserves one room.
    Reserve(Reserve),
    /// Reserves any room of a kind.
    ReserveKind(ReserveKind),
    /// Changes a reservation.
    ChangeReservation(ChangeReservation),
    /// Moves a reservation to another room.
    MoveReservation(MoveReservation),
    /// Cancels a reservation.
    CancelReservation(CancelReservation),
    /// Gives a reservation the values of an earlier revision.
    RestoreReservation(RestoreReservation),
    /// Reserves a room again and again.
    ReserveSeries(Box<ReserveSeries>),
    /// Changes reservations of a series.
    ChangeSeries(Box<ChangeSeries>),
    /// Cancels reservations of a series.
    CancelSeries(CancelSeries),
    /// Closes a room for some time.
    AddClosure(AddClosure),
    /// Takes a closure of a room back.
    LiftClosure(LiftClosure),
}

impl Action {
    /// Name in the audit log.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::RegisterRoom(_) => "register-room",
            Self::ChangeRoom(_) => "change-room",
            Self::RetireRoom(_) => "retire-room",
            Self::Reserve(_) => "reserve",
            Self::ReserveKind(_) => "reserve-kind",
            Self::ChangeReservation(_) => "change-reservation",
            Self::MoveReservation(_) => "move-reservation",
            Self::CancelReservation(_) => "cancel-reservation",
            Self::RestoreReservation(_) => "restore-reservation",
            Self::AddClosure(_) => "add-closure",
            Self::LiftClosure(_) => "lift-closure",
            Self::ReserveSeries(_) => "reserve-series",
            Self::ChangeSeries(_) => "change-series",
            Self::CancelSeries(_) => "cancel-series",
        }
    }

    /// Whether it makes, changes or cancels a series.
    pub(crate) const fn is_about_series(&self) -> bool {
        matches!(self, Self::ReserveSeries(_) | Self::ChangeSeries(_) | Self::CancelSeries(_))
    }

    /// The series that it is about, or makes.
    pub(crate) fn series(&self, command: Uuid) -> Option<SeriesId> {
        match self {
            Self::ReserveSeries(action) => Some(action.series(command)),
            Self::ChangeSeries(action) => Some(action.series),
            Self::CancelSeries(action) => Some(action.series),
            _ => None,
        }
    }

    /// The stay that it reserves.
    pub(crate) fn new_stay_mut(&mut self) -> Option<&mut Stay> {
        match self {
            Self::Reserve(action) => Some(&mut action.stay),
            Self::ReserveKind(action) => Some(&mut action.stay),
            Self::ReserveSeries(action) => Some(&mut action.stay),
            _ => None,
        }
    }

    /// The existing reservation that it is about.
    pub(crate) const fn reservation(&self) -> Option<ReservationId> {
        match self {
            Self::RegisterRoom(_)
            | Self::ChangeRoom(_)
            | Self::RetireRoom(_)
            | Self::Reserve(_)
            | Self::ReserveKind(_)
            | Self::ReserveSeries(_)
            | Self::ChangeSeries(_)
            | Self::CancelSeries(_)
            | Self::AddClosure(_)
            | Self::LiftClosure(_) => None,
            Self::ChangeReservation(action) => Some(action.reservation),
            Self::MoveReservation(action) => Some(action.reservation),
            Self::CancelReservation(action) => Some(action.reservation),
            Self::RestoreReservation(action) => Some(action.reservation),
        }
    }
}

/// An event to append to a room's stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NewEvent {
    /// The room of the stream.
    pub room: RoomId,
    /// The event.
    pub event: Event,
}

/// The decision on a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Accepted: these events are committed together. At least one, at most one per room. The answer describes the last one.
    Events(Vec<NewEvent>),
    /// Accepted: what a command does to a series. Its events are committed together, in this order. The answer names all.
    Series(Box<SeriesDecision>),
    /// The requested state already holds.
    Unchanged {
        /// The room, or the reservation's room.
        room: RoomId,
        /// The reservation, for a command about one.
        reservation: Option<ReservationId>,
        /// Revision of the reservation, or of the room's settings.
        revision: u32,
    },
    /// Rejected.
    Rejected(Rejection),
    /// Undecided until this room is [inserted](Rooms::insert); as [`Room::new`](crate::domain::Room::new) if its stream is
    /// empty.
    NeedsRoom(RoomId),
    /// Undecided until the loaded room [recalls](Rooms::recall) the reservation, which it may have forgotten.
    NeedsRecall {
        /// The room.
        room: RoomId,
        /// The reservation.
        reservation: ReservationId,
    },
    /// Undecided until the room's [whole](Rooms::insert_whole) stream is inserted: the room has forgotten a needed reservation.
    NeedsWholeStream(RoomId),
}

impl<R: Into<Rejection>> From<R> for Decision {
    fn from(reason: R) -> Self {
        Self::Rejected(reason.into())
    }
}

impl Decision {
    fn event(room: RoomId, event: impl Into<Event>) -> Self {
        Self::Events(vec![NewEvent { room, event: event.into() }])
    }
}

/// A value, or the decision that ends the checks early.
type Checked<T = Decision> = Result<T, Decision>;

impl Command {
    /// The rooms to load before the decision: for a kind, all its rooms. A decision may need more
    /// ([`Decision::NeedsRoom`]).
    pub(crate) fn rooms(&self, directory: &Directory) -> Vec<RoomId> {
        match &self.action {
            Action::RegisterRoom(_) => vec![RoomId(self.id)],
            Action::ChangeRoom(action) => vec![action.room],
            Action::RetireRoom(action) => vec![action.room],
            Action::Reserve(action) => vec![action.room],
            Action::ReserveKind(action) => directory.rooms_of_kind(&action.kind).to_vec(),
            Action::ChangeReservation(action) => places(directory, action.room, action.reservation),
            Action::CancelReservation(action) => places(directory, action.room, action.reservation),
            Action::RestoreReservation(action) => action.rooms(),
            Action::ReserveSeries(action) => vec![action.room],
            Action::ChangeSeries(action) => vec![action.room],
            Action::CancelSeries(action) => vec![action.room],
            Action::AddClosure(action) => vec![action.closure.room],
            Action::LiftClosure(action) => vec![action.room],
            Action::MoveReservation(action) => {
                let mut rooms = places(directory, action.room, action.reservation);
                if !rooms.contains(&action.to_room) {
                    rooms.push(action.to_room);
                }
                rooms
            }
        }
    }

    /// The rooms that the decision depends on: those of [`Command::rooms`], and those to which a reservation was followed.
    /// A rejection holds while none of them has changed.
    pub(crate) fn rests_on(&self, rooms: &Rooms) -> Vec<RoomId> {
        let mut rests_on = self.rooms(&rooms.directory);
        rests_on.extend(self.trail(rooms));
        rests_on.sort_unstable();
        rests_on.dedup();
        rests_on
    }

    /// The rooms to which the reservation of a command without a room is followed.
    pub(crate) fn trail(&self, rooms: &Rooms) -> Vec<RoomId> {
        self.anywhere().map(|reservation| rooms.trail(reservation)).unwrap_or_default()
    }

    /// The kind whose list of rooms the decision depends on.
    pub(crate) fn kind(&self) -> Option<&str> {
        match &self.action {
            Action::ReserveKind(action) => Some(&action.kind),
            _ => None,
        }
    }

    /// The name that the command gives a room.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.action {
            Action::RegisterRoom(action) => Some(&action.settings.name),
            Action::ChangeRoom(action) => action.name.as_deref(),
            _ => None,
        }
    }

    /// Decides the command.
    pub(crate) fn decide(&self, rooms: &Rooms) -> Decision {
        match &self.action {
            Action::RegisterRoom(action) => action.decide(self, rooms),
            Action::ChangeRoom(action) => action.decide(self, rooms),
            Action::RetireRoom(action) => action.decide(self, rooms),
            Action::Reserve(action) => action.decide(self, rooms),
            Action::ReserveKind(action) => action.decide(self, rooms),
            Action::ChangeReservation(action) => action.decide(self, rooms),
            Action::MoveReservation(action) => action.decide(self, rooms),
            Action::CancelReservation(action) => action.decide(self, rooms),
            Action::RestoreReservation(action) => action.decide(self, rooms),
            Action::ReserveSeries(action) => action.decide(self, rooms),
            Action::ChangeSeries(action) => action.decide(self, rooms),
            Action::CancelSeries(action) => action.decide(self, rooms),
            Action::AddClosure(action) => action.decide(self, rooms),
            Action::LiftClosure(action) => action.decide(self, rooms),
        }
        .unwrap_or_else(|early| early)
    }

    /// The reservation of a command that does not name its room.
    fn anywhere(&self) -> Option<ReservationId> {
        match &self.action {
            Action::ChangeReservation(ChangeReservation { room: None, reservation, .. })
            | Action::MoveReservation(MoveReservation { room: None, reservation, .. })
            | Action::CancelReservation(CancelReservation { room: None, reservation }) => Some(*reservation),
            _ => None,
        }
    }
}

/// The rooms in which the search for a reservation starts.
fn places(directory: &Directory, room: Option<RoomId>, reservation: ReservationId) -> Vec<RoomId> {
    room.map_or_else(|| directory.origins(reservation).to_vec(), |room| vec![room])
}

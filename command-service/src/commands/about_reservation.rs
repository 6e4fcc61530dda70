//! Checks of the commands about an existing reservation, in this order: it exists, the actor may change it, the client has
//! its current revision, and its time has not come.

use shared_events::{Reservation, ReservationId, RoomId, RoomSettings, Timestamp};

use super::{
    Checked, Command, Decision,
    room_checks::{check_order, check_revision, open_room},
};
use crate::domain::{Located, Rejection, Room, Rooms};

/// A reservation and its room.
pub(super) struct Found<'a> {
    pub(super) room: &'a Room,
    pub(super) settings: &'a RoomSettings,
    pub(super) reservation: &'a Reservation,
}

/// The reservation, if the actor may change it. Without `room` it is looked for wherever it is.
pub(super) fn find<'a>(
    command: &Command,
    rooms: &'a Rooms,
    room: Option<RoomId>,
    reservation: ReservationId,
) -> Checked<Found<'a>> {
    let located = match room {
        Some(room) => {
            let (room, _) = open_room(rooms, room)?;
            rooms.locate_in(room.id(), reservation)
        }
        None => rooms.locate(reservation),
    };
    let (room, reservation) = match located {
        Located::Here(room, reservation) => (room, reservation),
        Located::NeedsRoom(room) => return Err(Decision::NeedsRoom(room)),
        Located::NeedsRecall(room) => return Err(Decision::NeedsRecall { room, reservation }),
        Located::Nowhere => return Err(Rejection::UnknownReservation.into()),
    };
    let (room, settings) = open_room(rooms, room.id())?;
    check_order(command, room, reservation.id)?;
    check_owner(command, reservation)?;
    check_revision(command, reservation.revision)?;
    Ok(Found { room, settings, reservation })
}

/// Rejects an actor who is not the owner, has not made it for the owner, and is no administrator.
pub(super) fn check_owner(command: &Command, reservation: &Reservation) -> Result<(), Rejection> {
    if command.actor.admin || reservation.is_open_to(command.actor.user.as_str()) {
        Ok(())
    } else {
        Err(Rejection::NotOwner)
    }
}

/// Rejects a stay that has begun or ended.
pub(super) fn check_not_begun(reservation: &Reservation, now: Timestamp) -> Result<(), Rejection> {
    check_not_ended(reservation, now)?;
    if reservation.from.start() <= now {
        Err(Rejection::AlreadyStarted { from: reservation.from })
    } else {
        Ok(())
    }
}

/// Rejects a stay that has ended.
pub(super) fn check_not_ended(reservation: &Reservation, now: Timestamp) -> Result<(), Rejection> {
    if reservation.to.start() <= now { Err(Rejection::Ended { to: reservation.to }) } else { Ok(()) }
}

//! What commands about a room and about a stay in it check alike.

use shared_events::{Interval, ReservationId, RoomId, RoomSettings, Timestamp, room_rules::BrokenRule};

use super::{Checked, Command, Decision};
use crate::domain::{Rejection, Room, Rooms};

/// The room, if it can be booked.
pub(super) fn open_room(rooms: &Rooms, id: RoomId) -> Checked<(&Room, &RoomSettings)> {
    let room = rooms.get(id).ok_or(Decision::NeedsRoom(id))?;
    let settings = room.open_settings().ok_or(Rejection::UnknownRoom { room: id })?;
    Ok((room, settings))
}

/// An imported command must not be older than what the room has seen: it would be decided against a later state.
pub(super) fn check_order(command: &Command, room: &Room) -> Result<(), Rejection> {
    if command.imported && command.now < room.horizon() {
        Err(Rejection::OutOfOrder { horizon: room.horizon() })
    } else {
        Ok(())
    }
}

pub(super) fn check_admin(command: &Command) -> Result<(), Rejection> {
    if command.actor.admin { Ok(()) } else { Err(Rejection::NotAdmin) }
}

/// `If-Match`: the client's copy must be the current one.
pub(super) fn check_revision(command: &Command, revision: u32) -> Result<(), Rejection> {
    match command.if_match {
        Some(expected) if expected != revision => Err(Rejection::Stale { revision }),
        _ => Ok(()),
    }
}

/// A stay can't begin before now.
pub(super) fn check_not_past(stay: Interval, now: Timestamp) -> Result<(), Rejection> {
    if stay.from.start() < now { Err(Rejection::InThePast) } else { Ok(()) }
}

/// Whether the room's rules about time accept the stay.
pub(super) fn check_time(settings: &RoomSettings, stay: Interval, now: Timestamp) -> Result<(), BrokenRule> {
    settings.check_stay(stay)?;
    settings.check_days_ahead(stay.from, now)
}

/// Whether nothing but `except` holds the room during `stay`, of which `added` was not held before.
pub(super) fn check_free(
    room: &Room,
    stay: Interval,
    added: &[Interval],
    except: Option<ReservationId>,
) -> Checked<()> {
    if let Some(other) = room.overlapping(stay, except) {
        return Err(Rejection::Overlap { reservation: other.id, from: other.from, to: other.to }.into());
    }
    // What the room does not know may still be in the way where it has forgotten.
    if added.iter().all(|part| room.remembers(part.from.start())) {
        Ok(())
    } else {
        Err(Decision::NeedsWholeStream(room.id()))
    }
}

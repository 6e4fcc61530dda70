//! Checks that commands about a room, and about a stay in it, share.

use shared_events::{
    Closure, Interval, ReservationId, RoomId, RoomSettings, Timestamp, UserId,
    room_rules::{Ahead, BrokenRule},
};

use super::{Checked, Command, Decision, IfMatch, Origin};
use crate::domain::{Rejection, Room, Rooms};

/// The room and its settings, if it is registered and not retired.
pub(super) fn open_room(rooms: &Rooms, id: RoomId) -> Checked<(&Room, &RoomSettings)> {
    let room = rooms.get(id).ok_or(Decision::NeedsRoom(id))?;
    let settings = room.open_settings().ok_or(Rejection::UnknownRoom { room: id })?;
    Ok((room, settings))
}

/// Rejects an imported command older than the last change of its reservation: its decision would see a later state.
pub(super) fn check_order(command: &Command, room: &Room, reservation: ReservationId) -> Checked<()> {
    if command.origin != Origin::Import || command.now >= room.horizon() {
        return Ok(());
    }
    match room.last_change(reservation) {
        Some(last) if command.now < last => Err(Rejection::OutOfOrder { last }.into()),
        Some(_) => Ok(()),
        None => Err(Decision::NeedsWholeStream(room.id())),
    }
}

pub(super) fn check_admin(command: &Command) -> Result<(), Rejection> {
    if command.actor.admin { Ok(()) } else { Err(Rejection::NotAdmin) }
}

/// Rejects a stay in a room that is bookable by other roles. Lines of an import and roll-backs are an administrator's.
pub(super) fn check_roles(command: &Command, settings: &RoomSettings) -> Result<(), BrokenRule> {
    match command.origin {
        Origin::Request => settings.check_roles(command.actor.admin, &command.actor.roles),
        Origin::Import | Origin::RollBack => Ok(()),
    }
}

/// Rejects a revision in `If-Match` other than the current one.
pub(super) fn check_revision(command: &Command, revision: u32) -> Result<(), Rejection> {
    let applies = match command.if_match {
        IfMatch::Any => true,
        IfMatch::Revision(expected) => expected == revision,
        IfMatch::Nothing => false,
    };
    if applies { Ok(()) } else { Err(Rejection::Stale { revision }) }
}

/// Rejects a stay that begins before now, or before the running slot.
pub(super) fn check_not_past(
    settings: &RoomSettings,
    stay: Interval,
    now: Timestamp,
) -> Result<(), Rejection> {
    let is_past = stay.from.start() < now && stay.from < settings.earliest_start(now);
    if is_past { Err(Rejection::InThePast) } else { Ok(()) }
}

/// Checks the room's rules about time.
pub(super) fn check_time(settings: &RoomSettings, stay: Interval, now: Timestamp) -> Result<(), BrokenRule> {
    settings.check_stay(stay)?;
    settings.check_days_ahead(stay.from, now)
}

/// Checks that no reservation but `except` keeps the room busy in `busy`. `added` are the parts of it that `except` did not
/// keep busy: no closure overlaps them.
pub(super) fn check_free(
    room: &Room,
    busy: Interval,
    added: &[Interval],
    except: Option<ReservationId>,
) -> Checked<()> {
    check_free_but(room, busy, added, |id| Some(id) != except)
}

/// The same, with the reservations that count.
pub(super) fn check_free_but(
    room: &Room,
    busy: Interval,
    added: &[Interval],
    counts: impl Fn(ReservationId) -> bool,
) -> Checked<()> {
    if let Some(other) = room.overlapping(busy, counts) {
        return Err(Rejection::Overlap { reservation: other.id, from: other.from, to: other.to }.into());
    }
    if !added.iter().all(|part| room.remembers(part.from)) {
        return Err(Decision::NeedsWholeStream(room.id()));
    }
    match added.iter().find_map(|part| room.closures().overlapping(*part)) {
        None => Ok(()),
        Some(Closure { id, from, to, reason, .. }) => {
            let (closure, from, to, reason) = (*id, *from, *to, reason.clone());
            Err(Rejection::Closed { closure, from, to, reason }.into())
        }
    }
}

/// What an owner has ahead in a room, without the reservations that don't count; `None` if the room has no such rule, or the
/// command does not keep it.
pub(super) fn ahead(
    command: &Command,
    room: &Room,
    settings: &RoomSettings,
    owner: &UserId,
    counts: impl Fn(ReservationId) -> bool,
) -> Checked<Option<Ahead>> {
    if settings.max_ahead.is_none() || command.origin == Origin::RollBack {
        return Ok(None);
    }
    // Of an earlier time than the latest one, the room may have forgotten stays that had not ended.
    if !room.remembers(command.now.minute()) {
        return Err(Decision::NeedsWholeStream(room.id()));
    }
    Ok(Some(room.ahead(owner, command.now, counts)))
}

/// Checks that a stay leaves its owner with no more ahead than the room's rule allows. `except` is the stay that it replaces.
pub(super) fn check_ahead(
    command: &Command,
    room: &Room,
    settings: &RoomSettings,
    owner: &UserId,
    stay: Interval,
    except: Option<ReservationId>,
) -> Checked<()> {
    match ahead(command, room, settings, owner, |id| Some(id) != except)? {
        Some(ahead) => Ok(settings.check_ahead(ahead.and(stay))?),
        None => Ok(()),
    }
}

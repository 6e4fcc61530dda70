//! Changes a reservation within its room.

use shared_events::{
    Interval, Minute, Reservation, ReservationId, RoomId, RoomSettings,
    reservation_events::ReservationRescheduled,
};

use super::{
    Checked, Command, Decision,
    about_reservation::{Found, check_not_begun, check_not_ended, find},
    room_checks::{check_ahead, check_free, check_not_past, check_roles, check_time},
};
use crate::domain::{Rejection, Rooms, values::check_interval};

/// Changes the given values; `Some(None)` clears title or guest. Of a running stay only `to` can change.
///
/// A stay that only gives time back keeps slots and the shortest stay if it kept them before. A running one may end at any
/// minute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeReservation {
    /// The room of the reservation; `None` when the client does not know it.
    pub room: Option<RoomId>,
    /// The reservation.
    pub reservation: ReservationId,
    /// First minute.
    pub from: Option<Minute>,
    /// First minute after the stay.
    pub to: Option<Minute>,
    /// Number of people, at least 1.
    pub people: Option<u32>,
    /// Title.
    pub title: Option<Option<String>>,
    /// Guest.
    pub reserved_for: Option<Option<String>>,
}

impl ChangeReservation {
    /// A command that changes nothing; callers set fields.
    pub const fn new(room: Option<RoomId>, reservation: ReservationId) -> Self {
        Self { room, reservation, from: None, to: None, people: None, title: None, reserved_for: None }
    }

    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let Found { room, settings, reservation: before } =
            find(command, rooms, self.room, self.reservation)?;
        let mut after = self.applied_to(before);
        if after == *before {
            return Ok(Decision::Unchanged {
                room: room.id(),
                reservation: Some(before.id),
                revision: before.revision,
            });
        }
        check_change(command, settings, before, &after)?;
        if after.interval() != before.interval() {
            if after.interval().minutes() > before.interval().minutes() {
                let owner = &before.reserved_by;
                check_ahead(command, room, settings, owner, after.interval(), Some(before.id))?;
            }
            let busy = settings.busy_after_change(before, after.interval());
            check_free(room, busy, &added(before.busy_interval(), busy), Some(before.id))?;
            after.set_interval(after.interval(), busy, settings.time_zone);
        }
        after.revision += 1;
        let event = ReservationRescheduled { reservation: after, previous: before.place() };
        Ok(Decision::event(room.id(), event))
    }

    /// The reservation with the given values.
    pub(super) fn applied_to(&self, before: &Reservation) -> Reservation {
        let mut after = before.clone();
        after.from = self.from.unwrap_or(after.from);
        after.to = self.to.unwrap_or(after.to);
        after.people = self.people.unwrap_or(after.people);
        if let Some(title) = &self.title {
            after.title.clone_from(title);
        }
        if let Some(reserved_for) = &self.reserved_for {
            after.reserved_for.clone_from(reserved_for);
        }
        after
    }
}

/// Checks a change within a room against now and the room's rules.
///
/// Rules may have changed since the stay was accepted. They apply to what is asked for beyond it.
pub(super) fn check_change(
    command: &Command,
    settings: &RoomSettings,
    before: &Reservation,
    after: &Reservation,
) -> Checked<()> {
    check_not_ended(before, command.now)?;
    let only_to = Reservation { to: before.to, ..after.clone() } == *before;
    if !only_to {
        check_not_begun(before, command.now)?;
    }
    let (held, stay) = (before.interval(), after.interval());
    let added = added(held, stay);
    if after.people > before.people || !added.is_empty() {
        settings.check_people(after.people)?;
    }
    if stay != held {
        check_interval(stay)?;
        if before.from.start() <= command.now {
            if stay.to.start() <= command.now {
                return Err(Rejection::InThePast.into());
            }
        } else {
            check_not_past(settings, stay, command.now)?;
        }
        if !added.is_empty() {
            check_roles(command, settings)?;
            check_time(settings, stay, command.now)?;
        } else if before.from.start() > command.now {
            settings.check_shortened(held, stay)?;
        }
    }
    Ok(())
}

/// The parts of `after` outside `before`.
pub(super) fn added(before: Interval, after: Interval) -> Vec<Interval> {
    let earlier = Interval { from: after.from, to: after.to.min(before.from) };
    let later = Interval { from: after.from.max(before.to), to: after.to };
    [earlier, later].into_iter().filter(|part| part.from < part.to).collect()
}

#[cfg(test)]
mod tests;

//! A reservation in another room: one decision over both.

use shared_events::{
    Interval, Minute, Reservation, ReservationId, RoomId,
    reservation_events::{ReservationMovedIn, ReservationMovedOut},
};

use super::{
    Command, Decided, Decision, NewEvent,
    about_reservation::{Found, check_not_begun, find},
    room_checks::{check_free, check_not_past, check_order, check_time, open_room},
};
use crate::domain::{Rejection, Rooms, values::check_interval};

/// Moves a stay that has not begun to another room, whose rules it must keep; to another time too where that is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveReservation {
    /// In which room it is; none means wherever it is.
    pub room: Option<RoomId>,
    /// Which reservation.
    pub reservation: ReservationId,
    /// Where to.
    pub to_room: RoomId,
    /// First minute.
    pub from: Option<Minute>,
    /// First minute after.
    pub to: Option<Minute>,
}

impl MoveReservation {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Decided {
        let Found { room: old, reservation: before, .. } = find(command, rooms, self.room, self.reservation)?;
        let (new, settings) = open_room(rooms, self.to_room)?;
        if new.id() == old.id() {
            return Err(Rejection::SameRoom.into());
        }
        check_order(command, new)?;
        check_not_begun(before, command.now)?;
        let stay = Interval { from: self.from.unwrap_or(before.from), to: self.to.unwrap_or(before.to) };
        check_interval(stay).map_err(Rejection::from)?;
        check_not_past(stay, command.now)?;
        settings.check_people(before.people).map_err(Rejection::from)?;
        check_time(settings, stay, command.now).map_err(Rejection::from)?;
        check_free(new, stay, &[stay], None)?;
        let after = Reservation {
            revision: before.revision + 1,
            room: new.id(),
            time_zone: settings.time_zone,
            from: stay.from,
            to: stay.to,
            ..before.clone()
        };
        let previous = before.place();
        let out = ReservationMovedOut { reservation: after.clone(), previous };
        let into = ReservationMovedIn { reservation: after, previous };
        Ok(Decision::Events(vec![
            NewEvent { room: old.id(), event: out.into() },
            NewEvent { room: new.id(), event: into.into() },
        ]))
    }
}

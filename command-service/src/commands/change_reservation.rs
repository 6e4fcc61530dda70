//! Other values of a reservation, in the room in which it is.

use shared_events::{
    Interval, Minute, Reservation, ReservationId, RoomId, reservation_events::ReservationRescheduled,
};

use super::{
    Command, Decided, Decision,
    about_reservation::{Found, check_not_begun, check_not_ended, find},
    room_checks::{check_free, check_not_past, check_time},
};
use crate::domain::{Rejection, Rooms, values::check_interval};

/// Changes the values that are given; `Some(None)` takes title or guest away. Of a running stay only `to` can change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeReservation {
    /// In which room; none means wherever it is.
    pub room: Option<RoomId>,
    /// Which reservation.
    pub reservation: ReservationId,
    /// First minute.
    pub from: Option<Minute>,
    /// First minute after.
    pub to: Option<Minute>,
    /// How many come, at least 1.
    pub people: Option<u32>,
    /// What it is about.
    pub title: Option<Option<String>>,
    /// For whom.
    pub reserved_for: Option<Option<String>>,
}

impl ChangeReservation {
    /// A change of nothing yet.
    #[must_use]
    pub const fn new(room: Option<RoomId>, reservation: ReservationId) -> Self {
        Self { room, reservation, from: None, to: None, people: None, title: None, reserved_for: None }
    }

    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Decided {
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
        check_not_ended(before, command.now)?;
        let only_to = Reservation { to: before.to, ..after.clone() } == *before;
        if !only_to {
            check_not_begun(before, command.now)?;
        }
        if after.people != before.people {
            settings.check_people(after.people).map_err(Rejection::from)?;
        }
        // Rules may have changed since the stay was accepted, and don't touch it as long as its time stays.
        if after.interval() != before.interval() {
            let stay = after.interval();
            check_interval(stay).map_err(Rejection::from)?;
            if before.from.start() <= command.now {
                if stay.to.start() <= command.now {
                    return Err(Rejection::InThePast.into());
                }
            } else {
                check_not_past(stay, command.now)?;
            }
            check_time(settings, stay, command.now).map_err(Rejection::from)?;
            check_free(room, stay, &added(before.interval(), stay), Some(before.id))?;
            after.time_zone = settings.time_zone;
        }
        after.revision += 1;
        let event = ReservationRescheduled { reservation: after, previous: before.place() };
        Ok(Decision::event(room.id(), event))
    }

    fn applied_to(&self, before: &Reservation) -> Reservation {
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

/// The parts of `after` that `before` does not cover.
fn added(before: Interval, after: Interval) -> Vec<Interval> {
    let earlier = Interval { from: after.from, to: after.to.min(before.from) };
    let later = Interval { from: after.from.max(before.to), to: after.to };
    [earlier, later].into_iter().filter(|part| part.from < part.to).collect()
}

//! Reserves a room.

use shared_events::{
    Interval, Reservation, ReservationId, RoomId, RoomSettings, UserId, reservation_events::ReservationMade,
};

use super::{
    Actor, Checked, Command, Decision,
    room_checks::{check_ahead, check_free, check_not_past, check_roles, check_time, open_room},
};
use crate::domain::{Rejection, Rooms, values::check_interval};

/// A requested stay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stay {
    /// First minute, and first minute after the stay.
    pub interval: Interval,
    /// Number of people, at least 1.
    pub people: u32,
    /// Title.
    pub title: Option<String>,
    /// Guest, when it is not the owner.
    pub reserved_for: Option<String>,
    /// The owner, when it is not the actor.
    pub reserved_by: Option<UserId>,
}

/// Reserves one room, if it is free and its rules accept the stay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reserve {
    /// The room.
    pub room: RoomId,
    /// The stay.
    pub stay: Stay,
}

impl Reserve {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let Stay { interval, people, .. } = self.stay;
        check_interval(interval)?;
        self.stay.check_owner(command)?;
        let (room, settings) = open_room(rooms, self.room)?;
        check_not_past(settings, interval, command.now)?;
        check_roles(command, settings)?;
        settings.check_people(people)?;
        check_time(settings, interval, command.now)?;
        check_ahead(command, room, settings, self.stay.owner(command), interval, None)?;
        let busy = settings.busy(interval);
        check_free(room, busy, &[busy], None)?;
        Ok(self.stay.made_in(self.room, settings, command))
    }
}

impl Stay {
    /// Rejects an actor who reserves for another without a role for it.
    pub(super) fn check_owner(&self, command: &Command) -> Result<(), Rejection> {
        let Actor { user, admin, delegate, .. } = &command.actor;
        let for_another = self.reserved_by.as_ref().is_some_and(|owner| owner != user);
        if for_another && !admin && !delegate { Err(Rejection::NotDelegate) } else { Ok(()) }
    }

    /// The owner of the reservation.
    pub(super) fn owner<'a>(&'a self, command: &'a Command) -> &'a UserId {
        self.reserved_by.as_ref().unwrap_or(&command.actor.user)
    }

    pub(super) fn made_in(&self, room: RoomId, settings: &RoomSettings, command: &Command) -> Decision {
        let reservation = self.reservation(self.interval, room, settings, command);
        Decision::event(room, ReservationMade { reservation })
    }

    /// The reservation of this stay, or of another time.
    pub(super) fn reservation(
        &self,
        interval: Interval,
        room: RoomId,
        settings: &RoomSettings,
        command: &Command,
    ) -> Reservation {
        let actor = &command.actor.user;
        let mut reservation = Reservation {
            id: ReservationId::made_in(room, command.id),
            revision: 1,
            room,
            time_zone: settings.time_zone,
            from: interval.from,
            to: interval.to,
            offsets: None,
            busy: None,
            people: self.people,
            title: self.title.clone(),
            reserved_for: self.reserved_for.clone(),
            reserved_by: self.owner(command).clone(),
            booked_by: self.reserved_by.as_ref().filter(|owner| *owner != actor).map(|_| actor.clone()),
            series: None,
        };
        reservation.set_interval(interval, settings.busy(interval), settings.time_zone);
        reservation
    }
}

#[cfg(test)]
mod tests;

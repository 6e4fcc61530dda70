//! A stay in one room.

use shared_events::{
    Interval, Reservation, ReservationId, RoomId, RoomSettings, reservation_events::ReservationMade,
};

use super::{
    Command, Decided, Decision,
    room_checks::{check_free, check_not_past, check_order, check_time, open_room},
};
use crate::domain::{Rejection, Rooms, values::check_interval};

/// What is wanted of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stay {
    /// When.
    pub interval: Interval,
    /// How many come, at least 1.
    pub people: u32,
    /// What it is about.
    pub title: Option<String>,
    /// For whom, where that is not the actor.
    pub reserved_for: Option<String>,
}

/// Reserves one room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reserve {
    /// Which room.
    pub room: RoomId,
    /// When, for how many, what for.
    pub stay: Stay,
}

impl Reserve {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Decided {
        let Stay { interval, people, .. } = self.stay;
        check_interval(interval).map_err(Rejection::from)?;
        let (room, settings) = open_room(rooms, self.room)?;
        check_order(command, room)?;
        check_not_past(interval, command.now)?;
        settings.check_people(people).map_err(Rejection::from)?;
        check_time(settings, interval, command.now).map_err(Rejection::from)?;
        check_free(room, interval, &[interval], None)?;
        Ok(self.stay.made_in(self.room, settings, command))
    }
}

impl Stay {
    pub(super) fn made_in(&self, room: RoomId, settings: &RoomSettings, command: &Command) -> Decision {
        let reservation = Reservation {
            id: ReservationId::made_in(room, command.id),
            revision: 1,
            room,
            time_zone: settings.time_zone,
            from: self.interval.from,
            to: self.interval.to,
            people: self.people,
            title: self.title.clone(),
            reserved_for: self.reserved_for.clone(),
            reserved_by: command.actor.user.clone(),
        };
        Decision::event(room, ReservationMade { reservation })
    }
}

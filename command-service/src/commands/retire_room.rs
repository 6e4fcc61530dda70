//! The end of a room.

use shared_events::{Room, RoomId, room_events::RoomRetired};

use super::{
    Command, Decided, Decision,
    room_checks::{check_admin, check_revision, open_room},
};
use crate::domain::{Rejection, Rooms};

/// Retires a room in which no stay lies ahead or is running. Its name is free again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetireRoom {
    /// Which room.
    pub room: RoomId,
}

impl RetireRoom {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Decided {
        check_admin(command)?;
        let (room, settings) = open_room(rooms, self.room)?;
        check_revision(command, room.revision())?;
        if !room.remembers(command.now) {
            return Err(Decision::NeedsWholeStream(self.room));
        }
        // The last ones end last, so this looks at no more than what stands in the way.
        let ahead = room.reservations().rev().take_while(|reservation| reservation.to.start() > command.now);
        if let Some((count, first)) = ahead.enumerate().last() {
            let (from, to) = (first.from, first.to);
            return Err(Rejection::ReservationsAhead { count: count + 1, from, to }.into());
        }
        let room = Room { id: self.room, revision: room.revision() + 1, settings: settings.clone() };
        Ok(Decision::event(self.room, RoomRetired { room }))
    }
}

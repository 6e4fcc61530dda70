//! Retires a room.

use shared_events::{Room, RoomId, Timestamp, room_events::RoomRetired};

use super::{
    Checked, Command, Decision, Origin,
    room_checks::{check_admin, check_revision, open_room},
};
use crate::domain::{Rejection, Rooms};

/// Retires a room without running or future stays; in a roll-back, without any stay. Its name is free again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetireRoom {
    /// The room.
    pub room: RoomId,
}

impl RetireRoom {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        check_admin(command)?;
        let (room, settings) = open_room(rooms, self.room)?;
        check_revision(command, room.revision())?;
        // A roll-back retires a room only if no stay was left in it.
        let since =
            if command.origin == Origin::RollBack { Timestamp::from_epoch_millis(0) } else { command.now };
        if !room.remembers(since.minute()) {
            return Err(Decision::NeedsWholeStream(self.room));
        }
        // Ends are ordered like starts, so the loop stops at the first stay that has ended.
        let ahead = room.reservations().rev().take_while(|reservation| reservation.to.start() > since);
        if let Some((count, first)) = ahead.enumerate().last() {
            let (from, to) = (first.from, first.to);
            return Err(Rejection::ReservationsAhead { count: count + 1, from, to }.into());
        }
        let room = Room { id: self.room, revision: room.revision() + 1, settings: settings.clone() };
        Ok(Decision::event(self.room, RoomRetired { room }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{
        Action,
        scenario::{cancelled, given, made, minute, reservation, room, room_id, room_retired},
    };

    fn retire() -> Action {
        Action::RetireRoom(RetireRoom { room: room_id(1) })
    }

    #[test]
    fn a_room_without_reservations_ahead_is_retired() {
        let past = reservation(1, "2026-05-20T10:00", "2026-06-01T08:00");
        let given_up = reservation(2, "2026-07-01T10:00", "2026-07-01T11:00");
        let given = given([room(1), made(&past), made(&given_up), cancelled(&given_up)]);
        given.when(retire()).by_admin().then([room_retired(1, 2)]);
    }

    #[test]
    fn reservations_that_run_or_lie_ahead_stand_in_the_way() {
        let past = reservation(1, "2026-05-20T10:00", "2026-05-20T11:00");
        let running = reservation(2, "2026-06-01T07:00", "2026-06-01T08:01");
        let ahead = reservation(3, "2026-07-01T10:00", "2026-07-01T11:00");
        let given = given([room(1), made(&past), made(&running), made(&ahead)]);
        given.when(retire()).by_admin().rejected(Rejection::ReservationsAhead {
            count: 2,
            from: minute("2026-06-01T07:00"),
            to: minute("2026-06-01T08:01"),
        });
    }

    #[test]
    fn a_clock_that_went_back_does_not_hide_what_lies_ahead_of_it() {
        let ahead = reservation(1, "2026-06-01T09:00", "2026-06-01T10:00");
        let later = reservation(2, "2026-09-01T10:00", "2026-09-01T11:00");
        let given =
            given([room(1), made(&ahead)]).and_at("2026-07-01T00:00", [made(&later), cancelled(&later)]);
        let (decision, whole_reads) = given.when(retire()).by_admin().decided();
        let (from, to) = (ahead.from, ahead.to);
        assert_eq!(decision, Decision::Rejected(Rejection::ReservationsAhead { count: 1, from, to }));
        assert_eq!(whole_reads, 1);
    }

    #[test]
    fn only_administrators_retire_rooms_and_only_once() {
        given([room(1)]).when(retire()).rejected(Rejection::NotAdmin);
        let unknown = Rejection::UnknownRoom { room: room_id(1) };
        given([room(1), room_retired(1, 2)]).when(retire()).by_admin().rejected(unknown);
    }

    #[test]
    fn a_stale_revision_is_refused() {
        given([room(1)]).when(retire()).by_admin().if_match(7).rejected(Rejection::Stale { revision: 1 });
    }
}

//! Cancels a reservation.

use shared_events::{Reservation, ReservationId, RoomId, reservation_events::ReservationCancelled};

use super::{
    Checked, Command, Decision, Origin,
    about_reservation::{Found, check_not_begun, find},
};
use crate::domain::Rooms;

/// Cancels a stay that has not begun; in a roll-back, any stay. Its time is free again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CancelReservation {
    /// The room of the reservation; `None` when the client does not know it.
    pub room: Option<RoomId>,
    /// The reservation.
    pub reservation: ReservationId,
}

impl CancelReservation {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let Found { room, reservation, .. } = find(command, rooms, self.room, self.reservation)?;
        if command.origin != Origin::RollBack {
            check_not_begun(reservation, command.now)?;
        }
        let reservation = Reservation { revision: reservation.revision + 1, ..reservation.clone() };
        Ok(Decision::event(room.id(), ReservationCancelled { reservation }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        commands::{
            Action,
            scenario::{
                Given, after, cancelled, given, made, minute, moved, reservation, room, room_id, room_retired,
            },
        },
        domain::Rejection,
    };

    /// Ana's, tomorrow from ten to twelve.
    fn tomorrow() -> Reservation {
        reservation(1, "2026-06-02T10:00", "2026-06-02T12:00")
    }

    fn cancel(room: Option<RoomId>) -> Action {
        Action::CancelReservation(CancelReservation { room, reservation: tomorrow().id })
    }

    fn holding() -> Given {
        given([room(1), made(&tomorrow())])
    }

    fn here() -> Option<RoomId> {
        Some(room_id(1))
    }

    #[test]
    fn a_cancelled_reservation_keeps_its_values_and_has_one_more_revision() {
        holding().when(cancel(here())).then([cancelled(&tomorrow())]);
    }

    #[test]
    fn a_reservation_is_cancelled_once() {
        let given = || given([room(1), made(&tomorrow()), cancelled(&tomorrow())]);
        given().when(cancel(here())).rejected(Rejection::UnknownReservation);
        given().when(cancel(None)).rejected(Rejection::UnknownReservation);
    }

    #[test]
    fn a_stay_that_has_begun_is_not_cancelled() {
        let begun = Rejection::AlreadyStarted { from: tomorrow().from };
        holding().when(cancel(here())).at("2026-06-02T10:00").rejected(begun);
        let ended = Rejection::Ended { to: tomorrow().to };
        holding().when(cancel(here())).at("2026-06-02T12:00").rejected(ended);
    }

    #[test]
    fn only_its_owner_or_an_administrator_cancels_its_current_revision() {
        holding().when(cancel(here())).by("bob").rejected(Rejection::NotOwner);
        holding().when(cancel(here())).by_admin().accepted();
        holding().when(cancel(here())).if_match(2).rejected(Rejection::Stale { revision: 1 });
    }

    #[test]
    fn a_reservation_that_left_a_retired_room_is_followed_through_it() {
        let there = after(&tomorrow(), |after| after.room = room_id(2));
        let given = given([room(1), room(2), made(&tomorrow())])
            .and_at("2026-05-02T00:00", moved(&tomorrow(), &there))
            .and_at("2026-05-03T00:00", [room_retired(1, 2)]);
        given.when(cancel(None)).then([cancelled(&there)]);
    }

    #[test]
    fn a_move_that_was_forgotten_is_followed() {
        let there = after(&tomorrow(), |after| {
            after.room = room_id(2);
            (after.from, after.to) = (minute("2026-09-02T10:00"), minute("2026-09-02T12:00"));
        });
        let next = reservation(2, "2026-08-02T10:00", "2026-08-02T12:00");
        let given = given([room(1), room(2), made(&tomorrow())])
            .and_at("2026-05-02T00:00", moved(&tomorrow(), &there))
            .and_at("2026-07-03T00:00", [made(&next)]);
        let decided = given.when(cancel(None)).at("2026-07-04T00:00").decided_by_recalls();
        assert_eq!(decided, (Decision::Events(vec![cancelled(&there)]), 1));
    }

    #[test]
    fn an_id_that_was_never_made_is_unknown_without_the_whole_stream() {
        let next = reservation(2, "2026-08-02T10:00", "2026-08-02T12:00");
        let given = given([room(1), made(&tomorrow())]).and_at("2026-07-03T00:00", [made(&next)]);
        let never = reservation(3, "2026-08-02T10:00", "2026-08-02T12:00").id;
        let cancel = Action::CancelReservation(CancelReservation { room: here(), reservation: never });
        let unknown = Decision::Rejected(Rejection::UnknownReservation);
        assert_eq!(given.when(cancel).at("2026-07-04T00:00").decided_by_recalls(), (unknown, 1));
    }

    #[test]
    fn an_id_of_no_room_is_unknown() {
        given([]).when(cancel(None)).rejected(Rejection::UnknownReservation);
    }
}

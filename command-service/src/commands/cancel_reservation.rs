//! Cancels a reservation.

use shared_events::{
    Interval, Reservation, ReservationId, RoomId,
    reservation_events::{ReservationCancelled, ReservationRescheduled},
};

use super::{
    Checked, Command, Decision, Origin,
    about_reservation::{Found, check_not_ended, find},
};
use crate::domain::Rooms;

/// Cancels a stay that has not begun; in a roll-back, any stay. Its time is free again. A running stay ends with the next full
/// minute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CancelReservation {
    /// The room of the reservation; `None` when the client does not know it.
    pub room: Option<RoomId>,
    /// The reservation.
    pub reservation: ReservationId,
}

impl CancelReservation {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let Found { room, settings, reservation: before } =
            find(command, rooms, self.room, self.reservation)?;
        let after = Reservation { revision: before.revision + 1, ..before.clone() };
        if command.origin == Origin::RollBack || command.now < before.from.start() {
            return Ok(Decision::event(room.id(), ReservationCancelled { reservation: after }));
        }
        check_not_ended(before, command.now)?;
        let next_minute = command.now.minute().plus(1).unwrap_or(before.to);
        if next_minute >= before.to {
            let (room, reservation, revision) = (room.id(), Some(before.id), before.revision);
            return Ok(Decision::Unchanged { room, reservation, revision });
        }
        let stay = Interval { to: next_minute, ..before.interval() };
        let (mut reservation, previous) = (after, before.place());
        reservation.set_interval(stay, settings.busy_after_change(before, stay), before.time_zone);
        Ok(Decision::event(room.id(), ReservationRescheduled { reservation, previous }))
    }
}

#[cfg(test)]
mod tests {
    use shared_events::UserId;

    use super::*;
    use crate::{
        commands::{
            Action,
            scenario::{
                Given, after, cancelled, given, made, minute, moved, rescheduled, reservation, room, room_id,
                room_retired, room_with,
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
    fn a_running_stay_ends_with_the_next_full_minute_whatever_the_rules_say() {
        let strict = room_with(1, |settings| {
            (settings.slot_minutes, settings.min_minutes) = (Some(60), Some(120));
        });
        for (now, to) in [
            ("2026-06-02T10:00", "2026-06-02T10:01"),
            ("2026-06-02T10:00:59.999Z", "2026-06-02T10:01"),
            ("2026-06-02T11:00:00.001Z", "2026-06-02T11:01"),
            ("2026-06-02T11:58:59.999Z", "2026-06-02T11:59"),
        ] {
            let ended = after(&tomorrow(), |after| after.to = minute(to));
            let when = || given([strict.clone(), made(&tomorrow())]).when(cancel(here())).at(now);
            when().then([rescheduled(&tomorrow(), &ended)]);
            when().by_admin().then([rescheduled(&tomorrow(), &ended)]);
            when().by("bob").rejected(Rejection::NotOwner);
        }
    }

    #[test]
    fn the_last_minute_of_a_stay_is_not_given_back() {
        let when = holding().when(cancel(here())).at("2026-06-02T11:59");
        when.unchanged(room_id(1), Some(tomorrow().id), 1);
    }

    #[test]
    fn a_stay_that_has_ended_is_not_cancelled() {
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
    fn who_made_it_for_its_owner_cancels_it_too() {
        let booked = Reservation { booked_by: Some(UserId::new("eve").unwrap()), ..tomorrow() };
        let when = || given([room(1), made(&booked)]).when(cancel(here()));
        when().by("eve").then([cancelled(&booked)]);
        when().then([cancelled(&booked)]);
        when().by_delegate("bob").rejected(Rejection::NotOwner);
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

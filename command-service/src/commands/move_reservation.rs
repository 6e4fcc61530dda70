//! Moves a reservation to another room: one decision over both rooms.

use shared_events::{
    Interval, Minute, Reservation, ReservationId, RoomId,
    reservation_events::{ReservationMovedIn, ReservationMovedOut},
};

use super::{
    Checked, Command, Decision, NewEvent,
    about_reservation::{Found, check_not_begun, find},
    room_checks::{check_ahead, check_free, check_not_past, check_roles, check_time, open_room},
};
use crate::domain::{Rejection, Rooms, values::check_interval};

/// Moves a stay that has not begun to another room, whose rules it must keep, and optionally to another time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveReservation {
    /// The room of the reservation; `None` when the client does not know it.
    pub room: Option<RoomId>,
    /// The reservation.
    pub reservation: ReservationId,
    /// The new room.
    pub to_room: RoomId,
    /// New first minute.
    pub from: Option<Minute>,
    /// New first minute after the stay.
    pub to: Option<Minute>,
}

impl MoveReservation {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let Found { room: old, reservation: before, .. } = find(command, rooms, self.room, self.reservation)?;
        let (new, settings) = open_room(rooms, self.to_room)?;
        if new.id() == old.id() {
            return Err(Rejection::SameRoom.into());
        }
        check_not_begun(before, command.now)?;
        let stay = Interval { from: self.from.unwrap_or(before.from), to: self.to.unwrap_or(before.to) };
        check_interval(stay)?;
        check_not_past(settings, stay, command.now)?;
        check_roles(command, settings)?;
        settings.check_people(before.people)?;
        check_time(settings, stay, command.now)?;
        check_ahead(command, new, settings, &before.reserved_by, stay, None)?;
        let busy = settings.busy(stay);
        check_free(new, busy, &[busy], None)?;
        let mut after = Reservation { revision: before.revision + 1, room: new.id(), ..before.clone() };
        after.set_interval(stay, busy, settings.time_zone);
        let previous = before.place();
        let out = ReservationMovedOut { reservation: after.clone(), previous };
        let into = ReservationMovedIn { reservation: after, previous };
        Ok(Decision::Events(vec![
            NewEvent { room: old.id(), event: out.into() },
            NewEvent { room: new.id(), event: into.into() },
        ]))
    }
}

#[cfg(test)]
mod tests {
    use shared_events::room_rules::BrokenRule;

    use super::*;
    use crate::commands::{
        Action,
        scenario::{
            Given, after, given, made, minute, moved, overlap, reservation, room, room_id, room_retired,
            room_with,
        },
    };

    /// Ana's, tomorrow from ten to twelve in room 1.
    fn tomorrow() -> Reservation {
        reservation(1, "2026-06-02T10:00", "2026-06-02T12:00")
    }

    fn to_room(n: u128) -> MoveReservation {
        let (room, to_room) = (Some(room_id(1)), room_id(n));
        MoveReservation { room, reservation: tomorrow().id, to_room, from: None, to: None }
    }

    fn move_to(n: u128) -> Action {
        Action::MoveReservation(to_room(n))
    }

    fn two_rooms() -> Given {
        given([room(1), room(2), made(&tomorrow())])
    }

    #[test]
    fn a_move_is_one_decision_over_both_rooms() {
        let there = after(&tomorrow(), |after| after.room = room_id(2));
        two_rooms().when(move_to(2)).then(moved(&tomorrow(), &there));
    }

    #[test]
    fn a_move_can_change_the_time_too_and_counts_in_the_new_rooms_zone() {
        let zone = "Asia/Tokyo".parse().unwrap();
        let action = MoveReservation { to: Some(minute("2026-06-02T13:00")), ..to_room(2) };
        let there = after(&tomorrow(), |after| {
            after.room = room_id(2);
            after.to = minute("2026-06-02T13:00");
            after.time_zone = zone;
        });
        let given = given([room(1), room_with(2, |settings| settings.time_zone = zone), made(&tomorrow())]);
        given.when(Action::MoveReservation(action)).then(moved(&tomorrow(), &there));
    }

    #[test]
    fn a_reservation_can_come_back() {
        let there = after(&tomorrow(), |after| after.room = room_id(2));
        let back = after(&there, |after| after.room = room_id(1));
        let given = two_rooms().and_at("2026-05-02T00:00", moved(&tomorrow(), &there));
        let action = MoveReservation { room: None, ..to_room(1) };
        given.when(Action::MoveReservation(action)).then(moved(&there, &back));
    }

    #[test]
    fn what_holds_the_new_room_is_in_the_way() {
        let other =
            Reservation { room: room_id(2), ..reservation(2, "2026-06-02T11:00", "2026-06-02T13:00") };
        let given = || given([room(1), room(2), made(&tomorrow()), made(&other)]);
        given().when(move_to(2)).rejected(overlap(&other));
        let earlier = MoveReservation { to: Some(minute("2026-06-02T11:00")), ..to_room(2) };
        given().when(Action::MoveReservation(earlier)).accepted();
    }

    #[test]
    fn the_new_rooms_rules_hold() {
        let into = |change: fn(&mut shared_events::RoomSettings)| {
            given([room(1), room_with(2, change), made(&tomorrow())]).when(move_to(2))
        };
        into(|room| room.capacity = 1).rejected(BrokenRule::Capacity { limit: 1 });
        into(|room| room.max_minutes = Some(60)).rejected(BrokenRule::LongestStay { minutes: 60 });
        into(|room| room.bookable_by = vec!["staff".into()]).rejected(BrokenRule::BookableBy);
        into(|room| room.bookable_by = vec!["staff".into()]).with_role("staff").accepted();
        into(|room| room.max_days_ahead = Some(0)).rejected(BrokenRule::DaysAhead { days: 0 });
    }

    #[test]
    fn rooms_and_reservations_that_are_not_there_are_unknown() {
        two_rooms().when(move_to(3)).rejected(Rejection::UnknownRoom { room: room_id(3) });
        let retired = two_rooms().and_at("2026-05-02T00:00", [room_retired(2, 2)]);
        retired.when(move_to(2)).rejected(Rejection::UnknownRoom { room: room_id(2) });
        given([room(1), room(2)]).when(move_to(2)).rejected(Rejection::UnknownReservation);
    }

    #[test]
    fn a_move_within_one_room_is_refused() {
        two_rooms().when(move_to(1)).rejected(Rejection::SameRoom);
    }

    #[test]
    fn a_stay_that_has_begun_stays_where_it_is() {
        let begun = Rejection::AlreadyStarted { from: tomorrow().from };
        two_rooms().when(move_to(2)).at("2026-06-02T10:00").rejected(begun);
        let ended = Rejection::Ended { to: tomorrow().to };
        two_rooms().when(move_to(2)).at("2026-06-02T12:00").rejected(ended);
    }

    #[test]
    fn a_move_into_the_past_is_refused() {
        let action = MoveReservation { from: Some(minute("2026-06-01T07:59")), ..to_room(2) };
        two_rooms().when(Action::MoveReservation(action)).rejected(Rejection::InThePast);
    }

    #[test]
    fn only_its_owner_or_an_administrator_moves_its_current_revision() {
        two_rooms().when(move_to(2)).by("bob").rejected(Rejection::NotOwner);
        two_rooms().when(move_to(2)).by_admin().accepted();
        two_rooms().when(move_to(2)).if_match(3).rejected(Rejection::Stale { revision: 1 });
    }

    #[test]
    fn an_imported_move_of_the_past_is_decided_by_the_whole_stream_of_the_new_room() {
        let past = reservation(1, "2025-06-02T10:00", "2025-06-02T12:00");
        let other =
            Reservation { room: room_id(2), ..reservation(2, "2025-06-02T11:00", "2025-06-02T13:00") };
        let later =
            Reservation { room: room_id(2), ..reservation(3, "2026-07-02T11:00", "2026-07-02T13:00") };
        let given = |held: &[&Reservation]| {
            given([room(1), room(2)])
                .and_at("2025-05-01T00:00", [made(&past)])
                .and_at("2025-05-02T00:00", held.iter().map(|held| made(held)))
                .and_at("2026-05-20T00:00", [made(&later)])
        };
        let action = || Action::MoveReservation(MoveReservation { reservation: past.id, ..to_room(2) });
        given(&[]).when(action()).imported_at("2025-05-03T00:00").accepted();
        given(&[&other]).when(action()).imported_at("2025-05-03T00:00").rejected(overlap(&other));
    }
}

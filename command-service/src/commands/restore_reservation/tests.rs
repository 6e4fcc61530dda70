use shared_events::{Event, reservation_events::ReservationRestored};

use super::*;
use crate::commands::{
    Action,
    scenario::{
        Given, after, cancelled, given, made, minute, moved, overlap, rescheduled, reservation, room,
        room_changed, room_id, room_retired,
    },
};

/// Ana's, tomorrow from ten to twelve in room 1.
fn tomorrow() -> Reservation {
    reservation(1, "2026-06-02T10:00", "2026-06-02T12:00")
}

fn at(before: &Reservation, from: &str, to: &str) -> Reservation {
    after(before, |after| (after.from, after.to) = (minute(from), minute(to)))
}

fn in_room(before: &Reservation, n: u128) -> Reservation {
    after(before, |after| after.room = room_id(n))
}

/// Restores what it was, under a room.
fn restore(n: u128, was: &Reservation) -> Action {
    Action::RestoreReservation(RestoreReservation {
        room: room_id(n),
        reservation: was.id,
        revision: was.revision,
        was: Revision::Live(Box::new(was.clone())),
    })
}

/// The event in the stream of a room.
fn restored(n: u128, was: &Reservation, last: u32, cancelled_in: u128) -> NewEvent {
    let reservation = Reservation { revision: last + 1, ..was.clone() };
    let event =
        ReservationRestored { reservation, restores: was.revision, cancelled_in: room_id(cancelled_in) };
    NewEvent { room: room_id(n), event: event.into() }
}

fn later() -> Reservation {
    at(&tomorrow(), "2026-06-02T14:00", "2026-06-02T15:00")
}

fn changed() -> Given {
    given([room(1), room(2), made(&tomorrow()), rescheduled(&tomorrow(), &later())])
}

#[test]
fn a_live_reservation_has_earlier_values_again_as_a_change() {
    let expected = after(&later(), |after| (after.from, after.to) = (tomorrow().from, tomorrow().to));
    changed().when(restore(1, &tomorrow())).then([rescheduled(&later(), &expected)]);
}

#[test]
fn a_reservation_that_has_the_values_already_is_unchanged() {
    changed().when(restore(1, &later())).unchanged(room_id(1), Some(tomorrow().id), 2);
}

#[test]
fn a_live_reservation_moves_back_into_the_room_that_the_revision_names() {
    let there = in_room(&tomorrow(), 2);
    let given =
        given([room(1), room(2), made(&tomorrow())]).and_at("2026-05-02T00:00", moved(&tomorrow(), &there));
    given.when(restore(2, &tomorrow())).then(moved(&there, &in_room(&there, 1)));
}

#[test]
fn a_cancelled_reservation_holds_its_time_again() {
    let given = given([room(1), made(&tomorrow()), cancelled(&tomorrow())]);
    given.when(restore(1, &tomorrow())).then([restored(1, &tomorrow(), 2, 1)]);
}

/// Moved to room 2 and cancelled there.
fn cancelled_there() -> Given {
    let there = in_room(&tomorrow(), 2);
    given([room(1), room(2), made(&tomorrow())])
        .and_at("2026-05-02T00:00", moved(&tomorrow(), &there))
        .and_at("2026-05-03T00:00", [cancelled(&there)])
}

#[test]
fn a_reservation_that_was_cancelled_elsewhere_is_restored_in_the_streams_of_both_rooms() {
    let expected = [restored(2, &tomorrow(), 3, 2), restored(1, &tomorrow(), 3, 2)];
    cancelled_there().when(restore(2, &tomorrow())).then(expected);
    cancelled_there().when(restore(1, &tomorrow())).rejected(Rejection::UnknownReservation);
}

#[test]
fn a_restored_reservation_is_found_where_it_is() {
    let given = cancelled_there()
        .and_at("2026-05-04T00:00", [restored(2, &tomorrow(), 3, 2), restored(1, &tomorrow(), 3, 2)]);
    let now = Reservation { revision: 4, ..tomorrow() };
    let cancel = super::super::CancelReservation { room: None, reservation: now.id };
    given.when(Action::CancelReservation(cancel)).then([cancelled(&now)]);
}

#[test]
fn what_is_in_the_way_is_named() {
    let other = reservation(2, "2026-06-02T11:00", "2026-06-02T13:00");
    let given = || changed().and_at("2026-05-02T00:00", [made(&other)]);
    given().when(restore(1, &tomorrow())).rejected(overlap(&other));
    let given_up = || given().and_at("2026-05-03T00:00", [cancelled(&later())]);
    given_up().when(restore(1, &tomorrow())).rejected(overlap(&other));
    given_up().when(restore(1, &later())).accepted();
}

#[test]
fn a_reservation_in_the_way_that_the_room_has_forgotten_is_found() {
    let past = reservation(1, "2026-05-10T10:00", "2026-05-10T12:00");
    let other = reservation(2, "2026-05-10T11:00", "2026-05-10T13:00");
    let last = reservation(3, "2026-06-02T10:00", "2026-06-02T12:00");
    let given = given([room(1), made(&past), cancelled(&past), made(&other)])
        .and_at("2026-05-30T00:00", [made(&last)]);
    given.when(restore(1, &past)).rejected(overlap(&other));
}

#[test]
fn rules_of_time_and_settings_do_not_count_and_the_zone_is_that_of_the_revision() {
    let past = reservation(1, "2026-05-10T10:00", "2026-05-10T12:00");
    let longer = at(&past, "2026-05-10T10:00", "2026-05-10T13:00");
    let strict = room_changed(1, 2, |settings| {
        (settings.capacity, settings.max_minutes) = (1, Some(10));
        settings.time_zone = "Asia/Tokyo".parse().unwrap();
    });
    let given = || given([room(1), made(&past), rescheduled(&past, &longer), strict.clone()]);
    let expected = after(&longer, |after| after.to = past.to);
    given().when(restore(1, &past)).then([rescheduled(&longer, &expected)]);
    let given = given().and_at("2026-05-09T00:00", [cancelled(&longer)]);
    given.when(restore(1, &past)).then([restored(1, &past, 3, 1)]);
}

#[test]
fn a_retired_room_takes_nothing_back() {
    let there = in_room(&tomorrow(), 2);
    let retired = |n| room_retired(n, 2);
    let moved_back = given([room(1), room(2), made(&tomorrow())])
        .and_at("2026-05-02T00:00", moved(&tomorrow(), &there))
        .and_at("2026-05-03T00:00", [retired(1)]);
    moved_back.when(restore(2, &tomorrow())).rejected(Rejection::UnknownRoom { room: room_id(1) });
    let given = given([room(1), made(&tomorrow()), cancelled(&tomorrow()), retired(1)]);
    given.when(restore(1, &tomorrow())).rejected(Rejection::UnknownRoom { room: room_id(1) });
}

#[test]
fn only_its_owner_or_an_administrator_restores_its_current_revision() {
    let given_up = || given([room(1), made(&tomorrow()), cancelled(&tomorrow())]);
    for given in [changed, given_up] {
        given().when(restore(1, &tomorrow())).by("bob").rejected(Rejection::NotOwner);
        given().when(restore(1, &tomorrow())).by_admin().accepted();
        given().when(restore(1, &tomorrow())).if_match(2).accepted();
        given().when(restore(1, &tomorrow())).if_match(1).rejected(Rejection::Stale { revision: 2 });
    }
}

#[test]
fn a_revision_that_never_was_or_is_cancelled_is_refused() {
    let with = |was| {
        let reservation = tomorrow().id;
        Action::RestoreReservation(RestoreReservation { room: room_id(1), reservation, revision: 7, was })
    };
    changed().when(with(Revision::Unknown)).rejected(Rejection::UnknownRevision { revision: 7 });
    changed().when(with(Revision::Cancelled)).rejected(Rejection::CancelledRevision { revision: 7 });
    given([room(1)]).when(with(Revision::Unknown)).rejected(Rejection::UnknownReservation);
}

#[test]
fn a_cancelled_reservation_that_the_room_has_forgotten_is_recalled() {
    let past = reservation(1, "2026-05-10T10:00", "2026-05-10T12:00");
    let next = reservation(2, "2026-06-02T10:00", "2026-06-02T12:00");
    let given = given([room(1), made(&past), cancelled(&past)]).and_at("2026-05-30T00:00", [made(&next)]);
    let (decision, whole_reads) = given.when(restore(1, &past)).decided();
    assert_eq!(decision, Decision::Events(vec![restored(1, &past, 2, 1)]));
    assert_eq!(whole_reads, 0, "only a departure was forgotten");
    assert!(matches!(restored(1, &past, 2, 1).event, Event::ReservationRestored(_)));
}

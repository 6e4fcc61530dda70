use shared_events::{ClosureId, Minute, Reservation, RoomSettings, closure_events::ClosureLifted};
use uuid::Uuid;

use super::*;
use crate::commands::{
    Action, CancelReservation, ChangeReservation, LiftClosure, MoveReservation, NewEvent, Reserve,
    ReserveKind, RestoreReservation, Revision,
    scenario::{
        Given, after, cancelled, given, made, minute, moved, new_reservation, rescheduled, reservation, room,
        room_id, room_retired, room_with, stay,
    },
};

fn closure(from: &str, to: &str) -> Closure {
    Closure {
        id: ClosureId(Uuid::from_u128(77)),
        room: room_id(1),
        from: minute(from),
        to: minute(to),
        reason: "New floor".into(),
        kind: None,
        all: false,
    }
}

/// Tomorrow from ten to noon.
fn tomorrow() -> Closure {
    closure("2026-06-02T10:00", "2026-06-02T12:00")
}

fn added(closure: &Closure, hits: &[&Reservation]) -> NewEvent {
    let hits = hits.iter().map(|it| Hit { reservation: it.id, from: it.from, to: it.to }).collect();
    let event = ClosureAdded { closure: closure.clone(), hits, more_hits: None };
    NewEvent { room: closure.room, event: event.into() }
}

fn lifted(closure: &Closure) -> NewEvent {
    NewEvent { room: closure.room, event: ClosureLifted { closure: closure.clone() }.into() }
}

fn add(closure: &Closure) -> Action {
    Action::AddClosure(AddClosure { closure: closure.clone() })
}

fn lift(closure: &Closure) -> Action {
    Action::LiftClosure(LiftClosure { room: closure.room, closure: closure.id })
}

fn closed(closure: &Closure) -> Rejection {
    let Closure { id, from, to, reason, .. } = closure.clone();
    Rejection::Closed { closure: id, from, to, reason }
}

fn reserve(from: &str, to: &str) -> Action {
    Action::Reserve(Reserve { room: room_id(1), stay: stay(from, to) })
}

fn given_closed() -> Given {
    given([room(1), added(&tomorrow(), &[])])
}

#[test]
fn a_closed_time_refuses_new_stays_and_names_the_closure() {
    for (from, to) in [("09:00", "10:01"), ("11:59", "13:00"), ("10:30", "11:00"), ("09:00", "13:00")] {
        let action = reserve(&format!("2026-06-02T{from}"), &format!("2026-06-02T{to}"));
        given_closed().when(action).rejected(closed(&tomorrow()));
    }
    given_closed().when(reserve("2026-06-02T09:00", "2026-06-02T10:00")).accepted();
    given_closed().when(reserve("2026-06-02T12:00", "2026-06-02T13:00")).accepted();
}

#[test]
fn a_buffer_does_not_lie_in_a_closure() {
    let buffered = |settings: &mut RoomSettings| settings.buffer_after = Some(15);
    let given = || given([room_with(1, buffered), added(&tomorrow(), &[])]);
    given().when(reserve("2026-06-02T09:00", "2026-06-02T09:46")).rejected(closed(&tomorrow()));
    given().when(reserve("2026-06-02T09:00", "2026-06-02T09:45")).accepted();
}

#[test]
fn a_closure_lists_the_stays_that_it_hits_and_leaves_them() {
    let before = reservation(1, "2026-06-02T09:00", "2026-06-02T10:00");
    let first = reservation(2, "2026-06-02T10:30", "2026-06-02T11:00");
    let last = reservation(3, "2026-06-02T11:30", "2026-06-02T13:00");
    let given = given([room(1), made(&before), made(&last), made(&first)]);
    given.when(add(&tomorrow())).by_admin().then([added(&tomorrow(), &[&first, &last])]);
}

#[test]
fn a_stay_that_has_ended_is_not_hit() {
    let ended = reservation(1, "2026-06-01T06:00", "2026-06-01T08:00");
    let running = reservation(2, "2026-06-01T08:00", "2026-06-01T09:00");
    let today = closure("2026-06-01T00:00", "2026-06-02T00:00");
    let given = given([room(1), made(&ended), made(&running)]);
    given.when(add(&today)).by_admin().then([added(&today, &[&running])]);
}

#[test]
fn a_stay_in_a_closure_can_change_but_takes_no_more_closed_time() {
    let held = reservation(1, "2026-06-02T10:30", "2026-06-02T11:00");
    let given = || given([room(1), made(&held), added(&tomorrow(), &[&held])]);
    let change = |from: Option<&str>, to: Option<&str>| {
        let mut change = ChangeReservation::new(Some(room_id(1)), held.id);
        (change.from, change.to) = (from.map(minute), to.map(minute));
        Action::ChangeReservation(change)
    };
    given().when(change(None, Some("2026-06-02T11:10"))).rejected(closed(&tomorrow()));
    let shorter = after(&held, |it| it.to = minute("2026-06-02T10:45"));
    given().when(change(None, Some("2026-06-02T10:45"))).then([rescheduled(&held, &shorter)]);
    given().when(change(Some("2026-06-02T13:00"), Some("2026-06-02T14:00"))).accepted();
    let cancel = CancelReservation { room: Some(room_id(1)), reservation: held.id };
    given().when(Action::CancelReservation(cancel)).then([cancelled(&held)]);
    let mut retitle = ChangeReservation::new(Some(room_id(1)), held.id);
    retitle.title = Some(Some("Talk".into()));
    given().when(Action::ChangeReservation(retitle)).accepted();
}

#[test]
fn no_stay_is_moved_or_restored_into_a_closure() {
    let other = Reservation { room: room_id(2), ..reservation(1, "2026-06-02T10:30", "2026-06-02T11:00") };
    let (moving, reservation) = (room_id(1), other.id);
    let given = || given([room(1), room(2), made(&other), added(&tomorrow(), &[])]);
    let action =
        MoveReservation { room: Some(room_id(2)), reservation, to_room: moving, from: None, to: None };
    given().when(Action::MoveReservation(action.clone())).rejected(closed(&tomorrow()));
    let there = after(&other, |it| {
        it.room = moving;
        it.from = minute("2026-06-02T12:00");
        it.to = minute("2026-06-02T13:00");
    });
    let (from, to) = (Some(there.from), Some(there.to));
    given().when(Action::MoveReservation(MoveReservation { from, to, ..action })).then(moved(&other, &there));

    let gone = crate::commands::scenario::reservation(2, "2026-06-02T11:00", "2026-06-02T11:30");
    let given = given().and_at("2026-04-01T00:00", [made(&gone), cancelled(&gone)]);
    let was = Revision::Live(Box::new(gone.clone()));
    let restore = RestoreReservation { room: room_id(1), reservation: gone.id, revision: 1, was };
    given.when(Action::RestoreReservation(restore)).rejected(closed(&tomorrow()));
}

#[test]
fn any_room_of_a_kind_is_one_that_is_not_closed() {
    let action = || {
        let stay = stay("2026-06-02T10:00", "2026-06-02T11:00");
        Action::ReserveKind(ReserveKind { kind: "meeting".into(), stay })
    };
    let mut expected = reservation(1, "2026-06-02T10:00", "2026-06-02T11:00");
    (expected.room, expected.id) = (room_id(2), new_reservation(room_id(2)));
    given([room(1), room(2), added(&tomorrow(), &[])]).when(action()).then([made(&expected)]);
    given_closed().when(action()).rejected(Rejection::NoFreeRoom);
}

#[test]
fn a_lifted_closure_refuses_nothing_and_lifting_it_again_changes_nothing() {
    given_closed().when(lift(&tomorrow())).by_admin().then([lifted(&tomorrow())]);
    let given = || given([room(1), added(&tomorrow(), &[]), lifted(&tomorrow())]);
    given().when(reserve("2026-06-02T10:00", "2026-06-02T11:00")).accepted();
    given().when(lift(&tomorrow())).by_admin().unchanged(room_id(1), None, 1);
}

#[test]
fn of_closures_that_overlap_each_refuses_until_it_is_lifted() {
    let long =
        Closure { id: ClosureId(Uuid::from_u128(78)), ..closure("2026-06-01T12:00", "2026-06-09T12:00") };
    let given = || given([room(1), added(&long, &[]), added(&tomorrow(), &[])]);
    given().when(reserve("2026-06-08T10:00", "2026-06-08T11:00")).rejected(closed(&long));
    let given = given().and_at("2026-05-02T00:00", [lifted(&long)]);
    given.when(reserve("2026-06-02T11:00", "2026-06-02T12:30")).rejected(closed(&tomorrow()));
}

#[test]
fn only_administrators_close_rooms_and_only_for_a_time_that_has_not_ended() {
    let when = |closure: &Closure| given([room(1)]).when(add(closure));
    when(&tomorrow()).rejected(Rejection::NotAdmin);
    given_closed().when(lift(&tomorrow())).rejected(Rejection::NotAdmin);
    when(&tomorrow()).by_admin().accepted();
    let ended = closure("2026-05-01T00:00", "2026-06-01T08:00");
    when(&ended).by_admin().rejected(Rejection::InThePast);
    when(&Closure { to: minute("2026-06-01T08:01"), ..ended }).by_admin().accepted();
    let backwards = closure("2026-06-02T12:00", "2026-06-02T10:00");
    when(&backwards).by_admin().rejected(crate::domain::InvalidInterval::FromNotBeforeTo);
    let long = closure("2026-06-02T12:00", "2027-06-04T10:00");
    when(&long).by_admin().rejected(crate::domain::InvalidInterval::TooLong);
    let retired = given([room(1), room_retired(1, 2)]).when(add(&tomorrow())).by_admin();
    retired.rejected(Rejection::UnknownRoom { room: room_id(1) });
}

#[test]
fn a_closure_that_the_room_has_is_not_added_again() {
    given_closed().when(add(&tomorrow())).by_admin().unchanged(room_id(1), None, 1);
}

#[test]
fn a_room_has_a_limited_number_of_closures_ahead() {
    let nth = |n: u128| {
        let shift = |minute: Minute| minute.plus(i64::try_from(n).unwrap()).unwrap();
        let Closure { from, to, .. } = tomorrow();
        Closure { id: ClosureId(Uuid::from_u128(n)), from: shift(from), to: shift(to), ..tomorrow() }
    };
    let full = || {
        let closures = (1..=400).map(|n| added(&nth(n), &[]));
        given([room(1)]).and_at("2026-05-01T08:00", closures)
    };
    full().when(add(&nth(401))).by_admin().rejected(Rejection::TooManyClosures { limit: 400 });
    full().when(add(&nth(401))).at("2026-06-02T12:01").by_admin().accepted();
}

#[test]
fn a_time_that_was_closed_stays_closed_for_imported_stays() {
    let past = closure("2026-05-02T10:00", "2026-05-02T12:00");
    let later = reservation(1, "2026-07-01T10:00", "2026-07-01T11:00");
    let when = given([room(1), added(&past, &[])])
        .and_at("2026-05-20T00:00", [made(&later)])
        .when(reserve("2026-05-02T11:00", "2026-05-02T11:30"));
    when.imported_at("2026-05-01T09:00").rejected(closed(&past));
}

#[test]
fn a_closure_names_a_hundred_stays_and_counts_the_others() {
    let nth = |n: u8| {
        let hour = |n: u8| minute("2026-06-02T10:00").plus(i64::from(n)).unwrap();
        let base = reservation(u128::from(n) + 1, "2026-06-02T10:00", "2026-06-02T10:01");
        Reservation { from: hour(n), to: hour(n + 1), ..base }
    };
    let stays: Vec<Reservation> = (0..103).map(nth).collect();
    let given = given([room(1)]).and_at("2026-05-01T08:00", stays.iter().map(made));
    let first: Vec<&Reservation> = stays.iter().take(100).collect();
    let mut expected = added(&tomorrow(), &first);
    if let shared_events::Event::ClosureAdded(added) = &mut expected.event {
        added.more_hits = Some(3);
    }
    given.when(add(&tomorrow())).by_admin().then([expected]);
}

/// A closure of May, which the room has forgotten with an event of June.
fn given_ended(ended: &Closure) -> Given {
    let later = made(&reservation(1, "2026-06-05T10:00", "2026-06-05T11:00"));
    given([room(1), added(ended, &[])]).and_at("2026-06-01T07:00", [later])
}

#[test]
fn an_ended_closure_that_the_room_has_forgotten_still_refuses_imported_stays() {
    let ended = closure("2026-05-10T10:00", "2026-05-10T12:00");
    let import = |from, to| given_ended(&ended).when(reserve(from, to)).imported_at("2026-05-09T08:00");
    let (decision, whole_reads) = import("2026-05-10T11:00", "2026-05-10T13:00").decided();
    assert_eq!((decision, whole_reads), (Decision::Rejected(closed(&ended)), 1));
    let (decision, whole_reads) = import("2026-05-10T09:00", "2026-05-10T10:00").decided();
    assert!(matches!(decision, Decision::Events(_)) && whole_reads == 1, "{decision:?}");
    // From its end on nothing is forgotten.
    let (decision, whole_reads) = import("2026-05-10T12:00", "2026-05-10T13:00").decided();
    assert!(matches!(decision, Decision::Events(_)) && whole_reads == 0, "{decision:?}");
}

#[test]
fn an_ended_closure_is_lifted_as_it_was_and_an_unknown_one_needs_no_stream() {
    let ended = closure("2026-05-10T10:00", "2026-05-10T12:00");
    let (decision, whole_reads) = given_ended(&ended).when(lift(&ended)).by_admin().decided();
    assert_eq!((decision, whole_reads), (Decision::Events(vec![lifted(&ended)]), 1));
    let again = given_ended(&ended).and_at("2026-06-01T07:30", [lifted(&ended)]);
    let (decision, whole_reads) = again.when(lift(&ended)).by_admin().decided();
    assert!(matches!(decision, Decision::Unchanged { .. }) && whole_reads == 0, "{decision:?}");
    let (decision, whole_reads) = given_ended(&ended).when(add(&ended)).by_admin().decided();
    assert!(matches!(decision, Decision::Unchanged { .. }) && whole_reads == 0, "{decision:?}");
    let other = Closure { id: ClosureId(Uuid::from_u128(78)), ..ended.clone() };
    let (decision, whole_reads) = given_ended(&ended).when(lift(&other)).by_admin().decided();
    assert!(matches!(decision, Decision::Unchanged { .. }) && whole_reads == 0, "{decision:?}");
}

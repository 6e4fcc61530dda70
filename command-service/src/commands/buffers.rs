//! Tests of buffers: a stay keeps its room busy for some time before and after it.

use shared_events::{Interval, Reservation, RoomSettings};

use super::{
    Action, CancelReservation, ChangeReservation, ChangeRoom, MoveReservation, RegisterRoom, Reserve,
    RestoreReservation, Revision,
    scenario::{
        Given, after, cancelled, given, made, minute, new_reservation, overlap, reservation, room,
        room_changed, room_id, room_with, settings, stay,
    },
};
use crate::commands::Decision;
use crate::domain::{InvalidSetting, Rejection};

fn buffered(settings: &mut RoomSettings) {
    (settings.buffer_before, settings.buffer_after) = (Some(15), Some(30));
}

/// A reservation that keeps its room busy in another interval.
fn busy(n: u128, stay: (&str, &str), busy: (&str, &str)) -> Reservation {
    let busy = Interval { from: minute(busy.0), to: minute(busy.1) };
    Reservation { busy: Some(busy), ..reservation(n, stay.0, stay.1) }
}

/// Tomorrow from ten to twelve, with buffers.
fn tomorrow() -> Reservation {
    busy(1, ("2026-06-02T10:00", "2026-06-02T12:00"), ("2026-06-02T09:45", "2026-06-02T12:30"))
}

fn reserve(from: &str, to: &str) -> Action {
    Action::Reserve(Reserve { room: room_id(1), stay: stay(from, to) })
}

fn given_tomorrow() -> Given {
    given([room_with(1, buffered), made(&tomorrow())])
}

fn change(from: Option<&str>, to: Option<&str>) -> Action {
    let mut change = ChangeReservation::new(Some(room_id(1)), tomorrow().id);
    (change.from, change.to) = (from.map(minute), to.map(minute));
    Action::ChangeReservation(change)
}

/// What the reservation keeps busy after an accepted command.
#[track_caller]
fn busy_after(when: super::scenario::When) -> (String, String) {
    match when.decided().0 {
        Decision::Events(events) => {
            let busy = events[events.len() - 1].event.reservation().unwrap().busy_interval();
            (busy.from.to_string(), busy.to.to_string())
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn keeps_busy(when: super::scenario::When, from: &str, to: &str) {
    assert_eq!(busy_after(when), (minute(from).to_string(), minute(to).to_string()));
}

#[test]
fn a_stay_has_the_buffers_of_its_room_and_none_where_the_room_has_none() {
    let expected = Reservation { id: new_reservation(room_id(1)), ..tomorrow() };
    let action = || reserve("2026-06-02T10:00", "2026-06-02T12:00");
    given([room_with(1, buffered)]).when(action()).then([made(&expected)]);
    given([room(1)]).when(action()).then([made(&Reservation { busy: None, ..expected })]);
}

#[test]
fn between_two_stays_lie_the_buffer_after_one_and_the_buffer_before_the_next() {
    given_tomorrow().when(reserve("2026-06-02T12:44", "2026-06-02T13:00")).rejected(overlap(&tomorrow()));
    given_tomorrow().when(reserve("2026-06-02T12:45", "2026-06-02T13:00")).accepted();
    given_tomorrow().when(reserve("2026-06-02T09:00", "2026-06-02T09:16")).rejected(overlap(&tomorrow()));
    given_tomorrow().when(reserve("2026-06-02T09:00", "2026-06-02T09:15")).accepted();
}

#[test]
fn buffers_may_lie_in_the_past_and_outside_the_opening_hours() {
    let opened = |settings: &mut RoomSettings| {
        buffered(settings);
        let span = || shared_events::OpeningSpan::new(9 * 60, 10 * 60).unwrap().into();
        settings.opening_hours =
            Some(shared_events::OpeningHours { monday: span(), ..shared_events::OpeningHours::default() });
    };
    // Now is Monday, 09:00 in Lisbon: the room opens now.
    let when = given([room_with(1, opened)]).when(reserve("2026-06-01T08:00", "2026-06-01T09:00"));
    keeps_busy(when, "2026-06-01T07:45", "2026-06-01T09:30");
}

#[test]
fn a_stay_keeps_the_buffers_that_its_room_had_when_its_time_was_set() {
    let none = room_changed(1, 2, |_| ());
    let given = given([room_with(1, buffered), made(&tomorrow()), none]);
    given.when(reserve("2026-06-02T12:29", "2026-06-02T13:00")).rejected(overlap(&tomorrow()));
    // Existing stays may be closer together than new buffers ask for.
    let (one, next) = (
        reservation(1, "2026-06-02T10:00", "2026-06-02T12:00"),
        reservation(2, "2026-06-02T12:00", "2026-06-02T13:00"),
    );
    let closer = || self::given([room(1), made(&one), made(&next), room_changed(1, 2, buffered)]);
    let mut retitle = ChangeReservation::new(Some(room_id(1)), one.id);
    retitle.title = Some(Some("Talk".into()));
    closer().when(Action::ChangeReservation(retitle)).accepted();
}

#[test]
fn what_gives_time_back_is_not_refused_by_buffers_that_have_grown() {
    let (one, next) = (
        reservation(1, "2026-06-02T10:00", "2026-06-02T12:00"),
        reservation(2, "2026-06-02T12:00", "2026-06-02T13:00"),
    );
    let closer = || given([room(1), made(&one), made(&next), room_changed(1, 2, buffered)]);
    let shorter = || change(None, Some("2026-06-02T11:50"));
    keeps_busy(closer().when(shorter()), "2026-06-02T10:00", "2026-06-02T12:00");
    // What takes time gets the buffer of today.
    keeps_busy(closer().when(change(Some("2026-06-02T09:50"), None)), "2026-06-02T09:35", "2026-06-02T12:00");
    let shorter = change(None, Some("2026-06-02T11:00"));
    keeps_busy(closer().when(shorter), "2026-06-02T10:00", "2026-06-02T11:30");
}

#[test]
fn a_running_stay_that_ends_now_gives_its_time_back_after_its_buffer() {
    let running = busy(1, ("2026-06-01T07:00", "2026-06-01T10:00"), ("2026-06-01T06:45", "2026-06-01T10:30"));
    let cancel = CancelReservation { room: Some(room_id(1)), reservation: running.id };
    let given = || given([room_with(1, buffered), made(&running)]);
    keeps_busy(given().when(Action::CancelReservation(cancel)), "2026-06-01T06:45", "2026-06-01T08:31");
}

#[test]
fn a_moved_stay_has_the_buffers_of_its_new_room() {
    let to_room = room_id(2);
    let moving = || {
        let (room, reservation) = (Some(room_id(1)), tomorrow().id);
        Action::MoveReservation(MoveReservation { room, reservation, to_room, from: None, to: None })
    };
    let other = |before: u32| room_with(2, move |settings| settings.buffer_before = Some(before));
    let given = || given([room_with(1, buffered), made(&tomorrow()), other(60)]);
    keeps_busy(given().when(moving()), "2026-06-02T09:00", "2026-06-02T12:00");
    let in_the_way = after(&reservation(2, "2026-06-02T08:00", "2026-06-02T09:01"), |it| it.room = to_room);
    let given = given().and_at("2026-05-02T08:00", [made(&in_the_way)]);
    given.when(moving()).rejected(overlap(&in_the_way));
}

#[test]
fn a_restored_stay_keeps_busy_what_its_revision_kept_busy() {
    let restore = || {
        Action::RestoreReservation(RestoreReservation {
            room: room_id(1),
            reservation: tomorrow().id,
            revision: 1,
            was: Revision::Live(Box::new(tomorrow())),
        })
    };
    let none = room_changed(1, 2, |_| ());
    let given = || given([room_with(1, buffered), made(&tomorrow()), cancelled(&tomorrow()), none.clone()]);
    keeps_busy(given().when(restore()), "2026-06-02T09:45", "2026-06-02T12:30");
    let in_the_way = reservation(2, "2026-06-02T12:29", "2026-06-02T13:00");
    let given = given().and_at("2026-05-02T08:00", [made(&in_the_way)]);
    given.when(restore()).rejected(overlap(&in_the_way));
}

#[test]
fn a_buffer_reaches_into_what_the_room_has_forgotten() {
    let ended = reservation(1, "2026-06-01T06:00", "2026-06-01T07:00");
    let ahead = reservation(2, "2026-07-01T10:00", "2026-07-01T11:00");
    let given = || {
        given([room(1), made(&ended)])
            .and_at("2026-06-01T07:30", [made(&ahead)])
            .and_at("2026-06-01T07:30", [room_changed(1, 2, |settings| settings.buffer_before = Some(70))])
    };
    let (decision, whole_reads) = given().when(reserve("2026-06-01T08:00", "2026-06-01T09:00")).decided();
    assert_eq!((decision, whole_reads), (Decision::Rejected(overlap(&ended)), 1));
    given().when(reserve("2026-06-01T08:10", "2026-06-01T09:00")).accepted();
}

#[test]
fn no_buffer_is_longer_than_a_day_and_none_is_the_same_as_no_setting() {
    let register = |change: fn(&mut RoomSettings)| {
        let mut settings = settings("Blue");
        change(&mut settings);
        given([]).when(Action::RegisterRoom(RegisterRoom::new(settings))).by_admin()
    };
    register(|settings| settings.buffer_before = Some(1440)).accepted();
    for (field, change) in [
        ("bufferBefore", (|settings| settings.buffer_before = Some(1441)) as fn(&mut RoomSettings)),
        ("bufferAfter", |settings| settings.buffer_after = Some(1441)),
    ] {
        match register(change).decided().0 {
            Decision::Rejected(Rejection::InvalidSetting(InvalidSetting { field: named, .. })) => {
                assert_eq!(named, field);
            }
            other => panic!("{other:?}"),
        }
    }
    let mut change = ChangeRoom::new(room_id(1));
    (change.buffer_before, change.buffer_after) = (Some(Some(0)), Some(None));
    given([room(1)]).when(Action::ChangeRoom(change)).by_admin().unchanged(room_id(1), None, 1);
}

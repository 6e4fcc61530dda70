use std::time::Instant;

use sha2::{Digest, Sha256};
use shared_events::{
    Closure, Offsets, OpeningHours, OpeningSpan, UserId,
    closure_events::ClosureAdded,
    reservation_events::{ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut},
    room_events::{RoomChanged, RoomRegistered},
};
use uuid::Uuid;

use super::*;

const ROOM: RoomId = RoomId(Uuid::from_u128(1));
const OTHER: RoomId = RoomId(Uuid::from_u128(2));

fn at(minutes: i64) -> Minute {
    Minute::from_epoch_minutes(minutes).unwrap()
}

fn span(from: i64, to: i64) -> Interval {
    Interval { from: at(from), to: at(to) }
}

fn reservation(n: u128, from: i64, to: i64) -> Reservation {
    Reservation {
        id: ReservationId(Uuid::from_u128(n)),
        revision: 1,
        room: ROOM,
        time_zone: "UTC".parse().unwrap(),
        from: at(from),
        to: at(to),
        offsets: Some(Offsets::of(span(from, to), "UTC".parse().unwrap())),
        busy: None,
        people: 3,
        title: Some("Talk".into()),
        reserved_for: Some("Bob".into()),
        reserved_by: UserId::new("ana").unwrap(),
        booked_by: Some(UserId::new("office").unwrap()),
        series: Some(SeriesId(Uuid::from_u128(9))),
    }
}

fn registered() -> Event {
    let settings = RoomSettings {
        name: "Blue".into(),
        kind: "meeting".into(),
        capacity: 4,
        time_zone: "Europe/Lisbon".parse().unwrap(),
        opening_hours: Some(OpeningHours {
            monday: OpeningSpan::new(480, 1440).unwrap().into(),
            ..OpeningHours::default()
        }),
        slot_minutes: Some(15),
        min_minutes: Some(15),
        max_minutes: Some(600),
        buffer_before: None,
        buffer_after: None,
        max_days_ahead: Some(90),
        building: None,
        floor: None,
        attributes: Vec::new(),
        bookable_by: Vec::new(),
        max_ahead: None,
    };
    RoomRegistered { room: shared_events::Room { id: ROOM, revision: 1, settings } }.into()
}

fn made(reservation: &Reservation) -> Event {
    ReservationMade { reservation: reservation.clone() }.into()
}

fn cancelled(reservation: &Reservation) -> Event {
    ReservationCancelled { reservation: reservation.clone() }.into()
}

fn moved_out(before: &Reservation) -> Event {
    let reservation = Reservation { room: OTHER, revision: before.revision + 1, ..before.clone() };
    ReservationMovedOut { reservation, previous: before.place() }.into()
}

fn closed(from: i64, to: i64) -> Event {
    let (id, reason) = (ClosureId(Uuid::from_u128(9)), "New floor".into());
    let closure = Closure { id, room: ROOM, from: at(from), to: at(to), reason, kind: None, all: true };
    ClosureAdded { closure, hits: Vec::new(), more_hits: None }.into()
}

/// A room after these events, each at its minute.
fn folded(mut room: Room, events: &[(i64, Event)]) -> Room {
    for (minutes, event) in events {
        room.apply(room.version().next(), at(*minutes).start(), event).unwrap();
    }
    room
}

#[test]
fn a_changed_form_of_the_snapshot_has_a_changed_fingerprint() {
    let room = folded(
        Room::new(ROOM),
        &[
            (1, registered()),
            (2, made(&reservation(1, 3, 4))),
            (2, made(&reservation(2, 100, 110))),
            (2, made(&reservation(3, 120, 130))),
            (3, made(&reservation(4, 140, 150))),
            (4, moved_out(&reservation(3, 120, 130))),
            (5, cancelled(&reservation(4, 140, 150))),
            (5, made(&Reservation { busy: Some(span(195, 215)), ..reservation(5, 200, 210) })),
            (6, closed(300, 400)),
        ],
    );
    let json = serde_json::to_string(&room).unwrap();
    let fingerprint: String =
        Sha256::digest(&json).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(fingerprint, SNAPSHOT_SCHEMA, "set SNAPSHOT_SCHEMA: the form is now {json}");
    assert_eq!(serde_json::from_str::<Room>(&json).unwrap(), room);
}

#[test]
fn an_event_that_is_not_the_next_changes_nothing() {
    let mut room = folded(Room::new(ROOM), &[(1, registered())]);
    let before = room.clone();
    for found in [0, 1, 3, u64::MAX] {
        let out = room.apply(found.into(), at(1).start(), &made(&reservation(1, 3, 4)));
        assert_eq!(out, Err(OutOfSequence { room: ROOM, version: 1.into(), found: found.into() }));
        assert_eq!(room, before);
    }
}

#[test]
fn a_reservation_is_kept_until_its_end_lies_before_the_horizon() {
    let (old, next) = (reservation(1, 3, 10), reservation(2, 20, 30));
    let mut room = folded(Room::new(ROOM), &[(1, registered()), (2, made(&old)), (10, made(&next))]);
    assert_eq!(room.horizon(), at(10).start());
    assert!(room.reservation(old.id).is_some() && room.remembers_all());
    room.apply(4.into(), Timestamp::from_epoch_millis(10 * 60_000 + 1), &cancelled(&next)).unwrap();
    assert!(room.reservation(old.id).is_none() && !room.remembers_all());
    assert!(room.remembers(at(10)) && !room.remembers(at(9)));
}

#[test]
fn an_event_of_an_earlier_time_does_not_take_the_horizon_back() {
    let room =
        folded(Room::new(ROOM), &[(9, made(&reservation(1, 20, 30))), (5, made(&reservation(2, 30, 40)))]);
    assert_eq!(room.horizon(), at(9).start());
}

#[test]
fn changes_of_the_room_itself_do_not_move_its_horizon() {
    let Event::RoomRegistered(RoomRegistered { room: values }) = registered() else { panic!() };
    let changed = Event::from(RoomChanged { room: values });
    let room = folded(Room::new(ROOM), &[(5_000, registered()), (6_000, changed)]);
    assert_eq!(room.horizon(), at(0).start());
}

#[test]
fn a_whole_room_never_forgets() {
    let (old, gone) = (reservation(1, 3, 10), reservation(2, 20, 30));
    let events = [
        (2, made(&old)),
        (2, made(&gone)),
        (3, moved_out(&gone)),
        (9_000, made(&reservation(3, 9_000, 9_001))),
    ];
    let (pruned, whole) = (folded(Room::new(ROOM), &events), folded(Room::whole(ROOM), &events));
    assert_eq!((pruned.reservation(old.id), pruned.moved_to(gone.id)), (None, None));
    assert_eq!((whole.reservation(old.id), whole.moved_to(gone.id)), (Some(&old), Some(OTHER)));
    assert!(whole.remembers(at(0)));
}

#[test]
fn where_a_reservation_went_is_known_until_it_comes_back() {
    let here = reservation(1, 100, 110);
    let back = Reservation { revision: 3, ..here.clone() };
    let previous = shared_events::Place { room: OTHER, ..here.place() };
    let returned = Event::from(ReservationMovedIn { reservation: back.clone(), previous });
    let room = folded(Room::new(ROOM), &[(1, made(&here)), (2, moved_out(&here))]);
    assert_eq!((room.moved_to(here.id), room.has_lost(here.id)), (Some(OTHER), true));
    let room = folded(room, &[(3, returned)]);
    assert_eq!((room.moved_to(here.id), room.has_lost(here.id)), (None, false));
    assert_eq!(room.reservation(here.id), Some(&back));
}

#[test]
fn only_what_shares_a_minute_overlaps() {
    let room = folded(
        Room::new(ROOM),
        &[
            (1, made(&reservation(1, 10, 20))),
            (1, made(&reservation(2, 20, 30))),
            (1, made(&reservation(3, 40, 50))),
        ],
    );
    let found = |from, to| room.overlapping(span(from, to), |_| true).map(|found| found.id.0.as_u128());
    assert_eq!(found(5, 10), None);
    assert_eq!(found(5, 11), Some(1));
    assert_eq!(found(19, 20), Some(1));
    assert_eq!(found(20, 21), Some(2));
    assert_eq!(found(30, 40), None);
    assert_eq!(found(12, 13), Some(1));
    assert_eq!(found(0, 100), Some(3));
    let but_two = room.overlapping(span(15, 25), |id| id != reservation(2, 20, 30).id);
    assert_eq!(but_two.map(|found| found.id.0.as_u128()), Some(1));
    assert_eq!(room.overlapping(span(22, 40), |id| id != reservation(2, 20, 30).id), None);
}

/// A scan of a room with a thousand times as many reservations would take a thousand times as long.
#[test]
fn looking_for_an_overlap_does_not_scan_the_room() {
    let room_with = |count: u32| {
        let events: Vec<_> = (0..i64::from(count))
            .zip(1..)
            .map(|(at, n)| (0, made(&reservation(n, at * 10, at * 10 + 5))))
            .collect();
        folded(Room::new(ROOM), &events)
    };
    let search_once = |room: &Room, count: i64| {
        let started = Instant::now();
        for n in 0..50_000_i64 {
            let from = (n * 7_919 % count) * 10 + 5;
            assert_eq!(room.overlapping(span(from, from + 5), |_| true), None);
        }
        started.elapsed()
    };
    // The shortest of several searches is one that no other process has interrupted.
    let search = |room: &Room, count: i64| (0..5).map(|_| search_once(room, count)).min().unwrap();
    let (small, large) = (room_with(100), room_with(100_000));
    let (few, many) = (search(&small, 100), search(&large, 100_000));
    assert!(many < few * 100, "{few:?} among 100 reservations, {many:?} among 100,000");
}

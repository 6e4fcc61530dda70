use shared_events::{MaxAhead, OpenDay, OpeningHours, OpeningSpan, room_rules::BrokenRule};

use super::*;
use crate::{
    commands::{
        Action,
        scenario::{
            Given, cancelled, given, made, new_reservation, overlap, reservation, room, room_id,
            room_retired, room_with, stay,
        },
    },
    domain::InvalidInterval,
};

mod clocks;

fn reserve(from: &str, to: &str) -> Action {
    Action::Reserve(Reserve { room: room_id(1), stay: stay(from, to) })
}

fn given_room(change: impl FnOnce(&mut RoomSettings)) -> Given {
    given([room_with(1, change)])
}

fn every_day(opens: u16, closes: u16) -> Option<OpeningHours> {
    let span = || OpeningSpan::new(opens, closes).unwrap().into();
    Some(OpeningHours {
        monday: span(),
        tuesday: span(),
        wednesday: span(),
        thursday: span(),
        friday: span(),
        saturday: span(),
        sunday: span(),
    })
}

#[test]
fn a_free_room_is_reserved_for_who_asks() {
    let mut wanted = stay("2026-06-01T08:00", "2026-06-01T09:00");
    (wanted.title, wanted.reserved_for) = (Some("Talk".into()), Some("Bob".into()));
    let expected = Reservation {
        id: new_reservation(room_id(1)),
        title: Some("Talk".into()),
        reserved_for: Some("Bob".into()),
        reserved_by: UserId::new("eve").unwrap(),
        ..reservation(1, "2026-06-01T08:00", "2026-06-01T09:00")
    };
    let action = Action::Reserve(Reserve { room: room_id(1), stay: wanted });
    given([room(1)]).when(action).by("eve").then([made(&expected)]);
}

#[test]
fn delegates_and_administrators_reserve_for_others_who_own_the_stay() {
    let owned_by = |owner: &str| {
        let owner = Some(UserId::new(owner).unwrap());
        let stay = Stay { reserved_by: owner, ..stay("2026-06-01T08:00", "2026-06-01T09:00") };
        Action::Reserve(Reserve { room: room_id(1), stay })
    };
    let expected = |owner: &str, booker: Option<&str>| Reservation {
        id: new_reservation(room_id(1)),
        reserved_by: UserId::new(owner).unwrap(),
        booked_by: booker.map(|booker| UserId::new(booker).unwrap()),
        ..reservation(1, "2026-06-01T08:00", "2026-06-01T09:00")
    };
    let when = |owner: &str| given([room(1)]).when(owned_by(owner));
    when("bob").by_delegate("eve").then([made(&expected("bob", Some("eve")))]);
    when("bob").by_admin().then([made(&expected("bob", Some("root")))]);
    when("bob").by("eve").rejected(Rejection::NotDelegate);
    when("eve").by("eve").then([made(&expected("eve", None))]);
}

#[test]
fn an_owner_has_no_more_ahead_in_the_room_than_its_rule_allows() {
    let quota = |reservations, minutes| {
        room_with(1, |room| room.max_ahead = Some(MaxAhead { reservations, minutes }))
    };
    let ahead = || {
        [
            made(&reservation(1, "2026-06-01T07:00", "2026-06-01T09:00")),
            made(&reservation(2, "2026-06-02T10:00", "2026-06-02T11:00")),
        ]
    };
    let ended = || made(&reservation(3, "2026-05-30T10:00", "2026-05-31T10:00"));
    let given = |quota| given([quota, ended()]).and_at("2026-05-31T12:00", ahead());
    let hour = || reserve("2026-06-05T10:00", "2026-06-05T11:00");
    let limit = |limit| BrokenRule::ReservationsAhead { limit };
    given(quota(Some(2), None)).when(hour()).rejected(limit(2));
    given(quota(Some(3), None)).when(hour()).accepted();
    // A running stay counts with all its minutes.
    given(quota(None, Some(239))).when(hour()).rejected(BrokenRule::MinutesAhead { limit: 239 });
    given(quota(None, Some(240))).when(hour()).accepted();
    given(quota(Some(1), None)).when(hour()).by("bob").accepted();
    given(quota(Some(1), None)).when(hour()).at("2026-06-02T11:00").accepted();
    given(quota(Some(0), None)).when(hour()).by("bob").rejected(limit(0));
}

#[test]
fn a_quota_counts_for_the_owner_and_not_for_who_makes_the_reservation() {
    let quota = room_with(1, |room| {
        room.max_ahead = Some(MaxAhead { reservations: Some(1), minutes: None });
    });
    let held = reservation(1, "2026-06-02T10:00", "2026-06-02T11:00");
    let for_owner = |owner: &str| {
        let owner = Some(UserId::new(owner).unwrap());
        let stay = Stay { reserved_by: owner, ..stay("2026-06-03T08:00", "2026-06-03T09:00") };
        Action::Reserve(Reserve { room: room_id(1), stay })
    };
    let given = || given([quota.clone(), made(&held)]);
    given().when(for_owner("bob")).by_delegate("ana").accepted();
    given().when(for_owner("ana")).by_admin().rejected(BrokenRule::ReservationsAhead { limit: 1 });
}

#[test]
fn a_stay_that_overlaps_another_is_refused_by_its_name() {
    let held = reservation(1, "2026-06-02T10:00", "2026-06-02T12:00");
    for (from, to) in [("09:00", "10:01"), ("11:59", "13:00"), ("10:30", "11:00"), ("09:00", "13:00")] {
        let action = reserve(&format!("2026-06-02T{from}"), &format!("2026-06-02T{to}"));
        given([room(1), made(&held)]).when(action).rejected(overlap(&held));
    }
}

#[test]
fn stays_may_adjoin() {
    let held = || made(&reservation(1, "2026-06-02T10:00", "2026-06-02T12:00"));
    given([room(1), held()]).when(reserve("2026-06-02T09:00", "2026-06-02T10:00")).accepted();
    given([room(1), held()]).when(reserve("2026-06-02T12:00", "2026-06-02T13:00")).accepted();
}

#[test]
fn a_cancelled_stay_is_free_again() {
    let held = reservation(1, "2026-06-02T10:00", "2026-06-02T12:00");
    let given = given([room(1), made(&held), cancelled(&held)]);
    given.when(reserve("2026-06-02T11:00", "2026-06-02T13:00")).accepted();
}

#[test]
fn a_room_that_is_not_there_or_was_retired_is_unknown() {
    let unknown = || Rejection::UnknownRoom { room: room_id(1) };
    let action = || reserve("2026-06-02T11:00", "2026-06-02T13:00");
    given([]).when(action()).rejected(unknown());
    given([room(1), room_retired(1, 2)]).when(action()).rejected(unknown());
}

#[test]
fn an_interval_must_go_forward_and_last_at_most_366_days() {
    let reject =
        |from, to, invalid: InvalidInterval| given([room(1)]).when(reserve(from, to)).rejected(invalid);
    reject("2026-06-02T11:00", "2026-06-02T11:00", InvalidInterval::FromNotBeforeTo);
    reject("2026-06-02T11:00", "2026-06-02T10:00", InvalidInterval::FromNotBeforeTo);
    reject("2026-06-02T11:00", "2027-06-03T11:01", InvalidInterval::TooLong);
    given([room(1)]).when(reserve("2026-06-02T11:00", "2027-06-03T11:00")).accepted();
}

#[test]
fn a_stay_cannot_begin_before_now() {
    let action = || reserve("2026-06-01T08:00", "2026-06-01T09:00");
    given([room(1)]).when(action()).at("2026-06-01T08:00:00.001Z").rejected(Rejection::InThePast);
    given([room(1)]).when(action()).at("2026-06-01T08:00:00.000Z").accepted();
}

#[test]
fn each_rule_of_the_room_refuses_by_its_name_and_limit() {
    let reject = |change: fn(&mut RoomSettings), rule: BrokenRule| {
        let when = given_room(change).when(reserve("2026-06-05T10:00", "2026-06-05T11:00"));
        when.rejected(rule);
    };
    reject(|room| room.capacity = 1, BrokenRule::Capacity { limit: 1 });
    reject(|room| room.slot_minutes = Some(480), BrokenRule::Slot { minutes: 480 });
    reject(|room| room.min_minutes = Some(61), BrokenRule::ShortestStay { minutes: 61 });
    reject(|room| room.max_minutes = Some(59), BrokenRule::LongestStay { minutes: 59 });
    reject(|room| room.max_days_ahead = Some(3), BrokenRule::DaysAhead { days: 3 });
    reject(|room| room.opening_hours = every_day(0, 11 * 60), BrokenRule::OpeningHours);
}

#[test]
fn a_room_of_some_roles_is_reserved_by_these_and_by_administrators_alone() {
    let staff = |room: &mut RoomSettings| room.bookable_by = vec!["staff".into(), "teacher".into()];
    let when = || given_room(staff).when(reserve("2026-06-05T10:00", "2026-06-05T11:00"));
    when().rejected(BrokenRule::BookableBy);
    when().with_role("student").rejected(BrokenRule::BookableBy);
    when().with_role("student").with_role("teacher").accepted();
    when().by_admin().accepted();
    // Only tokens name roles: lines of an import have none.
    when().imported_at("2026-05-01T00:00").accepted();
}

#[test]
fn limits_at_their_bounds_are_accepted() {
    let exact = |room: &mut RoomSettings| {
        room.capacity = 2;
        room.slot_minutes = Some(60);
        (room.min_minutes, room.max_minutes) = (Some(60), Some(60));
        room.max_days_ahead = Some(4);
        room.opening_hours = every_day(11 * 60, 12 * 60);
    };
    given_room(exact).when(reserve("2026-06-05T10:00", "2026-06-05T11:00")).accepted();
}

#[test]
fn a_rule_is_named_before_a_reservation_that_is_in_the_way() {
    let held = reservation(1, "2026-06-02T10:00", "2026-06-02T12:00");
    let given = given([room_with(1, |room| room.capacity = 1), made(&held)]);
    let when = given.when(reserve("2026-06-02T10:00", "2026-06-02T12:00"));
    when.rejected(BrokenRule::Capacity { limit: 1 });
}

#[test]
fn a_room_may_open_past_midnight_and_several_times_a_day() {
    let span = |opens: u16, closes: u16| OpeningSpan::new(opens * 60, closes * 60).unwrap();
    let hours = |room: &mut RoomSettings| {
        room.opening_hours = Some(OpeningHours {
            tuesday: OpenDay::new(vec![span(8, 12), span(18, 26)]).unwrap(),
            ..OpeningHours::default()
        });
    };
    let at = |from: &str, to: &str| given_room(hours).when(reserve(from, to));
    // Lisbon is an hour ahead of UTC in June.
    at("2026-06-02T07:00", "2026-06-02T11:00").accepted();
    at("2026-06-02T17:00", "2026-06-03T01:00").accepted();
    at("2026-06-02T23:30", "2026-06-03T00:30").accepted();
    at("2026-06-02T17:00", "2026-06-03T01:01").rejected(BrokenRule::OpeningHours);
    at("2026-06-02T10:00", "2026-06-02T18:00").rejected(BrokenRule::OpeningHours);
}

#[test]
fn the_running_slot_is_reserved_until_it_ends() {
    for (minutes, from, to) in
        [(30, "2026-06-01T08:00", "2026-06-01T08:30"), (1440, "2026-05-31T23:00", "2026-06-01T23:00")]
    {
        let slots = |room: &mut RoomSettings| room.slot_minutes = Some(minutes);
        let at = |now| given_room(slots).when(reserve(from, to)).at(now);
        at("2026-06-01T08:29:59.999Z").accepted();
        at("2026-06-01T23:00").rejected(Rejection::InThePast);
        if minutes == 30 {
            at("2026-06-01T08:30").rejected(Rejection::InThePast);
        }
    }
    // What held its beginning stands in the way.
    let held = reservation(1, "2026-06-01T08:00", "2026-06-01T08:01");
    let given = given([room_with(1, |room| room.slot_minutes = Some(30)), made(&held)]);
    let when = given.when(reserve("2026-06-01T08:00", "2026-06-01T08:30")).at("2026-06-01T08:10");
    when.rejected(overlap(&held));
}

#[test]
fn the_running_slot_is_decided_without_the_whole_stream_unless_a_forgotten_stay_may_hold_it() {
    let day = |past: (&str, &str)| {
        let past = reservation(1, past.0, past.1);
        let next = reservation(2, "2026-06-03T23:00", "2026-06-04T23:00");
        let room = room_with(1, |room| room.slot_minutes = Some(1440));
        let given = given([room, made(&past)]).and_at("2026-06-01T07:00", [made(&next)]);
        given.when(reserve("2026-05-31T23:00", "2026-06-01T23:00")).decided()
    };
    let (decision, whole_reads) = day(("2026-05-30T23:00", "2026-05-31T23:00"));
    assert!(matches!(decision, Decision::Events(_)), "{decision:?}");
    assert_eq!(whole_reads, 0);
    let (decision, whole_reads) = day(("2026-05-30T23:00", "2026-06-01T05:00"));
    assert!(matches!(decision, Decision::Rejected(Rejection::Overlap { .. })), "{decision:?}");
    assert_eq!(whole_reads, 1);
}

#[test]
fn days_ahead_are_those_of_the_rooms_zone() {
    let auckland = |room: &mut RoomSettings| {
        room.time_zone = "Pacific/Auckland".parse().unwrap();
        room.max_days_ahead = Some(0);
    };
    // In Auckland 2 June begins at 12:00 UTC on 1 June.
    let today = reserve("2026-06-01T11:59", "2026-06-01T13:00");
    given_room(auckland).when(today).accepted();
    let tomorrow = reserve("2026-06-01T12:00", "2026-06-01T13:00");
    given_room(auckland).when(tomorrow).rejected(BrokenRule::DaysAhead { days: 0 });
}

/// The clock jumped to July and back. The room has forgotten the reservations that ended before July.
fn after_a_clock_jump() -> (Given, Reservation) {
    let held = reservation(1, "2026-06-02T10:00", "2026-06-02T12:00");
    let later = reservation(2, "2026-08-01T10:00", "2026-08-01T12:00");
    (given([room(1), made(&held)]).and_at("2026-07-01T00:00", [made(&later)]), held)
}

#[test]
fn what_was_forgotten_by_a_clock_that_jumped_is_still_in_the_way() {
    let (given, held) = after_a_clock_jump();
    let (decision, whole_reads) = given.when(reserve("2026-06-02T11:00", "2026-06-02T13:00")).decided();
    assert_eq!(decision, Decision::Rejected(overlap(&held)));
    assert_eq!(whole_reads, 1);
}

#[test]
fn the_whole_stream_is_read_only_for_time_before_the_horizon() {
    let (given, _) = after_a_clock_jump();
    let (decision, whole_reads) = given.when(reserve("2026-07-01T00:00", "2026-07-01T13:00")).decided();
    assert!(matches!(decision, Decision::Events(_)));
    assert_eq!(whole_reads, 0);
}

#[test]
fn an_imported_stay_is_judged_by_its_own_time() {
    let given = || given([room_with(1, |room| room.max_days_ahead = Some(1))]);
    let action = || reserve("2015-06-02T10:00", "2015-06-02T11:00");
    given().when(action()).imported_at("2015-06-01T10:00").accepted();
    let rule = BrokenRule::DaysAhead { days: 1 };
    given().when(action()).imported_at("2015-05-31T10:00").rejected(rule);
    given().when(action()).imported_at("2015-06-02T10:01").rejected(Rejection::InThePast);
}

#[test]
fn an_import_of_the_past_into_a_room_in_use_is_decided_by_its_whole_stream() {
    let held = reservation(1, "2025-06-02T10:00", "2025-06-02T12:00");
    let freed = reservation(2, "2025-06-03T10:00", "2025-06-03T12:00");
    let later = reservation(3, "2026-06-02T10:00", "2026-06-02T12:00");
    let decided = |from: &str, to: &str| {
        let given = given([room(1), made(&held), made(&freed), cancelled(&freed)]);
        let given = given.and_at("2026-05-20T00:00", [made(&later)]);
        given.when(reserve(from, to)).imported_at("2025-06-01T00:00").decided()
    };
    let (decision, whole_reads) = decided("2025-06-02T11:00", "2025-06-02T13:00");
    assert_eq!((decision, whole_reads), (Decision::Rejected(overlap(&held)), 1));
    for (from, to) in [("2025-06-02T12:00", "2025-06-02T13:00"), ("2025-06-03T11:00", "2025-06-03T13:00")] {
        assert!(matches!(decided(from, to), (Decision::Events(_), 1)), "{from}");
    }
    let (decision, whole_reads) = decided("2026-06-02T11:00", "2026-06-02T13:00");
    assert_eq!((decision, whole_reads), (Decision::Rejected(overlap(&later)), 0));
}

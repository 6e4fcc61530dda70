use std::collections::HashSet;

use shared_events::{Event, Offsets, OpenDay, OpeningHours, OpeningSpan, UserId, room_rules::BrokenRule};

use super::*;
use crate::{
    commands::{
        Action, NewEvent,
        scenario::{COMMAND, Given, cancelled, given, made, reservation, room, room_id, room_with, stay},
    },
    domain::InvalidRecurrence,
};

/// From Tuesday 2 June on, from ten to twelve in Lisbon.
fn series(rule: &str) -> ReserveSeries {
    ReserveSeries {
        room: room_id(1),
        stay: stay("2026-06-02T09:00", "2026-06-02T11:00"),
        recurrence: rule.parse().unwrap(),
        exceptions: BTreeSet::new(),
        on_conflict: OnConflict::Refuse,
        dry_run: false,
    }
}

fn action(series: ReserveSeries) -> Action {
    Action::ReserveSeries(Box::new(series))
}

#[track_caller]
fn decided(given: Given, series: ReserveSeries) -> SeriesDecision {
    match given.when(action(series)).decided().0 {
        Decision::Series(decision) => *decision,
        other => panic!("{other:?}"),
    }
}

fn made_by(decision: &SeriesDecision) -> Vec<&Reservation> {
    decision.events.iter().filter_map(|NewEvent { event, .. }| event.reservation()).collect()
}

/// Stands in the way of the third Tuesday.
fn in_the_way() -> Reservation {
    reservation(1, "2026-06-16T10:00", "2026-06-16T10:30")
}

#[test]
fn every_occurrence_is_a_reservation_of_the_series_with_an_id_of_its_own() {
    let decision = decided(given([room(1)]), series("FREQ=WEEKLY;COUNT=400"));
    let made = made_by(&decision);
    assert_eq!((made.len(), decision.occurrences.len(), decision.skipped.len()), (400, 400, 0));
    let expected = SeriesId(ReservationId::made_in(room_id(1), COMMAND).0);
    assert!(made.iter().all(|made| made.series == Some(expected) && made.revision == 1 && made.people == 2));
    assert!(
        made.iter().all(|made| made.offsets == Some(Offsets::of(made.interval(), made.time_zone))),
        "each by the clocks of its own day"
    );
    assert_eq!(decision.series, expected);
    let ids: HashSet<_> = made.iter().map(|made| made.id).collect();
    assert_eq!(ids.len(), 400);
    assert!(ids.iter().all(|id| id.room_fingerprint() == room_id(1).fingerprint()));
    assert!(
        ids.iter().all(|id| id.0.get_version_num() == 7 && id.0.as_u128() >> 80 == COMMAND.as_u128() >> 80)
    );
    // The same command makes the same ids, another one others.
    assert_eq!(decided(given([room(1)]), series("FREQ=WEEKLY;COUNT=400")), decision);
    // Ten in Lisbon, in summer and in winter.
    assert_eq!(made[0].from.to_string(), "2026-06-02T09:00:00Z");
    assert_eq!(made[21].from.to_string(), "2026-10-27T10:00:00Z");
    assert!(decision.events.iter().all(|new| matches!(new.event, Event::ReservationMade(_))));
}

#[test]
fn an_occurrence_whose_id_is_taken_gets_another_one() {
    let ids = |decision: &SeriesDecision| made_by(decision).iter().map(|made| made.id).collect::<Vec<_>>();
    let free = ids(&decided(given([room(1)]), series("FREQ=WEEKLY;COUNT=3")));
    // Another command's reservations, live and cancelled.
    let live = Reservation { id: free[1], ..reservation(1, "2026-07-01T10:00", "2026-07-01T11:00") };
    let gone = Reservation { id: free[2], ..reservation(2, "2026-07-02T10:00", "2026-07-02T11:00") };
    let taken = || given([room(1), made(&live), made(&gone), cancelled(&gone)]);
    let decision = decided(taken(), series("FREQ=WEEKLY;COUNT=3"));
    let found = ids(&decision);
    assert_eq!(found[0], free[0]);
    assert!(found[1] != free[1] && found[2] != free[2] && found[1] != found[2], "{found:?}");
    assert!(found.iter().all(|id| id.room_fingerprint() == room_id(1).fingerprint()));
    assert_eq!(decided(taken(), series("FREQ=WEEKLY;COUNT=3")), decision);
    // Of one series.
    let (when, mut known) = (Interval { from: live.from, to: live.to }, HashSet::new());
    let room = crate::domain::Room::new(room_id(1));
    let twins = [0; 3].map(|_| id_of(&room, COMMAND, when, &mut known));
    assert_eq!((known.len(), HashSet::from(twins)), (3, known));
}

#[test]
fn one_occurrence_that_does_not_fit_refuses_all_and_the_refusal_names_it() {
    let held = in_the_way();
    let when = given([room(1), made(&held)]).when(action(series("FREQ=WEEKLY;COUNT=4")));
    let why = Why::Overlap { reservation: held.id };
    let misfit = Misfit {
        from: "2026-06-16T09:00:00Z".parse().unwrap(),
        to: "2026-06-16T11:00:00Z".parse().unwrap(),
        why,
    };
    when.rejected(Rejection::Series { of: 4, misfits: vec![misfit] });
}

#[test]
fn occurrences_that_do_not_fit_are_left_out_if_that_is_asked_for_and_one_fits() {
    let held = in_the_way();
    let skipping = |rule| ReserveSeries { on_conflict: OnConflict::Skip, ..series(rule) };
    let decision = decided(given([room(1), made(&held)]), skipping("FREQ=WEEKLY;COUNT=4"));
    assert_eq!((decision.events.len(), decision.skipped.len()), (3, 1));
    let all = reservation(2, "2026-06-01T10:00", "2026-07-01T10:00");
    let when = given([room(1), made(&all)]).when(action(skipping("FREQ=WEEKLY;COUNT=4")));
    assert!(
        matches!(when.decided().0, Decision::Rejected(Rejection::Series { of: 4, misfits }) if misfits.len() == 4)
    );
}

#[test]
fn rules_of_the_room_count_for_each_occurrence() {
    let strict = room_with(1, |settings| {
        settings.max_days_ahead = Some(15);
        settings.opening_hours = Some(OpeningHours {
            tuesday: OpenDay::new(vec![OpeningSpan::new(600, 720).unwrap()]).unwrap(),
            ..OpeningHours::default()
        });
    });
    let skipping = ReserveSeries { on_conflict: OnConflict::Skip, ..series("FREQ=DAILY;COUNT=20") };
    let decision = decided(given([strict]), skipping);
    let dates: Vec<_> =
        made_by(&decision).iter().map(|made| made.from.to_string()[..10].to_owned()).collect();
    assert_eq!(dates, ["2026-06-02", "2026-06-09", "2026-06-16"]);
    let rule = |misfit: &Misfit| match &misfit.why {
        Why::Rule { rule, .. } => rule.clone(),
        other => panic!("{other:?}"),
    };
    let rules: HashSet<_> = decision.skipped.iter().map(rule).collect();
    assert_eq!(rules, HashSet::from(["openingHours".to_owned()]));
    let small = room_with(1, |settings| settings.capacity = 1);
    let when = given([small]).when(action(series("FREQ=DAILY;COUNT=2")));
    when.rejected(BrokenRule::Capacity { limit: 1 });
}

#[test]
fn a_dry_run_says_what_would_be_and_reserves_nothing() {
    let dry = |rule| ReserveSeries { dry_run: true, ..series(rule) };
    let decision = decided(given([room(1), made(&in_the_way())]), dry("FREQ=WEEKLY;COUNT=4"));
    assert_eq!((decision.events.len(), decision.occurrences.len(), decision.skipped.len()), (0, 3, 1));
    assert!(decision.occurrences.iter().all(|occurrence| occurrence.reservation.is_none()));
}

#[test]
fn exceptions_leave_dates_out() {
    let but = ["2026-06-09".parse().unwrap(), "2026-06-23".parse().unwrap()].into();
    let decision =
        decided(given([room(1)]), ReserveSeries { exceptions: but, ..series("FREQ=WEEKLY;COUNT=4") });
    let dates: Vec<_> =
        made_by(&decision).iter().map(|made| made.from.to_string()[..10].to_owned()).collect();
    assert_eq!(dates, ["2026-06-02", "2026-06-16"]);
}

#[test]
fn a_rule_that_does_not_fit_the_first_occurrence_is_refused() {
    let when = |series| given([room(1)]).when(action(series));
    when(series("FREQ=WEEKLY;BYDAY=WE;COUNT=4")).rejected(InvalidRecurrence::NotTheFirst);
    let long = stay("2026-06-02T09:00", "2026-06-03T09:01");
    let overlapping = ReserveSeries { stay: long, ..series("FREQ=DAILY;COUNT=4") };
    let date = "2026-06-03".parse().unwrap();
    when(overlapping).rejected(InvalidRecurrence::Overlapping { date });
    let past =
        ReserveSeries { stay: stay("2026-05-26T09:00", "2026-05-26T10:00"), ..series("FREQ=DAILY;COUNT=2") };
    assert!(matches!(when(past).decided().0, Decision::Rejected(Rejection::Series { of: 2, .. })));
}

#[test]
fn a_series_for_another_owner_needs_the_role_and_every_reservation_names_who_made_it() {
    let for_bob = || ReserveSeries {
        stay: Stay { reserved_by: Some(UserId::new("bob").unwrap()), ..series("FREQ=DAILY;COUNT=2").stay },
        ..series("FREQ=DAILY;COUNT=2")
    };
    given([room(1)]).when(action(for_bob())).rejected(Rejection::NotDelegate);
    let decided = given([room(1)]).when(action(for_bob())).by_delegate("eve").decided().0;
    let Decision::Series(decision) = decided else { panic!("{decided:?}") };
    let bookers = made_by(&decision);
    assert!(bookers.iter().all(|made| made.reserved_by.as_str() == "bob"));
    assert!(bookers.iter().all(|made| made.booked_by.as_ref().is_some_and(|by| by.as_str() == "eve")));
}

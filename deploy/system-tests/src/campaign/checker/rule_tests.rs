//! The checker finds each broken rule of buffers, closures, quotas, series and reservations for others.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Allowed, check,
    trial::{A, B, CLOSURE, SERIES, STAYS, Trial, cancel, hour, of_closure, overlap, reserve},
};
use crate::campaign::{
    evidence::Kind,
    operation::{Operation, Repeated, Rules},
    record::{OfClosure, Outcome, Stay},
};

const JUSTIFIED: &str = "a refusal is justified by its version";
const WHOLE: &str = "a series is made whole, or exactly without what does not fit";

fn rooms() -> Trial {
    Trial::rooms(Rules::default())
}

fn with_buffers() -> Trial {
    Trial::rooms(Rules { buffers: [30, 60], most: [None, None] })
}

fn with_most(most: [Option<i64>; 2]) -> Trial {
    Trial::rooms(Rules { buffers: [0, 0], most })
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// The same hour of the n-th day after.
fn on(day: i64, of: Stay) -> Stay {
    of.later(day * 24 * 60)
}

fn daily(count: i64, skip: bool) -> Repeated {
    Repeated { room: A, first: hour(9), days: 1, count, except: None, skip, owner: None }
}

fn closed(version: u64, of: Stay) -> Value {
    json!({"type": "/problems/room-closed", "room": A, "version": version,
        "inTheWay": {"closure": CLOSURE, "from": of.begins(), "to": of.ends(), "reason": "close"}})
}

#[test]
fn a_stay_in_the_buffer_of_another_is_found() {
    for (from, is_right) in [(4, true), (3, false)] {
        let mut trial = with_buffers();
        trial.made("one", A, STAYS, hour(1));
        trial.made("two", A, id(9), hour(from));
        assert_eq!(trial.has_broken("live reservations never overlap"), !is_right);
    }
}

#[test]
fn a_stay_without_its_buffers_is_found() {
    let mut trial = with_buffers();
    trial.made("one", A, STAYS, hour(1));
    assert!(!trial.has_broken("a stay keeps its buffers busy"));
    trial.last_reservation().busy = hour(1);
    trial.breaks(&["a stay keeps its buffers busy"]);
}

#[test]
fn rules_that_a_room_was_not_registered_with_are_found() {
    let mut trial = with_buffers();
    trial.stream(A)[0].rules = Rules::default();
    trial.breaks(&["an effect matches its command"]);
}

#[test]
fn a_stay_in_closed_time_is_found_unless_it_was_there_or_the_closure_is_lifted() {
    let rule = "no stay takes closed time";
    let mut trial = rooms();
    trial.made("there", A, STAYS, hour(2));
    trial.closes(A, Stay { from: hour(2).from, to: hour(4).to }, &[STAYS]);
    // It gives time back.
    let shorter = Stay { to: hour(2).to - 30, ..hour(2) };
    let version = trial.event(A, Kind::Rescheduled, "shorter", Some((STAYS, 2, A, shorter)));
    let change = Operation::Reschedule { room: A, reservation: STAYS, stay: shorter };
    trial.done("shorter", change, A, version, Some((STAYS, 2)));
    assert!(!trial.has_broken(rule));
    let mut lifted = Trial { record: trial.record.clone(), evidence: trial.evidence.clone(), ..trial };
    trial.made("new", A, id(9), hour(3));
    trial.breaks(&[rule]);
    lifted.closure(Kind::Lifted, "lift", A, Stay { from: hour(2).from, to: hour(4).to }, &[]);
    lifted.made("new", A, id(9), hour(3));
    assert!(!lifted.has_broken(rule));
}

#[test]
fn a_closure_that_does_not_name_what_it_hits_is_found() {
    let mut trial = rooms();
    trial.made("there", A, STAYS, hour(2));
    trial.closes(A, hour(2), &[]);
    trial.breaks(&["a closure names the stays that it hits"]);
}

#[test]
fn a_closure_that_lacks_a_room_or_is_there_twice_is_found() {
    let mut trial = rooms();
    trial.closes(A, hour(2), &[]);
    assert!(!trial.has_broken("a closure has a line for each room"));
    let mut twice = Trial { record: trial.record.clone(), evidence: trial.evidence.clone(), ..trial };
    if let Operation::Close { rooms, .. } = &mut trial.of_key("close").operation {
        rooms.push(B);
    }
    trial.breaks(&["a closure has a line for each room"]);
    twice.closure(Kind::Closed, "close", A, hour(2), &[]);
    twice.breaks(&["a command has one effect", "only what is open is closed"]);
}

#[test]
fn a_closure_that_is_left_after_it_was_lifted_is_found() {
    let rule = "a lifted closure is in no room";
    let mut trial = rooms();
    trial.closes(A, hour(2), &[]);
    let told = OfClosure { closure: None, rooms: Vec::new() };
    trial.command("lift", Operation::Lift { closure: CLOSURE }, Outcome::Done(of_closure(told)));
    trial.breaks(&[rule]);
    trial.closure(Kind::Lifted, "lift", A, hour(2), &[]);
    assert!(!trial.has_broken(rule));
}

#[test]
fn more_ahead_than_a_room_allows_is_found() {
    let rule = "nobody has more ahead than the room allows";
    for (most, is_right) in [
        ([Some(2), None], true),
        ([Some(1), None], false),
        ([None, Some(120)], true),
        ([None, Some(119)], false),
    ] {
        let mut trial = with_most(most);
        trial.made("one", A, STAYS, hour(1));
        trial.made("two", A, id(9), hour(3));
        assert_eq!(trial.has_broken(rule), !is_right, "{most:?}");
        // Stays that have ended by the clock of the service don't count.
        trial.stream(A)[2].time = hour(1).to * 60_000;
        assert!(!trial.has_broken(rule));
    }
}

#[test]
fn half_a_series_is_found() {
    let stay = |day| on(day, hour(9));
    let of = |days: &[i64]| -> Vec<(u128, u64, Stay)> {
        days.iter().map(|day| (u128::try_from(10 + day).unwrap(), 1, stay(*day))).collect()
    };
    for (days, is_right) in [(&[0, 1, 2][..], true), (&[0, 1], false), (&[0, 2], false), (&[0, 1, 3], false)]
    {
        let mut trial = rooms();
        let series = Operation::ReserveSeries(daily(3, false));
        trial.of_series("series", series, Kind::Made, &of(days), &[]);
        assert_eq!(trial.has_broken(WHOLE), !is_right, "{days:?}");
    }
    // What is left out has to be in the way of something, and the answer names it.
    for (busy, skipped, is_right) in [(1, 1, true), (5, 1, false), (1, 2, false)] {
        let mut trial = rooms();
        trial.made("there", A, STAYS, stay(busy));
        let series = Operation::ReserveSeries(daily(3, true));
        trial.of_series("series", series, Kind::Made, &of(&[0, 2]), &[stay(skipped)]);
        let wrong = "an answer names the occurrences that were left out";
        assert_eq!(trial.has_broken(WHOLE) || trial.has_broken(wrong), !is_right, "{busy} {skipped}");
    }
}

#[test]
fn a_series_that_stays_within_a_quota_is_accepted_and_a_longer_one_is_found() {
    let stay = |day| on(day, hour(9));
    for (made, is_right) in [(2, true), (1, false), (3, false)] {
        let mut trial = with_most([Some(2), None]);
        let of: Vec<_> = (0..made).map(|day| (10 + u128::try_from(day).unwrap(), 1, stay(day))).collect();
        let skipped: Vec<_> = (made..3).map(stay).collect();
        trial.of_series("series", Operation::ReserveSeries(daily(3, true)), Kind::Made, &of, &skipped);
        assert_eq!(trial.has_broken(WHOLE), !is_right, "{made}");
    }
}

/// A series of three days, of which a command has then changed some.
fn changed(operation: Operation, kind: Kind, of: &[(u128, u64, Stay)]) -> Trial {
    let mut trial = rooms();
    let made: Vec<_> =
        (0..3_u8).map(|day| (10 + u128::from(day), 1, on(i64::from(day), hour(9)))).collect::<Vec<_>>();
    trial.of_series("series", Operation::ReserveSeries(daily(3, false)), Kind::Made, &made, &[]);
    trial.of_series("then", operation, kind, of, &[]);
    trial
}

#[test]
fn a_series_of_which_only_some_change_is_found() {
    let rule = "a series changes whole";
    let later = |day| (u128::try_from(10 + day).unwrap(), 2, on(day, hour(11)));
    let following = |following| Operation::ChangeSeries {
        room: A,
        series: SERIES,
        following,
        stay: if following.is_some() { on(1, hour(11)) } else { hour(11) },
    };
    let all = [later(0), later(1), later(2)];
    assert!(!changed(following(None), Kind::Rescheduled, &all).has_broken(rule));
    assert!(changed(following(None), Kind::Rescheduled, &all[..2]).has_broken(rule));
    assert!(!changed(following(Some(id(11))), Kind::Rescheduled, &all[1..]).has_broken(rule));
    assert!(changed(following(Some(id(11))), Kind::Rescheduled, &all).has_broken(rule));
    let cancel = || Operation::CancelSeries { room: A, series: SERIES, following: None };
    let gone = |day: i64| (u128::try_from(10 + day).unwrap(), 2, on(day, hour(9)));
    assert!(!changed(cancel(), Kind::Cancelled, &[gone(0), gone(1), gone(2)]).has_broken(rule));
    assert!(changed(cancel(), Kind::Cancelled, &[gone(0), gone(1)]).has_broken(rule));
}

#[test]
fn an_answer_that_names_other_occurrences_than_were_made_is_found() {
    let mut trial = rooms();
    let made = [(10, 1, hour(9)), (11, 1, on(1, hour(9)))];
    trial.of_series("series", Operation::ReserveSeries(daily(2, false)), Kind::Made, &made, &[]);
    assert!(!trial.has_broken("an acknowledged command has its effect"));
    if let Outcome::Done(done) = &mut trial.of_key("series").attempts[0].outcome {
        done.series.as_mut().unwrap().occurrences[1].0 = id(99);
    }
    trial.breaks(&["an acknowledged command has its effect"]);
}

#[test]
fn a_refusal_that_saw_half_a_series_is_found() {
    let mut trial = rooms();
    let made = [(10, 1, hour(9)), (11, 1, on(1, hour(9)))];
    trial.of_series("series", Operation::ReserveSeries(daily(2, false)), Kind::Made, &made, &[]);
    trial.refused("refused", reserve(A, hour(9)), overlap(A, 2, id(10), hour(9)));
    trial.breaks(&["a command is seen whole"]);
}

#[test]
fn a_reservation_for_another_that_names_the_wrong_people_is_found() {
    let rule = "an effect matches its command";
    let booked = |owner: &str, booker: Option<&str>| {
        let mut trial = rooms();
        let reserve = Operation::Reserve { room: A, stay: hour(1), owner: Some("bob".to_owned()) };
        let version = trial.event(A, Kind::Made, "for bob", Some((STAYS, 1, A, hour(1))));
        let made = trial.last_reservation();
        (made.user, made.booker) = (owner.to_owned(), booker.map(str::to_owned));
        trial.done("for bob", reserve, A, version, Some((STAYS, 1)));
        trial
    };
    assert!(!booked("bob", Some("ann")).has_broken(rule));
    for (owner, booker) in [("ann", None), ("bob", None), ("bob", Some("bob")), ("ann", Some("bob"))] {
        assert!(booked(owner, booker).has_broken(rule), "{owner} {booker:?}");
    }
    // No change makes it somebody else's.
    let mut trial = booked("bob", Some("ann"));
    let version = trial.event(A, Kind::Cancelled, "cancel", Some((STAYS, 2, A, hour(1))));
    trial.last_reservation().user = "bob".to_owned();
    trial.done("cancel", cancel(A, STAYS), A, version, Some((STAYS, 2)));
    trial.breaks(&[rule]);
    trial.last_reservation().booker = Some("ann".to_owned());
    assert!(!trial.has_broken(rule));
}

#[test]
fn a_running_stay_that_is_cancelled_or_ends_at_another_minute_is_found() {
    let rules = ["a command has one effect", "an effect matches its command"];
    let end = hour(1).from + 21;
    for (kind, to, is_right) in [
        (Kind::Rescheduled, end, true),
        (Kind::Rescheduled, end + 1, false),
        (Kind::Cancelled, hour(1).to, false),
    ] {
        let mut trial = rooms();
        trial.made("one", A, STAYS, hour(1));
        let made = trial.last_reservation().clone();
        let stay = Stay { to, ..hour(1) };
        let version = trial.event(A, kind, "end", Some((STAYS, 2, A, stay)));
        let ended = trial.last_reservation();
        (ended.title, ended.people) = (made.title, made.people);
        trial.stream(A).last_mut().unwrap().time = (end - 1) * 60_000 + 1;
        trial.done("end", cancel(A, STAYS), A, version, Some((STAYS, 2)));
        assert_eq!(rules.iter().any(|rule| trial.has_broken(rule)), !is_right, "{kind:?} {to}");
    }
}

#[test]
fn a_refusal_by_a_closure_that_is_not_there_is_found() {
    let mut trial = rooms();
    trial.closes(A, hour(2), &[]);
    for (stay, version, told, is_right) in [
        (hour(2), 2, hour(2), true),
        (hour(3), 2, hour(2), false),
        (hour(2), 1, hour(2), false),
        (hour(2), 2, hour(4), false),
    ] {
        let mut trial = Trial { record: trial.record.clone(), evidence: trial.evidence.clone(), ..trial };
        trial.refused("closed", reserve(A, stay), closed(version, told));
        assert_eq!(trial.has_broken(JUSTIFIED), !is_right, "{stay:?} {version} {told:?}");
    }
}

#[test]
fn a_refusal_by_a_quota_that_is_not_used_up_is_found() {
    for (most, limit, is_right) in [(1, 1, true), (2, 2, false), (1, 2, false)] {
        let mut trial = with_most([Some(most), None]);
        trial.made("one", A, STAYS, hour(1));
        let rule = json!({"type": "/problems/rule", "room": A, "version": 2,
            "rule": "maxAhead.reservations", "limit": limit});
        trial.refused("more", reserve(A, hour(5)), rule);
        assert_eq!(trial.has_broken(JUSTIFIED), !is_right, "{most} {limit}");
    }
}

#[test]
fn a_series_that_is_refused_without_a_cause_is_found() {
    let misfit = |day: i64, of: Uuid| {
        let stay = on(day, hour(9));
        json!({"from": stay.begins(), "to": stay.ends(), "why": "overlap", "reservation": of})
    };
    let conflict = |misfits: &[Value]| json!({"type": "/problems/series-conflict", "room": A, "version": 2, "occurrences": 3, "misfits": misfits});
    for (misfits, is_right) in [
        (vec![misfit(1, STAYS)], true),
        (vec![misfit(2, STAYS)], false),
        (vec![misfit(1, id(9))], false),
        (vec![misfit(1, STAYS), misfit(2, STAYS)], false),
        (Vec::new(), false),
    ] {
        for operation in [
            Operation::ReserveSeries(daily(3, false)),
            Operation::ChangeSeries { room: A, series: SERIES, following: None, stay: hour(9) },
        ] {
            let mut trial = rooms();
            let changes = matches!(operation, Operation::ChangeSeries { .. });
            trial.made("there", A, STAYS, on(1, hour(9)));
            if changes {
                // At three in the afternoon; the change wants them at nine.
                let series = Repeated { first: hour(15), ..daily(3, false) };
                let made: Vec<_> =
                    (0..3_u8).map(|day| (10 + u128::from(day), 1, on(i64::from(day), hour(15)))).collect();
                trial.of_series("series", Operation::ReserveSeries(series), Kind::Made, &made, &[]);
            }
            let mut problem = conflict(&misfits);
            problem["version"] = json!(trial.stream(A).len());
            trial.refused("conflict", operation, problem);
            assert_eq!(trial.has_broken(JUSTIFIED), !is_right, "{misfits:?} {changes}");
        }
    }
}

#[test]
fn a_series_that_is_said_to_be_unknown_and_is_there_is_found() {
    let cancel = |series| Operation::CancelSeries { room: A, series, following: None };
    let unknown = json!({"type": "/problems/unknown-series", "room": A, "version": 3});
    for (series, is_right) in [(SERIES, false), (id(7), true)] {
        let mut trial = rooms();
        let made = [(10, 1, hour(9)), (11, 1, on(1, hour(9)))];
        trial.of_series("series", Operation::ReserveSeries(daily(2, false)), Kind::Made, &made, &[]);
        trial.refused("unknown", cancel(series), unknown.clone());
        assert_eq!(trial.has_broken(JUSTIFIED), !is_right);
        // A clock that was fast may have thought that all had begun.
        let past = vec![(0, trial.now)];
        let found = check(&trial.record, &trial.evidence, &Allowed { stale: Vec::new(), past });
        assert!(found.iter().all(|violation| violation.rule != JUSTIFIED));
    }
}

#[test]
fn a_schedule_with_another_closure_owner_or_buffer_is_found() {
    let schedule = "a schedule shows every live reservation";
    let mut trial = Trial::right();
    trial.evidence.shown[0].closures.get_mut(&A).unwrap().push((CLOSURE, hour(5)));
    trial.breaks(&["a schedule shows every closure"]);
    let change = |change: &dyn Fn(&mut crate::campaign::evidence::Scheduled)| {
        let mut trial = Trial::right();
        change(&mut trial.evidence.shown[0].schedules.get_mut(&A).unwrap()[0]);
        trial.breaks(&[schedule]);
    };
    change(&|shown| shown.booker = Some("bob".to_owned()));
    change(&|shown| shown.user = "bob".to_owned());
    change(&|shown| shown.series = Some(SERIES));
    change(&|shown| shown.busy.to += 1);
    let mut trial = Trial::right();
    trial.evidence.documents.history[0].people.push("bob".to_owned());
    trial.breaks(&["every event is in the history once"]);
}

use shared_events::{Event, UserId};
use uuid::Uuid;

use super::*;
use crate::{
    commands::{
        Action, CancelSeries, NewEvent,
        scenario::{Given, cancelled, given, made, minute, reservation, room, room_id, room_with},
    },
    domain::InvalidInterval,
};

const SERIES: SeriesId = SeriesId(Uuid::from_u128(77));

/// Ana's, from ten to twelve UTC on days of June.
fn member(n: u128, from: &str, to: &str) -> Reservation {
    Reservation { series: Some(SERIES), ..reservation(n, from, to) }
}

/// On 2, 3, 4 and 5 June, from ten to twelve UTC.
fn four() -> Vec<Reservation> {
    (2..6)
        .map(|day| member(day, &format!("2026-06-{day:02}T10:00"), &format!("2026-06-{day:02}T12:00")))
        .collect()
}

fn holding(members: &[Reservation]) -> Given {
    given([room(1)]).and_at("2026-05-01T08:00", members.iter().map(made))
}

fn change(following: Option<&Reservation>, change: impl FnOnce(&mut ChangeReservation)) -> Action {
    let mut values = ChangeReservation::new(Some(room_id(1)), ReservationId(SERIES.0));
    change(&mut values);
    let following = following.map(|first| first.id);
    Action::ChangeSeries(Box::new(ChangeSeries {
        room: room_id(1),
        series: SERIES,
        following: following.map(Following::Reservation),
        values,
    }))
}

fn to_time(from: &str, to: &str) -> impl FnOnce(&mut ChangeReservation) {
    let (from, to) = (minute(from), minute(to));
    move |values| (values.from, values.to) = (Some(from), Some(to))
}

fn cancel(following: Option<&Reservation>) -> Action {
    let following = following.map(|first| first.id);
    Action::CancelSeries(CancelSeries {
        room: room_id(1),
        series: SERIES,
        following: following.map(Following::Reservation),
    })
}

#[track_caller]
fn events(decision: Decision) -> Vec<Event> {
    match decision {
        Decision::Series(decision) => {
            decision.events.into_iter().map(|NewEvent { event, .. }| event).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The days of the reservations after each event.
#[track_caller]
fn days(decision: Decision) -> Vec<String> {
    let day = |event: &Event| event.reservation().unwrap().from.to_string()[8..16].to_owned();
    events(decision).iter().map(day).collect()
}

/// No version of the room has an overlap.
#[track_caller]
fn no_version_overlaps(members: &[Reservation], decision: Decision) {
    let mut held: Vec<Reservation> = members.to_vec();
    for event in events(decision) {
        let after = event.reservation().unwrap();
        held.retain(|held| held.id != after.id);
        assert!(held.iter().all(|held| !held.interval().overlaps(after.interval())), "{event:?}");
        held.push(after.clone());
    }
}

#[test]
fn all_move_a_day_later_from_the_last_on_and_a_day_earlier_from_the_first_on() {
    let members = four();
    let later = || holding(&members).when(change(None, to_time("2026-06-03T10:00", "2026-06-03T12:00")));
    assert_eq!(days(later().decided().0), ["06T10:00", "05T10:00", "04T10:00", "03T10:00"]);
    no_version_overlaps(&members, later().decided().0);
    let earlier = || {
        let when = holding(&members).when(change(None, to_time("2026-06-01T10:00", "2026-06-01T12:00")));
        when.at("2026-05-20T08:00")
    };
    assert_eq!(days(earlier().decided().0), ["01T10:00", "02T10:00", "03T10:00", "04T10:00"]);
    no_version_overlaps(&members, earlier().decided().0);
}

#[test]
fn this_and_the_following_ones_change_and_those_before_stay() {
    let members = four();
    let when = holding(&members).when(change(Some(&members[2]), |values| values.people = Some(3)));
    let changed = events(when.decided().0);
    let changed: Vec<_> = changed.iter().map(|event| event.reservation().unwrap()).collect();
    // All of them in an order in which none overlaps: any will do.
    assert_eq!(changed.len(), 2);
    for (before, expected) in members[2..].iter().zip(changed.iter().rev()) {
        assert_eq!(**expected, Reservation { revision: 2, people: 3, ..before.clone() });
    }
}

#[test]
fn a_change_follows_the_clock_of_the_room_and_keeps_what_was_moved_alone() {
    // Ten in Lisbon, in summer and in winter; the second one was moved to three.
    let members = [
        member(1, "2026-10-23T09:00", "2026-10-23T11:00"),
        member(2, "2026-10-24T14:00", "2026-10-24T16:00"),
        member(3, "2026-10-26T10:00", "2026-10-26T12:00"),
    ];
    let when = holding(&members).when(change(None, to_time("2026-10-23T10:30", "2026-10-23T11:30")));
    assert_eq!(days(when.decided().0), ["26T11:30", "24T15:30", "23T10:30"]);
    // To half past one on the night on which that comes twice: the earlier one.
    let when = holding(&members[..1]).when(change(None, to_time("2026-10-25T01:30", "2026-10-25T02:30")));
    assert_eq!(days(when.decided().0), ["25T01:30"], "the first one is as it was asked for");
}

#[test]
fn one_that_does_not_fit_refuses_all() {
    let members = four();
    let other = reservation(9, "2026-06-04T12:30", "2026-06-04T13:00");
    let given = || holding(&members).and_at("2026-05-02T08:00", [made(&other)]);
    let when = given().when(change(None, to_time("2026-06-02T11:00", "2026-06-02T13:00")));
    let misfit = Misfit {
        from: minute("2026-06-04T11:00"),
        to: minute("2026-06-04T13:00"),
        why: Why::Overlap { reservation: other.id },
    };
    when.rejected(Rejection::Series { of: 4, misfits: vec![misfit] });
    // Their own time is theirs.
    let when = given().when(change(None, to_time("2026-06-02T10:30", "2026-06-02T12:30")));
    no_version_overlaps(&members, when.decided().0);
    let when = given().when(change(None, to_time("2026-06-02T10:00", "2026-06-02T10:00")));
    when.rejected(InvalidInterval::FromNotBeforeTo);
}

#[test]
fn a_member_that_a_change_leaves_without_a_time_says_why() {
    let refused = |members: [Reservation; 2], to: (&str, &str), why| {
        let when = holding(&members).when(change(None, to_time(to.0, to.1)));
        let misfit = Misfit { from: members[1].from, to: members[1].to, why };
        when.rejected(Rejection::Series { of: 2, misfits: vec![misfit] });
    };
    let first = || member(1, "2026-06-02T10:00", "2026-06-02T12:00");
    // The second one was shortened alone: to what the change takes away, and to less.
    for end in ["11:00", "10:30"] {
        let shortened = member(2, "2026-06-03T10:00", &format!("2026-06-03T{end}"));
        refused([first(), shortened], ("2026-06-02T10:00", "2026-06-02T11:00"), Why::NothingLeft);
    }
    // It begins when Lisbon's clocks show a quarter past one for the second time. Half past one is the first time.
    let twice = member(2, "2026-10-25T01:15", "2026-10-25T02:30");
    refused([first(), twice], ("2026-06-02T10:00", "2026-06-02T11:00"), Why::NothingLeft);
    // Lisbon's clocks skip the hour from one on.
    let members = [
        member(1, "2027-03-27T10:00", "2027-03-27T10:30"),
        member(2, "2027-03-28T09:00", "2027-03-28T09:30"),
    ];
    refused(members, ("2027-03-27T01:15", "2027-03-27T01:45"), Why::SkippedByClocks);
    let members = [
        member(1, "9999-12-30T10:00", "9999-12-30T12:00"),
        member(2, "9999-12-31T10:00", "9999-12-31T12:00"),
    ];
    refused(members, ("9999-12-31T13:00", "9999-12-31T15:00"), Why::OutOfRange);
}

#[test]
fn members_that_would_overlap_one_another_are_named() {
    let members = four();
    let when = holding(&members).when(change(None, to_time("2026-06-02T10:00", "2026-06-03T11:00")));
    let refused = when.decided().0;
    assert!(
        matches!(&refused, Decision::Rejected(Rejection::Series { misfits, .. }) if misfits.len() == 3),
        "{refused:?}"
    );
}

#[test]
fn where_clocks_go_back_a_member_that_is_in_the_way_of_others_on_both_sides_moves_first() {
    // Lisbon's clocks show 01:00 to 02:00 twice. The last one moves from the second time to the first, which is earlier.
    let members = [
        member(1, "2026-10-25T00:00", "2026-10-25T00:10"),
        member(2, "2026-10-25T00:30", "2026-10-25T00:45"),
        member(3, "2026-10-25T01:10", "2026-10-25T01:20"),
    ];
    let when = || holding(&members).when(change(None, to_time("2026-10-25T00:30", "2026-10-25T00:40")));
    assert_eq!(days(when().decided().0), ["25T02:00", "25T00:30", "25T00:40"]);
    no_version_overlaps(&members, when().decided().0);
}

#[test]
fn members_that_would_have_to_change_places_name_each_other() {
    // Where Lisbon's clocks go back, the first one moves later and the second one earlier.
    let members = [
        member(1, "2026-10-25T00:30", "2026-10-25T00:50"),
        member(2, "2026-10-25T01:15", "2026-10-25T01:25"),
    ];
    let when = holding(&members).when(change(None, to_time("2026-10-25T00:50", "2026-10-25T02:10")));
    let misfit = |from, to, other: &Reservation| Misfit {
        from: minute(from),
        to: minute(to),
        why: Why::Overlap { reservation: other.id },
    };
    let misfits = vec![
        misfit("2026-10-25T00:35", "2026-10-25T00:45", &members[0]),
        misfit("2026-10-25T00:50", "2026-10-25T02:10", &members[1]),
    ];
    when.rejected(Rejection::Series { of: 2, misfits });
}

#[test]
fn only_what_has_not_begun_changes_or_is_cancelled() {
    let members = four();
    let begun = "2026-06-03T10:00";
    let when = holding(&members).when(cancel(None)).at(begun);
    let expected: Vec<_> = members[2..].iter().map(|member| cancelled(member).event).collect();
    assert_eq!(events(when.decided().0), expected);
    let running = holding(&members).when(cancel(Some(&members[1]))).at(begun);
    running.rejected(Rejection::AlreadyStarted { from: members[1].from });
    let ended = holding(&members).when(cancel(Some(&members[0]))).at(begun);
    ended.rejected(Rejection::UnknownReservation);
    holding(&members).when(cancel(None)).at("2026-06-05T10:00").rejected(Rejection::UnknownSeries);
    let alone = reservation(9, "2026-06-09T10:00", "2026-06-09T12:00");
    let when = holding(&members).and_at("2026-05-02T08:00", [made(&alone)]).when(cancel(Some(&alone)));
    when.rejected(Rejection::UnknownReservation);
}

#[test]
fn others_series_are_theirs() {
    let members = four();
    holding(&members).when(cancel(None)).by("bob").rejected(Rejection::NotOwner);
    let when = holding(&members).when(change(None, |values| values.people = Some(3))).by("bob");
    when.rejected(Rejection::NotOwner);
    let booked: Vec<_> = members
        .iter()
        .map(|member| Reservation { booked_by: Some(UserId::new("bob").unwrap()), ..member.clone() })
        .collect();
    assert_eq!(events(holding(&booked).when(cancel(None)).by("bob").decided().0).len(), 4);
}

#[test]
fn what_is_so_already_makes_no_event() {
    let members = four();
    let when = holding(&members).when(change(None, |values| values.people = Some(2)));
    assert_eq!(events(when.decided().0), []);
}

#[test]
fn rules_count_for_what_is_asked_for_beyond_what_was_held() {
    let strict = room_with(1, |settings| settings.capacity = 2);
    let given = || given([strict.clone()]).and_at("2026-05-01T08:00", four().iter().map(made));
    let when = given().when(change(None, |values| values.people = Some(3)));
    let refused = when.decided().0;
    let rule = Why::Rule { rule: "capacity".into(), limit: Some(2) };
    assert!(
        matches!(&refused, Decision::Rejected(Rejection::Series { of: 4, misfits }) if misfits.iter().all(|misfit| misfit.why == rule)),
        "{refused:?}"
    );
    assert_eq!(events(given().when(change(None, |values| values.people = Some(1))).decided().0).len(), 4);
}

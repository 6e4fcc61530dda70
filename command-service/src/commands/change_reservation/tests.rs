use shared_events::{Offsets, OpeningHours, RoomSettings, room_rules::BrokenRule, time_zone::UtcOffset};

use super::*;
use crate::{
    commands::{
        Action,
        scenario::{
            Given, after, cancelled, given, made, minute, moved, overlap, rescheduled, reservation, room,
            room_changed, room_id, room_with, timestamp,
        },
    },
    domain::InvalidInterval,
};

/// Ana's, tomorrow from ten to twelve.
fn tomorrow() -> Reservation {
    reservation(1, "2026-06-02T10:00", "2026-06-02T12:00")
}

/// Ana's, since an hour and for two more.
fn running() -> Reservation {
    reservation(1, "2026-06-01T07:00", "2026-06-01T10:00")
}

fn change(change: impl FnOnce(&mut ChangeReservation)) -> Action {
    let mut action = ChangeReservation::new(Some(room_id(1)), tomorrow().id);
    change(&mut action);
    Action::ChangeReservation(action)
}

fn from_to(from: &str, to: &str) -> Action {
    change(|change| (change.from, change.to) = (Some(minute(from)), Some(minute(to))))
}

fn holding(reservation: &Reservation) -> Given {
    given([room(1), made(reservation)])
}

#[test]
fn a_new_interval_is_named_with_the_old_one() {
    let before = tomorrow();
    let later = after(&before, |after| {
        (after.from, after.to) = (minute("2026-06-02T11:00"), minute("2026-06-02T13:00"));
    });
    let when = holding(&before).when(from_to("2026-06-02T11:00", "2026-06-02T13:00"));
    when.then([rescheduled(&before, &later)]);
}

#[test]
fn title_guest_and_people_change_without_the_interval() {
    let mut before = tomorrow();
    before.reserved_for = Some("Bob".into());
    let action = change(|change| {
        change.people = Some(4);
        change.title = Some(Some("Talk".into()));
        change.reserved_for = Some(None);
    });
    let changed = after(&before, |after| {
        after.people = 4;
        after.title = Some("Talk".into());
        after.reserved_for = None;
    });
    holding(&before).when(action).then([rescheduled(&before, &changed)]);
}

#[test]
fn a_change_that_changes_nothing_makes_no_event() {
    let when = holding(&tomorrow()).when(from_to("2026-06-02T10:00", "2026-06-02T12:00"));
    when.unchanged(room_id(1), Some(tomorrow().id), 1);
}

#[test]
fn a_reservation_does_not_stand_in_its_own_way_but_others_do() {
    let before = tomorrow();
    let next = reservation(2, "2026-06-02T12:30", "2026-06-02T14:00");
    let given = || given([room(1), made(&before), made(&next)]);
    given().when(from_to("2026-06-02T10:30", "2026-06-02T12:30")).accepted();
    given().when(from_to("2026-06-02T10:30", "2026-06-02T12:31")).rejected(overlap(&next));
    // Its own old interval lies between the new one's start and the one in the way.
    given().when(from_to("2026-06-02T09:00", "2026-06-02T15:00")).rejected(overlap(&next));
    let earlier = reservation(3, "2026-06-02T08:00", "2026-06-02T09:30");
    let given = given().and_at("2026-05-02T00:00", [made(&earlier)]);
    given.when(from_to("2026-06-02T09:00", "2026-06-02T11:00")).rejected(overlap(&earlier));
}

#[test]
fn what_is_not_there_is_unknown() {
    let other_id = Action::ChangeReservation(ChangeReservation::new(
        Some(room_id(1)),
        reservation(2, "2026-06-02T10:00", "2026-06-02T12:00").id,
    ));
    holding(&tomorrow()).when(other_id).rejected(Rejection::UnknownReservation);
    let given_up = given([room(1), made(&tomorrow()), cancelled(&tomorrow())]);
    given_up.when(change(|_| ())).rejected(Rejection::UnknownReservation);
    let there = after(&tomorrow(), |after| after.room = room_id(2));
    let moved_away =
        given([room(1), room(2), made(&tomorrow())]).and_at("2026-05-02T00:00", moved(&tomorrow(), &there));
    moved_away.when(change(|_| ())).rejected(Rejection::UnknownReservation);
    given([]).when(change(|_| ())).rejected(Rejection::UnknownRoom { room: room_id(1) });
}

#[test]
fn a_reservation_is_followed_to_where_it_was_moved() {
    let there = after(&tomorrow(), |after| after.room = room_id(2));
    let further = after(&there, |after| after.room = room_id(3));
    let retitled = after(&further, |after| after.title = Some("Talk".into()));
    let given = given([room(1), room(2), room(3), made(&tomorrow())])
        .and_at("2026-05-02T00:00", moved(&tomorrow(), &there))
        .and_at("2026-05-03T00:00", moved(&there, &further));
    let action = change(|change| {
        change.room = None;
        change.title = Some(Some("Talk".into()));
    });
    given.when(action).then([rescheduled(&further, &retitled)]);
}

#[test]
fn only_its_owner_or_an_administrator_changes_it() {
    let action = || change(|change| change.people = Some(3));
    holding(&tomorrow()).when(action()).by("bob").rejected(Rejection::NotOwner);
    holding(&tomorrow()).when(action()).by_admin().accepted();
}

#[test]
fn a_stale_revision_is_refused() {
    let action = || change(|change| change.people = Some(3));
    holding(&tomorrow()).when(action()).if_match(2).rejected(Rejection::Stale { revision: 1 });
    holding(&tomorrow()).when(action()).if_match(1).accepted();
}

#[test]
fn somebody_else_is_not_told_the_revision() {
    let when = holding(&tomorrow()).when(change(|_| ())).by("bob").if_match(2);
    when.rejected(Rejection::NotOwner);
}

#[test]
fn more_people_than_the_room_takes_are_refused() {
    let when = holding(&tomorrow()).when(change(|change| change.people = Some(5)));
    when.rejected(BrokenRule::Capacity { limit: 4 });
}

#[test]
fn a_new_interval_keeps_the_rules_about_time() {
    let strict = room_changed(1, 2, |settings| {
        settings.max_minutes = Some(60);
        settings.max_days_ahead = Some(7);
    });
    let given = || given([room(1), made(&tomorrow()), strict.clone()]);
    let longest = BrokenRule::LongestStay { minutes: 60 };
    given().when(from_to("2026-06-02T11:00", "2026-06-02T12:01")).rejected(longest);
    let ahead = BrokenRule::DaysAhead { days: 7 };
    given().when(from_to("2026-06-09T10:00", "2026-06-09T11:00")).rejected(ahead);
    let past = from_to("2026-06-01T07:59", "2026-06-01T08:30");
    given().when(past).rejected(Rejection::InThePast);
    let backward = change(|change| change.to = Some(minute("2026-06-02T10:00")));
    given().when(backward).rejected(InvalidInterval::FromNotBeforeTo);
}

#[test]
fn changed_rules_do_not_touch_a_reservation_whose_time_stays() {
    let strict = room_changed(1, 2, |settings| {
        settings.max_minutes = Some(60);
        settings.capacity = 1;
        settings.time_zone = "Asia/Tokyo".parse().unwrap();
    });
    let titled = after(&tomorrow(), |after| after.title = Some("Talk".into()));
    let when = given([room(1), made(&tomorrow()), strict])
        .when(change(|change| change.title = Some(Some("Talk".into()))));
    when.then([rescheduled(&tomorrow(), &titled)]);
}

#[test]
fn only_a_new_interval_is_told_by_the_clocks_of_now() {
    // Set by rules of the zone that have changed since.
    let ahead = UtcOffset::from_seconds(7200).unwrap();
    let offsets = Some(Offsets { from: ahead, to: ahead });
    let before = Reservation { offsets, ..tomorrow() };
    let titled = Reservation { revision: 2, title: Some("Talk".into()), ..before.clone() };
    let title = change(|change| change.title = Some(Some("Talk".into())));
    holding(&before).when(title).then([rescheduled(&before, &titled)]);
    let longer = after(&before, |after| after.to = minute("2026-06-02T13:00"));
    assert_ne!(longer.offsets, before.offsets);
    let later = change(|change| change.to = Some(minute("2026-06-02T13:00")));
    holding(&before).when(later).then([rescheduled(&before, &longer)]);
    // One of an older build.
    let unknown = Reservation { offsets: None, ..tomorrow() };
    let same = change(|change| change.to = Some(tomorrow().to));
    holding(&unknown).when(same).unchanged(room_id(1), Some(unknown.id), 1);
}

#[test]
fn a_new_interval_is_counted_in_the_rooms_zone_of_now() {
    let zone = "Asia/Tokyo".parse().unwrap();
    let longer = after(&tomorrow(), |after| {
        after.to = minute("2026-06-02T13:00");
        after.time_zone = zone;
    });
    let given = given([room(1), made(&tomorrow()), room_changed(1, 2, |s| s.time_zone = zone)]);
    let when = given.when(change(|change| change.to = Some(minute("2026-06-02T13:00"))));
    when.then([rescheduled(&tomorrow(), &longer)]);
}

#[test]
fn a_running_stay_can_end_early_or_last_longer() {
    for to in ["2026-06-01T08:01", "2026-06-01T11:00"] {
        let ends = after(&running(), |after| after.to = minute(to));
        let action = change(|change| change.to = Some(minute(to)));
        holding(&running()).when(action).then([rescheduled(&running(), &ends)]);
    }
}

#[test]
fn a_running_stay_cannot_end_before_now() {
    let to = |to: &str| change(|change| change.to = Some(minute(to)));
    holding(&running()).when(to("2026-06-01T08:00")).rejected(Rejection::InThePast);
    holding(&running()).when(to("2026-06-01T07:30")).rejected(Rejection::InThePast);
}

#[test]
fn nothing_else_of_a_running_stay_changes() {
    let begun = || Rejection::AlreadyStarted { from: minute("2026-06-01T07:00") };
    let with = |action| holding(&running()).when(action);
    with(change(|change| change.from = Some(minute("2026-06-01T09:00")))).rejected(begun());
    with(change(|change| change.people = Some(1))).rejected(begun());
    with(change(|change| change.title = Some(Some("Talk".into())))).rejected(begun());
    with(from_to("2026-06-01T09:00", "2026-06-01T11:00")).rejected(begun());
    let at_its_first_minute = with(change(|change| change.people = Some(1))).at("2026-06-01T07:00");
    at_its_first_minute.rejected(begun());
}

#[test]
fn a_stay_that_has_ended_stays_as_it_is() {
    let ended = || Rejection::Ended { to: minute("2026-06-01T10:00") };
    let action = || change(|change| change.to = Some(minute("2026-06-01T11:00")));
    holding(&running()).when(action()).at("2026-06-01T10:00").rejected(ended());
    holding(&running()).when(action()).at("2026-06-01T09:59").accepted();
}

#[test]
fn a_stay_that_was_forgotten_has_ended_and_is_not_unknown() {
    let next = reservation(2, "2026-08-01T10:00", "2026-08-01T11:00");
    let given = holding(&running()).and_at("2026-07-01T00:00", [made(&next)]);
    let change = given.when(change(|change| change.people = Some(1))).at("2026-07-02T00:00");
    let ended = Decision::Rejected(Rejection::Ended { to: minute("2026-06-01T10:00") });
    assert_eq!(change.decided_by_recalls(), (ended, 1));
}

#[test]
fn a_running_stay_is_made_longer_without_reading_the_whole_stream() {
    let past = reservation(2, "2026-05-10T10:00", "2026-05-10T11:00");
    let next = reservation(3, "2026-08-01T10:00", "2026-08-01T11:00");
    let given = given([room(1), made(&past), made(&running())]).and_at("2026-06-01T07:30", [made(&next)]);
    let action = change(|change| change.to = Some(minute("2026-06-01T12:00")));
    let (decision, whole_reads) = given.when(action).decided();
    assert!(matches!(decision, Decision::Events(_)));
    assert_eq!(whole_reads, 0);
}

#[test]
fn an_import_is_out_of_order_when_it_is_older_than_the_last_change_of_its_reservation() {
    let other = reservation(2, "2026-07-02T10:00", "2026-07-02T12:00");
    let three = after(&tomorrow(), |after| after.people = 3);
    let given = || {
        holding(&tomorrow())
            .and_at("2026-05-10T00:00", [rescheduled(&tomorrow(), &three)])
            .and_at("2026-05-20T00:00", [made(&other)])
    };
    let action = || change(|change| (change.room, change.people) = (None, Some(1)));
    let last = timestamp("2026-05-10T00:00");
    given().when(action()).imported_at("2026-05-09T23:59").rejected(Rejection::OutOfOrder { last });
    given().when(action()).imported_at("2026-05-10T00:00").accepted();
}

#[test]
fn an_imported_change_of_the_past_is_decided_by_the_whole_stream() {
    let past = reservation(1, "2025-06-02T10:00", "2025-06-02T12:00");
    let next = reservation(2, "2025-06-02T13:00", "2025-06-02T14:00");
    let later = reservation(3, "2026-07-02T10:00", "2026-07-02T12:00");
    let given = || {
        given([room(1)])
            .and_at("2025-05-01T00:00", [made(&past), made(&next)])
            .and_at("2026-05-20T00:00", [made(&later)])
    };
    let longer = |to: &str| change(|change| (change.room, change.to) = (None, Some(minute(to))));
    let imported = |to: &str| given().when(longer(to)).imported_at("2025-05-02T00:00");
    imported("2025-06-02T13:00").accepted();
    imported("2025-06-02T13:01").rejected(overlap(&next));
}

#[test]
fn a_running_stay_may_end_at_any_minute_and_lasts_longer_by_the_rules() {
    let strict = room_with(1, |settings| {
        (settings.slot_minutes, settings.min_minutes) = (Some(30), Some(150));
    });
    let given = || given([strict.clone(), made(&running())]);
    let to = |to: &str| change(|change| change.to = Some(minute(to)));
    for end in ["2026-06-01T08:01", "2026-06-01T08:15", "2026-06-01T09:59"] {
        given().when(to(end)).accepted();
    }
    given().when(to("2026-06-01T10:15")).rejected(BrokenRule::Slot { minutes: 30 });
}

/// Ana's, tomorrow from eight to four, in a room that became stricter.
fn in_stricter(change: impl FnOnce(&mut RoomSettings)) -> Given {
    let long = reservation(1, "2026-06-02T08:00", "2026-06-02T16:00");
    given([room(1), made(&long), room_changed(1, 2, change)])
}

#[test]
fn rules_that_became_stricter_do_not_refuse_time_that_is_given_back() {
    let stricter: [fn(&mut RoomSettings); 7] = [
        |room| room.bookable_by = vec!["staff".into()],
        |room| room.max_minutes = Some(60),
        |room| room.max_days_ahead = Some(0),
        |room| room.slot_minutes = Some(1440),
        |room| room.min_minutes = Some(600),
        |room| room.opening_hours = Some(OpeningHours::default()),
        |room| room.capacity = 1,
    ];
    for change in stricter {
        let when = |from, to| in_stricter(change).when(from_to(from, to));
        when("2026-06-02T08:00", "2026-06-02T12:00").accepted();
        when("2026-06-02T09:00", "2026-06-02T16:00").accepted();
        when("2026-06-02T09:00", "2026-06-02T12:00").accepted();
        // A minute more, or another time, is asked for anew.
        for (from, to) in [("2026-06-02T08:00", "2026-06-02T16:01"), ("2026-06-02T07:59", "2026-06-02T09:00")]
        {
            let decision = in_stricter(change).when(from_to(from, to)).decided().0;
            assert!(matches!(decision, Decision::Rejected(Rejection::Rule { .. })), "{decision:?}");
        }
    }
}

#[test]
fn a_stay_that_has_not_begun_is_not_shortened_below_the_rules_that_it_keeps() {
    let from_eight = |to: &str| from_to("2026-06-02T08:00", to);
    let shortest = in_stricter(|room| room.min_minutes = Some(120)).when(from_eight("2026-06-02T09:59"));
    shortest.rejected(BrokenRule::ShortestStay { minutes: 120 });
    let slot = in_stricter(|room| room.slot_minutes = Some(60)).when(from_eight("2026-06-02T09:30"));
    slot.rejected(BrokenRule::Slot { minutes: 60 });
}

#[test]
fn another_time_is_refused_where_the_room_has_become_too_small() {
    let smaller = |action| in_stricter(|room| room.capacity = 1).when(action);
    let limit = || BrokenRule::Capacity { limit: 1 };
    smaller(from_to("2026-06-03T08:00", "2026-06-03T16:00")).rejected(limit());
    smaller(from_to("2026-06-02T08:00", "2026-06-02T17:00")).rejected(limit());
}

#[test]
fn fewer_people_are_never_too_many() {
    let crowd = Reservation { people: 4, ..tomorrow() };
    let given = given([room(1), made(&crowd), room_changed(1, 2, |settings| settings.capacity = 2)]);
    given.when(change(|change| change.people = Some(3))).accepted();
}

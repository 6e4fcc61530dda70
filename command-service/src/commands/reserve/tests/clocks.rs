//! Stays where clocks change.

use super::*;

#[test]
fn opening_hours_follow_the_clocks_when_they_change() {
    let day = |room: &mut RoomSettings| room.opening_hours = every_day(8 * 60, 18 * 60);
    // Lisbon goes to summer time on 29 March 2026 and back on 25 October.
    let eight_utc = |date: &str| reserve(&format!("{date}T08:00"), &format!("{date}T09:00"));
    let seven_utc = |date: &str| reserve(&format!("{date}T07:00"), &format!("{date}T08:00"));
    let at = |action, now| given_room(day).when(action).at(now);
    at(seven_utc("2026-03-28"), "2026-03-01T00:00").rejected(BrokenRule::OpeningHours);
    at(eight_utc("2026-03-28"), "2026-03-01T00:00").accepted();
    at(seven_utc("2026-03-29"), "2026-03-01T00:00").accepted();
    at(seven_utc("2026-10-24"), "2026-10-01T00:00").accepted();
    at(seven_utc("2026-10-25"), "2026-10-01T00:00").rejected(BrokenRule::OpeningHours);
}

#[test]
fn a_night_has_an_hour_less_in_spring_and_one_more_in_autumn() {
    let night = |date: &str, hours: u32| {
        let from = format!("{date}T00:00:00{}", if hours == 5 { "+01:00" } else { "Z" });
        let to = format!("{date}T04:00:00{}", if hours == 3 { "+01:00" } else { "Z" });
        reserve(&from, &to)
    };
    let four_hours = |room: &mut RoomSettings| (room.min_minutes, room.max_minutes) = (Some(240), Some(240));
    let at = |action| given_room(four_hours).when(action).at("2026-01-01T00:00");
    at(night("2026-03-28", 4)).accepted();
    at(night("2026-03-29", 3)).rejected(BrokenRule::ShortestStay { minutes: 240 });
    at(night("2026-10-25", 5)).rejected(BrokenRule::LongestStay { minutes: 240 });
}

#[test]
fn a_room_that_opens_at_a_time_that_the_clocks_skip_opens_when_they_go_on() {
    let berlin = |room: &mut RoomSettings| {
        room.time_zone = "Europe/Berlin".parse().unwrap();
        room.opening_hours = every_day(150, 300);
    };
    let at = |action| given_room(berlin).when(action).at("2026-01-01T00:00");
    at(reserve("2026-03-29T01:00", "2026-03-29T03:00")).accepted();
    at(reserve("2026-03-29T00:59", "2026-03-29T03:00")).rejected(BrokenRule::OpeningHours);
}

#[test]
fn a_room_that_closes_at_a_time_that_the_clocks_show_twice_closes_at_the_later() {
    let new_york = |room: &mut RoomSettings| {
        room.time_zone = "America/New_York".parse().unwrap();
        room.opening_hours = every_day(0, 90);
    };
    let at = |action| given_room(new_york).when(action).at("2026-01-01T00:00");
    at(reserve("2026-11-01T04:00", "2026-11-01T06:30")).accepted();
    at(reserve("2026-11-01T04:00", "2026-11-01T06:31")).rejected(BrokenRule::OpeningHours);
}

#[test]
fn slots_follow_clocks_that_change_by_half_an_hour() {
    let lord_howe = |room: &mut RoomSettings| {
        room.time_zone = "Australia/Lord_Howe".parse().unwrap();
        room.slot_minutes = Some(60);
    };
    let at = |action| given_room(lord_howe).when(action).at("2026-01-01T00:00");
    // 01:00+10:30 to 03:00+11:00 on the night of the change: ninety minutes between two full hours.
    at(reserve("2026-10-03T14:30", "2026-10-03T16:00")).accepted();
    at(reserve("2026-10-03T14:30", "2026-10-03T16:30")).rejected(BrokenRule::Slot { minutes: 60 });
}

#[test]
fn a_day_whose_midnight_is_skipped_is_reserved_from_its_first_instant() {
    let azores = |room: &mut RoomSettings| {
        room.time_zone = "Atlantic/Azores".parse().unwrap();
        room.slot_minutes = Some(1440);
        (room.min_minutes, room.max_minutes) = (Some(1440), Some(1440));
    };
    let at = |action| given_room(azores).when(action).at("2027-03-01T00:00");
    at(reserve("2027-03-28T01:00", "2027-03-29T00:00")).accepted();
    at(reserve("2027-03-27T01:00", "2027-03-28T01:00")).accepted();
    let slot = BrokenRule::Slot { minutes: 1440 };
    at(reserve("2027-03-28T00:00", "2027-03-29T00:00")).rejected(slot);
    at(reserve("2027-03-28T02:00", "2027-03-29T00:00")).rejected(slot);
}

#[test]
fn whole_days_are_local_days_of_23_and_25_hours() {
    let lisbon = |room: &mut RoomSettings| {
        room.slot_minutes = Some(1440);
        (room.min_minutes, room.max_minutes) = (Some(1440), Some(1440));
    };
    let at = |action| given_room(lisbon).when(action).at("2026-01-01T00:00");
    at(reserve("2026-03-29T00:00", "2026-03-29T23:00")).accepted();
    at(reserve("2026-10-24T23:00", "2026-10-26T00:00")).accepted();
    let longest = BrokenRule::LongestStay { minutes: 1440 };
    at(reserve("2026-03-28T00:00", "2026-03-29T23:00")).rejected(longest);
}

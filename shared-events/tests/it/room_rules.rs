//! Opening hours, slots and lengths with skipped and repeated hours, fractional offsets, and skipped days.

use serde_json::json;
use shared_events::{
    Interval, OpenDay, OpeningHours, OpeningSpan, RoomSettings, Timestamp,
    room_rules::{BrokenRule, open_on},
    time_zone::Tz,
};

pub(crate) fn room_in(zone: &str) -> RoomSettings {
    RoomSettings {
        name: "Blue".into(),
        kind: "meeting".into(),
        capacity: 4,
        time_zone: zone.parse().unwrap(),
        opening_hours: None,
        slot_minutes: None,
        min_minutes: None,
        max_minutes: None,
        buffer_before: None,
        buffer_after: None,
        max_days_ahead: None,
        building: None,
        floor: None,
        attributes: Vec::new(),
        bookable_by: Vec::new(),
        max_ahead: None,
    }
}

pub(crate) fn zone_of(name: &str) -> Tz {
    name.parse().unwrap()
}

fn open(opens: u16, closes: u16) -> OpenDay {
    OpeningSpan::new(opens * 60, closes * 60).unwrap().into()
}

fn every_day(span: OpenDay) -> OpeningHours {
    OpeningHours {
        monday: span.clone(),
        tuesday: span.clone(),
        wednesday: span.clone(),
        thursday: span.clone(),
        friday: span.clone(),
        saturday: span.clone(),
        sunday: span,
    }
}

fn stay(from: &str, to: &str) -> Interval {
    Interval { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

fn is_open(zone: &str, hours: &OpeningHours, from: &str, to: &str) -> bool {
    let room = RoomSettings { opening_hours: Some(hours.clone()), ..room_in(zone) };
    match room.check_stay(stay(from, to)) {
        Ok(()) => true,
        Err(BrokenRule::OpeningHours) => false,
        Err(other) => panic!("{other}"),
    }
}

fn is_on_slot(zone: &str, minutes: u32, from: &str, to: &str) -> bool {
    let room = RoomSettings { slot_minutes: Some(minutes), ..room_in(zone) };
    room.check_stay(stay(from, to)).is_ok()
}

#[test]
fn a_room_that_is_open_round_the_clock_by_its_hours_is_always_open() {
    let always = every_day(open(0, 24));
    assert!(is_open("UTC", &always, "2026-01-01T00:00:00Z", "2026-12-31T23:59:00Z"));
    // The interval has both changes of the clocks.
    assert!(is_open("Europe/Lisbon", &always, "2026-01-01T00:00:00Z", "2026-12-31T23:59:00Z"));
    assert!(is_open("Australia/Lord_Howe", &always, "2026-01-01T00:00:00Z", "2026-12-31T23:59:00Z"));
}

#[test]
fn a_day_that_closes_at_midnight_joins_the_next_only_where_that_opens_at_midnight() {
    let hours = |saturday| OpeningHours { friday: open(20, 24), saturday, ..OpeningHours::default() };
    let at = |saturday, to| is_open("UTC", &hours(saturday), "2026-01-02T23:00:00Z", to);
    assert!(at(OpenDay::default(), "2026-01-03T00:00:00Z"));
    assert!(!at(OpenDay::default(), "2026-01-03T00:01:00Z"));
    assert!(at(open(0, 2), "2026-01-03T02:00:00Z"));
    assert!(!at(open(0, 2), "2026-01-03T02:01:00Z"));
    assert!(!at(open(1, 2), "2026-01-03T02:00:00Z"));
}

#[test]
fn a_stay_may_begin_as_the_room_opens_and_end_as_it_closes() {
    let hours = every_day(open(8, 18));
    assert!(is_open("UTC", &hours, "2026-01-02T08:00:00Z", "2026-01-02T18:00:00Z"));
    assert!(!is_open("UTC", &hours, "2026-01-02T07:59:00Z", "2026-01-02T18:00:00Z"));
    assert!(!is_open("UTC", &hours, "2026-01-02T08:00:00Z", "2026-01-02T18:01:00Z"));
    assert!(!is_open("UTC", &hours, "2026-01-02T18:00:00Z", "2026-01-02T18:01:00Z"));
    assert!(!is_open("UTC", &hours, "2026-01-02T17:00:00Z", "2026-01-03T09:00:00Z"));
}

#[test]
fn a_span_may_end_on_the_next_day_and_a_day_may_have_several() {
    let evening = OpeningHours { friday: open(18, 26), ..OpeningHours::default() };
    assert!(is_open("UTC", &evening, "2026-01-02T18:00:00Z", "2026-01-03T02:00:00Z"));
    assert!(is_open("UTC", &evening, "2026-01-03T00:00:00Z", "2026-01-03T02:00:00Z"));
    assert!(!is_open("UTC", &evening, "2026-01-02T17:59:00Z", "2026-01-03T02:00:00Z"));
    assert!(!is_open("UTC", &evening, "2026-01-03T00:00:00Z", "2026-01-03T02:01:00Z"));
    assert!(!is_open("UTC", &evening, "2026-01-02T00:00:00Z", "2026-01-02T02:00:00Z"));
    // It joins a span of the next day, and may last 24 hours.
    let on = OpeningHours { saturday: open(2, 4), ..evening };
    assert!(is_open("UTC", &on, "2026-01-02T18:00:00Z", "2026-01-03T04:00:00Z"));
    let whole = OpeningHours { friday: open(18, 42), ..OpeningHours::default() };
    assert!(is_open("UTC", &whole, "2026-01-02T18:00:00Z", "2026-01-03T18:00:00Z"));
    let span = |opens: u16, closes: u16| OpeningSpan::new(opens * 60, closes * 60).unwrap();
    let lunch = OpenDay::new(vec![span(8, 12), span(13, 18)]).unwrap();
    let split = OpeningHours { friday: lunch, ..OpeningHours::default() };
    assert!(is_open("UTC", &split, "2026-01-02T13:00:00Z", "2026-01-02T18:00:00Z"));
    assert!(!is_open("UTC", &split, "2026-01-02T11:00:00Z", "2026-01-02T14:00:00Z"));
    let adjoining = OpenDay::new(vec![span(8, 12), span(12, 18)]).unwrap();
    let joined = OpeningHours { friday: adjoining, ..OpeningHours::default() };
    assert!(is_open("UTC", &joined, "2026-01-02T11:00:00Z", "2026-01-02T14:00:00Z"));
    // Lisbon skips 01:00 to 02:00 on Sunday, 29 March 2026: from 18:00 to 02:00 are seven hours.
    let saturday = OpeningHours { saturday: open(18, 26), ..OpeningHours::default() };
    assert!(is_open("Europe/Lisbon", &saturday, "2026-03-28T18:00:00Z", "2026-03-29T01:00:00Z"));
    assert!(!is_open("Europe/Lisbon", &saturday, "2026-03-28T18:00:00Z", "2026-03-29T01:01:00Z"));
}

#[test]
fn hours_are_written_as_lists_only_where_a_span_a_day_does_not_say_them() {
    let read = |json: serde_json::Value| serde_json::from_value::<OpeningHours>(json);
    let written = |json| serde_json::to_value(read(json).unwrap()).unwrap();
    let span = |opens: &str, closes: &str| json!({"opens": opens, "closes": closes});
    let plain = json!({"monday": span("08:00", "18:00"), "friday": span("18:00", "24:00")});
    assert_eq!(written(plain.clone()), plain);
    let listed =
        json!({"monday": [span("08:00", "18:00")], "tuesday": [], "friday": [span("18:00", "00:00")]});
    assert_eq!(written(listed), plain);
    let late = json!({"monday": [span("08:00", "18:00")], "friday": [span("18:00", "26:00")]});
    assert_eq!(written(late.clone()), late);
    assert_eq!(written(json!({"monday": span("08:00", "18:00"), "friday": span("18:00", "02:00")})), late);
    let too_many = vec![span("00:00", "00:01"); OpenDay::MOST_SPANS + 1];
    for wrong in [
        json!([span("08:00", "12:00"), span("11:59", "18:00")]),
        json!([span("13:00", "18:00"), span("08:00", "12:00")]),
        json!([span("18:00", "26:00"), span("20:00", "21:00")]),
        json!(too_many),
        json!([span("24:00", "25:00")]),
        json!([span("08:00", "08:00")]),
        json!([span("08:00", "32:01")]),
        json!("08:00"),
        json!([["08:00", "18:00"]]),
    ] {
        assert!(read(json!({"monday": wrong})).is_err(), "{wrong}");
    }
}

#[test]
fn open_time_that_the_clocks_skip_is_no_open_time() {
    // Berlin has no time from 02:00 to 03:00 on 29 March 2026, a Sunday.
    let hours = OpeningHours { sunday: open(2, 3), ..OpeningHours::default() };
    assert!(!is_open("Europe/Berlin", &hours, "2026-03-29T01:00:00Z", "2026-03-29T01:01:00Z"));
    assert!(is_open("Europe/Berlin", &hours, "2026-04-05T00:00:00Z", "2026-04-05T01:00:00Z"));
    let sunday = chrono::NaiveDate::from_ymd_opt(2026, 3, 29).unwrap();
    assert_eq!(open_on(&hours, zone_of("Europe/Berlin"), sunday).next(), None);
}

#[test]
fn a_room_is_open_for_both_passes_of_an_hour_that_is_repeated() {
    // Berlin shows 02:00 to 03:00 twice on 25 October 2026: 00:00Z to 01:00Z, and again to 02:00Z.
    let hours = every_day(open(2, 3));
    assert!(is_open("Europe/Berlin", &hours, "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"));
    assert!(!is_open("Europe/Berlin", &hours, "2026-10-24T23:59:00Z", "2026-10-25T02:00:00Z"));
    assert!(!is_open("Europe/Berlin", &hours, "2026-10-25T00:00:00Z", "2026-10-25T02:01:00Z"));
}

#[test]
fn a_room_that_closes_as_the_repeated_hour_begins_stays_closed() {
    let hours = every_day(open(0, 2));
    assert!(is_open("Europe/Berlin", &hours, "2026-10-24T22:00:00Z", "2026-10-25T00:00:00Z"));
    assert!(!is_open("Europe/Berlin", &hours, "2026-10-24T22:00:00Z", "2026-10-25T00:01:00Z"));
    assert!(!is_open("Europe/Berlin", &hours, "2026-10-25T00:30:00Z", "2026-10-25T00:45:00Z"));
}

#[test]
fn midnight_that_comes_twice_does_not_lengthen_the_day_before() {
    // Havana goes from 01:00 back to 00:00 on Sunday, 2 November 2025: that midnight is 04:00Z and 05:00Z.
    let saturday = OpeningHours { saturday: open(8, 24), ..OpeningHours::default() };
    assert!(is_open("America/Havana", &saturday, "2025-11-02T00:00:00Z", "2025-11-02T04:00:00Z"));
    assert!(!is_open("America/Havana", &saturday, "2025-11-02T00:00:00Z", "2025-11-02T04:01:00Z"));
    let both = OpeningHours { sunday: open(0, 1), ..saturday };
    assert!(is_open("America/Havana", &both, "2025-11-02T00:00:00Z", "2025-11-02T06:00:00Z"));
    assert!(!is_open("America/Havana", &both, "2025-11-02T00:00:00Z", "2025-11-02T06:01:00Z"));
}

#[test]
fn midnight_that_is_skipped_still_joins_two_days() {
    // Cairo goes from 00:00 to 01:00 on Friday, 24 April 2026: 22:00Z of Thursday.
    let hours = OpeningHours { thursday: open(20, 24), friday: open(0, 2), ..OpeningHours::default() };
    assert!(is_open("Africa/Cairo", &hours, "2026-04-23T21:00:00Z", "2026-04-23T23:00:00Z"));
    assert!(!is_open("Africa/Cairo", &hours, "2026-04-23T21:00:00Z", "2026-04-23T23:01:00Z"));
}

#[test]
fn a_day_that_a_zone_left_out_neither_opens_nor_closes_a_room() {
    // Samoa went from Thursday, 29 December 2011 to Saturday the 31st, at 10:00Z of the 30th.
    let no_friday = OpeningHours { thursday: open(0, 24), saturday: open(0, 24), ..OpeningHours::default() };
    for hours in [every_day(open(0, 24)), no_friday] {
        assert!(is_open("Pacific/Apia", &hours, "2011-12-30T09:00:00Z", "2011-12-30T11:00:00Z"));
    }
    let friday_only = OpeningHours { friday: open(0, 24), ..OpeningHours::default() };
    assert!(!is_open("Pacific/Apia", &friday_only, "2011-12-30T09:00:00Z", "2011-12-30T09:01:00Z"));
    assert!(!is_open("Pacific/Apia", &friday_only, "2011-12-30T10:00:00Z", "2011-12-30T10:01:00Z"));
    let nights_closed = every_day(open(1, 24));
    assert!(!is_open("Pacific/Apia", &nights_closed, "2011-12-30T09:00:00Z", "2011-12-30T12:00:00Z"));
    let left_out = chrono::NaiveDate::from_ymd_opt(2011, 12, 30).unwrap();
    assert_eq!(open_on(&every_day(open(8, 18)), zone_of("Pacific/Apia"), left_out).next(), None);
}

#[test]
fn hours_and_slots_follow_offsets_of_half_and_quarter_hours() {
    let hours = every_day(open(9, 17));
    // +05:45, +12:45 (+13:45 in summer), -03:30 (-02:30), +05:30.
    let nine = [
        ("Asia/Kathmandu", "2026-01-05T03:15:00Z", "2026-01-05T11:15:00Z"),
        ("Pacific/Chatham", "2026-07-05T20:15:00Z", "2026-07-06T04:15:00Z"),
        ("Pacific/Chatham", "2026-01-04T19:15:00Z", "2026-01-05T03:15:00Z"),
        ("America/St_Johns", "2026-01-05T12:30:00Z", "2026-01-05T20:30:00Z"),
        ("America/St_Johns", "2026-07-06T11:30:00Z", "2026-07-06T19:30:00Z"),
        ("Asia/Kolkata", "2026-01-05T03:30:00Z", "2026-01-05T11:30:00Z"),
    ];
    for (zone, from, to) in nine {
        assert!(is_open(zone, &hours, from, to), "{zone} {from}");
        assert!(is_on_slot(zone, 60, from, to), "{zone} {from}");
        let Interval { from: opens, to: closes } = stay(from, to);
        for (early, late) in [(-1, 0), (0, 1)] {
            let (from, to) = (opens.plus(early).unwrap().to_string(), closes.plus(late).unwrap().to_string());
            assert!(!is_open(zone, &hours, &from, &to), "{zone} {from} {to}");
            assert!(!is_on_slot(zone, 15, &from, &to), "{zone} {from} {to}");
        }
    }
}

#[test]
fn slots_begin_anew_at_every_local_midnight_whatever_the_clocks_did_before() {
    // Berlin skips 02:00 to 03:00 on 29 March. Slots of four hours begin at 00:00, 04:00, ... by the clock.
    assert!(is_on_slot("Europe/Berlin", 240, "2026-03-28T23:00:00Z", "2026-03-29T02:00:00Z"));
    assert!(!is_on_slot("Europe/Berlin", 240, "2026-03-28T23:00:00Z", "2026-03-29T03:00:00Z"));
    // A slot of a whole day is 23 or 25 hours long on the days of the changes.
    assert!(is_on_slot("Europe/Berlin", 1440, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
    assert!(is_on_slot("Europe/Berlin", 1440, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
    // A repeated hour begins twice.
    assert!(is_on_slot("Europe/Berlin", 60, "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"));
}

#[test]
fn the_shortest_and_the_longest_stay_are_elapsed_time() {
    let room = RoomSettings { min_minutes: Some(60), max_minutes: Some(60), ..room_in("Europe/Berlin") };
    // By the clock 01:30 to 03:30, and 02:30 to 02:30.
    assert_eq!(room.check_stay(stay("2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z")), Ok(()));
    assert_eq!(room.check_stay(stay("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")), Ok(()));
    let short = room.check_stay(stay("2026-03-29T00:30:00Z", "2026-03-29T01:29:00Z"));
    assert_eq!(short, Err(BrokenRule::ShortestStay { minutes: 60 }));
    let long = room.check_stay(stay("2026-10-25T00:30:00Z", "2026-10-25T01:31:00Z"));
    assert_eq!(long, Err(BrokenRule::LongestStay { minutes: 60 }));
}

#[test]
fn a_slot_begins_with_the_first_instant_of_a_date() {
    // Clocks skip midnight: the Azores, Cairo, Beirut, Santiago and Havana have dates that begin at 01:00.
    let days = [
        ("Atlantic/Azores", "2027-03-27T01:00:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"),
        ("Africa/Cairo", "2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"),
        ("Asia/Beirut", "2026-03-27T22:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"),
        ("America/Santiago", "2026-09-05T04:00:00Z", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"),
        ("America/Havana", "2026-03-07T05:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
        // Clocks show midnight twice: a date begins once.
        ("Atlantic/Azores", "2026-10-24T00:00:00Z", "2026-10-25T00:00:00Z", "2026-10-26T01:00:00Z"),
        ("America/Havana", "2025-11-01T04:00:00Z", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"),
        ("America/St_Johns", "2009-10-31T02:30:00Z", "2009-11-01T02:30:00Z", "2009-11-02T03:30:00Z"),
    ];
    for (zone, before, begins, after) in days {
        for (from, to) in [(before, begins), (begins, after), (before, after)] {
            for minutes in [60, 120, 240, 1440] {
                assert!(is_on_slot(zone, minutes, from, to), "{zone} {from} {to} {minutes}");
            }
        }
        let Interval { from: noon, .. } = stay(begins, after);
        for minutes in [-60, 60, 120] {
            let other = noon.plus(minutes).unwrap().to_string();
            assert!(!is_on_slot(zone, 1440, &other, after), "{zone} {other}");
        }
    }
}

#[test]
fn a_slot_that_clocks_cut_ends_where_they_go_on() {
    // Berlin skips 02:00 to 03:00 at 01:00Z.
    let skipped = |minutes, from: &str, to: &str| {
        is_on_slot("Europe/Berlin", minutes, &format!("2026-03-{from}:00Z"), &format!("2026-03-{to}:00Z"))
    };
    assert!(skipped(120, "28T23:00", "29T01:00"));
    assert!(skipped(120, "29T01:00", "29T02:00"));
    assert!(skipped(30, "29T00:30", "29T01:00"));
    assert!(!skipped(120, "29T01:00", "29T03:00"));
    // Lord Howe skips 02:00 to 02:30, at 15:30Z: a slot of two hours begins at 02:30.
    let lord_howe = |from, to| is_on_slot("Australia/Lord_Howe", 120, from, to);
    assert!(lord_howe("2026-10-03T13:30:00Z", "2026-10-03T15:30:00Z"));
    assert!(lord_howe("2026-10-03T15:30:00Z", "2026-10-03T17:00:00Z"));
    // Berlin repeats 02:00 to 03:00: the slot from 02:00 to 04:00 lasts three hours, and the hour begins again.
    assert!(is_on_slot("Europe/Berlin", 120, "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z"));
    assert!(!is_on_slot("Europe/Berlin", 120, "2026-10-25T01:00:00Z", "2026-10-25T03:00:00Z"));
    assert!(is_on_slot("Europe/Berlin", 30, "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"));
}

#[test]
fn limits_of_whole_days_are_local_days() {
    let within = |zone, min: u32, max: u32, from: &str, to: &str| {
        let room = RoomSettings { min_minutes: Some(min), max_minutes: Some(max), ..room_in(zone) };
        room.check_stay(stay(from, to))
    };
    let (shorter, longer) =
        (Err(BrokenRule::ShortestStay { minutes: 1440 }), Err(BrokenRule::LongestStay { minutes: 1440 }));
    let lisbon = |from, to| within("Europe/Lisbon", 1440, 1440, from, to);
    // 23, 25 and 24 hours.
    for (from, to, minute_less, minute_more) in [
        ("2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z", "2026-03-29T22:59:00Z", "2026-03-29T23:01:00Z"),
        ("2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z", "2026-10-25T23:59:00Z", "2026-10-26T00:01:00Z"),
        ("2026-03-28T12:00:00Z", "2026-03-29T11:00:00Z", "2026-03-29T10:59:00Z", "2026-03-29T11:01:00Z"),
        ("2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z", "2026-01-02T11:59:00Z", "2026-01-02T12:01:00Z"),
    ] {
        assert_eq!(lisbon(from, to), Ok(()), "{from}");
        assert_eq!(lisbon(from, minute_less), shorter, "{from}");
        assert_eq!(lisbon(from, minute_more), longer, "{from}");
    }
    let azores = |from, to| within("Atlantic/Azores", 1440, 1440, from, to);
    assert_eq!(azores("2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"), Ok(()));
    assert_eq!(azores("2027-03-27T01:00:00Z", "2027-03-28T01:00:00Z"), Ok(()));
    // A week with a change has seven days.
    let week = |to| within("Europe/Lisbon", 7 * 1440, 7 * 1440, "2026-03-27T00:00:00Z", to);
    assert_eq!(week("2026-04-02T23:00:00Z"), Ok(()));
    assert_eq!(week("2026-04-03T00:00:00Z"), Err(BrokenRule::LongestStay { minutes: 7 * 1440 }));
}

#[test]
fn a_stay_may_begin_with_the_running_slot() {
    let earliest = |zone, minutes: Option<u32>, now: &str| {
        let room = RoomSettings { slot_minutes: minutes, ..room_in(zone) };
        room.earliest_start(now.parse().unwrap()).to_string()
    };
    assert_eq!(earliest("UTC", None, "2026-06-01T08:00:00.000Z"), "2026-06-01T08:00:00Z");
    assert_eq!(earliest("UTC", None, "2026-06-01T08:00:00.001Z"), "2026-06-01T08:01:00Z");
    assert_eq!(earliest("UTC", Some(1), "2026-06-01T08:00:00.001Z"), "2026-06-01T08:01:00Z");
    assert_eq!(earliest("UTC", Some(30), "2026-06-01T08:29:59.999Z"), "2026-06-01T08:00:00Z");
    assert_eq!(earliest("UTC", Some(30), "2026-06-01T08:30:00.000Z"), "2026-06-01T08:30:00Z");
    assert_eq!(earliest("UTC", Some(1440), "2026-06-01T23:59:59.999Z"), "2026-06-01T00:00:00Z");
    assert_eq!(earliest("Atlantic/Azores", Some(1440), "2027-03-28T23:00:00.000Z"), "2027-03-28T01:00:00Z");
    assert_eq!(earliest("Atlantic/Azores", Some(1440), "2026-10-26T00:30:00.000Z"), "2026-10-25T00:00:00Z");
    assert_eq!(earliest("Europe/Berlin", Some(120), "2026-10-25T02:30:00.000Z"), "2026-10-25T00:00:00Z");
    // St John's went back from 00:01 to 23:01: the date had begun.
    assert_eq!(earliest("America/St_Johns", Some(1440), "2009-11-01T03:00:00.000Z"), "2009-11-01T02:30:00Z");
    assert_eq!(earliest("UTC", Some(1440), "1970-01-01T00:00:30.000Z"), "1970-01-01T00:00:00Z");
}

#[test]
fn free_time_is_cut_to_what_stays_can_hold() {
    let now: Timestamp = "2026-06-01T00:00:00.000Z".parse().unwrap();
    let part = |room: RoomSettings, from: &str, to: &str| {
        room.bookable_part(stay(from, to), now).map(|part| (part.from.to_string(), part.to.to_string()))
    };
    let hours = || RoomSettings { slot_minutes: Some(60), min_minutes: Some(120), ..room_in("UTC") };
    let (from, to) = ("2026-06-01T08:20:00Z", "2026-06-01T12:40:00Z");
    let whole = ("2026-06-01T09:00:00Z".to_owned(), "2026-06-01T12:00:00Z".to_owned());
    assert_eq!(part(hours(), from, to), Some(whole));
    assert_eq!(part(hours(), from, "2026-06-01T10:59:00Z"), None);
    assert_eq!(part(hours(), "2026-06-01T08:20:00Z", "2026-06-01T08:40:00Z"), None);
    let near = || RoomSettings { max_days_ahead: Some(1), ..room_in("UTC") };
    assert!(part(near(), "2026-06-02T23:59:00Z", "2026-06-09T00:00:00Z").is_some());
    assert_eq!(part(near(), "2026-06-03T00:00:00Z", "2026-06-09T00:00:00Z"), None);
}

#[test]
fn days_ahead_are_local_dates_also_where_one_was_left_out() {
    let room = RoomSettings { max_days_ahead: Some(1), ..room_in("Pacific/Apia") };
    let thursday: Timestamp = "2011-12-30T09:00:00.000Z".parse().unwrap();
    let at = |from: &str| room.check_days_ahead(from.parse().unwrap(), thursday);
    assert_eq!(at("2011-12-30T09:59:00Z"), Ok(()));
    // An hour later it is Saturday, two dates ahead.
    assert_eq!(at("2011-12-30T10:00:00Z"), Err(BrokenRule::DaysAhead { days: 1 }));
    let none = RoomSettings { max_days_ahead: Some(0), ..room_in("Asia/Kathmandu") };
    let before_midnight: Timestamp = "2026-01-01T18:14:59.999Z".parse().unwrap();
    assert_eq!(none.check_days_ahead("2026-01-01T18:14:00Z".parse().unwrap(), before_midnight), Ok(()));
    let after = none.check_days_ahead("2026-01-01T18:15:00Z".parse().unwrap(), before_midnight);
    assert_eq!(after, Err(BrokenRule::DaysAhead { days: 0 }));
}

#[test]
fn the_room_takes_as_many_people_as_it_has_places() {
    let room = room_in("UTC");
    assert_eq!(room.check_people(4), Ok(()));
    assert_eq!(room.check_people(5), Err(BrokenRule::Capacity { limit: 4 }));
}

//! The database of time zones.

use std::path::Path;

use chrono::{DateTime, Utc};
use shared_events::{
    Interval, Offsets, OpeningHours, OpeningSpan, RoomSettings, TimeZone,
    room_rules::BrokenRule,
    time_zone::{Database, NotChosen, Source, Tz, UtcOffset},
};

fn shown(zone: &str, time: &str) -> String {
    let (zone, time): (Tz, DateTime<Utc>) = (zone.parse().unwrap(), time.parse().unwrap());
    time.with_timezone(&zone).to_rfc3339()
}

#[test]
fn rules_of_2026_are_known() {
    // Vancouver stays at UTC-7 and Edmonton at UTC-6, in winter too. Morocco is at UTC.
    assert_eq!(shown("America/Vancouver", "2026-12-08T15:00:00Z"), "2026-12-08T08:00:00-07:00");
    assert_eq!(shown("America/Vancouver", "2027-07-08T15:00:00Z"), "2027-07-08T08:00:00-07:00");
    assert_eq!(shown("America/Edmonton", "2026-12-08T14:00:00Z"), "2026-12-08T08:00:00-06:00");
    assert_eq!(shown("Africa/Casablanca", "2026-12-08T08:00:00Z"), "2026-12-08T08:00:00+00:00");
    assert_eq!(shown("Africa/Casablanca", "2027-07-08T08:00:00Z"), "2027-07-08T08:00:00+00:00");
    assert_eq!(shown("Europe/Lisbon", "2027-07-08T08:00:00Z"), "2027-07-08T09:00:00+01:00");
    let database = Database::get();
    assert_eq!((database.version(), database.source()), ("2026f", Source::Compiled));
}

#[test]
fn opening_hours_follow_rules_of_2026() {
    for (zone, offset) in
        [("America/Vancouver", "-07:00"), ("America/Edmonton", "-06:00"), ("Africa/Casablanca", "+00:00")]
    {
        let room = RoomSettings {
            name: "Blue".into(),
            kind: "meeting".into(),
            capacity: 4,
            time_zone: zone.parse().unwrap(),
            opening_hours: Some(OpeningHours {
                tuesday: OpeningSpan::new(8 * 60, 18 * 60).unwrap().into(),
                ..OpeningHours::default()
            }),
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
        };
        let at = |hour: u32| format!("2026-12-08T{hour:02}:00:00{offset}").parse().unwrap();
        let check = |from, to| room.check_stay(Interval { from: at(from), to: at(to) });
        assert_eq!(check(8, 9), Ok(()), "{zone}");
        assert_eq!(check(17, 18), Ok(()), "{zone}");
        assert_eq!(check(18, 19), Err(BrokenRule::OpeningHours), "{zone}");
        assert_eq!(check(7, 8), Err(BrokenRule::OpeningHours), "{zone}");
    }
}

#[test]
fn every_zone_of_old_events_is_known_by_its_name() {
    for old in chrono_tz::TZ_VARIANTS {
        let zone: TimeZone = old.name().parse().unwrap_or_else(|error| panic!("{old}: {error}"));
        assert_eq!(zone.to_string(), old.name());
    }
    assert!("europe/lisbon".parse::<TimeZone>().is_err());
    assert!("../../etc/passwd".parse::<TimeZone>().is_err());
    assert!("".parse::<TimeZone>().is_err());
}

#[test]
fn clocks_of_the_past_are_those_of_the_former_database() {
    // Every nine days from 1970 to 2024, each at another time of day.
    let times: Vec<_> = (0..2_200).map(|n: i64| DateTime::from_timestamp(n * 777_660, 0).unwrap()).collect();
    for old in chrono_tz::TZ_VARIANTS {
        let zone: Tz = old.name().parse().unwrap();
        let differs = times
            .iter()
            .filter(|time| time.with_timezone(&old).naive_local() != time.with_timezone(&zone).naive_local());
        // Later releases correct the past: Tijuana until 1976.
        assert!(differs.count() <= 150, "{old}");
    }
}

#[test]
fn offsets_tell_what_clocks_show_at_both_ends() {
    for (zone, from, to, offsets, shown) in [
        // Clocks go back in between.
        (
            "Europe/Lisbon",
            "2026-10-24T22:30:00Z",
            "2026-10-25T03:00:00Z",
            r#"{"from":"+01:00","to":"+00:00"}"#,
            ["2026-10-24T23:30:00", "2026-10-25T03:00:00"],
        ),
        (
            "Asia/Kathmandu",
            "2026-07-01T09:00:00Z",
            "2026-07-01T10:00:00Z",
            r#"{"from":"+05:45","to":"+05:45"}"#,
            ["2026-07-01T14:45:00", "2026-07-01T15:45:00"],
        ),
        (
            "Africa/Monrovia",
            "1971-07-01T09:00:00Z",
            "1973-07-01T10:00:00Z",
            r#"{"from":"-00:44:30","to":"+00:00"}"#,
            ["1971-07-01T08:15:30", "1973-07-01T10:00:00"],
        ),
    ] {
        let stay = Interval { from: from.parse().unwrap(), to: to.parse().unwrap() };
        let found = Offsets::of(stay, zone.parse().unwrap());
        assert_eq!(serde_json::to_string(&found).unwrap(), offsets);
        assert_eq!(serde_json::from_str::<Offsets>(offsets).unwrap(), found);
        let local = [found.from.local(stay.from.to_utc()), found.to.local(stay.to.to_utc())];
        assert_eq!(local.map(|local| local.format("%Y-%m-%dT%H:%M:%S").to_string()), shown);
    }
}

#[test]
fn a_text_that_is_no_offset_is_refused() {
    for text in
        ["", "+", "01:00", "+1:00", "+01:60", "+24:00", "+01", "+01:00:60", "+01:00:00:00", "Z", "+0a:00"]
    {
        assert!(text.parse::<UtcOffset>().is_err(), "{text}");
    }
}

#[test]
fn the_database_is_chosen_once_and_before_any_zone() {
    let _ = Database::get();
    let system = Path::new("/usr/share/zoneinfo");
    if system.join("tzdata.zi").exists() {
        assert!(matches!(Database::use_system(system), Err(NotChosen::TooLate)));
    }
    let nowhere = Database::use_system(Path::new("/nowhere"));
    assert!(matches!(nowhere, Err(NotChosen::Unreadable(_))));
}

use super::*;

#[path = "../../../../shared-events/tests/it/clock_changes.rs"]
mod clock_changes;

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

/// The occurrences of an hour from a time in UTC, as dates and times of the zone.
fn expand(rule: &str, from: &str, minutes: i64, zone_name: &str) -> Result<Vec<String>, InvalidRecurrence> {
    let from: Minute = from.parse().unwrap();
    let first = Interval { from, to: from.plus(minutes).unwrap() };
    let local =
        |minute: Minute| minute.to_utc().with_timezone(&zone(zone_name)).format("%F %R%:z").to_string();
    let found = rule.parse::<Recurrence>()?.occurrences(first, zone(zone_name), &BTreeSet::new())?;
    Ok(found.into_iter().map(|found| format!("{}/{}", local(found.from), found.minutes())).collect())
}

fn dates(rule: &str, from: &str) -> Vec<String> {
    let found = expand(rule, &format!("{from}T10:00:00Z"), 60, "UTC").unwrap();
    found.iter().map(|found| found[..10].to_owned()).collect()
}

#[test]
fn days_weeks_and_months_repeat_as_the_rfc_says() {
    assert_eq!(dates("FREQ=DAILY;COUNT=3", "2026-02-27"), ["2026-02-27", "2026-02-28", "2026-03-01"]);
    assert_eq!(
        dates("FREQ=DAILY;INTERVAL=10;COUNT=3", "2026-01-01"),
        ["2026-01-01", "2026-01-11", "2026-01-21"]
    );
    assert_eq!(dates("FREQ=WEEKLY;COUNT=2", "2026-06-03"), ["2026-06-03", "2026-06-10"]);
    // Weeks begin on Monday: the Tuesday before the first occurrence is in no week of the series.
    let every_other = dates("freq=weekly;interval=2;byday=tu,th;until=20260630", "2026-06-04");
    assert_eq!(every_other, ["2026-06-04", "2026-06-16", "2026-06-18", "2026-06-30"]);
    assert_eq!(dates("FREQ=MONTHLY;COUNT=3", "2026-01-31"), ["2026-01-31", "2026-03-31", "2026-05-31"]);
    assert_eq!(
        dates("FREQ=MONTHLY;BYMONTHDAY=1,-1;COUNT=4", "2026-01-31"),
        ["2026-01-31", "2026-02-01", "2026-02-28", "2026-03-01"]
    );
    assert_eq!(
        dates("FREQ=MONTHLY;BYDAY=-1FR,1MO;COUNT=4", "2026-06-01"),
        ["2026-06-01", "2026-06-26", "2026-07-06", "2026-07-31"]
    );
    // Months without a fifth Friday have none.
    assert_eq!(dates("FREQ=MONTHLY;BYDAY=5FR;COUNT=2", "2026-01-30"), ["2026-01-30", "2026-05-29"]);
    assert_eq!(dates("FREQ=MONTHLY;BYDAY=WE;COUNT=5", "2026-06-03")[4], "2026-07-01");
    assert_eq!(dates("FREQ=MONTHLY;INTERVAL=12;COUNT=2", "2028-02-29"), ["2028-02-29", "2032-02-29"]);
    assert_eq!(dates("FREQ=DAILY;UNTIL=20260103T095959Z", "2026-01-01").len(), 2);
    assert_eq!(dates("FREQ=DAILY;UNTIL=20260103T100000Z", "2026-01-01").len(), 3);
    assert_eq!(dates("FREQ=DAILY;COUNT=400", "2026-01-01").len(), 400);
    assert_eq!(dates("FREQ=DAILY;UNTIL=20270204", "2026-01-01").len(), 400);
    assert_eq!(dates("FREQ=DAILY;COUNT=9", "9999-12-30").len(), 2, "the calendar ends");
}

#[test]
fn a_rule_that_cannot_be_used_says_why() {
    let part = |rule: &str, part: &str| {
        let part = part.to_owned();
        assert_eq!(rule.parse::<Recurrence>(), Err(InvalidRecurrence::Part { part }), "{rule}");
    };
    part("FREQ=YEARLY;COUNT=2", "FREQ=YEARLY");
    part("FREQ=DAILY;COUNT=2;BYHOUR=3", "BYHOUR=3");
    part("FREQ=DAILY;COUNT=2;COUNT=3", "COUNT=3");
    part("FREQ=DAILY;COUNT=0", "COUNT=0");
    part("FREQ=DAILY;COUNT=x", "COUNT=X");
    part("FREQ=DAILY;INTERVAL=1001;COUNT=2", "INTERVAL=1001");
    part("FREQ=DAILY;BYDAY=MO;COUNT=2", "BYDAY=MO");
    part("FREQ=WEEKLY;BYDAY=1MO;COUNT=2", "BYDAY=1MO");
    part("FREQ=WEEKLY;BYMONTHDAY=1;COUNT=2", "BYMONTHDAY=1");
    part("FREQ=MONTHLY;BYDAY=6MO;COUNT=2", "BYDAY=6MO");
    part("FREQ=MONTHLY;BYDAY=MO;BYMONTHDAY=3;COUNT=2", "BYDAY=MO");
    part("FREQ=MONTHLY;BYMONTHDAY=32;COUNT=2", "BYMONTHDAY=32");
    part("FREQ=MONTHLY;BYMONTHDAY=;COUNT=2", "BYMONTHDAY=");
    part("FREQ=MONTHLY;BYDAY=é;COUNT=2", "BYDAY=é");
    part("FREQ=DAILY;UNTIL=2026-01-01", "UNTIL=2026-01-01");
    part("FREQ=DAILY;UNTIL=20260101T100000", "UNTIL=20260101T100000");
    part("", "");
    let invalid = |rule: &str| expand(rule, "2026-06-03T10:00:00Z", 60, "UTC").unwrap_err();
    assert_eq!(invalid("COUNT=2"), InvalidRecurrence::NoFrequency);
    assert_eq!(invalid("FREQ=DAILY"), InvalidRecurrence::End);
    assert_eq!(invalid("FREQ=DAILY;COUNT=2;UNTIL=20270101"), InvalidRecurrence::End);
    assert_eq!(invalid("FREQ=DAILY;COUNT=401"), InvalidRecurrence::TooMany);
    assert_eq!(invalid("FREQ=DAILY;UNTIL=20991231"), InvalidRecurrence::TooMany);
    assert_eq!(invalid("FREQ=WEEKLY;BYDAY=TU;COUNT=2"), InvalidRecurrence::NotTheFirst);
    assert_eq!(invalid("FREQ=DAILY;UNTIL=20260602"), InvalidRecurrence::NotTheFirst);
    let long = expand("FREQ=DAILY;COUNT=2", "2026-06-03T10:00:00Z", 25 * 60, "UTC").unwrap_err();
    assert_eq!(long, InvalidRecurrence::Overlapping { date: "2026-06-04".parse().unwrap() });
}

#[test]
fn exceptions_count_and_do_not_take_place() {
    let first = Interval {
        from: "2026-06-03T10:00:00Z".parse().unwrap(),
        to: "2026-06-03T11:00:00Z".parse().unwrap(),
    };
    let rule: Recurrence = "FREQ=DAILY;COUNT=3".parse().unwrap();
    let but = |dates: &[&str]| {
        let exceptions = dates.iter().map(|date| date.parse().unwrap()).collect();
        rule.occurrences(first, zone("UTC"), &exceptions).map(|found| found.len())
    };
    assert_eq!(but(&["2026-06-04", "2026-12-25"]), Ok(2));
    assert_eq!(but(&["2026-06-03"]), Ok(2));
    assert_eq!(but(&["2026-06-03", "2026-06-04", "2026-06-05"]), Err(InvalidRecurrence::Nothing));
}

/// The nights of a change of clocks, and what becomes of a stay at this local time in each.
#[test]
fn times_follow_the_clocks_of_the_room_where_they_change() {
    // (zone, first occurrence in UTC, minutes, the occurrence of the night of the change)
    let cases = [
        // 00:00 is skipped on 2027-03-28: the day begins at 01:00.
        ("Atlantic/Azores", "2027-03-27T01:00:00Z", 120, "2027-03-28 01:00+00:00/60"),
        // 00:00 to 01:00 is skipped on 2027-04-30.
        ("Africa/Cairo", "2027-04-28T22:00:00Z", 120, "2027-04-30 01:00+03:00/60"),
        ("Asia/Beirut", "2027-03-26T22:00:00Z", 120, "2027-03-28 01:00+03:00/60"),
        // Clocks go back at midnight on 2027-04-04: the stay from 22:00 to 23:30 ends before the repeated 23:00 hour's end.
        ("America/Santiago", "2027-04-03T01:00:00Z", 90, "2027-04-03 22:00-03:00/90"),
        ("America/Havana", "2024-03-09T05:00:00Z", 120, "2024-03-10 01:00-04:00/60"),
        // Half an hour is skipped: 02:00 to 02:30.
        ("Australia/Lord_Howe", "2026-10-02T15:30:00Z", 60, "2026-10-04 02:30+11:00/30"),
        // The date 2011-12-30 was skipped.
        ("Pacific/Apia", "2011-12-29T20:00:00Z", 60, "2011-12-31 10:00+14:00/60"),
        ("Asia/Kathmandu", "2026-03-27T20:15:00Z", 60, "2026-03-29 02:00+05:45/60"),
        ("Africa/Casablanca", "2024-03-09T01:00:00Z", 120, "2024-03-10 02:00+01:00/180"),
        // No more changes: UTC-7 for ever.
        ("America/Vancouver", "2026-10-31T09:00:00Z", 60, "2026-11-01 02:00-07:00/60"),
        ("America/St_Johns", "2027-03-13T05:30:00Z", 60, "2027-03-14 03:00-02:30/0"),
        ("Europe/Lisbon", "2026-10-24T00:30:00Z", 60, "2026-10-25 01:30+01:00/120"),
    ];
    let mut wrong = Vec::new();
    for (zone, from, minutes, expected) in cases {
        let found = expand("FREQ=DAILY;COUNT=3", from, minutes, zone).unwrap();
        // Without it, clocks skip all of it.
        let night = found.iter().find(|found| found.starts_with(&expected[..10]));
        if night.map_or(!expected.ends_with("/0"), |night| night != expected) {
            wrong.push((zone, expected, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_occurrence_of_which_clocks_skip_all_does_not_take_place_and_counts() {
    let skipped = expand("FREQ=DAILY;COUNT=3", "2026-03-28T01:00:00Z", 60, "Europe/Berlin").unwrap();
    assert_eq!(skipped, ["2026-03-28 02:00+01:00/60", "2026-03-30 02:00+02:00/60"]);
    // Halves of it are as long as clocks show them.
    let half = expand("FREQ=DAILY;COUNT=2", "2026-03-28T00:30:00Z", 60, "Europe/Berlin").unwrap();
    assert_eq!(half[1], "2026-03-29 01:30+01:00/30");
    let late = expand("FREQ=DAILY;COUNT=2", "2026-03-28T01:30:00Z", 60, "Europe/Berlin").unwrap();
    assert_eq!(late[1], "2026-03-29 03:00+02:00/30");
}

#[test]
fn a_time_that_clocks_show_twice_is_the_earlier_one() {
    let within = expand("FREQ=DAILY;COUNT=2", "2026-10-24T00:15:00Z", 30, "Europe/Berlin").unwrap();
    assert_eq!(within[1], "2026-10-25 02:15+02:00/30");
    let across = expand("FREQ=DAILY;COUNT=2", "2026-10-24T00:15:00Z", 60, "Europe/Berlin").unwrap();
    assert_eq!(across[1], "2026-10-25 02:15+02:00/120", "to 03:15, which comes once");
    // The first one is as it was asked for.
    let later = expand("FREQ=DAILY;COUNT=2", "2026-10-25T01:15:00Z", 30, "Europe/Berlin").unwrap();
    assert_eq!(later, ["2026-10-25 02:15+01:00/30", "2026-10-26 02:15+01:00/30"]);
}

mod properties {
    use proptest::{prelude::*, sample::select};
    use shared_events::time_zone::Database;

    use super::{
        clock_changes::{CHANGES, DAY},
        *,
    };

    fn shown(minute: i64, zone: Tz) -> NaiveDateTime {
        let time = DateTime::from_timestamp(minute * 60, 0).unwrap();
        time.with_timezone(&zone).naive_local()
    }

    /// The first minute at which clocks show a time, looked for minute by minute; where they skip it, the first one after.
    fn looked_for(time: NaiveDateTime, zone: Tz) -> i64 {
        let about = time.and_utc().timestamp() / 60;
        let minutes = about - 15 * 60..about + 15 * 60;
        let is_first_after = |minute: &i64| shown(*minute, zone) > time && shown(*minute - 1, zone) < time;
        let same = minutes.clone().find(|minute| shown(*minute, zone) == time);
        same.or_else(|| minutes.clone().find(is_first_after)).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_occurrence_is_from_when_clocks_first_show_its_begin_to_when_they_first_show_its_end(
            (zone_name, change) in select(CHANGES.as_slice()),
            before in 0..3 * DAY,
            minutes in prop_oneof![1_i64..200, 200_i64..DAY],
        ) {
            let zone = zone(zone_name);
            let change: Minute = change.parse().unwrap();
            let first = Interval { from: change.plus(-before).unwrap(), to: change.plus(minutes - before).unwrap() };
            let rule: Recurrence = "FREQ=DAILY;COUNT=5".parse().unwrap();
            let [from, to] = [first.from, first.to].map(|minute| shown(minute.epoch_minutes(), zone));
            let mut expected = vec![(first.from.epoch_minutes(), first.to.epoch_minutes())];
            for day in 1..5 {
                let [from, to] = [from, to].map(|time| looked_for(time + TimeDelta::days(day), zone));
                // Clocks skip all of it.
                if from < to {
                    expected.push((from, to));
                }
            }
            let overlap = expected.windows(2).any(|pair| pair[1].0 < pair[0].1);
            match rule.occurrences(first, zone, &BTreeSet::new()) {
                Ok(found) => {
                    let minutes = |found: &Interval| (found.from.epoch_minutes(), found.to.epoch_minutes());
                    prop_assert_eq!(found.iter().map(minutes).collect::<Vec<_>>(), expected);
                }
                Err(error) => prop_assert!(
                    overlap && matches!(error, InvalidRecurrence::Overlapping { .. }),
                    "{} of {:?}", error, expected
                ),
            }
        }
        #[test]
        fn occurrences_that_do_not_overlap_by_the_clock_never_overlap(
            zone in proptest::sample::select(Database::get().zones().collect::<Vec<_>>()),
            start in 0_i64..4_000_000,
            minutes in 1_i64..720,
            interval in 1_u32..5,
        ) {
            let from = Minute::from_epoch_minutes(10_000_000 + start * 7).unwrap();
            let first = Interval { from, to: from.plus(minutes).unwrap() };
            let rule = Recurrence { frequency: Frequency::Daily, interval, end: End::Count(400) };
            let none = BTreeSet::new();
            let Ok(found) = rule.occurrences(first, zone, &none) else { return Ok(()) };
            prop_assert!(found.windows(2).all(|pair| pair[0].to <= pair[1].from));
            prop_assert!(found.iter().all(|found| found.from < found.to));
        }
    }
}

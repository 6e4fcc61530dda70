//! Busiest times around changes of clocks, held against what a clock shows in each minute.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use proptest::{prelude::*, sample::select};
use query_service::queries::{BusiestTimes, BusyHour, By, Day, Measure};
use shared_events::{
    DecodedEvent, Event, Interval, Minute, Reservation, TimeZone, reservation_events::ReservationMade,
    time_zone::Tz,
};

use crate::{
    clock_changes::{CHANGES, DAY},
    conformance::in_memory,
    events::Stream,
};

fn minute(minute: i64) -> Minute {
    Minute::from_epoch_minutes(minute).unwrap()
}

fn shown(minute: i64, zone: Tz) -> NaiveDateTime {
    DateTime::from_timestamp(minute * 60, 0).unwrap().with_timezone(&zone).naive_local()
}

/// A room's stream with stays one after the other, from a minute on: each a pause and a length, some cancelled. Returns what is
/// left too.
fn room(zone: TimeZone, mut from: i64, stays: &[(i64, i64, bool)]) -> (Vec<DecodedEvent>, Vec<Reservation>) {
    let mut stream = Stream::new("Odd");
    stream.settings.time_zone = zone;
    stream.change("Odd");
    let mut live = Vec::new();
    for (number, (pause, length, is_cancelled)) in (1..).zip(stays) {
        let (begin, end) = (from + pause, from + pause + length);
        let mut reservation = stream.reserve("ann", 0, 1);
        stream.events.pop();
        (reservation.from, reservation.to, reservation.people) = (minute(begin), minute(end), number);
        let made: Event = ReservationMade { reservation: reservation.clone() }.into();
        stream.push("ann", made);
        if *is_cancelled {
            stream.cancel(&reservation);
        } else {
            live.push(reservation);
            from = end;
        }
    }
    (stream.events.into_iter().map(|event| event.decode().unwrap()).collect(), live)
}

/// The rows, counted from the dates and hours that the clock shows in each minute.
fn recount(live: &[Reservation], during: Interval, zone: Tz, query: &BusiestTimes) -> Vec<BusyHour> {
    let row = |minute: i64| {
        let shown = shown(minute, zone);
        let weekday = u8::try_from(shown.weekday().number_from_monday()).unwrap();
        let day = if query.by == By::Date { Day::Date(shown.date()) } else { Day::Weekday(weekday) };
        (day, u8::try_from(shown.hour()).unwrap())
    };
    let mut rows: BTreeMap<(Day, u8), u64> = BTreeMap::new();
    if query.by == By::Weekday {
        rows.extend((1..8).flat_map(|day| (0..24).map(move |hour| ((Day::Weekday(day), hour), 0))));
    }
    for Reservation { from, to, people, .. } in live {
        let mut hours = BTreeSet::new();
        for at in from.max(&during.from).epoch_minutes()..to.min(&during.to).epoch_minutes() {
            let hour = (shown(at, zone).date(), shown(at, zone).hour());
            *rows.entry(row(at)).or_default() += match query.measure {
                Measure::Minutes => 1,
                Measure::Reservations => u64::from(hours.insert(hour)),
                Measure::People => u64::from(*people) * u64::from(hours.insert(hour)),
            };
        }
    }
    rows.into_iter().map(|((day, hour), count)| BusyHour { day, hour, count }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_minute_counts_at_the_date_or_weekday_and_the_hour_that_the_clock_shows(
        (zone, change) in select(CHANGES.as_slice()),
        before in 0..2 * DAY,
        stays in proptest::collection::vec((0..300_i64, 1..DAY, proptest::bool::weighted(0.2)), 1..5),
        (start, length) in (-3 * DAY..DAY, 1..5 * DAY),
        grain in select(vec![1, 15, 60_i64]),
    ) {
        let change = change.parse::<Minute>().unwrap().epoch_minutes();
        let zone: TimeZone = zone.parse().unwrap();
        let (events, live) = room(zone, change - before, &stays);
        let from = change + start / grain * grain;
        let during = Interval { from: minute(from), to: minute(from + (length / grain).max(1) * grain) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let models = runtime.block_on(in_memory(&events));
        for by in [By::Date, By::Weekday] {
            for measure in [Measure::Minutes, Measure::Reservations, Measure::People] {
                let query = BusiestTimes { during, kind: None, by, measure };
                let found = runtime.block_on(query.run(&models)).unwrap();
                let expected = recount(&live, during, zone.0, &query);
                prop_assert_eq!(found, expected, "{:?} of {:?}", &query, &live);
            }
        }
    }
}

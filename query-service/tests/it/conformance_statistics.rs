//! Statistics compared with a recount minute by minute, around changes of clocks and calendars.

use proptest::prelude::*;
use query_service::queries::{BusiestTimes, By, Day, Measure, PageRequest, PopularRooms};
use shared_events::{Interval, Minute};

use crate::{
    conformance::{check_statistics, in_memory, interval, intervals},
    conformance_histories::history,
    conformance_steps::{ANCHORS, Step, ZONES, fixed_steps, steps},
};

fn made(room: u8, start: u16, length: u16, anchor: u8) -> Step {
    Step { action: 0, room, other: 4, anchor, start, length, user: 0 }
}

#[tokio::test]
async fn stays_over_changed_clocks_and_new_year_count_at_the_hours_that_clocks_show() {
    let steps: Vec<Step> = (0..5)
        .flat_map(|room| (0..6).map(move |anchor| made(room, u16::from(anchor) * 37, 3 * 1440 + 91, anchor)))
        .collect();
    let history = history(&steps);
    let models = in_memory(&history.events).await;
    check_statistics(&models, &history, &intervals()).await;
    let mut whole_days = Vec::new();
    for zone in ZONES {
        let zone = zone.parse::<shared_events::TimeZone>().unwrap().0;
        for (from, to) in
            [("2026-03-28", "2026-03-30"), ("2026-12-30", "2027-01-02"), ("2026-10-24", "2026-10-26")]
        {
            let midnight = |date: &str| {
                let local = date.parse::<chrono::NaiveDate>().unwrap().and_hms_opt(0, 0, 0).unwrap();
                Minute::from_utc(local.and_local_timezone(zone).unwrap().to_utc()).unwrap()
            };
            whole_days.push(Interval { from: midnight(from), to: midnight(to) });
        }
    }
    check_statistics(&models, &history, &whole_days).await;
}

fn by_weekday(during: Interval) -> BusiestTimes {
    BusiestTimes { during, kind: None, by: By::Weekday, measure: Measure::Minutes }
}

#[tokio::test]
async fn the_hour_that_clocks_show_twice_adds_up() {
    // Lisbon goes back from 02:00 to 01:00 on 25 October 2026, a Sunday.
    let history = history(&[made(0, 1440, 240, 3)]);
    let models = in_memory(&history.events).await;
    let during = interval("2026-10-24T23:00:00Z", 25 * 60);
    let busy = by_weekday(during).run(&models).await.unwrap();
    let of = |hour: u8| busy.iter().find(|row| (row.day, row.hour) == (Day::Weekday(7), hour)).unwrap().count;
    assert_eq!([of(0), of(1), of(2), of(3)], [0, 120, 60, 60]);
}

#[tokio::test]
async fn every_stay_around_clocks_that_go_back_counts_in_every_interval_around_them() {
    // Lisbon goes back by an hour at 01:00, Lord Howe by half an hour at 15:00, St John's over the end of a month at 02:31.
    for (room, anchor, back) in [(0, 3, 1440 + 60), (2, 1, 15 * 60), (3, 6, 6 * 60 + 31)] {
        let edges = [-61, -60, -31, -1, 0, 1, 29, 60, 119, 1500];
        let pairs = |first: usize| edges[first + 1..].iter().map(move |last| (edges[first], *last));
        let pairs: Vec<(i64, i64)> = (0..edges.len()).flat_map(pairs).collect();
        let change = interval(ANCHORS[anchor], 0).from.plus(back).unwrap();
        let intervals: Vec<Interval> = pairs
            .iter()
            .map(|(from, to)| [from, to].map(|edge| change.plus(*edge).unwrap()))
            .map(|[from, to]| Interval { from, to })
            .collect();
        for (from, to) in &pairs {
            let start = u16::try_from(back + from).unwrap();
            let length = u16::try_from(to - from).unwrap();
            let history = history(&[made(room, start, length, u8::try_from(anchor).unwrap())]);
            assert_eq!(history.live.len(), 1);
            let models = in_memory(&history.events).await;
            check_statistics(&models, &history, &intervals).await;
        }
    }
}

#[tokio::test]
async fn a_stay_counts_as_one_reservation_wherever_the_interval_cuts_it() {
    let history = history(&[made(0, 0, 2 * 1440, 5)]);
    let models = in_memory(&history.events).await;
    for (from, length, minutes) in [
        ("2026-06-10T12:00:00Z", 5 * 1440, 2160),
        ("2026-06-01T00:00:00Z", 20 * 1440, 2880),
        ("2026-06-11T00:00:00Z", 60, 60),
        ("2026-06-10T23:00:00Z", 1440, 1440),
        ("2026-06-11T23:59:00Z", 7000, 1),
    ] {
        let query = PopularRooms { during: interval(from, length), kind: None };
        let rooms = query.run(&models, &PageRequest::first(5)).await.unwrap().items;
        let counts: Vec<_> =
            rooms.iter().map(|room| (room.reserved.minutes, room.reserved.reservations)).collect();
        assert_eq!(counts, vec![(minutes, 1)], "{from}");
    }
}

#[tokio::test]
async fn a_change_of_zone_between_made_and_cancelled_leaves_nothing_behind() {
    let step =
        |action, other, user| Step { action, room: 0, other, anchor: 4, start: 30, length: 1900, user };
    // Made in one zone, and cancelled after the room's zone changed.
    let history = history(&[step(0, 4, 0), step(18, 2, 0), step(16, 0, 0)]);
    assert!(history.live.is_empty() && history.events.len() == 8);
    let models = in_memory(&history.events).await;
    check_statistics(&models, &history, &intervals()).await;
    let during = interval("2026-01-01T00:00:00Z", 366 * 1440 + 1440);
    let busy = by_weekday(during).run(&models).await.unwrap();
    assert_eq!(busy.iter().map(|row| row.count).sum::<u64>(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn statistics_of_any_interval_are_those_of_a_recount(
        steps in steps(0..60),
        seed in any::<u64>(),
        anchor in 0..7_usize,
        start in 0..4000_i64,
        length in 1..9000_i64,
        grain in prop_oneof![Just(1_i64), Just(15), Just(60)],
    ) {
        let history = history(&steps);
        let anchor = interval(ANCHORS[anchor], 0).from;
        let from = anchor.plus((start - 1000) / grain * grain).unwrap();
        let during = Interval { from, to: from.plus((length / grain).max(1) * grain).unwrap() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let models = in_memory(&history.mixed(seed)).await;
            check_statistics(&models, &history, &[during]).await;
        });
    }
}

/// Stays in open rooms, then closures and lifted ones, around one change of clocks.
fn closing_steps() -> impl Strategy<Value = Vec<Step>> {
    let closing = (0..7_u8, proptest::collection::vec((19..22_u8, steps(1)), 5..40));
    closing.prop_map(|(anchor, closing)| {
        let stays = (0..5).map(|room| made(room, 1500, 2000, anchor));
        let closing = closing.into_iter().map(|(action, step)| Step {
            action: action + 1,
            anchor,
            start: step[0].start / 2 + 500,
            ..step[0]
        });
        stays.chain(closing).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn open_time_is_without_the_time_that_closures_closed(
        steps in closing_steps(),
        seed in any::<u64>(),
        start in 0..3000_i64,
        length in 500..6000_i64,
    ) {
        let history = history(&steps);
        let from = interval(ANCHORS[usize::from(steps[0].anchor)], 0).from.plus(start).unwrap();
        let during = Interval { from, to: from.plus(length).unwrap() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let models = in_memory(&history.mixed(seed)).await;
            let query = PopularRooms { during, kind: None };
            let rooms = query.run(&models, &PageRequest::first(9)).await.unwrap().items;
            assert_eq!(rooms, history.popular_rooms(during, None), "{during:?}");
        });
    }
}

#[tokio::test]
async fn stays_in_a_closure_that_was_added_after_them_count_and_a_closed_room_has_no_open_time() {
    let step = |action, start, length| Step { action, room: 4, other: 4, anchor: 5, start, length, user: 0 };
    // Ten hours from two on, of which the last five are closed, and the hour after them.
    let history = history(&[step(0, 120, 600), step(20, 420, 360), step(20, 500, 100)]);
    let models = in_memory(&history.events).await;
    let of = async |from: &str, minutes| {
        let query = PopularRooms { during: interval(from, minutes), kind: None };
        let room = query.run(&models, &PageRequest::first(1)).await.unwrap().items.remove(0);
        (room.reserved.minutes, room.open_minutes)
    };
    assert_eq!(of("2026-06-10T00:00:00Z", 1440).await, (600, 1440 - 360));
    assert_eq!(of("2026-06-10T06:00:00Z", 420).await, (360, 60));
    assert_eq!(of("2026-06-10T08:00:00Z", 60).await, (60, 0));
}

#[tokio::test]
async fn a_long_history_counts_right() {
    let history = history(&fixed_steps(1500, 99));
    let models = in_memory(&history.mixed(1)).await;
    check_statistics(&models, &history, &intervals()).await;
}

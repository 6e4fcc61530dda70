//! A series in the past: each of its changes is seen whole or not at all, and no version of the room overlaps.

use query_service::{
    queries::{PageRequest, PastReservation, PastSchedule, Revisions},
    read_models::{AsOf, Status},
    stores::{Queries, memory::MemoryReadModels},
};
use shared_events::{
    DecodedEvent, Interval, Reservation, SeriesId, Timestamp,
    reservation_events::{ReservationCancelled, ReservationMade, ReservationRescheduled},
};

use crate::{
    conformance::{feed, interval},
    events::{Stream, decoded},
    mongo_database::TestDatabase,
};

const DAY: i64 = 24 * 60;
/// When the series was made, moved by a day, and cancelled from the third one on.
const COMMITS: [i64; 3] = [1_800_000_100_000, 1_800_000_200_000, 1_800_000_300_000];

/// The room of a series of five days, and its events.
fn history() -> (Stream, Vec<Reservation>, Vec<DecodedEvent>) {
    let mut stream = Stream::new("Blue");
    let registered = stream.events[0].clone().decode().unwrap();
    let series = Some(SeriesId(uuid::Uuid::from_u128(77)));
    let first = stream.reserve("ann", 10, 11);
    let made: Vec<Reservation> = (0..5)
        .map(|day| {
            let mut made = stream.reserve("ann", 10, 11);
            (made.from, made.to) = (first.from.plus(day * DAY).unwrap(), first.to.plus(day * DAY).unwrap());
            Reservation { series, ..made }
        })
        .collect();
    let mut events = vec![registered];
    let mut push = |at: i64, event: shared_events::Event| {
        events.push(decoded(stream.room, events.len() as u64 + 1, at, "ann", event));
    };
    for reservation in &made {
        push(COMMITS[0], ReservationMade { reservation: reservation.clone() }.into());
    }
    // The last one moves first.
    let moved = |before: &Reservation| {
        let (from, to) = (before.from.plus(DAY).unwrap(), before.to.plus(DAY).unwrap());
        Reservation { revision: 2, from, to, ..before.clone() }
    };
    for before in made.iter().rev() {
        let event = ReservationRescheduled { reservation: moved(before), previous: before.place() };
        push(COMMITS[1], event.into());
    }
    for before in made.iter().skip(2) {
        let reservation = Reservation { revision: 3, ..moved(before) };
        push(COMMITS[2], ReservationCancelled { reservation }.into());
    }
    (stream, made, events)
}

#[tokio::test]
async fn a_series_is_shown_as_it_was_before_and_after_each_of_its_changes() {
    let server = TestDatabase::create().await;
    let (stream, made, events) = history();
    let (memory, mongo) = (MemoryReadModels::new(), server.models("g1_").await);
    feed(&memory, &events, 1).await;
    feed(&mongo, &events, 3).await;
    let during = interval("2031-05-01T00:00:00Z", 30 * DAY);
    for models in [&memory as &dyn Queries, &mongo] {
        let stays = async |at| {
            let query = PastSchedule { room: stream.room, during, at };
            let past = query.run(models, &PageRequest::first(100)).await.unwrap().unwrap().value;
            assert!(past.page.items.iter().all(|doc| doc.reservation.series == made[0].series));
            past.page.items.iter().map(|doc| doc.reservation.interval()).collect::<Vec<Interval>>()
        };
        let on = |days: &[i64]| {
            let (from, to) = (made[0].from, made[0].to);
            let shifted =
                |day: &i64| Interval { from: from.plus(day * DAY).unwrap(), to: to.plus(day * DAY).unwrap() };
            days.iter().map(shifted).collect::<Vec<_>>()
        };
        let [one, two, three] = COMMITS;
        for (at, days) in [
            (one - 1, &[][..]),
            (one, &[0, 1, 2, 3, 4]),
            (two - 1, &[0, 1, 2, 3, 4]),
            (two, &[1, 2, 3, 4, 5]),
            (three - 1, &[1, 2, 3, 4, 5]),
            (three, &[1, 2]),
            (three + 1, &[1, 2]),
        ] {
            assert_eq!(stays(AsOf::Moment(Timestamp::from_epoch_millis(at))).await, on(days), "{at}");
        }
        // By version, each event alone: no two stays overlap, and each has one place.
        for version in 1..=events.len() as u64 {
            let stays = stays(AsOf::Number(version.into())).await;
            assert!(stays.windows(2).all(|pair| pair[0].to <= pair[1].from), "{version}: {stays:?}");
            let count = if version > 11 { 5 - (version - 11) } else { (version - 1).min(5) };
            assert_eq!(stays.len() as u64, count, "{version}");
        }
        for (at, before) in made.iter().enumerate() {
            let shown = async |at: i64| {
                let at = AsOf::Moment(Timestamp::from_epoch_millis(at));
                let past = PastReservation { reservation: before.id, at }.run(models).await.unwrap();
                past.map(|past| (past.value.reservation.revision, past.value.status))
            };
            assert_eq!(shown(one - 1).await, None);
            assert_eq!(
                (shown(one).await, shown(two).await),
                (Some((1, Status::Live)), Some((2, Status::Live)))
            );
            let last = if at < 2 { (2, Status::Live) } else { (3, Status::Cancelled) };
            assert_eq!(shown(three).await, Some(last));
            let revisions = Revisions { reservation: before.id }.run(models, &PageRequest::first(9)).await;
            assert_eq!(revisions.unwrap().items.len(), last.0 as usize);
        }
    }
}

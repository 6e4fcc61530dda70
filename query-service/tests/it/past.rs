//! Queries about the past give what queries about the present gave then.

use futures_util::{StreamExt as _, stream};
use query_service::{
    progress::Progress,
    queries::{PageRequest, PastReservation, PastRoom, PastSchedule, Revisions, Schedule},
    read_models::{AsOf, HistoryKind, ReservationDoc, RoomDoc, Status},
    stores::{Past, Queries, memory::MemoryReadModels},
};
use shared_events::{Closure, DecodedEvent, Event, Interval, ReservationId, RoomId, Timestamp, Version};

use crate::{
    conformance::{all_pages, feed, in_memory, interval, intervals},
    conformance_histories::{History, history},
    conformance_steps::fixed_steps,
    events::{Stream, decoded},
    mongo_database::TestDatabase,
    store_double::Store,
};

const MOMENTS: usize = 200;

/// The state of one room at a moment.
struct SeenRoom {
    room: RoomId,
    version: Version,
    form: RoomDoc,
    schedules: Vec<(Interval, SeenSchedule)>,
}

/// Live reservations and closures of an interval.
type SeenSchedule = (Vec<ReservationDoc>, Vec<Closure>);

/// What queries showed at a moment.
struct Seen {
    at: Timestamp,
    rooms: Vec<SeenRoom>,
    reservations: Vec<(ReservationId, Option<ReservationDoc>)>,
}

/// Whether a second event of the same command follows, in the reservation's room.
fn is_first_half(event: &DecodedEvent) -> bool {
    event.event.reservation().is_some_and(|reservation| reservation.room != event.room)
}

/// The history of random commands. Many events have equal times; both events of a command have. No event has the time of a
/// moment, and none follows it with the same time.
fn recorded(steps: usize, seed: u64) -> (History, Vec<usize>) {
    let mut history = history(&fixed_steps(steps, seed));
    let count = history.events.len();
    let mut ends: Vec<usize> = (1..=MOMENTS).map(|moment| moment * count / MOMENTS).collect();
    for end in &mut ends {
        // Behind both events of a command.
        if is_first_half(&history.events[*end - 1]) {
            *end += 1;
        }
    }
    let mut now = 1_780_000_000_000;
    let mut is_second_half = false;
    for (at, event) in history.events.iter_mut().enumerate() {
        if ends.contains(&at) {
            now += 2;
        } else if at % 3 == 0 && !is_second_half {
            now += 1;
        }
        event.recorded_at = Timestamp::from_epoch_millis(now);
        is_second_half = is_first_half(event);
    }
    (history, ends)
}

fn year() -> Interval {
    interval("2026-01-01T00:00:00Z", 366 * 1440)
}

fn shown_intervals(seed: usize) -> Vec<Interval> {
    let all = intervals();
    vec![year(), all[seed % all.len()], all[(seed * 7 + 3) % all.len()]]
}

async fn look(models: &dyn Queries, history: &History, applied: &[DecodedEvent], seed: usize) -> Seen {
    let progress = &Progress::default();
    let at = Timestamp::from_epoch_millis(applied.last().unwrap().recorded_at.epoch_millis() + 1);
    let mut seen = Seen { at, rooms: Vec::new(), reservations: Vec::new() };
    for room in history.room_ids() {
        let Some(form) = models.room(room).await.unwrap() else { continue };
        let version = applied.iter().rev().find(|event| event.room == room).unwrap().version;
        let mut schedules = Vec::new();
        for during in shown_intervals(seed) {
            let query = Schedule { room, during };
            let live =
                all_pages(async |page| Ok(query.run(models, progress, &page).await?.unwrap().page)).await;
            let first = query.run(models, progress, &PageRequest::first(1)).await.unwrap().unwrap();
            schedules.push((during, (live, first.closures)));
        }
        seen.rooms.push(SeenRoom { room, version, form, schedules });
    }
    for id in history.all.iter().skip(seed % 5).step_by(5) {
        seen.reservations.push((*id, models.reservation(*id).await.unwrap()));
    }
    seen
}

/// A short schedule in small pages, a long one in one page.
async fn schedule_of(models: &dyn Queries, query: PastSchedule) -> (Vec<ReservationDoc>, Vec<Closure>) {
    if query.during == year() {
        let page = query.run(models, &PageRequest::first(500)).await.unwrap().unwrap().value;
        assert_eq!(page.page.next, None);
        return (page.page.items, page.closures);
    }
    let closures = query.run(models, &PageRequest::first(1)).await.unwrap().unwrap().value.closures;
    (all_pages(async |page| Ok(query.run(models, &page).await?.unwrap().value.page)).await, closures)
}

/// Moments that are asked for at a time. They do not depend on one another.
const AT_A_TIME: usize = 8;

/// Asserts that the past is as it was seen, by time and by number.
async fn is_as_seen(models: &dyn Queries, seen: &[Seen], history: &History) {
    stream::iter(seen)
        .for_each_concurrent(AT_A_TIME, |moment| moment_is_as_seen(models, moment, history))
        .await;
}

async fn moment_is_as_seen(models: &dyn Queries, seen: &Seen, history: &History) {
    let Seen { at, rooms, reservations } = seen;
    for SeenRoom { room, version, form, schedules } in rooms {
        for (as_of, shown) in [
            (AsOf::Moment(*at), form.version),
            (AsOf::Number(form.version), form.version),
            (AsOf::Number(*version), *version),
        ] {
            let past = PastRoom { room: *room, at: as_of }.run(models).await.unwrap().unwrap();
            assert_eq!(past.value, (form.clone(), shown), "{room} {as_of:?}");
            assert!(past.recorded_at < *at);
        }
        for as_of in [AsOf::Moment(*at), AsOf::Number(*version)] {
            for (during, live) in schedules {
                let query = PastSchedule { room: *room, during: *during, at: as_of };
                assert_eq!(&schedule_of(models, query).await, live, "{query:?}");
            }
        }
    }
    let unknown = history.room_ids().into_iter().filter(|id| rooms.iter().all(|seen| seen.room != *id));
    for room in unknown {
        let query = PastRoom { room, at: AsOf::Moment(*at) };
        assert_eq!(query.run(models).await.unwrap(), None, "{query:?}");
    }
    for (reservation, then) in reservations {
        let by_time = PastReservation { reservation: *reservation, at: AsOf::Moment(*at) };
        let past = by_time.run(models).await.unwrap().map(|shown| shown.value);
        assert_eq!(&past, then, "{by_time:?}");
        if let Some(then) = then {
            let at = AsOf::Number(then.reservation.revision);
            let past = PastReservation { reservation: *reservation, at }.run(models).await.unwrap().unwrap();
            assert_eq!(&past.value, then);
        }
    }
}

#[tokio::test]
async fn at_each_of_200_moments_of_2000_random_commands_the_past_is_what_was_shown_then_also_after_a_rebuild()
{
    let server = TestDatabase::create().await;
    let (history, ends) = recorded(2000, 41);
    assert!(history.events.len() > 800, "{}", history.events.len());
    let stores: [Box<dyn Store>; 2] =
        [Box::new(MemoryReadModels::new()), Box::new(server.models("g1_").await)];
    for (number, models) in stores.iter().enumerate() {
        let models = models.as_ref();
        let (mut seen, mut begin) = (Vec::new(), 0);
        for (moment, end) in ends.iter().enumerate() {
            feed(models, &history.events[begin..*end], 64).await;
            begin = *end;
            seen.push(look(models, &history, &history.events[..*end], moment).await);
        }
        is_as_seen(models, &seen, &history).await;
        if number == 0 {
            is_as_seen(&in_memory(&history.mixed(5)).await, &seen, &history).await;
        } else {
            let rebuilt = server.models("g2_").await;
            feed(&rebuilt, &history.mixed(5), 100).await;
            is_as_seen(&rebuilt, &seen, &history).await;
        }
    }
}

#[tokio::test]
async fn at_the_moment_of_a_change_the_room_is_changed_and_a_millisecond_before_it_is_not() {
    let server = TestDatabase::create().await;
    let mut stream = Stream::new("Blue");
    stream.reserve("ann", 1, 2);
    stream.change("Green");
    stream.reserve("ann", 2, 3);
    stream.change("Red");
    let events: Vec<DecodedEvent> =
        stream.events.iter().map(|event| event.clone().decode().unwrap()).collect();
    let (memory, mongo) = (in_memory(&events).await, server.models("g1_").await);
    feed(&mongo, &events, 64).await;
    let first = events[0].recorded_at.epoch_millis();
    // One event each millisecond.
    let shown = [None, Some("Blue"), Some("Blue"), Some("Green"), Some("Green"), Some("Red"), Some("Red")];
    for (at, expected) in (first - 1..).zip(shown) {
        let query = PastRoom { room: stream.room, at: AsOf::Moment(Timestamp::from_epoch_millis(at)) };
        for store in [&memory as &dyn Queries, &mongo] {
            let past = query.run(store).await.unwrap().map(|past| past.value.0.settings.name);
            assert_eq!(past.as_deref(), expected, "{} ms", at - first);
        }
    }
}

#[tokio::test]
async fn revisions_tell_each_change_once_in_pages_of_any_size() {
    let server = TestDatabase::create().await;
    let (history, _) = recorded(600, 5);
    let memory = in_memory(&history.events).await;
    let mongo = server.models("g1_").await;
    feed(&mongo, &history.events, 64).await;
    let (mut moves, mut cancellations, mut restored) = (0, 0, 0);
    for reservation in &history.all {
        let query = Revisions { reservation: *reservation };
        let all = query.run(&memory, &PageRequest::first(500)).await.unwrap().items;
        for models in [&memory as &dyn Queries, &mongo] {
            assert_eq!(all_pages(async |page| query.run(models, &page).await).await, all);
        }
        let numbers: Vec<u32> = all.iter().map(|revision| revision.after.reservation.revision).collect();
        assert_eq!(numbers[0], 1);
        assert!(numbers.is_sorted_by(|one, next| one <= next), "{numbers:?}");
        assert_eq!((all[0].what, all[0].changed.as_slice()), (HistoryKind::Made, [].as_slice()));
        assert_eq!(
            Some(&all.last().unwrap().after),
            memory.reservation(*reservation).await.unwrap().as_ref()
        );
        for revision in &all[1..] {
            let names = |field: &str| revision.changed.contains(&field);
            match revision.what {
                HistoryKind::Moved => moves += usize::from(names("room")),
                HistoryKind::Cancelled => {
                    assert_eq!(revision.after.status, Status::Cancelled);
                    cancellations += usize::from(names("status"));
                }
                HistoryKind::Restored => {
                    assert_eq!(revision.after.status, Status::Live);
                    restored += usize::from(names("status"));
                }
                _ => assert!(!names("room") && !names("status"), "{revision:?}"),
            }
        }
    }
    let ends = history.events.iter().filter(|event| !is_first_half(event));
    let count = |is: fn(&Event) -> bool| ends.clone().filter(|event| is(&event.event)).count();
    assert_eq!(moves, count(|event| matches!(event, Event::ReservationMovedIn(_))));
    assert_eq!(restored, count(|event| matches!(event, Event::ReservationRestored(_))));
    assert!(moves > 3 && cancellations > 3 && restored > 3, "{moves} {cancellations} {restored}");
}

#[tokio::test]
async fn the_version_at_any_moment_of_a_long_stream_is_found() {
    let server = TestDatabase::create().await;
    let models = server.models("g1_").await;
    let mut stream = Stream::new("Blue");
    let held = stream.reserve("ann", 1, 2);
    let mut events: Vec<DecodedEvent> = Vec::new();
    for raw in &stream.events {
        events.push(raw.clone().decode().unwrap());
    }
    let Event::ReservationMade(made) = &events[1].event else { unreachable!() };
    let mut before = made.reservation.clone();
    assert_eq!(before.id, held.id);
    for version in 3..=9000_u64 {
        let mut reservation = before.clone();
        reservation.revision += 1;
        let previous = before.place();
        before = reservation.clone();
        let event = shared_events::reservation_events::ReservationRescheduled { reservation, previous };
        events.push(decoded(stream.room, version, 0, "ann", event.into()));
    }
    for (at, event) in events.iter_mut().enumerate() {
        // Runs of equal times, of any length.
        let at = i64::try_from(at).unwrap();
        event.recorded_at = Timestamp::from_epoch_millis(10 + at / 7 * 7 + i64::from(at % 100 < 50));
    }
    events.sort_by_key(|event| event.version);
    let mut latest = Timestamp::from_epoch_millis(0);
    for event in &mut events {
        latest = latest.max(event.recorded_at);
        event.recorded_at = latest;
    }
    let memory = in_memory(&events).await;
    feed(&models, &events, 1000).await;
    for at in (0..10)
        .chain((10..9100).step_by(37))
        .chain([9001, 9002, 9003, 1_000_000])
        .map(Timestamp::from_epoch_millis)
    {
        let last = events.iter().rev().find(|event| event.recorded_at <= at);
        let version = last.map(|event| (event.version, event.recorded_at));
        let revision = last
            .filter(|event| event.version.get() > 1)
            .map(|event| u32::try_from(event.version.get()).unwrap() - 1);
        for store in [&memory as &dyn Queries, &models] {
            assert_eq!(store.version_at(stream.room, at).await.unwrap(), version, "{at}");
            let past = PastReservation { reservation: held.id, at: AsOf::Moment(at) };
            let past = past.run(store).await.unwrap().map(|shown| shown.value.reservation.revision);
            assert_eq!(past, revision, "{at}");
        }
    }
    let nowhere = RoomId(uuid::Uuid::nil());
    assert_eq!(models.version_at(nowhere, Timestamp::from_epoch_millis(9000)).await.unwrap(), None);
}

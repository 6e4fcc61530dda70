//! One suite for both stores: every query over the same histories. The stores agree with each other and with a recount.

use std::fmt::Write;

use proptest::prelude::*;
use query_service::{
    progress::Progress,
    queries::{
        Availability, Booker, Bookings, BusiestTimes, By, ClosureOfRooms, FreeStays, FreeTime, Kinds,
        Measure, Page, PageRequest, PopularRooms, QueryError, RoomSchedule, Rooms, Schedule, Schedules,
        UserHistory, UserReservations,
    },
    read_models::{Change, HistoryDoc, HistoryKind},
    stores::{Checkpoints, ProjectionStore, Queries, RoomFilter, memory::MemoryReadModels},
};
use shared_events::{DecodedEvent, Event, Interval, Minute, Timestamp, UserId};

use crate::{
    conformance_histories::{History, history},
    conformance_oracle::busiest_times,
    conformance_steps::{ANCHORS, USERS, fixed_steps, steps},
    mongo_database::TestDatabase,
};

/// Applies events in batches. Usage is written after some of them, and at the end.
pub(crate) async fn feed(models: &dyn ProjectionStore, events: &[DecodedEvent], batch: usize) {
    for (number, batch) in events.chunks(batch).enumerate() {
        let applied = models.apply(batch).await.unwrap();
        assert_eq!(applied.conflicts, vec![]);
        if number % 3 == 2 {
            models.write_usage().await.unwrap();
        }
    }
    models.write_usage().await.unwrap();
}

/// Folds and writes all usage that is not stored.
pub(crate) async fn settle(models: &dyn ProjectionStore) {
    models.catch_up_usage(&|_| true).await.unwrap();
    models.write_usage().await.unwrap();
}

pub(crate) fn interval(from: &str, minutes: i64) -> Interval {
    let from: Minute = from.parse().unwrap();
    Interval { from, to: from.plus(minutes).unwrap() }
}

/// Intervals with ends on days, within hours, and around changes of clocks and years.
pub(crate) fn intervals() -> Vec<Interval> {
    let mut intervals =
        vec![interval("2026-01-01T00:00:00Z", 366 * 1440), interval("2026-12-31T10:17:00Z", 1440 * 3)];
    let lengths = [5 * 1440, 2 * 1440 + 61, 777, 4 * 1440 + 5, 3 * 1440, 60, 40 * 1440];
    for (anchor, length) in ANCHORS.iter().zip(lengths) {
        intervals.push(interval(anchor, length));
        let odd = interval(anchor, 0).from.plus(13 * 60 + 47).unwrap();
        intervals.push(Interval { from: odd, to: odd.plus(length + 23).unwrap() });
    }
    intervals
}

fn now() -> Timestamp {
    "2026-03-29T05:30:00.001Z".parse().unwrap()
}

/// All items of a list, read in pages of three.
pub(crate) async fn all_pages<T>(query: impl AsyncFn(PageRequest) -> Result<Page<T>, QueryError>) -> Vec<T> {
    let (mut request, mut items) = (PageRequest::first(3), Vec::new());
    loop {
        let page = query(request).await.unwrap();
        assert!(page.items.len() == 3 || page.next.is_none());
        items.extend(page.items);
        let Some(next) = page.next else { return items };
        request = PageRequest { limit: 3, cursor: Some(next) };
    }
}

/// The answers of every query, as text.
async fn answers(models: &dyn Queries, history: &History) -> String {
    let mut text = String::new();
    for kind in [None, Some("meeting".to_owned()), Some("$suite.a".to_owned())] {
        for people in [None, Some(3)] {
            let query = Rooms { filter: RoomFilter { people, ..RoomFilter::of_kind(kind.clone()) } };
            let rooms = all_pages(async |page| query.run(models, &page).await).await;
            writeln!(text, "{query:?}: {rooms:#?}").unwrap();
        }
    }
    writeln!(text, "{:?}", all_pages(async |page| Kinds.page(&models.kinds().await?, &page)).await).unwrap();
    for reservation in history.all.iter().copied() {
        writeln!(text, "{:?}", models.reservation(reservation).await.unwrap()).unwrap();
    }
    for user in USERS.iter().chain(&["admin", "nobody"]) {
        let query = UserHistory { user: UserId::new(*user).unwrap() };
        let entries = all_pages(async |page| query.run(models, &page).await).await;
        writeln!(text, "{user}: {entries:#?}").unwrap();
        for (from, to) in [(None, None), (Some(ANCHORS[0]), Some(ANCHORS[2]))] {
            let minute = |time: Option<&str>| time.map(|time| time.parse().unwrap());
            let query =
                UserReservations { user: UserId::new(*user).unwrap(), from: minute(from), to: minute(to) };
            let live = all_pages(async |page| query.run(models, &page).await).await;
            writeln!(text, "{query:?}: {live:#?}").unwrap();
        }
    }
    for user in USERS.iter().chain(&["nobody"]) {
        let user = UserId::new(*user).unwrap();
        for after in ANCHORS {
            let cancelled = models.cancelled_of_user(&user, after.parse().unwrap(), 7).await.unwrap();
            let events: Vec<_> =
                cancelled.iter().map(|doc| (doc.reservation.room, doc.version.unwrap())).collect();
            let mut entries = models.entries_of(&events).await.unwrap();
            assert_eq!(entries.len(), events.len());
            let form = |entry: &HistoryDoc| entry.clone().into_reservation().unwrap();
            assert!(entries.iter().all(|entry| cancelled.contains(&form(entry))));
            entries.sort_by_key(|entry| (entry.room, entry.version));
            writeln!(text, "{user} {after}: {cancelled:?} {entries:?}").unwrap();
        }
    }
    for id in history.events.iter().filter_map(|event| event.event.closure()).map(|closure| closure.id) {
        writeln!(text, "{:?}", ClosureOfRooms { closure: id }.run(models).await.unwrap()).unwrap();
    }
    let mut rooms = models.rooms(&history.room_ids()).await.unwrap();
    rooms.sort_by_key(|room| room.room);
    writeln!(text, "{rooms:?}").unwrap();
    for room in history.room_ids() {
        writeln!(text, "{:?}", models.room(room).await.unwrap()).unwrap();
    }
    text
}

/// Conditions on rooms, each alone and some together.
fn filters() -> Vec<RoomFilter> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let main = || Some("$main".to_owned());
    let projector = || words(&["projector"]);
    let all = RoomFilter::default;
    vec![
        RoomFilter { people: Some(1), ..all() },
        RoomFilter { people: Some(2), kinds: words(&["meeting"]), ..all() },
        RoomFilter { kinds: words(&["$suite.a", "meeting", "none"]), ..all() },
        RoomFilter { building: main(), ..all() },
        RoomFilter { floor: Some("2".into()), ..all() },
        RoomFilter { attributes: projector(), ..all() },
        RoomFilter { attributes: words(&["$screen", "projector"]), ..all() },
        RoomFilter {
            building: main(),
            floor: Some("2".into()),
            attributes: projector(),
            people: Some(1),
            ..all()
        },
        RoomFilter { building: Some("$".into()), ..all() },
    ]
}

/// Compares every query that has an oracle with it.
async fn check_against_recount(models: &dyn Queries, history: &History) {
    let progress = &Progress::default();
    for room in &history.rooms {
        for during in intervals() {
            let query = Schedule { room: room.id, during };
            let live =
                all_pages(async |page| Ok(query.run(models, progress, &page).await?.unwrap().page)).await;
            let shown: Vec<_> = live.into_iter().map(|doc| doc.reservation).collect();
            assert_eq!(shown, history.schedule(room.id, during), "{query:?}");
            let first = query.run(models, progress, &PageRequest::first(1)).await.unwrap().unwrap();
            assert_eq!(first.closures, history.closures(room.id, during), "{query:?}");
            if during.minutes() < 10 * 1440 {
                let query = FreeTime { room: room.id, during };
                let free = async |page| Ok(query.run(models, progress, now(), &page).await?.unwrap().page);
                let free = all_pages(free).await;
                assert_eq!(free, history.free(room, during, now()), "{query:?} {:?}", room.settings);
            }
        }
    }
    for (date, days) in [("2026-03-28", 3), ("2026-10-25", 1), ("2026-12-31", 2), ("2009-10-31", 2)] {
        for kind in [None, Some("meeting")] {
            let filter = RoomFilter::of_kind(kind.map(str::to_owned));
            let query = Schedules { date: date.parse().unwrap(), days, filter };
            let shown = all_pages(async |page| query.run(models, progress, &page).await).await;
            for one in shown.iter().filter(|one| one.during.minutes() > 0) {
                assert_eq!(one.closures, history.closures(one.room.room, one.during), "{query:?}");
            }
            let reserved = |one: &RoomSchedule| {
                one.reservations.iter().map(|doc| doc.reservation.clone()).collect::<Vec<_>>()
            };
            let shown: Vec<_> = shown.iter().map(|one| (one.room.room, reserved(one))).collect();
            assert_eq!(shown, history.schedules(query.date, days, kind), "{query:?}");
        }
    }
    for filter in filters() {
        for (stay, roles) in
            intervals().into_iter().zip([&["staff"][..], &["guest"], &[]].into_iter().cycle())
        {
            let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
            let is_admin = roles.is_empty() && filter.people == Some(2);
            // Some have used up the quotas of rooms.
            let owner = UserId::new(USERS[filter.people.unwrap_or(0) as usize % USERS.len()]).unwrap();
            let booker = Booker { roles, is_admin, owner };
            let query = Availability { stay, filter: filter.clone(), booker };
            let found = all_pages(async |page| query.run(models, progress, now(), &page).await).await;
            let rooms: Vec<_> = found.iter().map(|found| found.room.room).collect();
            assert_eq!(rooms, history.available(&query, now()), "{query:?}");
        }
        let query = Rooms { filter };
        let found = all_pages(async |page| query.run(models, &page).await).await;
        let rooms: Vec<_> = found.iter().map(|room| room.room).collect();
        assert_eq!(rooms, history.wanted(&query.filter), "{query:?}");
    }
    for during in intervals().into_iter().filter(|during| during.minutes() < 10 * 1440) {
        for minutes in [60, 90, 1440] {
            let owner = UserId::new(USERS[minutes as usize % USERS.len()]).unwrap();
            let booker = Booker { roles: vec!["staff".to_owned()], is_admin: false, owner };
            let query = FreeStays { during, minutes, filter: RoomFilter::default(), booker };
            let found = all_pages(async |page| query.run(models, progress, now(), &page).await).await;
            let found: Vec<_> = found.into_iter().map(|found| (found.room.room, found.times)).collect();
            assert_eq!(found, history.free_stays(&query, now()), "{query:?}");
        }
    }
    for user in USERS {
        let query = UserReservations { user: UserId::new(user).unwrap(), from: None, to: None };
        let live = all_pages(async |page| query.run(models, &page).await).await;
        let mut expected: Vec<_> = history
            .live
            .values()
            .filter(|reservation| reservation.reserved_by.as_str() == user)
            .cloned()
            .collect();
        expected.sort_by_key(|reservation| (reservation.from, reservation.id));
        assert_eq!(live.into_iter().map(|doc| doc.reservation).collect::<Vec<_>>(), expected);
    }
}

pub(crate) async fn check_statistics(models: &dyn Queries, history: &History, intervals: &[Interval]) {
    for during in intervals.iter().copied() {
        for kind in [None, Some("meeting")] {
            let query = PopularRooms { during, kind: kind.map(str::to_owned) };
            let rooms = all_pages(async |page| query.run(models, &page).await).await;
            assert_eq!(rooms, history.popular_rooms(during, kind), "{query:?}");
            let query = Bookings { during, kind: kind.map(str::to_owned) };
            let kinds = all_pages(async |page| query.run(models, &page).await).await;
            assert_eq!(kinds, history.bookings(during, kind), "{query:?}");
            let hours = history.hours(during, kind);
            for by in [By::Weekday, By::Date] {
                for measure in [Measure::Minutes, Measure::Reservations, Measure::People] {
                    let query = BusiestTimes { during, kind: kind.map(str::to_owned), by, measure };
                    let expected = busiest_times(&hours, by, measure);
                    assert_eq!(query.run(models).await.unwrap(), expected, "{query:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn both_stores_answer_every_query_alike_and_as_a_recount_does() {
    let server = TestDatabase::create().await;
    let history = history(&fixed_steps(400, 7));
    assert!(history.closures.len() > 2 && history.live.values().any(|live| live.busy.is_some()));
    assert!(history.live.len() > 30 && history.events.len() > 150, "{}", history.events.len());
    let (memory, mongo) = (MemoryReadModels::new(), server.models("g1_").await);
    feed(&memory, &history.events, 1).await;
    feed(&mongo, &history.events, 64).await;
    for models in [&memory as &dyn Queries, &mongo] {
        check_against_recount(models, &history).await;
        check_statistics(models, &history, &intervals()).await;
    }
    similar(&answers(&memory, &history).await, &answers(&mongo, &history).await);
    let rooms = history.room_ids();
    assert_eq!(memory.checkpoints(&rooms).await.unwrap(), mongo.checkpoints(&rooms).await.unwrap());
}

fn similar(one: &str, other: &str) {
    for (number, (a, b)) in one.lines().zip(other.lines()).enumerate() {
        assert_eq!(a, b, "line {number}");
    }
    assert_eq!(one.len(), other.len());
}

/// Read models in memory of these events.
pub(crate) async fn in_memory(events: &[DecodedEvent]) -> MemoryReadModels {
    let models = MemoryReadModels::new();
    feed(&models, events, 10).await;
    models
}

#[tokio::test]
async fn every_answer_shows_the_version_that_it_names() {
    let history = history(&fixed_steps(120, 3));
    let (models, progress) = (in_memory(&history.events).await, &Progress::default());
    let during = interval("2026-01-01T00:00:00Z", 366 * 1440);
    for room in history.room_ids() {
        let last = history.events.iter().filter(|event| event.room == room).map(|event| event.version).max();
        let page = PageRequest::first(500);
        let schedule = Schedule { room, during }.run(&models, progress, &page).await.unwrap().unwrap();
        let free = FreeTime { room, during }.run(&models, progress, now(), &page).await.unwrap().unwrap();
        assert_eq!((Some(schedule.version), Some(free.version)), (last, last));
        for doc in schedule.page.items {
            let id = doc.reservation.id;
            let is_of = |event: &&DecodedEvent| event.event.reservation().is_some_and(|one| one.id == id);
            let latest = history.events.iter().rfind(|event| event.room == room && is_of(event)).unwrap();
            assert_eq!(doc.version, Some(latest.version));
        }
    }
}

#[tokio::test]
async fn a_move_is_one_entry_of_history() {
    let history = history(&fixed_steps(400, 7));
    let models = in_memory(&history.events).await;
    let mut moved = 0;
    for user in USERS {
        let query = UserHistory { user: UserId::new(user).unwrap() };
        let entries = query.run(&models, &PageRequest::first(500)).await.unwrap().items;
        // One of another's reservation is in the owner's history too.
        moved += entries
            .iter()
            .filter(|entry| entry.by == query.user)
            .filter(|entry| matches!(entry.change, Change::Reservation { what: HistoryKind::Moved, .. }))
            .count();
    }
    let moves =
        history.events.iter().filter(|event| matches!(event.event, Event::ReservationMovedIn(_))).count();
    assert!(moves > 3);
    assert_eq!(moved, moves);
}

#[tokio::test]
async fn a_cursor_of_another_query_or_one_that_was_altered_is_refused() {
    let models = in_memory(&history(&fixed_steps(200, 5)).events).await;
    let rooms = Rooms::default();
    let next = rooms.run(&models, &PageRequest::first(1)).await.unwrap().next.unwrap();
    let with = |cursor: &str| PageRequest { limit: 1, cursor: Some(cursor.to_owned()) };
    assert_eq!(rooms.run(&models, &with(&next)).await.unwrap().items.len(), 1);
    let refused = |result: Result<Page<_>, QueryError>| matches!(result, Err(QueryError::InvalidCursor(_)));
    let of_one = Rooms { filter: RoomFilter { people: Some(1), ..RoomFilter::default() } };
    assert!(refused(of_one.run(&models, &with(&next)).await));
    assert!(refused(rooms.run(&models, &with(&next[1..])).await));
    assert!(refused(rooms.run(&models, &with("%%%")).await));
    let user = UserHistory { user: UserId::new("ann").unwrap() };
    assert!(matches!(user.run(&models, &with(&next)).await, Err(QueryError::InvalidCursor(_))));
}

#[tokio::test]
async fn rooms_that_nobody_knows_have_no_schedule_and_retired_ones_nothing_free() {
    let mut history = history(&fixed_steps(30, 5));
    let during = interval("2026-05-01T00:00:00Z", 1440);
    let unknown = shared_events::RoomId(service_kit::ids::new_id());
    history.retire(0);
    let (models, progress) = (in_memory(&history.events).await, &Progress::default());
    let page = PageRequest::first(5);
    let schedule = Schedule { room: unknown, during }.run(&models, progress, &page).await.unwrap();
    assert!(schedule.is_none());
    let free = async |room| FreeTime { room, during }.run(&models, progress, now(), &page).await.unwrap();
    assert!(free(unknown).await.is_none());
    let retired = history.rooms[0].id;
    assert_eq!(free(retired).await.unwrap().page.items, vec![]);
    assert!(models.room(retired).await.unwrap().unwrap().retired);
    let listed = Rooms::default().run(&models, &PageRequest::first(100)).await.unwrap();
    assert!(listed.items.iter().all(|room| room.room != retired));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_in_any_order_of_arrival_answers_as_a_recount_does(
        steps in steps(0..60),
        seed in any::<u64>(),
        batch in 1..20_usize,
    ) {
        let history = history(&steps);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let models = MemoryReadModels::new();
            feed(&models, &history.mixed(seed), batch).await;
            check_against_recount(&models, &history).await;
        });
    }
}

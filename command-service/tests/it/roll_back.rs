//! Roll-backs beside a running writer, on both stores.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use clap::Parser as _;
use command_service::{
    commands::{
        Action, AddClosure, CancelSeries, ChangeReservation, ChangeRoom, ChangeSeries, LiftClosure,
        MoveReservation, OnConflict, RegisterRoom, ReserveSeries,
    },
    event_store::{EventStore, mysql::MySqlStore, sqlite::SqliteStore},
    roll_back::{Arguments, Change, Report, roll_back},
    writer::Submission,
};
use service_kit::clock::Clock;
use shared_events::{Closure, ClosureId, Interval, Reservation, ReservationId, RoomId, SeriesId, Version};

use crate::{
    test_store::TestStore,
    writer_rig::{Instance, by, cancel, events_of, hour, instance, reserve, settings},
};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// Runs the command when all stays are over, with everything since the beginning.
async fn roll(store: &TestStore, arguments: &[&str]) -> Report {
    let line = ["roll-back", "--since", "1970-01-01T00:00:00Z"].iter().chain(arguments);
    let Line { arguments } = Line::parse_from(line);
    let events: Arc<dyn EventStore> = match store.file() {
        None => Arc::new(MySqlStore::open(&store.database().url, 1, None, None).unwrap()),
        Some(file) => Arc::new(SqliteStore::open(&file, None).await.unwrap()),
    };
    let clock = Clock::standing_at("2031-01-01T00:00:00Z".parse().unwrap());
    roll_back(&arguments, events, clock).await.unwrap()
}

/// A submission of an administrator that belongs to the mistake.
fn mistake(action: Action) -> Submission {
    Submission { correlation_id: "mistake".into(), ..by("admin", action) }
}

/// The live reservations, without their revisions.
async fn live(store: &TestStore) -> BTreeMap<ReservationId, Reservation> {
    let opened = store.open(None).await;
    let mut live = BTreeMap::new();
    for (room, _) in opened.all_heads(None, 1000).await.unwrap() {
        let mut state = command_service::domain::Room::whole(room);
        for event in opened.stream(room, Version::NONE, 10_000).await.unwrap() {
            let event = event.into_raw().unwrap().decode().unwrap();
            state.apply(event.version, event.metadata.time, &event.event).unwrap();
        }
        let found =
            state.reservations().map(|found| (found.id, Reservation { revision: 0, ..found.clone() }));
        live.extend(found);
    }
    live
}

fn outcomes(report: &Report) -> Vec<(&str, &str)> {
    report.changes.iter().map(|change| (change.change.as_str(), change.outcome.as_str())).collect()
}

fn to_hour(room: RoomId, reservation: ReservationId, at: u32) -> Action {
    let interval = hour(at).interval;
    Action::ChangeReservation(ChangeReservation {
        from: Some(interval.from),
        to: Some(interval.to),
        ..ChangeReservation::new(Some(room), reservation)
    })
}

fn to_room(room: RoomId, reservation: ReservationId, to_room: RoomId) -> Action {
    let room = Some(room);
    Action::MoveReservation(MoveReservation { room, reservation, to_room, from: None, to: None })
}

async fn makes(one: &Instance, user: &str, room: RoomId, at: u32) -> ReservationId {
    one.does(by(user, reserve(room, hour(at)))).await.reservation.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_taken_back_newest_first_also_when_its_stays_are_over_and_what_others_changed_is_left() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let (blue, red) = (one.room("Blue", "meeting").await, one.room("Red", "meeting").await);
        let cancelled = makes(&one, "ann", blue, 8).await;
        let changed = makes(&one, "ann", blue, 10).await;
        let moved = makes(&one, "ann", blue, 12).await;
        let touched = makes(&one, "ann", blue, 14).await;
        let in_the_way = makes(&one, "ann", blue, 16).await;
        let before = live(&store).await;

        one.does(mistake(cancel(blue, cancelled))).await;
        one.does(mistake(to_hour(blue, changed, 11))).await;
        one.does(mistake(reserve(blue, hour(10)))).await;
        one.does(mistake(to_hour(blue, changed, 18))).await;
        one.does(mistake(to_room(blue, moved, red))).await;
        one.does(mistake(to_hour(blue, touched, 15))).await;
        one.does(mistake(cancel(blue, in_the_way))).await;
        one.does(mistake(Action::ChangeRoom(ChangeRoom { capacity: Some(3), ..ChangeRoom::new(red) }))).await;
        let added = RegisterRoom::new(settings("Green", "meeting"));
        one.does(mistake(Action::RegisterRoom(added))).await;
        // Others go on.
        one.does(by("ann", to_hour(blue, touched, 20))).await;
        makes(&one, "bob", blue, 16).await;
        let done_since = live(&store).await;

        let heads = store.open(None).await.all_heads(None, 10).await.unwrap();
        let plan = roll(&store, &["--correlation", "mistake", "--dry-run"]).await;
        assert_eq!(
            store.open(None).await.all_heads(None, 10).await.unwrap(),
            heads,
            "a trial changes nothing"
        );
        assert_eq!((plan.carried_out, plan.taken_back, plan.not_taken_back), (false, 7, 2));

        let report = roll(&store, &["--correlation", "mistake"]).await;
        let changes = outcomes(&report);
        let expected = [
            ("room-registered.v1", "retired"),
            ("room-changed.v1", "left: settings and retirements are not taken back"),
            ("reservation-cancelled.v1", "refused: the room is reserved from"),
            ("reservation-rescheduled.v1", "left: it was changed since: revision 3 is not selected"),
            ("reservation-moved-out.v1", "revision 1 restored"),
            ("reservation-rescheduled.v1", "revision 2 restored"),
            ("reservation-made.v1", "cancelled"),
            ("reservation-rescheduled.v1", "revision 1 restored"),
            ("reservation-cancelled.v1", "revision 1 restored"),
        ];
        assert_eq!(changes.len(), expected.len(), "{changes:#?}");
        for (change, expected) in changes.iter().zip(expected) {
            assert!(change.0 == expected.0 && change.1.starts_with(expected.1), "{change:?} {expected:?}");
        }
        assert_eq!((report.taken_back, report.not_taken_back), (6, 3));
        let after = live(&store).await;
        for id in [cancelled, changed, moved] {
            assert_eq!(after[&id], before[&id]);
        }
        assert_eq!(after[&touched], done_since[&touched]);
        assert_eq!(after.len(), before.len(), "bob has the time of one of them");
        events_of(&store).await;

        // The same command is the same run: it shows the same, and does nothing.
        let heads = store.open(None).await.all_heads(None, 10).await.unwrap();
        one.does(mistake(reserve(blue, hour(22)))).await;
        let again = roll(&store, &["--correlation", "mistake"]).await;
        assert_eq!(again, report);
        let later: Vec<_> = store.open(None).await.all_heads(None, 10).await.unwrap();
        let total = |heads: &[(RoomId, Version)]| heads.iter().map(|(_, version)| version.get()).sum::<u64>();
        assert_eq!(total(&later), total(&heads) + 1);
        // The writer beside it goes on with what the roll-back left.
        one.does(by("ann", to_hour(blue, changed, 21))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_roll_back_did_is_never_selected() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let blue = one.room("Blue", "meeting").await;
        let kept = makes(&one, "ann", blue, 8).await;
        one.does(mistake(cancel(blue, kept))).await;
        assert_eq!(roll(&store, &["--correlation", "mistake"]).await.taken_back, 1);
        let room = blue.to_string();
        let report = roll(&store, &["--room", &room, "--dry-run"]).await;
        let kinds: Vec<_> = report.changes.iter().map(|change: &Change| change.change.as_str()).collect();
        assert_eq!(kinds, ["reservation-cancelled.v1", "reservation-made.v1", "room-registered.v1"]);
        assert!(report.changes[..2].iter().all(|change| !change.taken_back), "{report:#?}");
        let run = outcomes(&roll(&store, &["--room", &room]).await).len();
        assert_eq!(run, 3);
        assert!(live(&store).await.contains_key(&kept));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_user_did_is_gone_with_one_cancellation_for_each_reservation() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let (blue, red) = (one.room("Blue", "meeting").await, one.room("Red", "meeting").await);
        let kept = makes(&one, "ann", blue, 8).await;
        let mine = makes(&one, "mallory", blue, 10).await;
        one.does(by("mallory", to_room(blue, mine, red))).await;
        one.does(by("mallory", to_hour(red, mine, 9))).await;
        let given_up = makes(&one, "mallory", blue, 12).await;
        one.does(by("mallory", cancel(blue, given_up))).await;
        let report = roll(&store, &["--actor", "mallory"]).await;
        let expected = [
            ("reservation-cancelled.v1", "left: the reservation is cancelled already"),
            ("reservation-made.v1", "left: the reservation is cancelled already"),
            ("reservation-rescheduled.v1", "cancelled"),
            ("reservation-moved-in.v1", "with revision 3"),
            ("reservation-made.v1", "with revision 3"),
        ];
        let changes = outcomes(&report);
        let moved = |change: &str| change.starts_with("reservation-moved-");
        for ((change, outcome), expected) in changes.iter().zip(expected) {
            assert!(*change == expected.0 || moved(change) && moved(expected.0), "{change} {expected:?}");
            assert_eq!(*outcome, expected.1);
        }
        assert_eq!(live(&store).await.into_keys().collect::<Vec<_>>(), [kept]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_user_does_to_others_reservations_is_taken_back_exactly() {
    // No third person acts in between, so nothing may be left over.
    for (store, seeds) in [(TestStore::sqlite(), 0..12_u64), (TestStore::mysql().await, 12..14)] {
        for seed in seeds {
            let mut state = seed;
            let mut below = |n: u32| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u32::try_from((state >> 33) % u64::from(n)).unwrap()
            };
            let one = instance(&store).await;
            let correlation = format!("mistake {seed}");
            let mut rooms = Vec::new();
            for n in 0..3 {
                rooms.push(one.room(&format!("{seed} {n}"), "meeting").await);
            }
            let mut places: Vec<(ReservationId, RoomId)> = Vec::new();
            for _ in 0..12 {
                let room = rooms[below(3) as usize];
                let made = one.writer.submit(by("ann", reserve(room, hour(below(22))))).await.unwrap();
                places.extend(made.result.ok().map(|done| (done.reservation.unwrap(), done.room)));
            }
            let before = live(&store).await;
            for _ in 0..40 {
                let (at, room) = (below(22), rooms[below(3) as usize]);
                let place = below(u32::try_from(places.len()).unwrap()) as usize;
                let (id, here) = places[place];
                let action = match below(6) {
                    0 | 1 => reserve(room, hour(at)),
                    2 => cancel(here, id),
                    3 => to_room(here, id, room),
                    _ => to_hour(here, id, at),
                };
                let made = matches!(action, Action::Reserve(_));
                let submission = Submission { correlation_id: correlation.clone(), ..by("admin", action) };
                if let Ok(done) = one.writer.submit(submission).await.unwrap().result {
                    let now = (done.reservation.unwrap(), done.room);
                    if made { places.push(now) } else { places[place] = now }
                }
            }
            let report = roll(&store, &["--correlation", &correlation]).await;
            assert!(report.changes.len() > 10);
            let after = live(&store).await;
            assert_eq!(after, before, "seed {seed}: {report:#?}");
            events_of(&store).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closures_of_a_mistake_are_lifted_and_lifted_ones_are_not_put_back() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        let closure = |n: u128| {
            let Interval { from, to } = hour(9).interval;
            let (id, reason) = (ClosureId(uuid::Uuid::from_u128(n)), "New floor".to_owned());
            Closure { id, room, from, to, reason, kind: None, all: false }
        };
        let add = |n| Action::AddClosure(AddClosure { closure: closure(n) });
        one.does(by("admin", add(1))).await;
        one.does(mistake(add(2))).await;
        one.does(mistake(Action::LiftClosure(LiftClosure { room, closure: closure(1).id }))).await;
        let report = roll(&store, &["--correlation", "mistake"]).await;
        assert_eq!(
            outcomes(&report),
            [("closure-lifted.v1", "left: a lifted closure is not put back"), ("closure-added.v1", "lifted"),]
        );
        assert_eq!(report.changes[1].closure, Some(closure(2).id));
        one.does(by("ann", reserve(room, hour(9)))).await;
    }
}

/// The same hour of four days.
fn daily(room: RoomId, at: u32) -> Action {
    Action::ReserveSeries(Box::new(ReserveSeries {
        room,
        stay: hour(at),
        recurrence: "FREQ=DAILY;COUNT=4".parse().unwrap(),
        exceptions: BTreeSet::new(),
        on_conflict: OnConflict::Refuse,
        dry_run: false,
    }))
}

async fn makes_series(one: &Instance, submission: Submission) -> (SeriesId, Vec<ReservationId>) {
    let done = one.does(submission).await.series.unwrap();
    (done.series, done.occurrences.iter().filter_map(|made| made.reservation).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_is_rolled_back_whole_whatever_a_mistake_did_to_it() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        let (series, ids) = makes_series(&one, by("ann", daily(room, 9))).await;
        let before = live(&store).await;
        // Each occurrence takes the place of the next one, then all are cancelled, and another series is made.
        let mut values = ChangeReservation::new(Some(room), ids[0]);
        let Interval { from, to } = hour(9).interval;
        (values.from, values.to) = (from.plus(24 * 60).ok(), to.plus(24 * 60).ok());
        let change = ChangeSeries { room, series, following: None, values };
        one.does(mistake(Action::ChangeSeries(Box::new(change)))).await;
        one.does(mistake(Action::CancelSeries(CancelSeries { room, series, following: None }))).await;
        makes_series(&one, mistake(daily(room, 9))).await;
        let report = roll(&store, &["--correlation", "mistake"]).await;
        let expected = [
            [("reservation-made.v1", "cancelled"); 4],
            [("reservation-cancelled.v1", "revision 2 restored"); 4],
            [("reservation-rescheduled.v1", "revision 1 restored"); 4],
        ];
        assert_eq!(outcomes(&report), expected.concat());
        assert_eq!(live(&store).await, before);
        assert!(before.values().all(|live| live.series == Some(series)));
        // No version overlaps, and the series goes on as one.
        events_of(&store).await;
        let cancelled =
            one.does(by("ann", Action::CancelSeries(CancelSeries { room, series, following: None })));
        assert_eq!(cancelled.await.series.unwrap().occurrences.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occurrence_that_another_has_changed_since_is_left_and_listed() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        let (_, ids) = makes_series(&one, mistake(daily(room, 9))).await;
        let mut change = ChangeReservation::new(Some(room), ids[2]);
        change.people = Some(3);
        one.does(by("admin", Action::ChangeReservation(change))).await;
        let report = roll(&store, &["--correlation", "mistake"]).await;
        let left = "left: it was changed since: revision 2 is not selected";
        let changes = outcomes(&report);
        assert_eq!(changes.len(), 4);
        for (change, of) in changes.iter().zip(ids.iter().rev()) {
            let expected = if *of == ids[2] { left } else { "cancelled" };
            assert_eq!(*change, ("reservation-made.v1", expected));
        }
        assert_eq!((report.taken_back, report.not_taken_back), (3, 1));
        assert_eq!(live(&store).await.into_keys().collect::<Vec<_>>(), [ids[2]]);
    }
}

//! Commands about reservations that their rooms have forgotten.

use std::sync::{Arc, atomic::Ordering};

use command_service::{
    commands::{Action, ChangeReservation, MoveReservation},
    domain::Rejection,
    outbox::handoff,
    writer::{Failure, Options, Submission, Writer, WriterStore, writer},
};
use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use service_kit::{clock::Clock, ids::new_id};
use shared_events::{ReservationId, RoomId};
use sqlx::{Connection as _, Executor as _, Row as _};

use crate::{
    hooked_store::{HookedLog, WatchedIndex},
    test_store::TestStore,
    writer_rig::{Instance, NOON, by, cancel, hour, instance, reserve, stay},
};

fn change(room: RoomId, reservation: ReservationId, title: &str) -> Submission {
    let title = Some(Some(title.to_owned()));
    let action = ChangeReservation { title, ..ChangeReservation::new(Some(room), reservation) };
    by("ann", Action::ChangeReservation(action))
}

fn move_to(from: RoomId, reservation: ReservationId, to_room: RoomId) -> Submission {
    let room = Some(from);
    by("ann", Action::MoveReservation(MoveReservation { room, reservation, to_room, from: None, to: None }))
}

async fn made(one: &Instance, room: RoomId, hour_of_day: u32) -> ReservationId {
    one.does(by("ann", reserve(room, hour(hour_of_day)))).await.reservation.unwrap()
}

/// Makes the room's stream longer by this many events, and lets it forget what ended in January.
async fn grow(one: &Instance, room: RoomId, events: usize) {
    one.clock.set("2030-02-01T12:00:00Z".parse().unwrap());
    let day = |year| format!("{year}-03-02T09:00:00Z");
    // Another year for each number of events.
    let later = stay(&day(2031 + events), &day(2031 + events).replace("T09", "T10"));
    let later = one.does(by("ann", reserve(room, later))).await.reservation.unwrap();
    let changes = (1..events).map(|n| one.writer.submit(change(room, later, &n.to_string())));
    assert!(join_all(changes).await.iter().all(|reply| reply.as_ref().unwrap().result.is_ok()));
}

#[tokio::test]
async fn a_forgotten_reservation_is_found_where_its_last_event_left_it_in_a_stream_of_any_length() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let (blue, red) = (one.room("Blue", "meeting").await, one.room("Red", "meeting").await);
        let (ended, cancelled, moved) =
            (made(&one, blue, 9).await, made(&one, blue, 10).await, made(&one, blue, 11).await);
        one.does(by("ann", cancel(blue, cancelled))).await;
        one.does(move_to(blue, moved, red)).await;
        grow(&one, blue, 1500).await;
        let unknown = ReservationId::made_in(blue, new_id());
        for events_in_between in [0, 50, 200] {
            if events_in_between > 0 {
                grow(&one, blue, events_in_between).await;
            }
            let (rejection, _) = one.refuses(by("ann", cancel(blue, ended))).await;
            assert!(matches!(rejection, Rejection::Ended { .. }), "{rejection}");
            for nowhere in [cancelled, moved, unknown] {
                let (rejection, rests_on) = one.refuses(by("bob", cancel(blue, nowhere))).await;
                assert_eq!(rejection, Rejection::UnknownReservation);
                assert_eq!(rests_on.len(), 1);
            }
        }
        let anywhere = ChangeReservation { people: Some(1), ..ChangeReservation::new(None, moved) };
        let (rejection, rests_on) = one.refuses(by("ann", Action::ChangeReservation(anywhere))).await;
        assert!(
            matches!(rejection, Rejection::Ended { .. }),
            "it was followed to the other room: {rejection}"
        );
        assert_eq!(rests_on.len(), 2);
    }
}

/// The number of prepared statements that MySQL has executed for the store, and of rows that they have examined.
async fn cost(store: &TestStore) -> (u64, u64) {
    let sql = "SELECT CAST(SUM(count_execute) AS UNSIGNED), CAST(SUM(sum_rows_examined) AS UNSIGNED) \
               FROM performance_schema.prepared_statements_instances \
               JOIN performance_schema.threads ON thread_id = owner_thread_id WHERE processlist_db = DATABASE()";
    let mut connection = store.database().connect().await;
    let row = connection.fetch_one(sql).await.unwrap();
    connection.close().await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn an_unknown_reservation_costs_one_statement_over_few_rows_of_a_stream_of_any_length() {
    const ASKED: u64 = 10;
    let store = TestStore::mysql().await;
    let one = instance(&store).await;
    let room = one.room("Blue", "meeting").await;
    let ended = made(&one, room, 9).await;
    for events in [100, 3000] {
        grow(&one, room, events).await;
        let unknown = || ReservationId::made_in(room, new_id());
        // The first one indexes the stream.
        one.refuses(by("bob", cancel(room, unknown()))).await;
        for (statements, reservation) in [(1, None), (2, Some(ended))] {
            let before = cost(&store).await;
            for _ in 0..ASKED {
                let reservation = reservation.unwrap_or_else(unknown);
                one.refuses(by("bob", cancel(room, reservation))).await;
            }
            let after = cost(&store).await;
            assert_eq!(after.0 - before.0, statements * ASKED, "{reservation:?}");
            let rows = (after.1 - before.1) / ASKED;
            assert!(rows <= 80, "{rows} rows were read for {reservation:?} among {events}");
        }
    }
}

/// A writer on a room that has forgotten a stay, with a watched index.
async fn watched() -> (TestStore, Arc<WatchedIndex>, Writer, RoomId) {
    let store = TestStore::mysql().await;
    let one = instance(&store).await;
    let room = one.room("Blue", "meeting").await;
    made(&one, room, 9).await;
    grow(&one, room, 10).await;
    let opened = store.open(None).await;
    let index = WatchedIndex::over(&opened);
    let watched = WriterStore { index: Arc::clone(&index) as _, ..opened.into() };
    let clock = Clock::standing_at("2030-02-01T12:00:00Z".parse().unwrap());
    let (writer, task) = writer(watched, clock, handoff().0, &Options::default());
    tokio::spawn(task);
    (store, index, writer, room)
}

#[tokio::test]
async fn look_ups_take_one_of_the_stores_connections() {
    let (_store, index, writer, room) = watched().await;
    let ask = |user: usize| {
        writer.submit(by(&user.to_string(), cancel(room, ReservationId::made_in(room, new_id()))))
    };
    let replies = join_all((0..64).map(|n| ask(n / 4))).await;
    let unknown = Err(Rejection::UnknownReservation);
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().result == unknown));
    assert_eq!(index.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn one_user_has_few_look_ups_and_all_together_have_a_bound() {
    let (_store, index, writer, room) = watched().await;
    let ask = |user: usize| {
        writer.submit(by(&user.to_string(), cancel(room, ReservationId::made_in(room, new_id()))))
    };
    let closed = index.gate.write().await;
    let mut asked: FuturesUnordered<_> = [0; 5].map(ask).into_iter().collect();
    assert_eq!(asked.next().await.unwrap().unwrap_err(), Failure::Overloaded);
    asked.extend((4..=64).map(|n| ask(n / 4)));
    assert_eq!(asked.next().await.unwrap().unwrap_err(), Failure::Overloaded);
    drop(closed);
    let replies: Vec<_> = asked.collect().await;
    assert_eq!(replies.len(), 64);
    let unknown = Err(Rejection::UnknownReservation);
    assert!(replies.into_iter().all(|reply| reply.unwrap().result == unknown));
    ask(0).await.unwrap().result.unwrap_err();
}

#[tokio::test]
async fn the_writer_itself_reads_next_to_nothing_for_an_unknown_reservation() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        made(&one, room, 9).await;
        grow(&one, room, 1500).await;
        let opened = store.open(None).await;
        let log = HookedLog::over(&opened, Box::pin(async {}));
        let clock = Clock::standing_at("2030-02-01T12:00:00Z".parse().unwrap());
        let hooked = WriterStore { log: Arc::clone(&log) as _, ..opened.into() };
        let (other, task) = writer(hooked, clock, handoff().0, &Options::default());
        tokio::spawn(task);
        let ask = || other.submit(by("bob", cancel(room, ReservationId::made_in(room, new_id()))));
        ask().await.unwrap().result.unwrap_err();
        let after_loading_the_room = log.loaded.load(Ordering::Relaxed);
        let replies = join_all((0..4).map(|_| ask())).await;
        assert!(
            replies.iter().all(|reply| reply.as_ref().unwrap().result == Err(Rejection::UnknownReservation))
        );
        assert_eq!(log.loaded.load(Ordering::Relaxed), after_loading_the_room);
    }
}

#[tokio::test]
async fn a_forgotten_reservation_that_another_instance_changes_meanwhile_is_not_decided_on_its_old_state() {
    let store = TestStore::mysql().await;
    let one = instance(&store).await;
    let room = one.room("Blue", "meeting").await;
    let stay = made(&one, room, 9).await;
    grow(&one, room, 200).await;
    // The other one's clock is right, so that the stay has not begun.
    let other = Arc::new(instance(&store).await);
    let (theirs, opened) = (Arc::clone(&other), store.open(None).await);
    let meanwhile = async move {
        theirs.does(by("ann", cancel(room, stay))).await;
    };
    let log = HookedLog::after_one(&opened, Box::pin(meanwhile));
    let hooked = WriterStore { log, ..opened.into() };
    let (late, task) =
        writer(hooked, Clock::standing_at(NOON.parse().unwrap()), handoff().0, &Options::default());
    tokio::spawn(task);
    let reply = late.submit(by("ann", cancel(room, stay))).await.unwrap();
    assert_eq!(reply.result, Err(Rejection::UnknownReservation));
}

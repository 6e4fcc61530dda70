//! Commands about reservations that their rooms have forgotten.

use std::sync::{Arc, atomic::Ordering};

use command_service::{
    commands::{Action, ChangeReservation, MoveReservation},
    domain::Rejection,
    outbox::handoff,
    writer::{Options, Submission, WriterStore, writer},
};
use futures_util::future::join_all;
use service_kit::{clock::Clock, ids::new_id};
use shared_events::{ReservationId, RoomId};

use crate::{
    hooked_store::HookedLog,
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

//! Promises of the writer on real stores, while others write, connections break and clocks jump.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use command_service::{
    commands::{Action, CancelReservation, MoveReservation, ReserveKind, RetireRoom},
    domain::Rejection,
    event_store::FailPoint,
    outbox::handoff,
    writer::{CommandOutcome, Failure, IdempotencyKey, Options, Submission, WriterStore, writer},
};
use shared_events::Version;

use crate::{
    hooked_store::HookedLog,
    test_store::TestStore,
    writer_rig::{NOON, by, cancel, events_of, hour, instance, key, reserve, stay},
};

#[tokio::test]
async fn of_commands_that_wait_together_each_sees_the_effects_of_those_before_it() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        let tries = (0..50).map(|_| one.writer.submit(by("ann", reserve(room, hour(9)))));
        let replies = futures_util::future::join_all(tries).await;
        let made =
            replies.iter().filter(|reply| matches!(reply, Ok(CommandOutcome { result: Ok(_), .. }))).count();
        assert_eq!(made, 1);
        for reply in replies {
            if let Err(rejection) = reply.as_ref().unwrap().result.as_ref() {
                assert!(matches!(rejection, Rejection::Overlap { .. }), "{rejection}");
                assert_eq!(reply.unwrap().rests_on, vec![(room, 2.into())]);
            }
        }
        assert_eq!(events_of(&store).await.len(), 2);
    }
}

#[tokio::test]
async fn two_instances_never_double_a_booking_and_lose_none() {
    let store = TestStore::mysql().await;
    let (a, b) = (instance(&store).await, instance(&store).await);
    let mut rooms = Vec::new();
    for n in 0..8 {
        rooms.push(a.room(&format!("Room {n}"), "meeting").await);
    }
    let tries = (0..400usize).map(|n| {
        let writer = if n % 2 == 0 { &a.writer } else { &b.writer };
        let hour_of_day = u32::try_from(n / 16 % 20).unwrap();
        writer.submit(by("ann", reserve(rooms[n / 2 % 8], hour(hour_of_day))))
    });
    let replies = futures_util::future::join_all(tries).await;
    let made: Vec<_> = replies.into_iter().filter_map(|reply| reply.unwrap().result.ok()).collect();
    assert_eq!(made.len(), 160, "every hour of every room has exactly one reservation");
    assert_eq!(events_of(&store).await.len(), 8 + 160);
}

#[tokio::test]
async fn an_instance_that_has_not_seen_a_cancellation_does_not_reject_because_of_it() {
    let store = TestStore::mysql().await;
    let (a, b) = (instance(&store).await, instance(&store).await);
    let room = a.room("Blue", "meeting").await;
    let made = a.does(by("ann", reserve(room, hour(9)))).await;
    // From here on b has the reservation in its memory.
    let (rejection, at) = b.refuses(by("bob", reserve(room, hour(9)))).await;
    assert!(matches!(rejection, Rejection::Overlap { .. }));
    assert_eq!(at, vec![(room, 2.into())]);
    a.does(by("ann", cancel(room, made.reservation.unwrap()))).await;
    assert_eq!(b.does(by("bob", reserve(room, hour(9)))).await.version, 4);
}

#[tokio::test]
async fn a_rejection_rests_on_the_rooms_to_which_a_reservation_was_followed() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let (blue, red) = (one.room("Blue", "meeting").await, one.room("Red", "meeting").await);
        let reservation = one.does(by("ann", reserve(blue, hour(9)))).await.reservation.unwrap();
        let away = MoveReservation { room: Some(blue), reservation, to_room: red, from: None, to: None };
        one.does(by("ann", Action::MoveReservation(away))).await;
        let anywhere = Action::CancelReservation(CancelReservation { room: None, reservation });
        let (rejection, rests_on) = one.refuses(by("bob", anywhere)).await;
        assert_eq!(rejection, Rejection::NotOwner);
        let rests_on: HashMap<_, _> = rests_on.into_iter().collect();
        assert_eq!(rests_on, [(blue, 3.into()), (red, 2.into())].into());
    }
}

#[tokio::test]
async fn a_reservation_is_followed_into_a_room_that_another_instance_has_changed_since() {
    let store = TestStore::mysql().await;
    let (a, b) = (instance(&store).await, instance(&store).await);
    let (blue, red) = (a.room("Blue", "meeting").await, a.room("Red", "meeting").await);
    let reservation = a.does(by("ann", reserve(blue, hour(9)))).await.reservation.unwrap();
    let away = MoveReservation { room: Some(blue), reservation, to_room: red, from: None, to: None };
    a.does(by("ann", Action::MoveReservation(away))).await;
    b.does(by("ann", reserve(red, hour(11)))).await;
    a.does(by("ann", reserve(red, hour(13)))).await;
    let anywhere = Action::CancelReservation(CancelReservation { room: None, reservation });
    assert_eq!(b.does(by("ann", anywhere)).await.version, 5);
}

#[tokio::test]
async fn an_instance_learns_of_rooms_that_another_has_registered_and_retired() {
    let store = TestStore::mysql().await;
    let (a, b) = (instance(&store).await, instance(&store).await);
    let any = || Action::ReserveKind(ReserveKind { kind: "meeting".into(), stay: hour(9) });
    assert!(matches!(b.refuses(by("bob", any())).await.0, Rejection::UnknownKind { .. }));
    let blue = a.room("Blue", "meeting").await;
    assert_eq!(b.does(by("bob", any())).await.room, blue);
    assert_eq!(b.refuses(by("bob", any())).await.0, Rejection::NoFreeRoom);
    let red = a.room("Red", "meeting").await;
    assert_eq!(b.does(by("bob", any())).await.room, red);
    let green = a.room("Green", "quiet").await;
    a.does(by("admin", Action::RetireRoom(RetireRoom { room: green }))).await;
    let (rejection, _) = b.refuses(by("bob", reserve(green, hour(9)))).await;
    assert_eq!(rejection, Rejection::UnknownRoom { room: green });
    b.room("Green", "quiet").await;
}

#[tokio::test]
async fn a_failed_group_leaves_no_trace_in_memory() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let (blue, red) = (one.room("Blue", "meeting").await, one.room("Red", "meeting").await);
        let made = one.does(by("ann", reserve(blue, hour(9)))).await;
        for point in [FailPoint::Begin, FailPoint::Events, FailPoint::BeforeCommit] {
            one.faults.arm(point, 1);
        }
        let to_red = Action::MoveReservation(MoveReservation {
            room: Some(blue),
            reservation: made.reservation.unwrap(),
            to_room: red,
            from: None,
            to: None,
        });
        let moved = one.does(by("ann", to_red)).await;
        assert_eq!((moved.room, moved.version, moved.revision), (red, 2.into(), 2));
        assert_eq!(moved.token.rooms, vec![(blue, 3.into()), (red, 2.into())]);
        assert_eq!(one.does(by("bob", reserve(blue, hour(9)))).await.version, 4);
        assert_eq!(events_of(&store).await.len(), 6);
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_looked_up_and_not_done_again() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        one.faults.arm(FailPoint::AfterCommit, 1);
        let made = one.does(by("ann", reserve(room, hour(9)))).await;
        assert_eq!((made.version, made.revision), (2.into(), 1));
        // A change without a key: decided again it would find its own effect, or be refused by it.
        one.faults.arm(FailPoint::AfterCommit, 1);
        let cancelled = one.does(by("ann", cancel(room, made.reservation.unwrap()))).await;
        assert_eq!(cancelled.version, 3);
        assert_eq!(events_of(&store).await.len(), 3);
    }
}

#[tokio::test]
async fn a_command_that_the_store_refuses_for_good_does_not_take_its_neighbours_along() {
    let store = TestStore::mysql().await;
    let one = instance(&store).await;
    let room = one.room("Blue", "meeting").await;
    let tries = (0..20).map(|n| {
        let mut submission = by("ann", reserve(room, hour(n)));
        if n == 7 {
            // Too long for its column.
            submission.correlation_id = "x".repeat(70_000);
        }
        one.writer.submit(submission)
    });
    let replies = futures_util::future::join_all(tries).await;
    let refused: Vec<usize> =
        replies.iter().enumerate().filter(|(_, reply)| reply.is_err()).map(|(index, _)| index).collect();
    assert_eq!(refused, vec![7]);
    assert_eq!(replies[7], Err(Failure::Refused));
    assert_eq!(events_of(&store).await.len(), 20);
}

#[tokio::test]
async fn one_key_has_one_effect_over_two_instances_and_any_room_of_a_kind() {
    let store = TestStore::mysql().await;
    let (a, b) = (instance(&store).await, instance(&store).await);
    for n in 0..4 {
        a.room(&format!("Room {n}"), "meeting").await;
    }
    for n in 0..25u32 {
        let with_key = || {
            let minute = n * 10;
            let from = format!("2030-01-03T{:02}:{:02}:00Z", minute / 60, minute % 60);
            let to = format!("2030-01-03T{:02}:{:02}:00Z", (minute + 10) / 60, (minute + 10) % 60);
            let mut submission = by(
                "ann",
                Action::ReserveKind(ReserveKind { kind: "meeting".into(), stay: stay(&from, &to) }),
            );
            submission.key = Some(key(&format!("k{n}")));
            submission
        };
        let (one, other) = tokio::join!(a.writer.submit(with_key()), b.writer.submit(with_key()));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.result, other.result);
        assert!(one.repeated != other.repeated, "one of them is the repetition");
    }
    assert_eq!(events_of(&store).await.len(), 4 + 25);
}

#[tokio::test]
async fn a_key_is_known_for_ever_even_when_its_effect_is_undone() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        let with_key = || Submission { key: Some(key("k")), ..by("ann", reserve(room, hour(9))) };
        let made = one.does(with_key()).await;
        one.does(by("ann", cancel(room, made.reservation.unwrap()))).await;
        let again = one.writer.submit(with_key()).await.unwrap();
        assert_eq!((again.result, again.repeated), (Ok(made), true));
        let other =
            Submission { key: Some(IdempotencyKey { fingerprint: [8; 16], ..key("k") }), ..with_key() };
        assert_eq!(one.writer.submit(other).await, Err(Failure::KeyReused));
        assert_eq!(events_of(&store).await.len(), 3);
    }
}

#[tokio::test]
async fn a_rejection_online_is_not_recorded_so_a_retry_is_decided_anew() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        let made = one.does(by("ann", reserve(room, hour(9)))).await;
        let with_key = || Submission { key: Some(key("k")), ..by("bob", reserve(room, hour(9))) };
        assert!(matches!(one.refuses(with_key()).await.0, Rejection::Overlap { .. }));
        one.does(by("ann", cancel(room, made.reservation.unwrap()))).await;
        assert_eq!(one.does(with_key()).await.version, 4);
    }
}

#[tokio::test]
async fn a_clock_that_jumped_ahead_and_back_does_not_hide_what_is_reserved() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        one.does(by("ann", reserve(room, hour(9)))).await;
        one.clock.set("2031-01-01T12:00:00Z".parse().unwrap());
        one.does(by("ann", reserve(room, stay("2031-06-01T09:00:00Z", "2031-06-01T10:00:00Z")))).await;
        one.clock.set(NOON.parse().unwrap());
        assert!(matches!(one.refuses(by("bob", reserve(room, hour(9)))).await.0, Rejection::Overlap { .. }));
        // Another instance, which has only ever read the stream, decides the same.
        let other = instance(&store).await;
        assert!(matches!(
            other.refuses(by("bob", reserve(room, hour(9)))).await.0,
            Rejection::Overlap { .. }
        ));
        assert_eq!(other.does(by("bob", reserve(room, hour(11)))).await.version, 4);
    }
}

#[tokio::test]
async fn a_key_that_is_used_and_its_effect_undone_while_its_twin_loads_still_has_one_effect() {
    let store = TestStore::mysql().await;
    let quick = Arc::new(instance(&store).await);
    let room = quick.room("Blue", "meeting").await;
    let with_key = move || Submission { key: Some(key("k")), ..by("ann", reserve(room, hour(9))) };
    let clock = quick.clock.clone();
    let meanwhile = async move {
        let made = quick.does(with_key()).await;
        quick.does(by("ann", cancel(room, made.reservation.unwrap()))).await;
    };
    let opened = store.open(None).await;
    let log = HookedLog::over(&opened, Box::pin(meanwhile));
    let hooked = WriterStore { log, ..opened.into() };
    let (slow, task) = writer(hooked, clock, handoff().0, &Options::default());
    tokio::spawn(task);
    // What it loads is free again. The look-up after the load finds the key; were that missed, its unique index would.
    assert!(slow.submit(with_key()).await.unwrap().repeated);
    assert_eq!(events_of(&store).await.len(), 3);
}

#[tokio::test]
async fn every_event_has_a_trace_context_and_that_of_a_request_without_one_is_not_sampled() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        one.does(by("ann", reserve(room, hour(9)))).await;
        let stream = store.open(None).await.stream(room, Version::NONE, 10).await.unwrap();
        let contexts: HashSet<String> =
            stream.into_iter().map(|event| event.into_raw().unwrap().metadata.traceparent.unwrap()).collect();
        assert_eq!(contexts.len(), 2, "each request has its own");
        for context in contexts {
            let parts: Vec<_> = context.split('-').map(str::len).collect();
            assert_eq!(parts, [2, 32, 16, 2], "{context}");
            assert!(context.starts_with("00-") && context.ends_with("-00"), "{context}");
        }
    }
}

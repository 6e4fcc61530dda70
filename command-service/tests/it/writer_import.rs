//! Imports on real stores: lines are decided in order, and have no effect when they are sent again.

use std::time::Duration;

use command_service::{
    commands::{Action, CancelReservation, ChangeReservation, MoveReservation, Origin},
    domain::Rejection,
    housekeeping::{KeysKept, sweep},
    writer::{CommandOutcome, Failure, IdempotencyKey, Reply, Sequence, Submission},
};
use shared_events::ReservationId;
use tokio_util::sync::CancellationToken;

use crate::{
    servers::eventually,
    test_store::TestStore,
    writer_rig::{Instance, by, events_of, hour, instance, key, reserve, stay},
};

fn imported(at: &str, key_name: &str, action: Action) -> Submission {
    let mut submission = by("ann", action);
    submission.command.origin = Origin::Import;
    submission.command.now = at.parse().unwrap();
    submission.key = Some(key(key_name));
    submission
}

async fn import(one: &Instance, lines: Vec<Submission>) -> Vec<Reply> {
    let sequence = Sequence::default();
    let mut waiting = Vec::new();
    for line in lines {
        waiting.push(one.writer.enqueue(line, &sequence).await.unwrap());
    }
    futures_util::future::join_all(waiting).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn an_import_sent_twice_repeats_every_outcome_rejections_too() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let blue = one.room("Blue", "meeting").await;
        let red = one.room("Red", "quiet").await;
        let nobody = ReservationId(uuid::Uuid::nil());
        let lines = || {
            let mut moved = imported(
                "2030-01-01T12:00:02Z",
                "move",
                Action::MoveReservation(MoveReservation {
                    room: None,
                    reservation: nobody,
                    to_room: red,
                    from: None,
                    to: None,
                }),
            );
            moved.made_by = Some(key("make").id);
            let mut changed = imported(
                "2030-01-01T12:00:03Z",
                "change",
                Action::ChangeReservation(ChangeReservation {
                    people: Some(3),
                    ..ChangeReservation::new(None, nobody)
                }),
            );
            changed.made_by = Some(key("make").id);
            let mut orphan = imported(
                "2030-01-01T12:00:04Z",
                "orphan",
                Action::CancelReservation(CancelReservation { room: None, reservation: nobody }),
            );
            orphan.made_by = Some(key("refused").id);
            let late = Action::CancelReservation(CancelReservation { room: None, reservation: nobody });
            vec![
                imported("2030-01-01T12:00:00Z", "make", reserve(blue, hour(9))),
                imported("2030-01-01T12:00:01Z", "refused", reserve(blue, hour(9))),
                moved,
                changed,
                orphan,
                Submission {
                    made_by: Some(key("make").id),
                    ..imported("2030-01-01T12:00:00Z", "late", late)
                },
            ]
        };
        let first: Vec<CommandOutcome> =
            import(&one, lines()).await.into_iter().map(Result::unwrap).collect();
        assert!(first.iter().all(|decided| !decided.repeated));
        assert_eq!(first[0].result.as_ref().unwrap().room, blue);
        assert!(matches!(first[1].result, Err(Rejection::Overlap { .. })));
        assert_eq!(first[2].result.as_ref().unwrap().room, red);
        assert_eq!(
            (first[3].result.as_ref().unwrap().room, first[3].result.as_ref().unwrap().revision),
            (red, 3)
        );
        assert_eq!(first[4].result, Err(Rejection::UnknownReservation));
        assert!(matches!(first[5].result, Err(Rejection::OutOfOrder { .. })));
        let events = events_of(&store).await;
        // By another instance, as after a crash: nothing of it is in memory.
        let other = instance(&store).await;
        let second: Vec<CommandOutcome> =
            import(&other, lines()).await.into_iter().map(Result::unwrap).collect();
        for (at, (one, again)) in first.iter().zip(&second).enumerate() {
            assert_eq!(one.result, again.result);
            // That nothing was made under the key of another line is not recorded: that line may be corrected.
            assert_eq!(again.repeated, at != 4);
        }
        assert_eq!(events_of(&store).await, events);
    }
}

#[tokio::test]
async fn of_two_imports_that_correct_a_rejected_line_at_once_one_has_the_effect() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let blue = one.room("Blue", "meeting").await;
        let (first, second) = (instance(&store).await, instance(&store).await);
        // Content 0 is what the room has already.
        let line = |round: u32, content: u8| {
            let day = if content == 0 { 0 } else { round };
            let time = |hour: u8| format!("2030-02-{:02}T{hour:02}:00:00Z", 1 + day);
            let stay = stay(&time(8 + content), &time(9 + content));
            let mut line = imported("2030-01-01T12:00:00Z", &format!("line {round}"), reserve(blue, stay));
            line.key = line.key.map(|key| IdempotencyKey { fingerprint: [content; 16], ..key });
            line
        };
        import(&one, vec![line(0, 0)]).await;
        for round in 1..=10 {
            let rejected = import(&one, vec![line(round, 0)]).await;
            assert!(
                matches!(&rejected[..], [Ok(CommandOutcome { result: Err(Rejection::Overlap { .. }), .. })]),
                "{rejected:?}"
            );
            let (one, other) =
                tokio::join!(import(&first, vec![line(round, 1)]), import(&second, vec![line(round, 2)]),);
            let done = |replies: &[Reply]| matches!(replies, [Ok(outcome)] if outcome.result.is_ok());
            let reused = |replies: &[Reply]| matches!(replies, [Err(Failure::KeyReused)]);
            assert!(done(&one) && reused(&other) || reused(&one) && done(&other), "{one:?} and {other:?}");
        }
        assert_eq!(events_of(&store).await.len(), 12, "the room, what was taken, and one of each round");
    }
}

#[tokio::test]
async fn an_import_that_is_sent_again_after_all_other_keys_are_swept_changes_nothing() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let blue = one.room("Blue", "meeting").await;
        let lines = || {
            vec![
                imported("2030-01-01T12:00:00Z", "make", reserve(blue, hour(9))),
                imported("2030-01-01T12:00:01Z", "refused", reserve(blue, hour(9))),
            ]
        };
        let first = import(&one, lines()).await;
        let online = || Submission { key: Some(key("online")), ..by("ann", reserve(blue, hour(20))) };
        one.does(online()).await;
        let opened = store.open(None).await;
        let swept = async || {
            let wanted = ["make", "refused", "online"].map(|name| key(name).id);
            let kept = KeysKept { requests: Duration::ZERO, import_lines: None };
            sweep(opened.as_ref(), kept, &CancellationToken::new()).await.unwrap();
            opened.find_keys(&wanted).await.unwrap().len() == 2
        };
        eventually("all keys but those of lines are swept", swept).await;

        let events = events_of(&store).await;
        let other = instance(&store).await;
        let second = import(&other, lines()).await;
        for (one, again) in first.iter().zip(&second) {
            let (one, again) = (one.as_ref().unwrap(), again.as_ref().unwrap());
            assert_eq!((&again.result, again.repeated), (&one.result, true));
        }
        assert_eq!(events_of(&store).await, events);
        let action = CancelReservation { room: None, reservation: ReservationId(uuid::Uuid::nil()) };
        let mut cancels = imported("2030-01-01T12:00:02Z", "cancel", Action::CancelReservation(action));
        cancels.made_by = Some(key("make").id);
        let cancelled = import(&other, vec![cancels]).await.pop().unwrap().unwrap().result.unwrap();
        assert_eq!(cancelled.reservation, first[0].as_ref().unwrap().result.as_ref().unwrap().reservation);
    }
}

#[tokio::test]
async fn a_line_that_stands_twice_in_one_import_repeats_the_outcome_of_the_first() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let blue = one.room("Blue", "meeting").await;
        let line = || imported("2030-01-01T12:00:00Z", "make", reserve(blue, hour(9)));
        let replies = import(&one, vec![line(), line()]).await;
        let [Ok(first), Ok(second)] = &replies[..] else { panic!("{replies:?}") };
        assert_eq!(first.result, second.result);
        assert_eq!((first.repeated, second.repeated), (false, true));
        assert_eq!(events_of(&store).await.len(), 2);
    }
}

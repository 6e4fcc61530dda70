//! The checker accepts a correct history and finds each planted defect.

use serde_json::json;
use uuid::Uuid;

use super::{
    Allowed, check,
    trial::{A, B, GONE, MOVED, STAYS, Trial, cancel, hour, overlap, reserve},
};
use crate::campaign::{
    evidence::Kind,
    learnt::{Known, Listener},
    operation::Operation,
    record::{Outcome, View},
};

#[test]
fn a_correct_history_is_accepted() {
    assert_eq!(Trial::right().found(), []);
}

#[test]
fn an_overlap_is_found() {
    let mut trial = Trial::right();
    trial.made("double", A, Uuid::from_u128(9), hour(1));
    trial.breaks(&["live reservations never overlap"]);
}

#[test]
fn a_doubled_effect_is_found() {
    let mut trial = Trial::right();
    trial.event(A, Kind::Made, "stays", Some((Uuid::from_u128(9), 1, A, hour(5))));
    trial.breaks(&["a command has one effect"]);
}

#[test]
fn an_effect_that_two_tries_of_an_unknown_command_had_is_found() {
    let mut trial = Trial::right();
    trial.command("lost", reserve(A, hour(7)), Outcome::Unknown { why: "no answer in time".to_owned() });
    trial.event(A, Kind::Made, "lost", Some((Uuid::from_u128(8), 1, A, hour(7))));
    assert!(trial.found().iter().all(|violation| violation.rule != "a command has one effect"));
    trial.event(B, Kind::Made, "lost", Some((Uuid::from_u128(9), 1, B, hour(7))));
    trial.breaks(&["a command has one effect"]);
}

#[test]
fn an_acknowledged_command_that_was_lost_is_found() {
    let mut trial = Trial::right();
    trial.stream(A).pop();
    trial.breaks(&["an acknowledged command has its effect"]);
}

#[test]
fn an_acknowledged_command_with_another_revision_is_found() {
    let mut trial = Trial::right();
    let last = trial.stream(A).last_mut().unwrap();
    last.reservation.as_mut().unwrap().revision = 3;
    trial.breaks(&["an acknowledged command has its effect", "a reservation's revisions are 1, 2, 3, ..."]);
}

#[test]
fn half_a_move_is_found() {
    let mut trial = Trial::right();
    trial.stream(A).retain(|event| event.kind != Kind::MovedOut);
    trial.breaks(&["a command has one effect", "versions have no gaps"]);
}

#[test]
fn an_effect_of_a_refused_command_is_found() {
    let mut trial = Trial::right();
    trial.event(A, Kind::Made, "refused", Some((Uuid::from_u128(9), 1, A, hour(5))));
    trial.breaks(&["a refused command has no effect"]);
}

#[test]
fn a_command_that_is_refused_by_its_own_effect_is_found() {
    let rule = "a command is not refused by its own effect";
    let no_answer = || Outcome::Unknown { why: "no answer in time".to_owned() };
    let cancel = cancel(A, STAYS);
    let mut trial = Trial::right();
    trial.command("again", cancel.clone(), no_answer());
    trial.event(A, Kind::Cancelled, "again", Some((STAYS, 3, A, hour(1))));
    let unknown = json!({"type": "/problems/unknown-reservation", "room": A, "version": 6});
    trial.again("again", Outcome::Rejected { status: 404, problem: unknown });
    trial.breaks(&[rule]);
    let id = Uuid::from_u128(9);
    let mut trial = Trial::right();
    trial.command("again", reserve(A, hour(5)), no_answer());
    trial.event(A, Kind::Made, "again", Some((id, 1, A, hour(5))));
    let its_own = overlap(A, 6, id, hour(5));
    trial.again("again", Outcome::Rejected { status: 409, problem: its_own });
    trial.breaks(&[rule]);
}

#[test]
fn an_attempt_that_takes_effect_after_a_later_one_was_refused_is_accepted() {
    let rule = "a command is not refused by its own effect";
    let mut trial = Trial::right();
    let stay = hour(1);
    trial.command("again", reserve(A, stay), Outcome::Unknown { why: "lost".to_owned() });
    trial.again("again", Outcome::Rejected { status: 409, problem: overlap(A, 5, STAYS, stay) });
    trial.event(A, Kind::Cancelled, "other", Some((STAYS, 3, A, stay)));
    trial.event(A, Kind::Made, "again", Some((Uuid::from_u128(9), 1, A, stay)));
    assert!(trial.found().iter().all(|violation| violation.rule != rule));
}

#[test]
fn an_event_without_a_command_is_found() {
    let mut trial = Trial::right();
    trial.event(A, Kind::Made, "nobody", Some((Uuid::from_u128(9), 1, A, hour(5))));
    trial.breaks(&["every event has a command"]);
}

#[test]
fn another_stay_than_the_requested_one_is_found() {
    let mut trial = Trial::right();
    trial.stream(A)[4].reservation.as_mut().unwrap().stay = hour(9);
    trial.breaks(&["an effect matches its command"]);
}

#[test]
fn a_gap_is_found() {
    let mut trial = Trial::right();
    trial.stream(A)[4].version = 6;
    trial.breaks(&["versions have no gaps"]);
}

#[test]
fn a_refusal_that_its_version_does_not_justify_is_found() {
    let mut trial = Trial::right();
    let operation = reserve(B, hour(5));
    trial.refused("free", operation, overlap(B, 4, MOVED, hour(1)));
    trial.breaks(&["a refusal is justified by its version"]);
}

#[test]
fn a_refusal_from_a_version_that_never_was_is_found() {
    let mut trial = Trial::right();
    trial.refused("imagined", reserve(B, hour(1)), overlap(B, 9, MOVED, hour(1)));
    trial.breaks(&["a refusal depends on a version that exists"]);
}

#[test]
fn a_refusal_that_is_decided_on_an_old_version_is_found() {
    let mut trial = Trial::right();
    trial.refused("old", reserve(A, hour(2)), overlap(A, 3, STAYS, hour(2)));
    trial.breaks(&["a refusal is not decided on an old version"]);
}

#[test]
fn versions_in_another_order_than_real_time_are_found() {
    let mut trial = Trial::right();
    let attempt = &mut trial.of_key("moved").attempts[0];
    (attempt.start, attempt.end) = (1_000, 1_001);
    trial.breaks(&["the order of versions agrees with real time"]);
}

#[test]
fn a_topic_that_is_out_of_order_is_found() {
    let mut trial = Trial::right();
    let (third, fourth) = (2, 3);
    trial.evidence.topic.swap(third, fourth);
    trial.breaks(&["first occurrences in the topic are in order"]);
}

#[test]
fn a_message_that_never_came_is_found() {
    let mut trial = Trial::right();
    trial.evidence.topic.pop();
    trial.breaks(&["the topic is complete"]);
}

/// The topic was emptied before the move: it has the move and the later events.
fn emptied() -> Trial {
    let mut trial = Trial::right();
    let emptied = trial.of_key("move").start() - 1;
    trial.evidence.topic_emptied = Some(emptied);
    let late = |id: &str| [format!("{A}:4"), format!("{A}:5"), format!("{B}:4")].contains(&id.to_owned());
    trial.evidence.topic.retain(|message| late(&message.id));
    trial
}

#[test]
fn a_topic_that_lost_what_was_sent_before_it_was_emptied_is_accepted() {
    assert_eq!(emptied().found(), []);
    // The second room has no later events.
    let mut trial = emptied();
    trial.evidence.topic_emptied = Some(trial.now);
    trial.evidence.topic.retain(|message| message.id.starts_with(&A.to_string()));
    assert_eq!(trial.found(), []);
}

#[test]
fn a_message_that_never_came_after_the_topic_was_emptied_is_found() {
    for never in [format!("{A}:4"), format!("{A}:5"), format!("{B}:4")] {
        let mut trial = emptied();
        trial.evidence.topic.retain(|message| message.id != never);
        let rules: Vec<&str> = trial.found().iter().map(|violation| violation.rule).collect();
        let expected = if never == format!("{A}:4") {
            "first occurrences in the topic are in order"
        } else {
            "the topic is complete"
        };
        assert_eq!(rules, [expected], "{never}");
    }
}

#[test]
fn a_topic_that_is_out_of_order_after_it_was_emptied_is_found() {
    let order = "first occurrences in the topic are in order";
    let mut trial = emptied();
    let last = trial.evidence.topic.iter().position(|message| message.id == format!("{A}:5")).unwrap();
    let late = trial.evidence.topic.remove(last);
    trial.evidence.topic.insert(0, late);
    trial.breaks(&[order]);
    // Also if all of it was sent before the topic was emptied.
    let mut trial = Trial::right();
    trial.evidence.topic_emptied = Some(trial.now);
    let place = |version: u64| {
        let id = format!("{A}:{version}");
        trial.evidence.topic.iter().position(|message| message.id == id).unwrap()
    };
    let (third, fourth) = (place(3), place(4));
    trial.evidence.topic.swap(third, fourth);
    trial.evidence.topic.retain(|message| message.id != format!("{A}:1"));
    trial.breaks(&[order]);
    // 4, 3, 5: the rest may start anywhere but must be in order.
    trial.evidence.topic.retain(|message| message.id != format!("{A}:2"));
    trial.breaks(&[order]);
}

#[test]
fn a_duplicate_in_the_topic_is_accepted() {
    let mut trial = Trial::right();
    let again = trial.evidence.topic[2].clone();
    trial.evidence.topic.push(again);
    assert_eq!(trial.found(), []);
}

#[test]
fn a_message_that_differs_from_the_store_is_found() {
    let mut trial = Trial::right();
    trial.evidence.topic[0].payload.push(b'!');
    trial.breaks(&["a message equals the stored event"]);
}

#[test]
fn a_lost_history_document_is_found() {
    let mut trial = Trial::right();
    trial.evidence.documents.history.remove(3);
    trial.breaks(&["every event is in the history once"]);
}

#[test]
fn a_reservation_without_its_last_change_is_found() {
    let mut trial = Trial::right();
    trial.evidence.documents.reservations[1].revision = 1;
    trial.breaks(&["every reservation is in the read model as its last event left it"]);
}

#[test]
fn minutes_that_are_counted_twice_are_found() {
    let mut trial = Trial::right();
    trial.evidence.shown[0].popular.insert(A, [120, 2, 2]);
    trial.evidence.shown[0].busiest.insert(("double".to_owned(), 3, 1), [180, 3, 3]);
    trial.breaks(&[
        "a room's minutes, reservations and people are counted once",
        "minutes, reservations and people of weekdays and hours are counted once",
    ]);
}

#[test]
fn a_schedule_that_shows_too_little_is_found() {
    let mut trial = Trial::right();
    trial.evidence.shown[0].schedules.remove(&A);
    trial.breaks(&["a schedule shows every live reservation"]);
}

#[test]
fn a_room_that_is_behind_or_of_another_kind_is_found() {
    let mut trial = Trial::right();
    trial.evidence.shown[0].rooms.insert(A, (4, "single".to_owned()));
    trial.breaks(&["read models are level with the store", "a room is shown as it was registered"]);
}

#[test]
fn a_stale_answer_to_a_token_is_found_unless_it_is_excused() {
    let mut trial = Trial::right();
    trial.queried(A, 5, View::Schedule, 4);
    trial.breaks(&["a query shows at least the version of its token"]);
    let at = trial.now;
    let allowed = Allowed { stale: vec![(at - 1, at)], past: Vec::new() };
    assert_eq!(check(&trial.record, &trial.evidence, &allowed), []);
}

#[test]
fn an_older_copy_excuses_that_nothing_is_shown_but_no_other_answer() {
    let mut trial = Trial::right();
    trial.queried(A, 5, View::Schedule, 4);
    let at = trial.now;
    let allowed = Allowed { stale: vec![(at - 1, at)], past: Vec::new() };
    for (status, excused) in [(404, true), (500, false), (400, false), (200, false)] {
        let query = trial.record.queries.last_mut().unwrap();
        (query.status, query.shown) = (Some(status), None);
        assert_eq!(check(&trial.record, &trial.evidence, &allowed).is_empty(), excused, "{status}");
    }
}

#[test]
fn a_version_that_a_live_stream_left_out_is_found_unless_a_reset_covers_it() {
    let mut trial = Trial::right();
    let known = Known { told: [3, 5].into(), read: 2, read_at: (0, 0) };
    let mut listener = Listener { rooms: [(A, known)].into(), ..Listener::default() };
    trial.record.listeners = vec![listener.clone()];
    trial.breaks(&["a live stream tells every version"]);
    let known = listener.rooms.get_mut(&A).unwrap();
    known.read = 4;
    trial.record.listeners = vec![listener.clone()];
    assert_eq!(trial.found(), []);
    listener.rooms.get_mut(&A).unwrap().told.insert(6);
    listener.wrong.push("401".to_owned());
    trial.record.listeners = vec![listener];
    trial.breaks(&["a live stream tells what happened", "a live stream tells what was asked for"]);
}

#[test]
fn a_version_that_an_older_copy_hid_from_a_client_of_a_live_stream_is_accepted_and_no_later_one() {
    let rule = "a live stream tells every version";
    for (told, read_at, is_right) in [
        (vec![4, 5], (10, 20), true),
        (vec![], (10, 20), true),
        (vec![3, 5], (10, 20), false),
        (vec![4, 5], (31, 40), false),
    ] {
        let mut trial = Trial::right();
        let known = Known { told: told.iter().copied().collect(), read: 2, read_at };
        trial.record.listeners = vec![Listener { rooms: [(A, known)].into(), ..Listener::default() }];
        let allowed = Allowed { stale: vec![(15, 30)], past: Vec::new() };
        let found = check(&trial.record, &trial.evidence, &allowed);
        let is_found = found.iter().any(|violation| violation.rule == rule);
        assert_eq!(is_found, !is_right, "{told:?} {read_at:?}");
    }
}

#[test]
fn an_answer_that_breaks_the_contract_is_found() {
    let mut trial = Trial::right();
    let wrong = Outcome::Wrong { status: 503, why: "503 without Retry-After".to_owned() };
    trial.command("wrong", reserve(A, hour(5)), wrong);
    trial.breaks(&["answers follow the contract"]);
}

#[test]
fn a_reservation_that_is_restored_to_other_values_than_its_revision_had_is_found() {
    let rule = "an effect matches its command";
    for (stay, is_right) in [(hour(1), true), (hour(5), false)] {
        let mut trial = Trial::right();
        let version = trial.event(B, Kind::Restored, "restore", Some((GONE, 3, B, stay)));
        let restore = Operation::Restore { room: B, reservation: GONE, revision: 1 };
        trial.done("restore", restore, B, version, Some((GONE, 3)));
        assert_eq!(trial.found().iter().all(|violation| violation.rule != rule), is_right);
    }
}

#[test]
fn a_restore_that_is_refused_without_a_cause_is_found() {
    let rule = "a refusal is justified by its version";
    let unknown = json!({"type": "/problems/unknown-revision", "room": B, "version": 4});
    for (revision, problem, is_right) in [
        (1, overlap(B, 4, MOVED, hour(1)), true),
        (1, overlap(B, 4, MOVED, hour(2)), false),
        (1, unknown.clone(), false),
        (2, unknown.clone(), true),
        (3, unknown, true),
    ] {
        let mut trial = Trial::right();
        trial.refused(
            "restore",
            Operation::Restore { room: B, reservation: GONE, revision },
            problem.clone(),
        );
        let found = trial.found();
        assert_eq!(found.iter().all(|violation| violation.rule != rule), is_right, "{revision} {problem}");
    }
}

//! The checker accepts a history that is as it should be, and catches each defect that is planted in it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Allowed, Violation, check};
use crate::{
    campaign::{
        evidence::{Event, Evidence, Kind, Reservation, Shown},
        record::{Ask, Attempt, Command, Done, Look, Outcome, Query, Record, Stay, YEAR_BEGINS},
    },
    kafka::MessageRow,
    mongo::{Documents, HistoryDoc, ReservationDoc},
};

const A: Uuid = Uuid::from_u128(0xA);
const B: Uuid = Uuid::from_u128(0xB);
/// Reservations: one that is moved from A to B, one that stays in A, one that is cancelled.
const MOVED: Uuid = Uuid::from_u128(1);
const STAYS: Uuid = Uuid::from_u128(2);
const GONE: Uuid = Uuid::from_u128(3);

const fn hour(hour: i64) -> Stay {
    Stay { from: YEAR_BEGINS + hour * 60, to: YEAR_BEGINS + hour * 60 + 60 }
}

/// What is recorded and what is left, made command by command.
struct Trial {
    record: Record,
    evidence: Evidence,
    now: u64,
}

impl Trial {
    fn time(&mut self) -> (u64, u64) {
        self.now += 10;
        (self.now - 9, self.now)
    }

    fn event(&mut self, room: Uuid, kind: Kind, key: &str, about: Option<(Uuid, u64, Uuid, Stay)>) -> u64 {
        let stream = self.evidence.streams.entry(room).or_default();
        let version = u64::try_from(stream.len()).unwrap() + 1;
        let reservation = about.map(|(id, revision, room, stay)| Reservation {
            id,
            revision,
            room,
            stay,
            user: "ann".to_owned(),
        });
        let event = Event {
            room,
            version,
            kind,
            key: key.to_owned(),
            command: format!("command of {key}"),
            actor: "ann".to_owned(),
            reservation,
            room_kind: (kind == Kind::Registered).then(|| "double".to_owned()),
            payload: format!("{key} {kind:?}").into_bytes(),
        };
        self.evidence.topic.push(MessageRow {
            partition: 0,
            key: room.to_string().into_bytes(),
            id: event.id(),
            event_type: String::new(),
            payload: event.payload.clone(),
        });
        stream.push(event);
        version
    }

    fn command(&mut self, key: &str, ask: Ask, outcome: Outcome) {
        let (start, end) = self.time();
        let attempts = vec![Attempt { instance: 0, start, end, outcome }];
        let (key, user) = (key.to_owned(), "ann".to_owned());
        self.record.commands.push(Command { key, user, ask, attempts });
    }

    fn refused(&mut self, key: &str, ask: Ask, problem: Value) {
        self.command(key, ask, Outcome::Rejected { status: 409, problem });
    }

    fn done(&mut self, key: &str, ask: Ask, room: Uuid, version: u64, reservation: Option<(Uuid, u64)>) {
        let done = Done {
            room,
            version,
            reservation: reservation.map(|(id, _)| id),
            revision: reservation.map_or(1, |(_, revision)| revision),
            token: String::new(),
        };
        self.command(key, ask, Outcome::Done(done));
    }

    fn made(&mut self, key: &str, room: Uuid, id: Uuid, stay: Stay) {
        let version = self.event(room, Kind::Made, key, Some((id, 1, room, stay)));
        self.done(key, Ask::Reserve { room, stay }, room, version, Some((id, 1)));
    }

    /// A history as it should be.
    fn right() -> Self {
        let documents = Documents { reservations: Vec::new(), history: Vec::new() };
        let evidence = Evidence {
            streams: BTreeMap::new(),
            topic: Vec::new(),
            topic_emptied: false,
            documents,
            shown: Vec::new(),
        };
        let mut trial = Self { record: Record::default(), evidence, now: 0 };
        for (room, name) in [(A, "a"), (B, "b")] {
            let key = format!("register-{name}");
            trial.event(room, Kind::Registered, &key, None);
            trial.done(
                &key,
                Ask::Register { name: name.to_owned(), kind: "double".to_owned() },
                room,
                1,
                None,
            );
        }
        trial.made("moved", A, MOVED, hour(1));
        trial.made("stays", A, STAYS, hour(2));
        trial.made("gone", B, GONE, hour(1));
        trial.refused("refused", Ask::Reserve { room: A, stay: hour(2) }, overlap(A, 3, STAYS, hour(2)));
        let full = json!({"type": "/problems/no-free-room",
            "rooms": [{"room": A, "version": 3}, {"room": B, "version": 2}]});
        trial.refused("full", Ask::ReserveKind { kind: "double".to_owned(), stay: hour(1) }, full);
        trial.event(B, Kind::Cancelled, "cancel", Some((GONE, 2, B, hour(1))));
        trial.done("cancel", Ask::Cancel { room: B, reservation: GONE }, B, 3, Some((GONE, 2)));
        trial.event(A, Kind::MovedOut, "move", Some((MOVED, 2, B, hour(1))));
        trial.event(B, Kind::MovedIn, "move", Some((MOVED, 2, B, hour(1))));
        trial.done("move", Ask::Move { room: A, reservation: MOVED, to_room: B }, B, 4, Some((MOVED, 2)));
        trial.event(A, Kind::Rescheduled, "reschedule", Some((STAYS, 2, A, hour(1))));
        let later = Ask::Reschedule { room: A, reservation: STAYS, stay: hour(1) };
        trial.done("reschedule", later, A, 5, Some((STAYS, 2)));
        trial.asked_for(A, 5, Look::Schedule, 5);
        trial.asked_for(B, 4, Look::Reservation { reservation: MOVED, revision: 2 }, 2);
        trial.shown();
        trial
    }

    fn asked_for(&mut self, room: Uuid, version: u64, look: Look, shown: u64) {
        let (start, end) = self.time();
        let (status, shown) = (Some(200), Some(shown));
        self.record.queries.push(Query { instance: 0, start, end, room, version, look, status, shown });
    }

    fn shown(&mut self) {
        let document = |id, room, revision, live, version, stay: Stay| ReservationDoc {
            id,
            room,
            revision,
            live,
            version: Some(version),
            from: stay.from,
            to: stay.to,
            user: "ann".to_owned(),
        };
        self.evidence.documents.reservations = vec![
            document(MOVED, B, 2, true, 4, hour(1)),
            document(STAYS, A, 2, true, 5, hour(1)),
            document(GONE, B, 2, false, 3, hour(1)),
        ];
        let entry = |room, version, what: &str, reservation, revision| HistoryDoc {
            room,
            version,
            user: "ann".to_owned(),
            what: what.to_owned(),
            reservation,
            revision,
        };
        self.evidence.documents.history = vec![
            entry(A, 2, "made", MOVED, 1),
            entry(A, 3, "made", STAYS, 1),
            entry(B, 2, "made", GONE, 1),
            entry(B, 3, "cancelled", GONE, 2),
            entry(B, 4, "moved", MOVED, 2),
            entry(A, 5, "changed", STAYS, 2),
        ];
        // The first of January 2031 is a Wednesday.
        self.evidence.shown = vec![Shown {
            instance: 0,
            versions: BTreeMap::from([(A, 5), (B, 4)]),
            schedules: BTreeMap::from([(A, vec![(STAYS, 2, hour(1))]), (B, vec![(MOVED, 2, hour(1))])]),
            popular: BTreeMap::from([(A, (60, 1)), (B, (60, 1))]),
            busiest: BTreeMap::from([(("double".to_owned(), 3, 1), 120)]),
        }];
    }

    fn found(&self) -> Vec<Violation> {
        check(&self.record, &self.evidence, &Allowed::default())
    }

    /// The rules that are broken, each once.
    #[track_caller]
    fn breaks(&self, expected: &[&str]) {
        let found = self.found();
        let mut rules: Vec<&str> = found.iter().map(|violation| violation.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        for rule in expected {
            assert!(rules.contains(rule), "{rule} was not found broken, but {found:#?}");
        }
    }

    fn stream(&mut self, room: Uuid) -> &mut Vec<Event> {
        self.evidence.streams.get_mut(&room).unwrap()
    }

    fn of_key(&mut self, key: &str) -> &mut Command {
        self.record.commands.iter_mut().find(|command| command.key == key).unwrap()
    }
}

fn overlap(room: Uuid, version: u64, id: Uuid, stay: Stay) -> Value {
    json!({"type": "/problems/overlap", "room": room, "version": version,
        "inTheWay": {"reservation": id, "from": stay.begins(), "to": stay.ends()}})
}

#[test]
fn what_is_as_it_should_be_is_accepted() {
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
    trial.command(
        "lost",
        Ask::Reserve { room: A, stay: hour(7) },
        Outcome::Unknown { why: "no answer in time".to_owned() },
    );
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
fn an_event_that_nobody_asked_for_is_found() {
    let mut trial = Trial::right();
    trial.event(A, Kind::Made, "nobody", Some((Uuid::from_u128(9), 1, A, hour(5))));
    trial.breaks(&["every event was asked for"]);
}

#[test]
fn another_stay_than_was_asked_for_is_found() {
    let mut trial = Trial::right();
    trial.stream(A)[4].reservation.as_mut().unwrap().stay = hour(9);
    trial.breaks(&["an effect is what was asked for"]);
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
    let asked = Ask::Reserve { room: B, stay: hour(5) };
    trial.refused("free", asked, overlap(B, 4, MOVED, hour(1)));
    trial.breaks(&["a refusal is justified by its version"]);
}

#[test]
fn a_refusal_from_a_version_that_never_was_is_found() {
    let mut trial = Trial::right();
    trial.refused("imagined", Ask::Reserve { room: B, stay: hour(1) }, overlap(B, 9, MOVED, hour(1)));
    trial.breaks(&["a refusal rests on a version that exists"]);
}

#[test]
fn a_refusal_that_is_decided_on_an_old_version_is_found() {
    let mut trial = Trial::right();
    trial.refused("old", Ask::Reserve { room: A, stay: hour(2) }, overlap(A, 3, STAYS, hour(2)));
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

#[test]
fn a_duplicate_in_the_topic_is_accepted() {
    let mut trial = Trial::right();
    let again = trial.evidence.topic[2].clone();
    trial.evidence.topic.push(again);
    assert_eq!(trial.found(), []);
}

#[test]
fn a_message_that_says_something_else_is_found() {
    let mut trial = Trial::right();
    trial.evidence.topic[0].payload.push(b'!');
    trial.breaks(&["a message says what the store says"]);
}

#[test]
fn a_lost_history_document_is_found() {
    let mut trial = Trial::right();
    trial.evidence.documents.history.remove(3);
    trial.breaks(&["every event is in the history once"]);
}

#[test]
fn a_reservation_that_stayed_as_it_was_is_found() {
    let mut trial = Trial::right();
    trial.evidence.documents.reservations[1].revision = 1;
    trial.breaks(&["every reservation is in the read model as its events left it"]);
}

#[test]
fn minutes_that_are_counted_twice_are_found() {
    let mut trial = Trial::right();
    trial.evidence.shown[0].popular.insert(A, (120, 2));
    trial.evidence.shown[0].busiest.insert(("double".to_owned(), 3, 1), 180);
    trial.breaks(&[
        "reserved minutes are counted once",
        "reserved minutes of weekdays and hours are counted once",
    ]);
}

#[test]
fn a_schedule_that_shows_too_little_is_found() {
    let mut trial = Trial::right();
    trial.evidence.shown[0].schedules.remove(&A);
    trial.breaks(&["a schedule shows every live reservation"]);
}

#[test]
fn a_read_model_that_is_behind_is_found() {
    let mut trial = Trial::right();
    trial.evidence.shown[0].versions.insert(A, 4);
    trial.breaks(&["read models are level with the store"]);
}

#[test]
fn a_stale_answer_to_a_token_is_found_unless_it_is_excused() {
    let mut trial = Trial::right();
    trial.asked_for(A, 5, Look::Schedule, 4);
    trial.breaks(&["a query shows what its token stands for"]);
    let at = trial.now;
    let allowed = Allowed { stale: vec![(at - 1, at)], past: Vec::new() };
    assert_eq!(check(&trial.record, &trial.evidence, &allowed), []);
}

#[test]
fn an_answer_that_breaks_the_contract_is_found() {
    let mut trial = Trial::right();
    let wrong = Outcome::Wrong { status: 503, why: "503 without Retry-After".to_owned() };
    trial.command("wrong", Ask::Reserve { room: A, stay: hour(5) }, wrong);
    trial.breaks(&["answers are of the contract"]);
}

//! A key has one effect: an acknowledged command took effect once, a refused one did not.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Findings, name, streams::depends_on};
use crate::campaign::{
    evidence::{Event, Evidence, Kind, Reservation},
    record::{Command, Done, Known, Operation, Outcome, Record},
};

/// The events by reservation and the revision that they made.
type Revisions<'a> = HashMap<(Uuid, u64), &'a Event>;

pub(super) fn check(record: &Record, evidence: &Evidence, findings: &mut Findings) {
    let all = evidence.streams.values().flatten().filter(|event| !event.is_of_the_other_room());
    let revisions: Revisions<'_> = all
        .filter_map(|event| event.reservation.as_ref().map(|about| ((about.id, about.revision), event)))
        .collect();
    let mut by_key: HashMap<&str, Vec<&Event>> = HashMap::new();
    for event in evidence.streams.values().flatten() {
        by_key.entry(&event.key).or_default().push(event);
    }
    let mut keys = HashSet::new();
    for command in &record.commands {
        keys.insert(command.key.as_str());
        let events = by_key.get(command.key.as_str()).map(Vec::as_slice).unwrap_or_default();
        for attempt in &command.attempts {
            if let Outcome::Wrong { status, why } = &attempt.outcome {
                findings.add("answers follow the contract", format!("{}: {status}: {why}", name(command)));
            }
        }
        not_its_own_obstacle(command, events, findings);
        match command.known() {
            Known::Done(done) => acknowledged(command, done, events, &revisions, findings),
            Known::Nothing => findings.check(events.is_empty(), "a refused command has no effect", || {
                format!("{} was refused and has {}", name(command), list(events))
            }),
            Known::Unknown if events.is_empty() => {}
            Known::Unknown => one_effect(command, events, &revisions, findings),
        }
    }
    for (key, events) in by_key {
        findings
            .check(keys.contains(key), "every event has a command", || format!("{key}: {}", list(&events)));
    }
}

/// A refusal after the command's effect must have been decided before the effect: afterwards the room knows the key.
fn not_its_own_obstacle(command: &Command, events: &[&Event], findings: &mut Findings) {
    for attempt in &command.attempts {
        let Outcome::Rejected { problem, .. } = &attempt.outcome else { continue };
        for (room, version) in depends_on(problem) {
            let there = events.iter().find(|event| event.room == room && event.version <= version);
            if let Some(event) = there {
                findings.add(
                    "a command is not refused by its own effect",
                    format!("{} has {}: {problem}", name(command), event.id()),
                );
            }
        }
    }
}

fn acknowledged(
    command: &Command,
    done: &Done,
    events: &[&Event],
    revisions: &Revisions<'_>,
    findings: &mut Findings,
) {
    let rule = "an acknowledged command has its effect";
    let told = events.iter().find(|event| event.room == done.room && event.version == done.version);
    let Some(event) = told else {
        return findings
            .add(rule, format!("{} was answered {done:?} and has {}", name(command), list(events)));
    };
    let same = match &event.reservation {
        Some(made) => Some(made.id) == done.reservation && made.revision == done.revision,
        None => done.reservation.is_none(),
    };
    findings.check(same, rule, || format!("{} was answered {done:?} but {event:?} is stored", name(command)));
    one_effect(command, events, revisions, findings);
}

/// The events come from one execution of the command.
fn one_effect(command: &Command, events: &[&Event], revisions: &Revisions<'_>, findings: &mut Findings) {
    let expected: &[Kind] = match &command.operation {
        Operation::Register { .. } => &[Kind::Registered],
        Operation::Reserve { .. } | Operation::ReserveKind { .. } => &[Kind::Made],
        Operation::Reschedule { .. } => &[Kind::Rescheduled],
        Operation::Move { .. } => &[Kind::MovedIn, Kind::MovedOut],
        Operation::Cancel { .. } => &[Kind::Cancelled],
        Operation::Restore { room, reservation, revision } => {
            let was = revisions.get(&(*reservation, *revision));
            if was.is_some_and(|was| was.room == *room) {
                &[Kind::Restored]
            } else {
                &[Kind::Restored, Kind::RestoredElsewhere]
            }
        }
    };
    let once = events.len() == expected.len()
        && expected.iter().all(|kind| events.iter().any(|event| event.kind == *kind))
        && events.iter().all(|event| event.command == events[0].command);
    findings.check(once, "a command has one effect", || format!("{} has {}", name(command), list(events)));
    for event in events {
        findings.check(matches_operation(command, event, revisions), "an effect matches its command", || {
            format!("{} has {event:?}", name(command))
        });
    }
}

fn matches_operation(command: &Command, event: &Event, revisions: &Revisions<'_>) -> bool {
    let about = event.reservation.as_ref();
    let is = |id| about.is_some_and(|reservation| reservation.id == id);
    let matches = match &command.operation {
        Operation::Register { kind, .. } => event.room_kind.as_ref() == Some(kind),
        Operation::Reserve { room, stay } => {
            event.room == *room && about.is_some_and(|made| made.stay == *stay)
        }
        Operation::ReserveKind { stay, .. } => about.is_some_and(|made| made.stay == *stay),
        Operation::Reschedule { room, reservation, stay } => {
            event.room == *room && is(*reservation) && about.is_some_and(|made| made.stay == *stay)
        }
        Operation::Move { room, reservation, to_room } => {
            let stream = if event.kind == Kind::MovedOut { room } else { to_room };
            event.room == *stream && is(*reservation) && about.is_some_and(|moved| moved.room == *to_room)
        }
        Operation::Cancel { room, reservation } => event.room == *room && is(*reservation),
        Operation::Restore { room, reservation, revision } => {
            let was = revisions.get(&(*reservation, *revision)).filter(|was| was.kind != Kind::Cancelled);
            was.and_then(|was| was.reservation.as_ref()).is_some_and(|was| {
                let stream = if event.kind == Kind::RestoredElsewhere { *room } else { was.room };
                let same = |about: &Reservation| (about.room, about.stay) == (was.room, was.stay);
                event.room == stream && is(*reservation) && about.is_some_and(same)
            })
        }
    };
    matches && event.actor == command.user
}

fn list(events: &[&Event]) -> String {
    let events: Vec<String> = events
        .iter()
        .map(|event| format!("{} {:?} of command {}", event.id(), event.kind, event.command))
        .collect();
    format!("[{}]", events.join(", "))
}

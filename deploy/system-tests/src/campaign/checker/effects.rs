//! A key has one effect: an acknowledged command took effect once, a refused one did not.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Findings, Span, closures, name, refusals::depends_on, series, within};
use crate::campaign::{
    evidence::{Event, Evidence, Kind, Reservation},
    operation::{Operation, Repeated, people},
    record::{Command, Done, Known, Outcome, Record},
};

const MINUTE: i64 = 60_000;

/// The events by reservation and the revision that they made.
type Revisions<'a> = HashMap<(Uuid, u64), &'a Event>;

pub(super) fn check(record: &Record, evidence: &Evidence, past: &[Span], findings: &mut Findings) {
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
        if command.operation.is_about_closure() {
            closures::effect(command, events, findings);
            continue;
        }
        match command.known() {
            Known::Done(done) if events.is_empty() && ends_anyway(command, done, past, &revisions) => {}
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
    closures::lifted(record, evidence, findings);
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

/// Whether nothing had to be done: by a clock in the middle of the stays, the stay ends with the next full minute.
fn ends_anyway(command: &Command, done: &Done, past: &[Span], revisions: &Revisions<'_>) -> bool {
    let Operation::Cancel { reservation, .. } = &command.operation else { return false };
    let by_another_clock =
        command.attempts.last().is_some_and(|attempt| within(past, attempt.start, attempt.end));
    by_another_clock && revisions.contains_key(&(*reservation, done.revision))
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
    let same = match (&done.series, &event.reservation) {
        (Some(told), _) => series::is_told(told, done.version, events),
        (None, Some(made)) => Some(made.id) == done.reservation && made.revision == done.revision,
        (None, None) => done.reservation.is_none(),
    };
    findings.check(same, rule, || format!("{} was answered {done:?} but {event:?} is stored", name(command)));
    one_effect(command, events, revisions, findings);
}

/// The events come from one execution of the command.
fn one_effect(command: &Command, events: &[&Event], revisions: &Revisions<'_>, findings: &mut Findings) {
    let once = match &command.operation {
        Operation::ReserveSeries(Repeated { room, .. })
        | Operation::ChangeSeries { room, .. }
        | Operation::CancelSeries { room, .. } => series::one_effect(command, *room, events),
        _ => {
            let expected = kinds(command, events, revisions);
            events.len() == expected.len()
                && expected.iter().all(|kind| events.iter().any(|event| event.kind == *kind))
                && events.iter().all(|event| event.command == events[0].command)
        }
    };
    findings.check(once, "a command has one effect", || format!("{} has {}", name(command), list(events)));
    for event in events {
        findings.check(matches_operation(command, event, revisions), "an effect matches its command", || {
            format!("{} has {event:?}", name(command))
        });
    }
}

/// The events that a command has.
fn kinds(command: &Command, events: &[&Event], revisions: &Revisions<'_>) -> &'static [Kind] {
    let before = |reservation: &Uuid| {
        let made = events.iter().find_map(|event| event.reservation.as_ref())?;
        revisions.get(&(*reservation, made.revision.checked_sub(1)?)).copied()
    };
    match &command.operation {
        Operation::Register { .. } => &[Kind::Registered],
        Operation::Reserve { .. } | Operation::ReserveKind { .. } => &[Kind::Made],
        Operation::Reschedule { .. } => &[Kind::Rescheduled],
        Operation::Move { .. } => &[Kind::MovedIn, Kind::MovedOut],
        Operation::Cancel { reservation, .. } => {
            let running = events.first().zip(before(reservation)).is_some_and(|(event, before)| {
                before.reservation.as_ref().is_some_and(|about| about.stay.from * MINUTE <= event.time)
            });
            if running { &[Kind::Rescheduled] } else { &[Kind::Cancelled] }
        }
        Operation::Restore { room, reservation, revision } => {
            let was = revisions.get(&(*reservation, *revision));
            let here = was.is_some_and(|was| was.room == *room);
            // A running stay that was cancelled has only ended.
            let is_cancelled = before(reservation).is_none_or(|before| before.kind == Kind::Cancelled);
            match (is_cancelled, here) {
                (true, true) => &[Kind::Restored],
                (true, false) => &[Kind::Restored, Kind::RestoredElsewhere],
                (false, true) => &[Kind::Rescheduled],
                (false, false) => &[Kind::MovedIn, Kind::MovedOut],
            }
        }
        Operation::ReserveSeries(_)
        | Operation::ChangeSeries { .. }
        | Operation::CancelSeries { .. }
        | Operation::Close { .. }
        | Operation::Lift { .. } => &[],
    }
}

fn matches_operation(command: &Command, event: &Event, revisions: &Revisions<'_>) -> bool {
    let about = event.reservation.as_ref();
    let is = |id| about.is_some_and(|reservation| reservation.id == id);
    let made = |stay: &dyn Fn(&Reservation) -> bool, owner: &Option<String>| {
        about.is_some_and(|made| stay(made) && is_booked(made, &command.user, owner.as_deref()))
    };
    let matches = match &command.operation {
        Operation::Register { kind, rules, .. } => {
            event.room_kind.as_ref() == Some(kind) && event.rules == *rules
        }
        Operation::Reserve { room, stay, owner } => {
            event.room == *room && made(&|made| made.stay == *stay && made.series.is_none(), owner)
        }
        Operation::ReserveKind { stay, .. } => made(&|made| made.stay == *stay, &None),
        Operation::ReserveSeries(series) => {
            event.room == series.room
                && event.kind == Kind::Made
                && made(&|made| series.occurrences().any(|stay| stay == made.stay), &series.owner)
        }
        Operation::Reschedule { room, reservation, stay } => {
            event.room == *room && is(*reservation) && about.is_some_and(|made| made.stay == *stay)
        }
        Operation::Move { room, reservation, to_room } => {
            let stream = if event.kind == Kind::MovedOut { room } else { to_room };
            event.room == *stream && is(*reservation) && about.is_some_and(|moved| moved.room == *to_room)
        }
        Operation::Cancel { room, reservation, .. } => {
            // A running stay ends with the next full minute.
            let end = event.time.div_euclid(MINUTE) + 1;
            let ends = event.kind == Kind::Cancelled || about.is_some_and(|ended| ended.stay.to == end);
            event.room == *room && is(*reservation) && ends
        }
        Operation::Restore { room, reservation, revision } => {
            let was = revisions.get(&(*reservation, *revision)).filter(|was| was.kind != Kind::Cancelled);
            was.and_then(|was| was.reservation.as_ref()).is_some_and(|was| {
                let leaves = matches!(event.kind, Kind::RestoredElsewhere | Kind::MovedOut);
                let stream = if leaves { *room } else { was.room };
                let same = |about: &Reservation| (about.room, about.stay) == (was.room, was.stay);
                event.room == stream && is(*reservation) && about.is_some_and(same)
            })
        }
        Operation::ChangeSeries { room, .. } => event.room == *room && event.kind == Kind::Rescheduled,
        Operation::CancelSeries { room, .. } => event.room == *room && event.kind == Kind::Cancelled,
        Operation::Close { .. } | Operation::Lift { .. } => false,
    };
    matches
        && keeps_people(event, revisions)
        && has_values(command, event, revisions)
        && event.actor == command.user
}

/// Whether a reservation is its owner's, and says who made it for another.
fn is_booked(made: &Reservation, user: &str, owner: Option<&str>) -> bool {
    let owner = owner.unwrap_or(user);
    made.user == owner && made.booker.as_deref() == Some(user).filter(|user| *user != owner)
}

/// Title and number of people are those that the command asks for, or stay as they were.
fn has_values(command: &Command, event: &Event, revisions: &Revisions<'_>) -> bool {
    let Some(about) = &event.reservation else { return true };
    let revision = match &command.operation {
        Operation::Reserve { .. }
        | Operation::ReserveKind { .. }
        | Operation::ReserveSeries(_)
        | Operation::Reschedule { .. }
        | Operation::ChangeSeries { .. } => {
            return about.title == command.key && about.people == people(&command.key);
        }
        Operation::Restore { revision, .. } => *revision,
        _ => about.revision.saturating_sub(1),
    };
    let was = revisions.get(&(about.id, revision)).and_then(|was| was.reservation.as_ref());
    was.is_none_or(|was| (&was.title, was.people) == (&about.title, about.people))
}

/// No later change gives a reservation another owner, booker or series.
fn keeps_people(event: &Event, revisions: &Revisions<'_>) -> bool {
    let Some(about) = &event.reservation else { return true };
    let first = revisions.get(&(about.id, 1)).and_then(|first| first.reservation.as_ref());
    let people = |about: &Reservation| (about.user.clone(), about.booker.clone(), about.series);
    first.is_none_or(|first| people(first) == people(about))
}

fn list(events: &[&Event]) -> String {
    let events: Vec<String> = events
        .iter()
        .map(|event| format!("{} {:?} of command {}", event.id(), event.kind, event.command))
        .collect();
    format!("[{}]", events.join(", "))
}

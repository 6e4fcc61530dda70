//! Each room's stream: no gap in the versions, no overlap at any version, and an order that agrees with real time.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Findings, Span, name,
    refusals::{Changes, Refusal, changes, justified, refusals},
    room::Room,
    series,
};
use crate::campaign::{
    evidence::{Event, Evidence, Reservation},
    record::{Command, Record},
};

/// The commands by their keys.
type Commands<'a> = HashMap<&'a str, &'a Command>;

pub(super) fn check(record: &Record, evidence: &Evidence, past: &[Span], findings: &mut Findings) {
    let commands: Commands<'_> =
        record.commands.iter().map(|command| (command.key.as_str(), command)).collect();
    let mut refusals = refusals(record, evidence, past, findings);
    let changes = changes(evidence);
    let mut revisions = HashMap::new();
    for (room, events) in &evidence.streams {
        let refusals = refusals.remove(room).unwrap_or_default();
        state(events, &refusals, &commands, &changes, findings);
        real_time(events, &refusals, &commands, findings);
        for reservation in events.iter().filter_map(|event| Some((event, event.reservation.as_ref()?))) {
            count_revisions(reservation, &mut revisions);
        }
    }
    for (room, refusals) in refusals {
        let names: Vec<String> = refusals.iter().map(|refusal| name(refusal.command)).collect();
        findings.add("a refusal names rooms that exist", format!("{room}: {}", names.join(", ")));
    }
    for (reservation, mut counted) in revisions {
        counted.sort_unstable();
        let whole = counted.iter().copied().eq(1..=u64::try_from(counted.len()).unwrap());
        findings.check(whole, "a reservation's revisions are 1, 2, 3, ...", || {
            format!("{reservation}: {counted:?}")
        });
    }
}

/// The two events of one command have the same revision: one counts.
fn count_revisions((event, reservation): (&Event, &Reservation), revisions: &mut HashMap<Uuid, Vec<u64>>) {
    if !event.is_of_the_other_room() {
        revisions.entry(reservation.id).or_default().push(reservation.revision);
    }
}

/// Replays a stream version by version.
fn state(
    events: &[Event],
    refusals: &[Refusal<'_>],
    commands: &Commands<'_>,
    changes: &Changes<'_>,
    findings: &mut Findings,
) {
    let mut by_version: HashMap<u64, Vec<&Refusal<'_>>> = HashMap::new();
    for refusal in refusals {
        by_version.entry(refusal.version).or_default().push(refusal);
    }
    let mut room = Room::default();
    let mut versions = 1..;
    for of_command in events.chunk_by(|one, next| one.command == next.command) {
        let Some(first) = of_command.first() else { continue };
        let command = commands.get(first.key.as_str()).copied();
        if let Some(command) = command {
            series::check(command, of_command, &room, findings);
        }
        for (place, event) in of_command.iter().enumerate() {
            let expected = versions.next().unwrap_or_default();
            findings.check(event.version == expected, "versions have no gaps", || {
                format!("{} is at place {expected}", event.id())
            });
            room.apply(event, command, findings);
            for refusal in by_version.remove(&event.version).unwrap_or_default() {
                findings.check(
                    justified(refusal, event.room, &room, changes),
                    "a refusal is justified by its version",
                    || format!("{} at {}: {}", name(refusal.command), event.id(), refusal.problem),
                );
                findings.check(place + 1 == of_command.len(), "a command is seen whole", || {
                    format!("{} was refused within a command, at {}", name(refusal.command), event.id())
                });
            }
        }
    }
    for refusal in by_version.into_values().flatten() {
        let problem = refusal.problem;
        findings.add(
            "a refusal depends on a version that exists",
            format!("{}: {problem}", name(refusal.command)),
        );
    }
}

/// A command that was acknowledged before another was sent has the lower version.
fn real_time(events: &[Event], refusals: &[Refusal<'_>], commands: &Commands<'_>, findings: &mut Findings) {
    let rule = "the order of versions agrees with real time";
    let of = |event: &Event| commands.get(event.key.as_str()).copied();
    // For each place, the earliest acknowledgement of the events from there on.
    let mut earliest = vec![(u64::MAX, None); events.len() + 1];
    for (place, event) in events.iter().enumerate().rev() {
        let acknowledged = of(event).and_then(Command::acknowledged).unwrap_or(u64::MAX);
        let later = earliest[place + 1];
        earliest[place] = if acknowledged < later.0 { (acknowledged, Some(event)) } else { later };
    }
    for (place, event) in events.iter().enumerate() {
        let (acknowledged, later) = earliest[place + 1];
        let Some(command) = of(event) else { continue };
        findings.check(acknowledged >= command.start(), rule, || {
            let later = later.map(Event::id).unwrap_or_default();
            format!("{later} was acknowledged before {} was sent", event.id())
        });
    }
    for refusal in refusals {
        let place = usize::try_from(refusal.version).unwrap().min(events.len());
        let (acknowledged, later) = earliest[place];
        findings.check(
            acknowledged >= refusal.attempt.start,
            "a refusal is not decided on an old version",
            || {
                let later = later.map(Event::id).unwrap_or_default();
                format!(
                    "{} was refused at version {}, but {later} was acknowledged before it was sent",
                    name(refusal.command),
                    refusal.version
                )
            },
        );
        let imagined = place.checked_sub(1).and_then(|last| of(&events[last]));
        let exists = imagined.is_none_or(|command| command.start() <= refusal.attempt.end);
        findings.check(exists, rule, || {
            format!(
                "{} was refused at version {}, which no command had written",
                name(refusal.command),
                refusal.version
            )
        });
    }
}

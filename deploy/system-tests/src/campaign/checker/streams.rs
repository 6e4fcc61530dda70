//! Each room's stream: no gap in the versions, no overlap at any version, and an order that agrees with real time.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::{Findings, Span, name, within};
use crate::campaign::{
    evidence::{Event, Evidence, Kind, Reservation},
    record::{Attempt, Command, Operation, Outcome, Record, Stay},
};

/// A refusal, with the version of the room on which it was decided.
struct Refusal<'a> {
    command: &'a Command,
    attempt: &'a Attempt,
    slug: &'a str,
    problem: &'a Value,
    version: u64,
}

pub(super) fn check(record: &Record, evidence: &Evidence, past: &[Span], findings: &mut Findings) {
    let commands: HashMap<&str, &Command> =
        record.commands.iter().map(|command| (command.key.as_str(), command)).collect();
    let mut refusals = refusals(record, evidence, past, findings);
    let changes = changes(evidence);
    let mut revisions = HashMap::new();
    for (room, events) in &evidence.streams {
        let refusals = refusals.remove(room).unwrap_or_default();
        state(events, &refusals, &changes, findings);
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

/// Refusals by the rooms on which they depend.
fn refusals<'a>(
    record: &'a Record,
    evidence: &Evidence,
    past: &[Span],
    findings: &mut Findings,
) -> BTreeMap<Uuid, Vec<Refusal<'a>>> {
    let mut of_kind: HashMap<&str, usize> = HashMap::new();
    for kind in evidence.streams.values().filter_map(|events| events.first()?.room_kind.as_deref()) {
        *of_kind.entry(kind).or_default() += 1;
    }
    let mut refusals: BTreeMap<Uuid, Vec<Refusal<'_>>> = BTreeMap::new();
    for command in &record.commands {
        for attempt in &command.attempts {
            let Outcome::Rejected { problem, .. } = &attempt.outcome else { continue };
            let slug = problem["type"].as_str().unwrap_or_default().trim_start_matches("/problems/");
            if slug == "in-the-past" {
                let allowed = within(past, attempt.start, attempt.end);
                findings
                    .check(allowed, "no stay lies in the past", || format!("{}: {problem}", name(command)));
                continue;
            }
            let depends_on = depends_on(problem);
            let enough = match &command.operation {
                Operation::ReserveKind { kind, .. } => {
                    depends_on.len() == of_kind.get(kind.as_str()).copied().unwrap_or(0)
                }
                _ => !depends_on.is_empty(),
            };
            findings.check(enough, "a refusal names the versions at which it was decided", || {
                format!("{}: {problem}", name(command))
            });
            for (room, version) in depends_on {
                let refusal = Refusal { command, attempt, slug, problem, version };
                refusals.entry(room).or_default().push(refusal);
            }
        }
    }
    refusals
}

/// The rooms and versions on which a refusal was decided.
pub(super) fn depends_on(problem: &Value) -> Vec<(Uuid, u64)> {
    let one = |value: &Value| Some((value["room"].as_str()?.parse().ok()?, value["version"].as_u64()?));
    match problem["rooms"].as_array() {
        Some(rooms) => rooms.iter().filter_map(one).collect(),
        None => one(problem).into_iter().collect(),
    }
}

/// Replays a stream version by version.
fn state(events: &[Event], refusals: &[Refusal<'_>], changes: &Changes<'_>, findings: &mut Findings) {
    let mut by_version: HashMap<u64, Vec<&Refusal<'_>>> = HashMap::new();
    for refusal in refusals {
        by_version.entry(refusal.version).or_default().push(refusal);
    }
    let mut live: HashMap<Uuid, Stay> = HashMap::new();
    let mut calendar: BTreeMap<i64, (i64, Uuid)> = BTreeMap::new();
    for (event, expected) in events.iter().zip(1..) {
        findings.check(event.version == expected, "versions have no gaps", || {
            format!("{} is at place {expected}", event.id())
        });
        if let Some(reservation) = &event.reservation {
            apply(event, reservation, &mut live, &mut calendar, findings);
        }
        for refusal in by_version.remove(&event.version).unwrap_or_default() {
            findings.check(
                justified(refusal, event.room, &live, &calendar, changes),
                "a refusal is justified by its version",
                || format!("{} at {}: {}", name(refusal.command), event.id(), refusal.problem),
            );
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

fn apply(
    event: &Event,
    reservation: &Reservation,
    live: &mut HashMap<Uuid, Stay>,
    calendar: &mut BTreeMap<i64, (i64, Uuid)>,
    findings: &mut Findings,
) {
    if event.kind == Kind::RestoredElsewhere {
        return;
    }
    let before = live.remove(&reservation.id);
    if let Some(stay) = before {
        calendar.remove(&stay.from);
    }
    let enters = matches!(event.kind, Kind::Made | Kind::MovedIn | Kind::Restored);
    findings.check(before.is_some() != enters, "only what is live changes", || {
        format!("{} {:?} of reservation {}", event.id(), event.kind, reservation.id)
    });
    if matches!(event.kind, Kind::Cancelled | Kind::MovedOut) {
        return;
    }
    let stay = reservation.stay;
    let in_the_way = overlapping(calendar, stay);
    findings.check(in_the_way.is_empty(), "live reservations never overlap", || {
        format!("{} takes {} to {}, which {in_the_way:?} has", event.id(), stay.begins(), stay.ends())
    });
    live.insert(reservation.id, stay);
    calendar.insert(stay.from, (stay.to, reservation.id));
}

/// Stays do not overlap, so of all stays that begin before `stay` only the last one can reach into it.
fn overlapping(calendar: &BTreeMap<i64, (i64, Uuid)>, stay: Stay) -> Vec<Uuid> {
    let before = calendar.range(..stay.from).next_back().filter(|(_, (to, _))| *to > stay.from);
    let inside = calendar.range(stay.from..stay.to);
    before.into_iter().chain(inside).map(|(_, (_, id))| *id).collect()
}

/// Whether the room's state at the refusal's version justifies it.
fn justified(
    refusal: &Refusal<'_>,
    room: Uuid,
    live: &HashMap<Uuid, Stay>,
    calendar: &BTreeMap<i64, (i64, Uuid)>,
    changes: &Changes<'_>,
) -> bool {
    let problem = refusal.problem;
    match (refusal.slug, &refusal.command.operation) {
        ("overlap", Operation::Move { room: left, reservation, .. }) if room == *left => {
            live.contains_key(reservation)
        }
        ("overlap", Operation::Restore { room: left, reservation, revision })
            if room == *left
                && revision_of(*reservation, *revision, changes).is_some_and(|was| was.room != room) =>
        {
            !live.contains_key(reservation)
        }
        ("unknown-revision", Operation::Restore { reservation, revision, .. }) => {
            revision_of(*reservation, *revision, changes).is_none_or(|was| was.kind == Kind::Cancelled)
        }
        ("overlap", operation) => {
            let in_the_way = &problem["inTheWay"];
            let id = in_the_way["reservation"].as_str().and_then(|id| id.parse::<Uuid>().ok());
            let told = Stay::read(&in_the_way["from"], &in_the_way["to"]);
            let stay = id.and_then(|id| live.get(&id)).copied();
            let wanted = match operation {
                Operation::Reserve { stay, .. } | Operation::ReserveKind { stay, .. } => Some(*stay),
                Operation::Reschedule { reservation, stay, .. } => {
                    Some(*stay).filter(|_| id != Some(*reservation))
                }
                Operation::Move { room, reservation, .. } => stay_in(*room, *reservation, problem, changes),
                Operation::Restore { reservation, revision, .. } => {
                    let was = revision_of(*reservation, *revision, changes).filter(|was| was.room == room);
                    was.and_then(|was| was.reservation.as_ref()).map(|was| was.stay)
                }
                Operation::Register { .. } | Operation::Cancel { .. } => None,
            };
            stay.is_some()
                && stay == told
                && wanted.zip(stay).is_some_and(|(wanted, stay)| wanted.overlaps(stay))
        }
        ("no-free-room", Operation::ReserveKind { stay, .. }) => !overlapping(calendar, *stay).is_empty(),
        ("unknown-reservation", Operation::Move { to_room, .. }) if room == *to_room => true,
        (
            "unknown-reservation",
            Operation::Reschedule { reservation, .. }
            | Operation::Move { reservation, .. }
            | Operation::Cancel { reservation, .. },
        ) => !live.contains_key(reservation),
        _ => false,
    }
}

/// The events of each reservation.
type Changes<'a> = HashMap<Uuid, Vec<&'a Event>>;

fn changes(evidence: &Evidence) -> Changes<'_> {
    let mut changes: Changes<'_> = HashMap::new();
    for event in evidence.streams.values().flatten() {
        if let Some(reservation) = &event.reservation {
            changes.entry(reservation.id).or_default().push(event);
        }
    }
    changes
}

/// The event that made a revision of a reservation, in the room that has it.
fn revision_of<'a>(reservation: Uuid, revision: u64, changes: &Changes<'a>) -> Option<&'a Event> {
    let made = |event: &Event| event.reservation.as_ref().is_some_and(|about| about.revision == revision);
    changes.get(&reservation)?.iter().copied().find(|event| made(event) && !event.is_of_the_other_room())
}

/// The stay of a reservation in a room, at the version on which a refusal was decided.
fn stay_in(room: Uuid, reservation: Uuid, problem: &Value, changes: &Changes<'_>) -> Option<Stay> {
    let (_, version) = depends_on(problem).into_iter().find(|(at, _)| *at == room)?;
    let of_room = changes.get(&reservation)?.iter().filter(|event| event.room == room);
    let last = of_room.filter(|event| event.version <= version).max_by_key(|event| event.version)?;
    last.reservation.as_ref().map(|reservation| reservation.stay)
}

/// A command that was acknowledged before another was sent has the lower version.
fn real_time(
    events: &[Event],
    refusals: &[Refusal<'_>],
    commands: &HashMap<&str, &Command>,
    findings: &mut Findings,
) {
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

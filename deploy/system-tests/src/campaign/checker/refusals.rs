//! Refusals: each names the versions at which it was decided, and is right there.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::{
    Findings, Span, name,
    room::{Obstacle, Room},
    within,
};
use crate::campaign::{
    evidence::{Event, Evidence, Kind, Reservation},
    operation::{Operation, Repeated},
    record::{Attempt, Command, Outcome, Record, Stay},
};

/// A refusal, with the version of the room on which it was decided.
pub(super) struct Refusal<'a> {
    pub(super) command: &'a Command,
    pub(super) attempt: &'a Attempt,
    slug: &'a str,
    pub(super) problem: &'a Value,
    pub(super) version: u64,
    /// Whether a clock may have been fast: the refusal counts stays that had not ended by that clock.
    by_another_clock: bool,
}

/// Refusals by the rooms on which they depend.
pub(super) fn refusals<'a>(
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
            let by_another_clock = within(past, attempt.start, attempt.end);
            if slug == "in-the-past" {
                findings.check(by_another_clock, "no stay lies in the past", || {
                    format!("{}: {problem}", name(command))
                });
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
                let refusal = Refusal { command, attempt, slug, problem, version, by_another_clock };
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

/// The events of each reservation.
pub(super) type Changes<'a> = HashMap<Uuid, Vec<&'a Event>>;

pub(super) fn changes(evidence: &Evidence) -> Changes<'_> {
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

/// A reservation in a room, at the version on which a refusal was decided.
fn there<'a>(
    room: Uuid,
    reservation: Uuid,
    problem: &Value,
    changes: &Changes<'a>,
) -> Option<&'a Reservation> {
    let (_, version) = depends_on(problem).into_iter().find(|(at, _)| *at == room)?;
    let of_room = changes.get(&reservation)?.iter().filter(|event| event.room == room);
    let last = of_room.filter(|event| event.version <= version).max_by_key(|event| event.version)?;
    last.reservation.as_ref()
}

/// Whether the room's state at the refusal's version justifies it.
pub(super) fn justified(refusal: &Refusal<'_>, id: Uuid, room: &Room, changes: &Changes<'_>) -> bool {
    let problem = refusal.problem;
    let user = &refusal.command.user;
    match (refusal.slug, &refusal.command.operation) {
        ("overlap" | "room-closed" | "rule", Operation::Move { room: left, reservation, .. })
            if id == *left =>
        {
            room.live.contains_key(reservation)
        }
        ("overlap" | "room-closed", Operation::Restore { room: left, reservation, revision })
            if id == *left
                && revision_of(*reservation, *revision, changes).is_some_and(|was| was.room != id) =>
        {
            !room.live.contains_key(reservation) || refusal.by_another_clock
        }
        ("unknown-revision", Operation::Restore { reservation, revision, .. }) => {
            revision_of(*reservation, *revision, changes).is_none_or(|was| was.kind == Kind::Cancelled)
        }
        ("series-conflict", Operation::ReserveSeries(series)) => {
            refusal.by_another_clock || no_series(series, user, room, problem)
        }
        ("series-conflict" | "rule", Operation::ChangeSeries { series, following, stay, .. }) => {
            let members = room.members(*series, *following, None);
            refusal.by_another_clock || no_change(&Room::shifted(&members, *stay), room, refusal)
        }
        ("overlap" | "room-closed" | "rule", operation) => {
            let (stay, owner, held) = match operation {
                Operation::Reserve { stay, owner, .. } => {
                    (Some(*stay), owner.as_deref().unwrap_or(user), None)
                }
                Operation::Reschedule { reservation, stay, .. } => {
                    let owner = room.live.get(reservation).map_or("", |about| about.user.as_str());
                    (Some(*stay), owner, Some(*reservation))
                }
                Operation::Move { room: left, reservation, .. } => {
                    let about = there(*left, *reservation, problem, changes);
                    (about.map(|about| about.stay), about.map_or("", |about| about.user.as_str()), None)
                }
                Operation::Restore { reservation, revision, .. } => {
                    let was = revision_of(*reservation, *revision, changes).filter(|was| was.room == id);
                    let was = was.and_then(|was| was.reservation.as_ref());
                    (was.map(|was| was.stay), "", Some(*reservation))
                }
                _ => (None, "", None),
            };
            let obstacles = stay.map(|stay| room.obstacles(stay, owner, held, None)).unwrap_or_default();
            obstacle_of(problem, room).is_some_and(|told| obstacles.contains(&told))
        }
        ("no-free-room", Operation::ReserveKind { stay, .. }) => {
            !room.obstacles(*stay, user, None, None).is_empty()
        }
        ("unknown-reservation", Operation::Move { to_room, .. }) if id == *to_room => true,
        (
            "unknown-reservation",
            Operation::Reschedule { reservation, .. }
            | Operation::Move { reservation, .. }
            | Operation::Cancel { reservation, .. },
        ) => !room.live.contains_key(reservation),
        (
            "unknown-series" | "unknown-reservation",
            Operation::ChangeSeries { series, following, .. }
            | Operation::CancelSeries { series, following, .. },
        ) => refusal.by_another_clock || room.members(*series, *following, None).is_empty(),
        _ => false,
    }
}

/// What a problem, or an occurrence that doesn't fit, names as the obstacle. None if it names it wrongly.
fn obstacle_of(told: &Value, room: &Room) -> Option<Obstacle> {
    let in_the_way = told.get("inTheWay").unwrap_or(told);
    let id = |name: &str| in_the_way[name].as_str()?.parse::<Uuid>().ok();
    // An occurrence names no time of its obstacle.
    let same =
        |is: Stay| told.get("inTheWay").is_none_or(|way| Stay::read(&way["from"], &way["to"]) == Some(is));
    if let Some(id) = id("reservation") {
        return room.live.get(&id).filter(|about| same(about.stay)).map(|_| Obstacle::Reservation(id));
    }
    if let Some(id) = id("closure") {
        return room.closures.get(&id).filter(|stay| same(**stay)).map(|_| Obstacle::Closure(id));
    }
    let [reservations, minutes] = room.rules.most;
    match (told["rule"].as_str(), told["why"].as_str()) {
        (Some("maxAhead.reservations"), _) if told["limit"].as_i64() == reservations => {
            Some(Obstacle::Reservations)
        }
        (Some("maxAhead.minutes"), _) if told["limit"].as_i64() == minutes => Some(Obstacle::Minutes),
        (None, Some("nothingLeft")) => Some(Obstacle::NoTime),
        _ => None,
    }
}

/// The occurrences that a problem names, with their obstacles. None if it names one wrongly.
fn misfits(problem: &Value, room: &Room) -> Option<Vec<(Stay, Obstacle)>> {
    let misfit = |value: &Value| Some((Stay::read(&value["from"], &value["to"])?, obstacle_of(value, room)?));
    problem["misfits"].as_array()?.iter().map(misfit).collect()
}

/// Whether a series doesn't fit, and exactly the named occurrences are in the way of something.
fn no_series(series: &Repeated, user: &str, room: &Room, problem: &Value) -> bool {
    let Some(told) = misfits(problem, room) else { return false };
    let fit = room.fit(series, series.owner.as_deref().unwrap_or(user), None);
    let wrong: Vec<_> = fit.iter().filter(|(_, obstacles)| !obstacles.is_empty()).collect();
    let same = wrong.len() == told.len()
        && wrong
            .iter()
            .zip(&told)
            .all(|((stay, obstacles), (named, obstacle))| stay == named && obstacles.contains(obstacle));
    same && if series.skip { wrong.len() == fit.len() } else { !wrong.is_empty() }
}

/// Whether members of a series can't get these stays, and the named ones are among those that can't.
fn no_change(shifted: &[(&Reservation, Stay)], room: &Room, refusal: &Refusal<'_>) -> bool {
    let (each, together) = room.obstacles_of(shifted);
    if refusal.slug == "rule" {
        return obstacle_of(refusal.problem, room).is_some_and(|told| together.contains(&told));
    }
    let Some(told) = misfits(refusal.problem, room) else { return false };
    let among = |id: Uuid| shifted.iter().find(|(about, _)| about.id == id);
    let is_right = |(stay, obstacle): &(Stay, Obstacle)| {
        let of_others = each.iter().any(|(wanted, found)| wanted == stay && found.contains(obstacle));
        // Members are in each other's way with their new stays.
        let of_member = match obstacle {
            Obstacle::Reservation(id) => {
                among(*id).is_some_and(|(_, other)| room.rules.busy(*stay).overlaps(room.rules.busy(*other)))
            }
            _ => false,
        };
        of_others || of_member
    };
    let all_named = each.iter().all(|(stay, found)| {
        found.is_empty() || told.iter().any(|(named, obstacle)| named == stay && found.contains(obstacle))
    });
    !told.is_empty() && told.iter().all(is_right) && all_named
}

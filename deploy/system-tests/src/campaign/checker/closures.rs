//! A closure is in each of its rooms once, until it is lifted in all of them.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Findings, name};
use crate::campaign::{
    evidence::{Event, Evidence, Kind},
    operation::Operation,
    record::{Command, Known, Record, RoomLine, Stay},
};

/// Checks the events of a command about a closure: a room has one at most, and every one if the command was acknowledged.
pub(super) fn effect(command: &Command, events: &[&Event], findings: &mut Findings) {
    let rooms: HashSet<Uuid> = events.iter().map(|event| event.room).collect();
    findings.check(rooms.len() == events.len(), "a command has one effect", || {
        format!("{} has {events:?}", name(command))
    });
    for event in events {
        findings.check(matches(command, event), "an effect matches its command", || {
            format!("{} has {event:?}", name(command))
        });
    }
    let (Known::Done(done), Operation::Close { rooms, .. }) = (command.known(), &command.operation) else {
        return;
    };
    let Some(told) = &done.closure else {
        return findings.add("answers follow the contract", format!("{}: {done:?}", name(command)));
    };
    let of_room = |room: &Uuid| events.iter().find(|event| event.room == *room);
    for RoomLine { room, version, hits } in &told.rooms {
        let closure = of_room(room).and_then(|event| event.closure.as_ref());
        let same = of_room(room).is_some_and(|event| event.version == *version)
            && closure.is_some_and(|closure| Some(closure.id) == told.closure && closure.hits == *hits);
        findings.check(same, "an acknowledged command has its effect", || {
            format!("{} was answered {version} of room {room}, but has {:?}", name(command), of_room(room))
        });
    }
    let answered: HashSet<Uuid> = told.rooms.iter().map(|line| line.room).collect();
    let asked: HashSet<Uuid> = rooms.iter().copied().collect();
    findings.check(answered == asked, "a closure has a line for each room", || {
        format!("{} was answered {answered:?}", name(command))
    });
}

fn matches(command: &Command, event: &Event) -> bool {
    let Some(closure) = &event.closure else { return false };
    let is_right = match &command.operation {
        Operation::Close { rooms, stay, .. } => {
            event.kind == Kind::Closed && rooms.contains(&event.room) && closure.stay == *stay
        }
        Operation::Lift { closure: id } => event.kind == Kind::Lifted && closure.id == *id,
        _ => false,
    };
    is_right && event.actor == command.user
}

/// A closure that was lifted is in no room any more.
pub(super) fn lifted(record: &Record, evidence: &Evidence, findings: &mut Findings) {
    let left: HashMap<Uuid, Vec<(Uuid, Stay)>> = left(evidence);
    for command in &record.commands {
        let Operation::Lift { closure } = &command.operation else { continue };
        if !matches!(command.known(), Known::Done(_)) {
            continue;
        }
        let still = left.iter().find(|(_, closures)| closures.iter().any(|(id, _)| id == closure));
        findings.check(still.is_none(), "a lifted closure is in no room", || {
            format!("{} is in {still:?}", name(command))
        });
    }
}

/// The closures of each room that were not lifted, by id.
pub(super) fn left(evidence: &Evidence) -> HashMap<Uuid, Vec<(Uuid, Stay)>> {
    let of_room = |events: &[Event]| {
        let mut left: HashMap<Uuid, Stay> = HashMap::new();
        for (event, closure) in events.iter().filter_map(|event| Some((event, event.closure.as_ref()?))) {
            if event.kind == Kind::Lifted {
                left.remove(&closure.id);
            } else {
                left.insert(closure.id, closure.stay);
            }
        }
        let mut left: Vec<_> = left.into_iter().collect();
        left.sort_unstable_by_key(|(id, _)| *id);
        left
    };
    evidence.streams.iter().map(|(room, events)| (*room, of_room(events))).collect()
}

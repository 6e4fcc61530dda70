//! The topic: the first occurrences of each room's versions are complete, in order, and equal to the store. After the topic
//! was emptied, versions of commands from before may be missing at the start of a room.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::Findings;
use crate::campaign::{
    evidence::{Event, Evidence},
    record::{Command, Record},
};

/// The messages of one room.
struct Seen {
    partition: i32,
    versions: HashSet<u64>,
    /// The highest version so far.
    last: u64,
}

pub(super) fn check(record: &Record, evidence: &Evidence, findings: &mut Findings) {
    let kept_from = kept_from(record, evidence);
    let mut rooms: HashMap<Uuid, Seen> = HashMap::new();
    for message in &evidence.topic {
        let place = message
            .id
            .split_once(':')
            .and_then(|(room, version)| Some((room.parse::<Uuid>().ok()?, version.parse::<u64>().ok()?)));
        let Some((room, version)) = place else {
            findings.add("messages follow the contract", format!("{message:?}"));
            continue;
        };
        let index = usize::try_from(version).unwrap().saturating_sub(1);
        let stored = evidence.streams.get(&room).and_then(|events| events.get(index));
        let same = stored.is_some_and(|event| event.payload == message.payload);
        findings.check(same, "a message equals the stored event", || {
            format!("{} in partition {}: {}", message.id, message.partition, message.event_type)
        });
        let keyed = message.key == room.to_string().into_bytes();
        findings.check(keyed, "a message's key is its room", || message.id.clone());
        let seen = rooms.entry(room).or_insert_with(|| Seen {
            partition: message.partition,
            versions: HashSet::new(),
            last: 0,
        });
        findings
            .check(seen.partition == message.partition, "a room has one partition", || message.id.clone());
        // Lost versions of a room come before all others.
        let first = seen.versions.is_empty() && kept_from.get(&room).is_some_and(|kept| version <= *kept);
        if seen.versions.insert(version) {
            let next = first || version == seen.last + 1;
            findings.check(next, "first occurrences in the topic are in order", || {
                format!("{} follows version {} in partition {}", message.id, seen.last, message.partition)
            });
            seen.last = seen.last.max(version);
        }
    }
    for (room, events) in &evidence.streams {
        let count = u64::try_from(events.len()).unwrap();
        let complete = match rooms.get(room) {
            Some(seen) => seen.last == count,
            None => kept_from.get(room).is_some_and(|kept| *kept > count),
        };
        findings.check(complete, "the topic is complete", || {
            let last = rooms.get(room).map_or(0, |seen| seen.last);
            format!("room {room}: {last} of {count} versions")
        });
    }
}

/// For each room the first version that can't be lost: its command was sent after the topic was last emptied.
fn kept_from(record: &Record, evidence: &Evidence) -> HashMap<Uuid, u64> {
    let sent: HashMap<&str, u64> =
        record.commands.iter().map(|command| (command.key.as_str(), Command::start(command))).collect();
    let may_be_lost = |event: &&Event| {
        let sent = sent.get(event.key.as_str());
        evidence.topic_emptied.zip(sent).is_some_and(|(emptied, sent)| *sent <= emptied)
    };
    let of_room =
        |events: &[Event]| u64::try_from(events.iter().take_while(may_be_lost).count()).unwrap() + 1;
    evidence.streams.iter().map(|(room, events)| (*room, of_room(events))).collect()
}

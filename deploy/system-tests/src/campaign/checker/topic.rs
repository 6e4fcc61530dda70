//! The topic: the first occurrences of each room's versions are in order and complete, and say what the store says.

use std::collections::HashMap;

use uuid::Uuid;

use super::Findings;
use crate::campaign::evidence::Evidence;

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    // The last version that was seen for the first time, and the partition in which the room lies.
    let mut rooms: HashMap<Uuid, (u64, i32)> = HashMap::new();
    for message in &evidence.topic {
        let place = message
            .id
            .split_once(':')
            .and_then(|(room, version)| Some((room.parse::<Uuid>().ok()?, version.parse::<u64>().ok()?)));
        let Some((room, version)) = place else {
            findings.add("messages are of the contract", format!("{message:?}"));
            continue;
        };
        let index = usize::try_from(version).unwrap().saturating_sub(1);
        let stored = evidence.streams.get(&room).and_then(|events| events.get(index));
        let same = stored.is_some_and(|event| event.payload == message.payload);
        findings.check(same, "a message says what the store says", || {
            format!("{} in partition {}: {}", message.id, message.partition, message.event_type)
        });
        let keyed = message.key == room.to_string().into_bytes();
        findings.check(keyed, "a message's key is its room", || message.id.clone());
        let seen = rooms.entry(room).or_insert((0, message.partition));
        findings.check(seen.1 == message.partition, "a room has one partition", || message.id.clone());
        if version > seen.0 {
            let next = version == seen.0 + 1 || evidence.topic_emptied;
            findings.check(next, "first occurrences in the topic are in order", || {
                format!("{} follows version {} in partition {}", message.id, seen.0, message.partition)
            });
            seen.0 = version;
        }
    }
    for (room, events) in evidence.streams.iter().filter(|_| !evidence.topic_emptied) {
        let last = rooms.get(room).map_or(0, |seen| seen.0);
        findings.check(last == u64::try_from(events.len()).unwrap(), "the topic is complete", || {
            format!("room {room}: {last} of {} versions", events.len())
        });
    }
}

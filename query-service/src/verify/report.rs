//! What a verification found, for people and for scripts.

use std::fmt::Write;

use serde::Serialize;
use shared_events::{RoomId, Version};

use super::Verified;
use crate::read_models::Difference;

/// Differences that a table shows; scripts get all.
const SHOWN: usize = 50;

/// A room that the feed has more events of.
#[derive(Debug, Serialize)]
pub struct Behind {
    /// The room.
    pub room: RoomId,
    /// Its checkpoint.
    pub version: Version,
    /// How many later events the feed gave at once.
    pub more: usize,
}

/// A room that waits behind an event.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// The room.
    pub room: RoomId,
    /// The event's version.
    pub version: Version,
    /// What is wrong with it.
    pub reason: String,
}

/// What was found in all rooms.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The generation that was verified.
    pub generation: u32,
    /// How many rooms were compared.
    pub rooms: usize,
    /// Their events up to the checkpoints.
    pub events: u64,
    /// Documents that are not as the events make them.
    pub differences: Vec<Difference>,
    /// Rooms that the feed has more events of.
    pub behind: Vec<Behind>,
    /// Rooms that wait behind an event.
    pub parked: Vec<Waiting>,
}

impl Report {
    /// The report on these rooms.
    #[must_use]
    pub fn of(generation: u32, found: &[Verified]) -> Self {
        let behind = found.iter().filter(|one| one.behind > 0 && one.parked.is_none());
        let parked = found.iter().filter_map(|one| Some((one, one.parked.as_ref()?)));
        Self {
            generation,
            rooms: found.len(),
            events: found.iter().map(|one| one.version.get()).sum(),
            differences: found.iter().flat_map(|one| one.differences.clone()).collect(),
            behind: behind
                .map(|one| Behind { room: one.room, version: one.version, more: one.behind })
                .collect(),
            parked: parked
                .map(|(one, at)| Waiting { room: one.room, version: at.version, reason: at.reason.clone() })
                .collect(),
        }
    }

    /// As one JSON document.
    ///
    /// # Errors
    /// When it can't be written as such, which is a defect.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = list(&self.differences);
        // Writing to a string does not fail.
        for Behind { room, version, .. } in &self.behind {
            let _ = writeln!(text, "behind {room}: at version {version}, the feed has more");
        }
        for Waiting { room, version, reason } in &self.parked {
            let _ = writeln!(text, "parked {room}: version {version} can't be applied: {reason}");
        }
        let Self { generation, rooms, events, differences, behind, parked } = self;
        let _ = writeln!(
            text,
            "generation {generation}: {rooms} rooms with {events} events, {} differences, {} rooms behind, {} parked",
            differences.len(),
            behind.len(),
            parked.len()
        );
        text
    }
}

/// Differences, a few lines each.
#[must_use]
pub fn list(differences: &[Difference]) -> String {
    let mut text = String::new();
    for one in differences.iter().take(SHOWN) {
        let shown = |form: &Option<String>| form.clone().unwrap_or_else(|| "nothing".to_owned());
        let _ = writeln!(text, "{} {} of room {}", one.what, one.id, one.room);
        let _ = writeln!(text, "    expected {}", shown(&one.expected));
        let _ = writeln!(text, "    found    {}", shown(&one.found));
    }
    if differences.len() > SHOWN {
        let _ = writeln!(text, "and {} more", differences.len() - SHOWN);
    }
    text
}

//! All documents of one room, and in what those of two origins differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shared_events::{ReservationId, RoomId, Version};

use super::{HistoryDoc, ReservationDoc, RoomDoc, UsageDoc, usage::Month};

/// What the read models hold of one room.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RoomDocuments {
    /// The room itself.
    pub room: Option<RoomDoc>,
    /// Reservations that are or were in it, and those that were asked for.
    pub reservations: BTreeMap<ReservationId, ReservationDoc>,
    /// History, by the version of its event.
    pub history: BTreeMap<Version, HistoryDoc>,
    /// Usage, by local month and zone.
    pub usage: BTreeMap<(Month, String), UsageDoc>,
}

impl RoomDocuments {
    /// These documents by their ids. Of two forms of a reservation, the last one stays.
    pub(crate) fn new(
        room: Option<RoomDoc>,
        reservations: impl IntoIterator<Item = ReservationDoc>,
        history: impl IntoIterator<Item = HistoryDoc>,
        usage: impl IntoIterator<Item = UsageDoc>,
    ) -> Self {
        Self {
            room,
            reservations: reservations.into_iter().map(|doc| (doc.reservation.id, doc)).collect(),
            history: history.into_iter().map(|entry| (entry.version, entry)).collect(),
            usage: usage.into_iter().map(|usage| (usage.key.place(), usage)).collect(),
        }
    }
}

/// A document that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// Whose.
    pub room: RoomId,
    /// `room`, `reservation`, `history`, `usage` or `checkpoint`.
    pub what: &'static str,
    /// Which one.
    pub id: String,
    /// How it should be; none where there should be none.
    pub expected: Option<String>,
    /// How it is; none where it is missing.
    pub found: Option<String>,
}

/// The outcome of a comparison.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compared {
    /// What differs.
    pub differences: Vec<Difference>,
    /// Usage could not be compared, because it was counted further on one side.
    pub undecided: bool,
}

/// Compares documents as far as the room's events up to `version` made them. Each side has at least these; either may
/// be further. `found` may also know more of a reservation, from events of the room that it moved to or came from.
#[must_use]
pub fn compare(room: RoomId, expected: &RoomDocuments, found: &RoomDocuments, version: Version) -> Compared {
    let mut comparison = Comparison { room, version, compared: Compared::default() };
    comparison.rooms(expected, found);
    comparison.reservations(expected, found);
    comparison.history(expected, found);
    comparison.usage(expected, found);
    comparison.compared
}

struct Comparison {
    room: RoomId,
    version: Version,
    compared: Compared,
}

impl Comparison {
    fn differs(&mut self, what: &'static str, id: String, expected: Option<String>, found: Option<String>) {
        self.compared.differences.push(Difference { room: self.room, what, id, expected, found });
    }

    fn rooms(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        let (expected, found) = (expected.room.as_ref(), found.room.as_ref());
        // Each event of the room makes its whole document: a later one says nothing of earlier ones.
        let later = |doc: Option<&RoomDoc>| doc.is_some_and(|doc| doc.version > self.version);
        if expected != found && !later(expected) && !later(found) {
            self.differs("room", self.room.to_string(), expected.map(json), found.map(json));
        }
    }

    fn reservations(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        let ids: BTreeSet<_> = expected.reservations.keys().chain(found.reservations.keys()).collect();
        for id in ids {
            let (one, other) = (expected.reservations.get(id), found.reservations.get(id));
            if one != other && !self.explained(one, other) {
                self.differs("reservation", id.to_string(), one.map(json), other.map(json));
            }
        }
    }

    /// Whether two forms of a reservation may differ: a later event of this room, or one of another room, made one.
    fn explained(&self, expected: Option<&ReservationDoc>, found: Option<&ReservationDoc>) -> bool {
        let is_here = |doc: &ReservationDoc| doc.reservation.room == self.room;
        let later =
            |doc: &ReservationDoc| is_here(doc) && doc.version.is_some_and(|version| version > self.version);
        if expected.is_some_and(later) || found.is_some_and(later) {
            return true;
        }
        let Some(found) = found else { return false };
        let newer = expected.is_none_or(|expected| found.rank() > expected.rank());
        newer && (!is_here(found) || found.version.is_none())
    }

    fn history(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        let last = self.version;
        let versions: BTreeSet<_> = expected.history.keys().chain(found.history.keys()).collect();
        for version in versions.into_iter().filter(|version| **version <= last) {
            let (one, other) = (expected.history.get(version), found.history.get(version));
            if one != other {
                self.differs("history", format!("{}:{version}", self.room), one.map(json), other.map(json));
            }
        }
    }

    fn usage(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        let last = self.version;
        let keys: BTreeSet<_> = expected.usage.keys().chain(found.usage.keys()).collect();
        for key in keys {
            let (one, other) = (expected.usage.get(key), found.usage.get(key));
            let version = |doc: Option<&UsageDoc>| doc.map(|doc| doc.version).unwrap_or_default();
            if one == other {
                continue;
            }
            if version(one) != version(other) && version(one).max(version(other)) > last {
                self.compared.undecided = true;
            } else {
                let id = format!("{}/{}/{}", self.room, key.0, key.1);
                self.differs("usage", id, one.map(in_short), other.map(in_short));
            }
        }
    }
}

/// A document in a line, or why it has none.
fn json(doc: &impl Serialize) -> String {
    serde_json::to_string(doc).unwrap_or_else(|error| error.to_string())
}

/// Usage in a line: its tables are too long for one.
fn in_short(usage: &UsageDoc) -> String {
    let (version, minutes, starts) = (usage.version, usage.all_minutes(), usage.starts(0..usage.stays.len()));
    format!("counted to version {version}: {minutes} minutes, {starts} starts")
}

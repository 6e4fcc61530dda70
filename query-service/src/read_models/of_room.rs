//! All documents of one room, and the comparison of two sets of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shared_events::{ClosureId, ReservationId, RoomId, Version};

use super::{ClosureDoc, HistoryDoc, ReservationDoc, RoomDoc, UsageDoc, usage::Month};

/// The documents of one room.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RoomDocuments {
    /// The room itself.
    pub room: Option<RoomDoc>,
    /// Reservations that are or were in it, and others that were asked for.
    pub reservations: BTreeMap<ReservationId, ReservationDoc>,
    /// Closures, lifted ones too.
    pub closures: BTreeMap<ClosureId, ClosureDoc>,
    /// History, by the version of its event.
    pub history: BTreeMap<Version, HistoryDoc>,
    /// Usage, by local month and zone.
    pub usage: BTreeMap<(Month, String), UsageDoc>,
    /// The usage position: `usage` counts all events up to this version.
    pub counted: Version,
}

impl RoomDocuments {
    /// These documents by their ids. Of two forms of a reservation, the last one stays.
    pub(crate) fn new(
        room: Option<RoomDoc>,
        reservations: impl IntoIterator<Item = ReservationDoc>,
        closures: impl IntoIterator<Item = ClosureDoc>,
        history: impl IntoIterator<Item = HistoryDoc>,
        usage: impl IntoIterator<Item = UsageDoc>,
        counted: Version,
    ) -> Self {
        Self {
            room,
            reservations: reservations.into_iter().map(|doc| (doc.reservation.id, doc)).collect(),
            closures: closures.into_iter().map(|doc| (doc.closure.id, doc)).collect(),
            history: history.into_iter().map(|entry| (entry.version, entry)).collect(),
            usage: usage.into_iter().map(|usage| (usage.key.place(), usage)).collect(),
            counted,
        }
    }
}

/// A document that differs from the expected one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// The document's room.
    pub room: RoomId,
    /// `room`, `reservation`, `closure`, `history`, `usage` or `checkpoint`.
    pub what: &'static str,
    /// The document's id.
    pub id: String,
    /// The expected document; `None` if there should be none.
    pub expected: Option<String>,
    /// The stored document; `None` if it is missing.
    pub found: Option<String>,
}

/// The outcome of a comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Compared {
    /// No document differs.
    Equal,
    /// These documents differ.
    Differs(Vec<Difference>),
    /// Usage can't be compared: it is counted further on one side.
    Undecided,
}

/// Compares documents up to `version` of the room. Each side has at least these events, and may have later ones. `found`
/// may also have events of another room, which a reservation moved to or came from.
#[must_use]
pub fn compare(room: RoomId, expected: &RoomDocuments, found: &RoomDocuments, version: Version) -> Compared {
    let mut comparison = Comparison { room, version, differences: Vec::new(), undecided: false };
    comparison.rooms(expected, found);
    comparison.reservations(expected, found);
    comparison.closures(expected, found);
    comparison.history(expected, found);
    comparison.usage(expected, found);
    match comparison {
        Comparison { differences, .. } if !differences.is_empty() => Compared::Differs(differences),
        Comparison { undecided: true, .. } => Compared::Undecided,
        Comparison { .. } => Compared::Equal,
    }
}

struct Comparison {
    room: RoomId,
    version: Version,
    differences: Vec<Difference>,
    undecided: bool,
}

impl Comparison {
    fn differs(&mut self, what: &'static str, id: String, expected: Option<String>, found: Option<String>) {
        self.differences.push(Difference { room: self.room, what, id, expected, found });
    }

    fn rooms(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        let (expected, found) = (expected.room.as_ref(), found.room.as_ref());
        // Each event of the room makes its whole document, so a later one can't be compared.
        let later = |doc: Option<&RoomDoc>| doc.is_some_and(|doc| doc.version > self.version);
        if expected != found && !later(expected) && !later(found) {
            self.differs("room", self.room.to_string(), expected.map(json), found.map(json));
        }
    }

    fn reservations(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        for (id, one, other) in differing(&expected.reservations, &found.reservations) {
            if !self.explained(one, other) {
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

    fn closures(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        // Each event makes the whole document, so a later one can't be compared.
        let later = |doc: Option<&ClosureDoc>| doc.is_some_and(|doc| doc.version > self.version);
        let differing = differing(&expected.closures, &found.closures);
        let differing: Vec<_> = differing.filter(|(_, one, other)| !later(*one) && !later(*other)).collect();
        for (id, one, other) in differing {
            self.differs("closure", format!("{}/{id}", self.room), one.map(json), other.map(json));
        }
    }

    fn history(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        for (version, one, other) in differing(&expected.history, &found.history) {
            if *version <= self.version {
                self.differs("history", format!("{}:{version}", self.room), one.map(json), other.map(json));
            }
        }
    }

    fn usage(&mut self, expected: &RoomDocuments, found: &RoomDocuments) {
        for ((month, zone), one, other) in differing(&expected.usage, &found.usage) {
            let version = |doc: Option<&UsageDoc>| doc.map(|doc| doc.version).unwrap_or_default();
            if version(one) != version(other) && version(one).max(version(other)) > self.version {
                self.undecided = true;
            } else {
                let id = format!("{}/{month}/{zone}", self.room);
                self.differs("usage", id, one.map(in_short), other.map(in_short));
            }
        }
    }
}

/// The documents of both sides that differ, or that one side lacks, by key.
fn differing<'a, K: Ord, D: PartialEq>(
    expected: &'a BTreeMap<K, D>,
    found: &'a BTreeMap<K, D>,
) -> impl Iterator<Item = (&'a K, Option<&'a D>, Option<&'a D>)> {
    let keys: BTreeSet<&K> = expected.keys().chain(found.keys()).collect();
    let both = keys.into_iter().map(|key| (key, expected.get(key), found.get(key)));
    both.filter(|(_, one, other)| one != other)
}

/// A document in a line, or why it has none.
fn json(doc: &impl Serialize) -> String {
    serde_json::to_string(doc).unwrap_or_else(|error| error.to_string())
}

/// Usage in a line: its tables are too long for one.
fn in_short(usage: &UsageDoc) -> String {
    let (version, minutes, starts) = (usage.version, usage.all_minutes(), usage.starts(0..usage.stays.len()));
    let people = usage.people_from(|_| true);
    let rules = usage.rules.as_str();
    format!("counted to version {version} at {rules}: {minutes} minutes, {starts} starts of {people} people")
}

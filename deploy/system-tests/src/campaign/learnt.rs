//! What clients of live streams have learnt.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

/// The versions of a room that a client knows of.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Known {
    /// Those that it was told.
    pub(crate) told: BTreeSet<u64>,
    /// What a query showed after a reset, or at the beginning: it knows everything up to there.
    pub(crate) read: u64,
    /// When that query was sent and answered, in microseconds since the start of the campaign.
    pub(crate) read_at: (u64, u64),
}

impl Known {
    /// The first version up to `head` that it knows nothing of.
    pub(crate) fn missing(&self, head: u64) -> Option<u64> {
        (self.read + 1..=head).find(|version| !self.told.contains(version))
    }

    /// The same if the query may have shown an older copy: it knows everything up to the first version that it was told later.
    pub(crate) fn missing_after_old_copy(&self, head: u64) -> Option<u64> {
        let first = self.told.range(self.read + 1..).next();
        first.and_then(|first| (*first..=head).find(|version| !self.told.contains(version)))
    }
}

/// What a client has learnt.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) rooms: BTreeMap<Uuid, Known>,
    pub(crate) events: usize,
    pub(crate) resets: usize,
    pub(crate) connections: usize,
    /// Events of rooms that it did not ask for, and statuses that it should not get.
    pub(crate) wrong: Vec<String>,
}

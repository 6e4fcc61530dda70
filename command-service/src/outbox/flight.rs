//! What the relay has sent and not yet deleted.

use std::collections::{HashMap, HashSet};

use service_kit::traces::Span;
use shared_events::{RoomId, Version};
use tokio::time::Instant;

use crate::event_store::Buckets;

/// Most events that wait for their report. With more the sender is no faster, and its memory is used up.
const MOST_WAITING: usize = 4_000;
/// Most rows that are delivered and not deleted.
const MOST_DELIVERED: usize = 40_000;
/// Of how many rooms it is known which version was sent last.
const MOST_ROOMS: usize = 100_000;

/// Rows of the outbox between sending and deletion, and how far each room has been sent.
#[derive(Default)]
pub(super) struct Flight {
    /// Sent, not reported.
    waiting: HashMap<u64, RoomId>,
    /// Of those, the spans of what is traced.
    spans: HashMap<u64, Span>,
    /// Reported as delivered, not known to be deleted.
    delivered: HashSet<u64>,
    /// Those of them that no deletion has begun for.
    to_delete: Vec<u64>,
    to_delete_since: Option<Instant>,
    /// The last version of each room that the present sender has sent.
    sent: HashMap<RoomId, Version>,
    /// Since when nothing was delivered although something was sent, by whichever sender.
    stuck_since: Option<Instant>,
}

impl Flight {
    /// Whether so much is under way that nothing more should be sent now.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MOST_WAITING || self.delivered.len() >= MOST_DELIVERED
    }

    /// Whether everything that was sent is reported and deleted.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.delivered.is_empty()
    }

    pub(super) fn contains(&self, position: u64) -> bool {
        self.waiting.contains_key(&position) || self.delivered.contains(&position)
    }

    /// All that a read of the table need not bring again.
    pub(super) fn positions(&self) -> HashSet<u64> {
        self.waiting.keys().chain(&self.delivered).copied().collect()
    }

    /// Whether everything before this version was sent by the present sender, so that it can't overtake a row that the
    /// table still holds. Another instance may have committed the version before, and that may not have been read yet.
    pub(super) fn is_next(&self, room: RoomId, version: Version) -> bool {
        version == Version::FIRST || self.sent.get(&room).is_some_and(|sent| sent.next() == version)
    }

    pub(super) fn sent(&mut self, position: u64, room: RoomId, version: Version, span: Option<Span>) {
        self.waiting.insert(position, room);
        if let Some(span) = span {
            self.spans.insert(position, span);
        }
        self.stuck();
        if self.sent.len() >= MOST_ROOMS {
            self.sent.clear();
        }
        let sent = self.sent.entry(room).or_default();
        *sent = version.max(*sent);
    }

    /// Notes a delivery.
    pub(super) fn reported(&mut self, position: u64) {
        if self.waiting.remove(&position).is_some() {
            if let Some(span) = self.span_of(position) {
                span.end();
            }
            self.delivered.insert(position);
            self.to_delete.push(position);
            self.to_delete_since.get_or_insert_with(Instant::now);
            self.stuck_since = (!self.waiting.is_empty()).then(Instant::now);
        }
    }

    /// Notes that something is to be delivered and is not.
    pub(super) fn stuck(&mut self) {
        self.stuck_since.get_or_insert_with(Instant::now);
    }

    /// Since when nothing was delivered although something was sent.
    pub(super) const fn stuck_since(&self) -> Option<Instant> {
        self.stuck_since
    }

    /// Notes that nothing more is to be delivered than what is under way.
    pub(super) fn nothing_else_waits(&mut self) {
        if self.waiting.is_empty() {
            self.stuck_since = None;
        }
    }

    /// Notes that an event will not be delivered, and returns its room.
    pub(super) fn refused(&mut self, position: u64) -> Option<RoomId> {
        let room = self.waiting.remove(&position);
        drop(self.span_of(position));
        self.nothing_else_waits();
        room
    }

    /// Lets nothing more of a room go from memory, until it was read from the table.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.sent.remove(&room);
    }

    /// The same for all rooms of other buckets than these.
    pub(super) fn forget_others(&mut self, buckets: Buckets) {
        self.sent.retain(|room, _| buckets.has_room(*room));
    }

    /// How many rows are to be deleted, and since when the first of them waits, counted from the last deletion at most.
    pub(super) const fn to_delete(&self) -> (usize, Option<Instant>) {
        (self.to_delete.len(), self.to_delete_since)
    }

    /// The rows to be deleted next, at most so many, the lowest first: what is below all that is under way has no holes
    /// any more, which makes long runs.
    pub(super) fn take_to_delete(&mut self, most: usize) -> Vec<u64> {
        self.to_delete.sort_unstable();
        let lowest = self.waiting.keys().min().copied().unwrap_or(u64::MAX);
        let whole = self.to_delete.partition_point(|position| *position < lowest);
        let take = if whole >= most / 4 { whole } else { self.to_delete.len() };
        let rest = self.to_delete.split_off(take.min(most));
        self.to_delete_since = (!rest.is_empty()).then(Instant::now);
        std::mem::replace(&mut self.to_delete, rest)
    }

    /// Notes that rows are deleted.
    pub(super) fn deleted(&mut self, positions: &[u64]) {
        for position in positions {
            self.delivered.remove(position);
        }
    }

    /// Notes that rows could not be deleted: they have to be tried again.
    pub(super) fn not_deleted(&mut self, positions: Vec<u64>) {
        self.to_delete.extend(positions);
        self.to_delete_since.get_or_insert_with(Instant::now);
    }

    /// Forgets all that was sent and not reported, because its sender is gone.
    pub(super) fn abandon(&mut self) {
        self.waiting.clear();
        self.spans.clear();
        self.sent.clear();
    }

    fn span_of(&mut self, position: u64) -> Option<Span> {
        if self.spans.is_empty() { None } else { self.spans.remove(&position) }
    }
}

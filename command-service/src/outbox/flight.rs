//! Rows of the outbox between sending and deletion.

use std::collections::{HashMap, HashSet};

use service_kit::traces::Span;
use shared_events::{RoomId, Version};
use tokio::time::Instant;

use crate::event_store::{Buckets, Position};

/// Most events in flight. With more the publisher gains no speed and takes more memory.
const MOST_IN_FLIGHT: usize = 4_000;
/// Most rows that are delivered and not deleted.
const MOST_DELIVERED: usize = 40_000;
/// Most rooms whose last sent version is known.
const MOST_ROOMS: usize = 100_000;

/// What the relay has sent and not yet deleted, and how far each room is sent.
#[derive(Default)]
pub(super) struct Flight {
    /// Sent, not acknowledged.
    in_flight: HashMap<Position, RoomId>,
    /// Spans of those that are traced.
    spans: HashMap<Position, Span>,
    /// Delivered, not known to be deleted.
    delivered: HashSet<Position>,
    /// Those of them whose deletion has not begun.
    to_delete: Vec<Position>,
    to_delete_since: Option<Instant>,
    /// The last version of each room that was sent since the last reset.
    sent: HashMap<RoomId, Version>,
    /// Since when nothing was delivered although events were sent. A reset does not change it.
    stalled_since: Option<Instant>,
}

impl Flight {
    /// Whether nothing more should be sent now.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight.len() >= MOST_IN_FLIGHT || self.delivered.len() >= MOST_DELIVERED
    }

    /// Whether everything that was sent is acknowledged and deleted.
    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.delivered.is_empty()
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.in_flight.contains_key(&position) || self.delivered.contains(&position)
    }

    /// The positions that a sweep can leave out.
    pub(super) fn positions(&self) -> HashSet<Position> {
        self.in_flight.keys().chain(&self.delivered).copied().collect()
    }

    /// Whether everything before this version was sent since the last reset, so that it can't overtake a row of the table.
    /// Another instance may have committed the version before it, and this relay may not have read that yet.
    pub(super) fn is_next(&self, room: RoomId, version: Version) -> bool {
        version == Version::FIRST || self.sent.get(&room).is_some_and(|sent| sent.next() == version)
    }

    /// Notes an event that was sent.
    pub(super) fn sent(&mut self, position: Position, room: RoomId, version: Version, span: Option<Span>) {
        self.in_flight.insert(position, room);
        if let Some(span) = span {
            self.spans.insert(position, span);
        }
        self.stalled();
        if self.sent.len() >= MOST_ROOMS {
            self.sent.clear();
        }
        let sent = self.sent.entry(room).or_default();
        *sent = version.max(*sent);
    }

    /// Notes a delivery.
    pub(super) fn delivered(&mut self, position: Position) {
        if self.in_flight.remove(&position).is_some() {
            if let Some(span) = self.span_of(position) {
                span.end();
            }
            self.delivered.insert(position);
            self.to_delete.push(position);
            self.to_delete_since.get_or_insert_with(Instant::now);
            self.stalled_since = (!self.in_flight.is_empty()).then(Instant::now);
        }
    }

    /// Notes that events wait for their delivery.
    pub(super) fn stalled(&mut self) {
        self.stalled_since.get_or_insert_with(Instant::now);
    }

    /// Since when nothing was delivered although events were sent.
    pub(super) const fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since
    }

    /// Notes that no events wait but those in flight.
    pub(super) fn nothing_else_waits(&mut self) {
        if self.in_flight.is_empty() {
            self.stalled_since = None;
        }
    }

    /// Notes that an event will not be delivered. Returns its room.
    pub(super) fn refused(&mut self, position: Position) -> Option<RoomId> {
        let room = self.in_flight.remove(&position);
        drop(self.span_of(position));
        self.nothing_else_waits();
        room
    }

    /// Sends nothing of a room from memory until it was read from the table.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.sent.remove(&room);
    }

    /// The same for all rooms outside of these buckets.
    pub(super) fn forget_others(&mut self, buckets: Buckets) {
        self.sent.retain(|room, _| buckets.has_room(*room));
    }

    /// The number of rows to delete, and since when the first of them waits.
    pub(super) const fn to_delete(&self) -> (usize, Option<Instant>) {
        (self.to_delete.len(), self.to_delete_since)
    }

    /// Takes at most `most` rows to delete, the lowest first. Rows below everything in flight have no holes left between them,
    /// so they make long runs.
    pub(super) fn take_to_delete(&mut self, most: usize) -> Vec<Position> {
        self.to_delete.sort_unstable();
        let lowest = self.in_flight.keys().min();
        let whole = self.to_delete.partition_point(|position| lowest.is_none_or(|lowest| position < lowest));
        let take = if whole >= most / 4 { whole } else { self.to_delete.len() };
        let rest = self.to_delete.split_off(take.min(most));
        self.to_delete_since = (!rest.is_empty()).then(Instant::now);
        std::mem::replace(&mut self.to_delete, rest)
    }

    /// Notes that rows are deleted.
    pub(super) fn deleted(&mut self, positions: &[Position]) {
        for position in positions {
            self.delivered.remove(position);
        }
    }

    /// Notes that rows still have to be deleted.
    pub(super) fn not_deleted(&mut self, positions: Vec<Position>) {
        self.to_delete.extend(positions);
        self.to_delete_since.get_or_insert_with(Instant::now);
    }

    /// Forgets everything in flight, because the publisher was reset.
    pub(super) fn reset(&mut self) {
        self.in_flight.clear();
        self.spans.clear();
        self.sent.clear();
    }

    fn span_of(&mut self, position: Position) -> Option<Span> {
        if self.spans.is_empty() { None } else { self.spans.remove(&position) }
    }
}

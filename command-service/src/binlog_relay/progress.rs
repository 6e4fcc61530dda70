//! What was sent and in which order: so that the place in the log moves only over what is delivered.

use std::collections::VecDeque;

use shared_events::RoomId;
use tokio::time::Instant;

use super::relayed::Relayed;
use crate::event_store::{
    Position,
    mysql::{Passed, Place, Transaction},
};

/// Most events in flight. With more the publisher gains no speed and takes more memory.
const MOST_IN_FLIGHT: usize = 4_000;

/// Everything that was read from the log and is not passed yet, in order.
///
/// Each slot has a number, by which the publisher reports it: one event may be in flight twice.
#[derive(Debug, Default)]
pub(super) struct Progress {
    slots: VecDeque<Slot>,
    /// The number of the first slot.
    first: u64,
    in_flight: usize,
    passed: Passed,
    /// Up to where everything is delivered.
    delivered_to: Position,
    /// The last delivered event.
    last: Option<Relayed>,
    /// Since when nothing was delivered although events were sent.
    stalled_since: Option<Instant>,
}

#[derive(Debug)]
enum Slot {
    Event { event: Relayed, delivered: bool, from_outbox: bool },
    Barrier(Position),
    Released(RoomId),
    End(Transaction),
}

/// Where an event comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Log,
    /// An outbox row of a released room, which goes once it is delivered.
    Outbox,
}

impl Progress {
    /// Goes on after a reading that sent events and ended, in which nothing has been delivered since a time.
    pub(super) fn after_a_stall(stalled_since: Option<Instant>) -> Self {
        Self { stalled_since, ..Self::default() }
    }

    /// Since when nothing was delivered although events were sent.
    pub(super) const fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since
    }

    pub(super) fn is_full(&self) -> bool {
        self.in_flight >= MOST_IN_FLIGHT
    }

    /// Whether everything that was read is delivered.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The number of the next event.
    pub(super) fn next_number(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Notes an event that was sent under the next number.
    pub(super) fn sent(&mut self, event: Relayed, source: Source) {
        self.in_flight += 1;
        self.stalled_since.get_or_insert_with(Instant::now);
        let from_outbox = source == Source::Outbox;
        self.slots.push_back(Slot::Event { event, delivered: false, from_outbox });
    }

    pub(super) fn barrier(&mut self, position: Position) {
        self.slots.push_back(Slot::Barrier(position));
    }

    /// Notes the release of a room, behind its outbox rows.
    pub(super) fn released(&mut self, room: RoomId) {
        self.slots.push_back(Slot::Released(room));
    }

    pub(super) fn end(&mut self, transaction: Transaction) {
        self.slots.push_back(Slot::End(transaction));
    }

    /// Notes that an event is delivered, or that its room is held for it. Returns the event.
    pub(super) fn settled(&mut self, number: u64) -> Option<(RoomId, Position)> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let Some(Slot::Event { event, delivered, .. }) = self.slots.get_mut(at) else { return None };
        if !std::mem::replace(delivered, true) {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.stalled_since = (self.in_flight > 0).then(Instant::now);
        }
        Some((event.room, event.position))
    }

    /// Moves a place over everything that is delivered. Returns whether it has moved.
    pub(super) fn advance(&mut self, place: &mut Place) -> bool {
        let mut moved = false;
        while let Some(slot) = self.slots.pop_front() {
            match slot {
                Slot::Event { delivered: false, .. } => {
                    self.slots.push_front(slot);
                    break;
                }
                Slot::Event { event, from_outbox: true, .. } => self.passed.rows.push(event.position),
                Slot::Event { event, .. } => self.last = Some(event),
                Slot::Barrier(position) => self.delivered_to = position.max(self.delivered_to),
                Slot::Released(room) => self.passed.rooms.push(room),
                Slot::End(transaction) => moved |= place.pass(transaction),
            }
            self.first += 1;
        }
        moved
    }

    /// The last delivered event of the log.
    pub(super) const fn last(&self) -> Option<Relayed> {
        self.last
    }

    /// What has to be stored with the place.
    pub(super) fn passed(&self) -> (&Passed, Position) {
        (&self.passed, self.delivered_to)
    }

    /// Notes that it is stored.
    pub(super) fn stored(&mut self) {
        self.passed = Passed::default();
    }
}

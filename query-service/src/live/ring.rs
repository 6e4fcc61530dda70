//! The latest messages of the topic: by partition, to know places, and by room, to tell them again.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use shared_events::{RoomId, Version};

use super::{
    notice::Notice,
    place::{Mark, Place},
};

/// Most messages that an instance remembers, in all partitions.
pub(crate) const REMEMBERED: usize = 65_536;

/// A message that can be told, and its place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) partition: usize,
    pub(super) offset: i64,
    pub(super) notice: Arc<Notice>,
    /// Versions before it never came.
    pub(super) after_a_gap: bool,
    /// The wanted kind that the room had before.
    pub(super) left: Option<String>,
}

/// The latest messages of one topic.
#[derive(Default)]
pub(super) struct Ring {
    identity: u64,
    partitions: Vec<Partition>,
    pub(super) rooms: HashMap<RoomId, RoomLog>,
}

#[derive(Default)]
struct Partition {
    entries: VecDeque<Entry>,
    /// Messages from here on are in `entries`.
    start: i64,
    /// The fingerprint of the message before `start`.
    before_start: u32,
    /// The offset after the last message.
    end: i64,
    /// Messages that are to be told and can't be yet.
    waiting: BTreeSet<i64>,
}

struct Entry {
    offset: i64,
    fingerprint: u32,
    /// The room whose oldest message this is. `None`: the message is a repeat, or can't be told.
    room: Option<RoomId>,
}

/// The messages of a room.
#[derive(Default)]
pub(super) struct RoomLog {
    pub(super) messages: VecDeque<Placed>,
    /// The highest version in `messages`, kept when they are forgotten.
    highest: Version,
    /// A version that the read models show, and that was told to all who wanted it. `None` if it was never looked up.
    pub(super) visible: Option<Version>,
    /// Whether the room is parked, and all who want it were told.
    pub(super) parked: bool,
    /// The version of the read models at the last comparison, if it was ahead of what was told.
    pub(super) suspected: Option<Version>,
}

impl Ring {
    /// An empty ring, whose partitions begin at these offsets.
    pub(super) fn new(identity: u64, starts: &[i64]) -> Self {
        let partition = |start: &i64| Partition { start: *start, end: *start, ..Partition::default() };
        Self { identity, partitions: starts.iter().map(partition).collect(), rooms: HashMap::new() }
    }

    /// Adds a message, and forgets old ones. Returns what can be told: nothing of a repeat.
    pub(super) fn push(&mut self, partition: usize, offset: i64, notice: Option<Notice>) -> Option<Placed> {
        let most = REMEMBERED / self.partitions.len().max(1);
        let of_partition = self.partitions.get_mut(partition).filter(|found| found.end <= offset)?;
        of_partition.end = offset + 1;
        let fingerprint =
            notice.as_ref().map_or(0, |notice| Notice::fingerprint(notice.room, notice.version));
        let placed = notice.and_then(|notice| {
            let log = self.rooms.entry(notice.room).or_default();
            if notice.version <= log.highest {
                return None;
            }
            // A topic that was lost took messages along, so the first one is compared with what was visible.
            let before = Some(log.highest).filter(|highest| *highest > Version::NONE).or(log.visible);
            let after_a_gap = before.is_some_and(|before| notice.version > before.next());
            log.highest = notice.version;
            let placed = Placed { partition, offset, notice: Arc::new(notice), after_a_gap, left: None };
            log.messages.push_back(placed.clone());
            Some(placed)
        });
        let room = placed.as_ref().map(|placed| placed.notice.room);
        of_partition.entries.push_back(Entry { offset, fingerprint, room });
        if of_partition.entries.len() > most.max(1)
            && let Some(oldest) = of_partition.entries.pop_front()
        {
            of_partition.start = oldest.offset + 1;
            of_partition.before_start = oldest.fingerprint;
            if let Some(log) = oldest.room.and_then(|room| self.rooms.get_mut(&room)) {
                log.messages.pop_front();
            }
        }
        placed
    }

    pub(super) fn begin_waiting(&mut self, placed: &Placed) {
        if let Some(partition) = self.partitions.get_mut(placed.partition) {
            partition.waiting.insert(placed.offset);
        }
    }

    pub(super) fn end_waiting(&mut self, placed: &Placed) {
        if let Some(partition) = self.partitions.get_mut(placed.partition) {
            partition.waiting.remove(&placed.offset);
        }
    }

    /// The lowest place of all that is still to be told.
    pub(super) fn place(&self) -> Place {
        let marks = self.partitions.iter().map(|partition| {
            let offset = partition.waiting.first().copied().unwrap_or(partition.end);
            Mark { offset, before: partition.before(offset) }
        });
        Place { identity: self.identity, marks: marks.collect() }
    }

    /// The offsets of a place from which everything is remembered.
    pub(super) fn find(&self, place: &Place) -> Option<Vec<i64>> {
        if place.identity != self.identity || place.marks.len() != self.partitions.len() {
            return None;
        }
        let known = self.partitions.iter().zip(&place.marks).map(|(partition, mark)| {
            let before = partition.before(mark.offset);
            let same = before == mark.before || before == 0 || mark.before == 0;
            (same && (partition.start..=partition.end).contains(&mark.offset)).then_some(mark.offset)
        });
        known.collect()
    }

    /// Forgets the rooms of which nothing is remembered and that nobody wants.
    pub(super) fn sweep(&mut self, wanted: impl Fn(RoomId) -> bool) {
        self.rooms.retain(|room, log| !log.messages.is_empty() || wanted(*room));
    }
}

impl Partition {
    /// The fingerprint of the message before an offset; 0 if it is not known.
    fn before(&self, offset: i64) -> u32 {
        let number = self.entries.partition_point(|entry| entry.offset < offset);
        match number.checked_sub(1).and_then(|last| self.entries.get(last)) {
            Some(entry) => entry.fingerprint,
            None if offset == self.start => self.before_start,
            None => 0,
        }
    }
}

impl RoomLog {
    /// Whether it has messages that the read models may not show yet, or was never looked up.
    pub(super) fn is_unverified(&self) -> bool {
        self.visible.is_none_or(|visible| !self.messages.is_empty() && visible < self.highest)
    }
}

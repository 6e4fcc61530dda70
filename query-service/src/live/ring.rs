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
    /// The wanted kind that the room had before.
    pub(super) left: Option<String>,
}

/// The latest messages of one topic.
#[derive(Default)]
pub(super) struct Ring {
    identity: u64,
    partitions: Vec<Partition>,
    pub(super) rooms: HashMap<RoomId, RoomLog>,
    /// Rooms that are parked, whose messages wait for nothing.
    pub(super) parked: BTreeSet<RoomId>,
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
    pub(super) highest: Version,
    /// A version that the read models show, and that was told to all who wanted it. `None` if it was never looked up.
    pub(super) visible: Option<Version>,
    /// The version of the read models at the last comparison, if it was ahead of what was told.
    pub(super) suspected: Option<Version>,
    /// The ends of the partitions when those who want it were last told to read it again.
    pub(super) reset: Option<Reset>,
}

/// When clients were told to read a room again.
pub(super) struct Reset {
    ends: Vec<i64>,
    /// Whether those who want their own reservations were told too.
    pub(super) is_wide: bool,
}

impl Ring {
    /// An empty ring, whose partitions begin at these offsets.
    pub(super) fn new(identity: u64, starts: &[i64]) -> Self {
        let partition = |start: &i64| Partition { start: *start, end: *start, ..Partition::default() };
        Self { identity, partitions: starts.iter().map(partition).collect(), ..Self::default() }
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
            log.highest = notice.version;
            let placed = Placed { partition, offset, notice: Arc::new(notice), left: None };
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
        Place {
            identity: self.identity,
            marks: marks.collect(),
            parked: self.parked.iter().copied().collect(),
        }
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

    /// Whether a message follows versions that never came by the topic, as when a topic was lost with its last messages.
    /// `shown` is what was told before it, if that is known.
    pub(super) fn is_after_a_gap(&self, placed: &Placed, shown: Option<Version>) -> bool {
        let Notice { room, version, .. } = *placed.notice;
        let before = self.rooms.get(&room).and_then(|log| log.before(version)).max(shown);
        let is_whole = |partition: &Partition| partition.start == 0;
        match before {
            Some(before) => version > before.next(),
            // Nothing of this topic is forgotten, so the message before this one was in another topic.
            None => version > Version::FIRST && self.partitions.get(placed.partition).is_some_and(is_whole),
        }
    }

    /// Whether the read models show events of a room that this topic never brought.
    pub(super) fn is_ahead(&self, log: &RoomLog) -> bool {
        let is_whole = || self.partitions.iter().all(|partition| partition.start == 0);
        log.visible.is_some_and(|visible| visible > log.highest)
            && (log.highest > Version::NONE || is_whole())
    }

    /// Notes that those who want a room are told to read it again.
    pub(super) fn note_reset(&mut self, room: RoomId, is_wide: bool) {
        let ends = self.partitions.iter().map(|partition| partition.end).collect();
        let log = self.rooms.entry(room).or_default();
        let is_wide = is_wide || log.reset.as_ref().is_some_and(|reset| reset.is_wide);
        log.reset = Some(Reset { ends, is_wide });
    }

    /// Forgets the rooms of which nothing is remembered and that nobody wants.
    pub(super) fn sweep(&mut self, wanted: impl Fn(RoomId) -> bool) {
        let partitions = &self.partitions;
        // Older places are not found, so who has one reads everything again.
        let is_old = |reset: &mut Reset| {
            reset.ends.iter().zip(partitions).any(|(end, partition)| *end < partition.start)
        };
        self.rooms.retain(|room, log| {
            log.reset.take_if(is_old);
            !log.messages.is_empty() || log.reset.is_some() || wanted(*room)
        });
        self.parked.retain(|room| self.rooms.contains_key(room));
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

impl Reset {
    /// Whether one who knows these offsets may have been away. A client that was told has an offset beyond the ends of then, or
    /// is told again.
    pub(super) fn was_missed(&self, offsets: &[i64]) -> bool {
        self.ends.iter().zip(offsets).all(|(end, offset)| offset <= end)
    }
}

impl RoomLog {
    /// The kind that the messages give the room at last.
    pub(super) fn latest_kind(&self) -> Option<&String> {
        self.messages.iter().rev().find_map(|placed| placed.notice.kind())
    }

    /// The version of the remembered message before this one.
    fn before(&self, version: Version) -> Option<Version> {
        let number = self.messages.partition_point(|placed| placed.notice.version < version);
        self.messages.get(number.checked_sub(1)?).map(|placed| placed.notice.version)
    }

    /// Whether it has messages that the read models may not show yet, or was never looked up.
    pub(super) fn is_unverified(&self) -> bool {
        self.visible.is_none_or(|visible| !self.messages.is_empty() && visible < self.highest)
    }
}

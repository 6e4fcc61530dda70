//! Usage in memory, which is written behind: a document that many events touch is written once.
//!
//! A room's documents are folds of all its events up to a version, so a folded one is right whatever is stored. They are
//! given only to the batch that goes on from that version. A document that is not stored yet is never dropped alone: either
//! it is written, or all that is known of its room is forgotten and folded again from the usage position.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use shared_events::{RoomId, Version};

use super::documents::PackedUsage;
use crate::{read_models::UsageKey, stores::batch::Span};

/// Usage of a room waits this long, so that one write has that of many events. Rooms are due one after the other, as their
/// events came: all at once they would make other writes wait.
const WAITS: Duration = Duration::from_millis(1000);
/// Most documents that wait to be written, before a batch waits for them. Packed, the two tables of a month take about a
/// hundred bytes each.
pub(super) const MOST_UNWRITTEN: usize = 8192;
/// Most documents in memory when all are written.
const MOST: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct UsageBehind {
    state: Mutex<State>,
    /// Held while usage is written.
    pub(super) writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<RoomId, RoomUsage>,
    documents: usize,
    unwritten: usize,
}

/// Usage documents of a room: all that are not stored, and some that are.
#[derive(Clone, Debug, Default)]
pub(super) struct RoomUsage {
    /// All events up to this version are folded.
    pub(super) folded_to: Version,
    /// The usage position. Documents of later versions are not stored.
    pub(super) written_to: Version,
    pub(super) documents: Vec<PackedUsage>,
    /// When it has to be written, if it has.
    pub(super) due: Option<Instant>,
    /// Whether it was used since the last time that rooms were forgotten.
    pub(super) recent: bool,
}

/// The usage of a room that has to be written.
pub(super) struct Unwritten {
    pub(super) room: RoomId,
    /// From the usage position to the one that these documents lead to.
    pub(super) span: Span,
    pub(super) documents: Vec<PackedUsage>,
}

impl RoomUsage {
    fn unwritten(&self) -> impl Iterator<Item = &PackedUsage> {
        self.documents.iter().filter(|document| document.version > self.written_to)
    }

    /// Puts documents in the place of those with their keys.
    pub(super) fn put(&mut self, documents: impl IntoIterator<Item = PackedUsage>) {
        for document in documents {
            match self.documents.iter_mut().find(|known| known.key == document.key) {
                Some(known) => *known = document,
                None => self.documents.push(document),
            }
        }
    }
}

impl UsageBehind {
    /// The usage position of a room whose events are folded up to `version`, and those of its documents that have these
    /// keys.
    pub(super) fn find(
        &self,
        room: RoomId,
        version: Version,
        keys: &[UsageKey],
    ) -> Option<(Version, Vec<PackedUsage>)> {
        let mut state = self.state();
        let known = state.rooms.get_mut(&room).filter(|known| known.folded_to == version)?;
        known.recent = true;
        let found = known.documents.iter().filter(|document| keys.contains(&document.key));
        Some((known.written_to, found.cloned().collect()))
    }

    /// Notes what is known of a room, in place of what was known.
    pub(super) fn begin(&self, room: RoomId, usage: RoomUsage) {
        self.state().replace(room, |_| Some(usage));
    }

    /// Keeps the documents of a room after a batch, whose checkpoint is written. What continues another batch is dropped.
    pub(super) fn keep(&self, room: RoomId, span: Span, documents: Vec<PackedUsage>) {
        self.state().replace(room, |known| {
            let mut known = known.filter(|known| known.folded_to == span.base)?;
            known.put(documents);
            (known.folded_to, known.recent) = (span.last, true);
            Some(known)
        });
    }

    /// Forgets a room. Its events are folded again from its usage position.
    pub(super) fn forget(&self, room: RoomId) {
        self.state().replace(room, |_| None);
    }

    /// Whether a batch must wait until usage is written.
    pub(super) fn is_full(&self) -> bool {
        self.state().unwritten > MOST_UNWRITTEN
    }

    /// What has to be written: all of it, or what is due up to a time.
    pub(super) fn unwritten(&self, due: Option<Instant>) -> Vec<Unwritten> {
        let state = self.state();
        let wanted = |of_room: Option<Instant>| of_room.is_some_and(|at| due.is_none_or(|due| at <= due));
        let behind = state.rooms.iter().filter(|(_, known)| wanted(known.due));
        let unwritten = behind.map(|(room, known)| Unwritten {
            room: *room,
            span: Span { base: known.written_to, last: known.folded_to },
            documents: known.unwritten().cloned().collect(),
        });
        unwritten.collect()
    }

    /// Lets rooms that wait be due now.
    pub(super) fn hasten(&self, rooms: impl IntoIterator<Item = RoomId>) {
        let now = Instant::now();
        let mut state = self.state();
        for room in rooms {
            if let Some(due) = state.rooms.get_mut(&room).and_then(|known| known.due.as_mut()) {
                *due = now.min(*due);
            }
        }
    }

    /// Whether a room is known, and folded up to this version at least.
    pub(super) fn covers(&self, room: RoomId, version: Version) -> bool {
        self.state().rooms.get(&room).is_some_and(|known| known.folded_to >= version)
    }

    /// The usage positions of the rooms that are known.
    pub(super) fn positions(&self) -> HashMap<RoomId, Version> {
        self.state().rooms.iter().map(|(room, known)| (*room, known.written_to)).collect()
    }

    /// Moves the usage position of a room whose documents are written.
    pub(super) fn written(&self, room: RoomId, span: Span) {
        self.state().replace(room, |known| {
            let mut known = known?;
            if known.written_to == span.base {
                (known.written_to, known.due) = (span.last, None);
            }
            Some(known)
        });
    }

    /// Forgets written rooms that were not used since the last time, if too many documents are in memory.
    pub(super) fn make_room(&self) {
        let mut state = self.state();
        for only_old in [true, false] {
            if state.documents <= MOST {
                return;
            }
            let State { rooms, documents, .. } = &mut *state;
            rooms.retain(|_, known| {
                let stays = known.folded_to > known.written_to || (only_old && known.recent);
                if !stays {
                    *documents -= known.documents.len();
                }
                known.recent = false;
                stays
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn replace(&mut self, room: RoomId, change: impl FnOnce(Option<RoomUsage>) -> Option<RoomUsage>) {
        let before = self.rooms.remove(&room);
        if let Some(before) = &before {
            self.documents -= before.documents.len();
            self.unwritten -= before.unwritten().count();
        }
        if let Some(mut after) = change(before) {
            let waits = after.folded_to > after.written_to;
            after.due = waits.then(|| after.due.unwrap_or_else(|| Instant::now() + WAITS));
            self.documents += after.documents.len();
            self.unwritten += after.unwritten().count();
            self.rooms.insert(room, after);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::read_models::{UsageDoc, usage::Month};

    fn room(n: usize) -> RoomId {
        RoomId(Uuid::from_u128(n as u128))
    }

    fn usage(n: usize, month: i32, version: u64) -> PackedUsage {
        let month = Month::of_code(month).unwrap();
        let key = UsageKey { room: room(n), zone: "UTC".parse().unwrap(), month };
        PackedUsage::pack(&UsageDoc { version: version.into(), ..UsageDoc::empty(key) })
    }

    fn span(base: u64, last: u64) -> Span {
        Span { base: base.into(), last: last.into() }
    }

    /// Usage with one room that is folded and written up to version 9.
    fn with_one_room() -> UsageBehind {
        let behind = UsageBehind::default();
        let usage = vec![usage(1, 202_606, 4)];
        let written = RoomUsage {
            folded_to: 9.into(),
            written_to: 9.into(),
            documents: usage,
            recent: true,
            due: None,
        };
        behind.begin(room(1), written);
        behind
    }

    #[test]
    fn only_the_batch_that_goes_on_from_there_finds_a_room() {
        let behind = with_one_room();
        let keys = [usage(1, 202_606, 4).key, usage(1, 202_607, 4).key];
        assert_eq!(behind.find(room(1), 9.into(), &keys), Some((9.into(), vec![usage(1, 202_606, 4)])));
        for other in [8, 10] {
            assert_eq!(behind.find(room(1), other.into(), &keys), None);
        }
        behind.keep(room(1), span(8, 10), vec![usage(1, 202_607, 10)]);
        assert_eq!(behind.find(room(1), 10.into(), &keys), None, "the batch did not go on from there");
        assert_eq!(behind.find(room(1), 9.into(), &keys), None, "so nothing is known any more");
    }

    #[test]
    fn what_is_folded_while_it_is_written_waits_for_the_next_time() {
        let behind = with_one_room();
        behind.keep(room(1), span(9, 11), vec![usage(1, 202_606, 10), usage(1, 202_607, 11)]);
        let writing = behind.unwritten(None);
        behind.keep(room(1), span(11, 12), vec![usage(1, 202_607, 12)]);
        behind.written(room(1), writing[0].span);
        let rest = behind.unwritten(None);
        assert_eq!((rest[0].span, &rest[0].documents), (span(11, 12), &vec![usage(1, 202_607, 12)]));
        behind.written(room(1), rest[0].span);
        assert!(behind.unwritten(None).is_empty());
        assert_eq!(behind.state().unwritten, 0);
    }

    #[test]
    fn a_room_is_due_a_while_after_its_first_event_or_at_once_if_a_query_waits_for_it() {
        let behind = with_one_room();
        let begun = Instant::now();
        behind.keep(room(1), span(9, 10), vec![usage(1, 202_606, 10)]);
        behind.begin(room(2), RoomUsage { folded_to: 3.into(), ..RoomUsage::default() });
        let noted = Instant::now();
        behind.keep(room(1), span(10, 11), vec![usage(1, 202_606, 11)]);
        let due = |at: Instant| {
            let mut rooms: Vec<_> = behind.unwritten(Some(at)).iter().map(|it| it.room).collect();
            rooms.sort_unstable();
            rooms
        };
        assert!(due(begun + WAITS - Duration::from_millis(1)).is_empty());
        assert_eq!(due(noted + WAITS), [room(1), room(2)], "a later event delays no room");
        behind.hasten([room(2), room(3)]);
        assert_eq!(due(Instant::now()), [room(2)]);
        behind.written(room(2), span(0, 3));
        assert!(due(Instant::now()).is_empty());
    }

    #[test]
    fn memory_is_bounded_and_what_is_not_written_is_never_dropped() {
        let behind = with_one_room();
        behind.keep(room(1), span(9, 10), vec![usage(1, 202_607, 10)]);
        for n in 2..2 * MOST {
            let written = RoomUsage { documents: vec![usage(n, 202_606, 0)], ..RoomUsage::default() };
            behind.begin(room(n), RoomUsage { recent: n % 4 == 0, ..written });
            behind.make_room();
            assert!(behind.state().documents <= MOST);
        }
        assert!(behind.covers(room(1), 10.into()), "it is not written");
        let state = behind.state();
        let documents: usize = state.rooms.values().map(|known| known.documents.len()).sum();
        assert_eq!((state.documents, state.unwritten), (documents, 1));
    }
}

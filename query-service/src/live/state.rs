//! Who wants what, and what waits for the read models.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use shared_events::{RoomId, UserId, Version};

use super::{
    RESETS,
    client::{Client, Told, Wants},
    notice::{About, Notice},
    place::Place,
    ring::{Placed, Reset, Ring, RoomLog},
};
use crate::progress::Seen;

/// Most events of a room that wait for the read models. More are a reset of the room.
const MOST_WAITING_OF_ROOM: usize = 100;

/// Everything behind the hub's lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) ring: Ring,
    pub(super) waiting: HashMap<RoomId, Waiting>,
    pub(super) streams: usize,
    pub(super) streams_of: HashMap<UserId, usize>,
    pub(super) clients: HashMap<u64, Arc<Client>>,
    next_client: u64,
    pub(super) by_room: HashMap<RoomId, HashSet<u64>>,
    by_owner: HashMap<UserId, HashSet<u64>>,
    by_kind: HashMap<String, OfKind>,
    /// The kinds of rooms, where somebody wants the kind.
    pub(super) kinds: HashMap<RoomId, String>,
    /// The `id` of everything that can't be told yet.
    pub(super) place: Option<Arc<str>>,
}

/// Those who want a kind.
#[derive(Default)]
struct OfKind {
    /// With those whose streams begin soon.
    interested: usize,
    clients: HashSet<u64>,
}

/// The messages of a room that the read models don't show yet.
#[derive(Default)]
pub(super) struct Waiting {
    messages: BTreeMap<Version, Placed>,
    /// Messages that are not kept: the first one, which holds its place, and the version of the last one.
    skipped: Option<(Placed, Version)>,
}

impl State {
    /// Notes the lowest place of all that waits.
    pub(super) fn note_place(&mut self) {
        self.place = self.ring.place().encode().map(Arc::from);
    }

    pub(super) fn insert(&mut self, client: &Arc<Client>) -> u64 {
        let key = self.next_client;
        self.next_client += 1;
        let Wants { rooms, kind, owner } = &client.wants;
        for room in rooms {
            self.by_room.entry(*room).or_default().insert(key);
        }
        if let Some(owner) = owner {
            self.by_owner.entry(owner.clone()).or_default().insert(key);
        }
        if let Some(of_kind) = kind.as_ref().and_then(|kind| self.by_kind.get_mut(kind)) {
            of_kind.clients.insert(key);
        }
        self.clients.insert(key, Arc::clone(client));
        key
    }

    pub(super) fn remove(&mut self, key: u64) {
        let Some(client) = self.clients.remove(&key) else { return };
        let Wants { rooms, kind, owner } = &client.wants;
        rooms.iter().for_each(|room| forget(&mut self.by_room, room, key));
        owner.iter().for_each(|owner| forget(&mut self.by_owner, owner, key));
        if let Some(of_kind) = kind.as_ref().and_then(|kind| self.by_kind.get_mut(kind)) {
            of_kind.clients.remove(&key);
        }
        let waiting = std::mem::take(&mut self.waiting);
        for (room, mut of_room) in waiting {
            let unwanted = |_: &Version, placed: &mut Placed| !self.is_wanted(placed);
            let unwanted: Vec<_> = of_room.messages.extract_if(.., unwanted).collect();
            unwanted.iter().for_each(|(_, placed)| self.ring.end_waiting(placed));
            if let Some((first, _)) = of_room.skipped.take_if(|_| self.wanting_room(room).is_empty()) {
                self.ring.end_waiting(&first);
            }
            if !of_room.is_empty() {
                self.waiting.insert(room, of_room);
            }
        }
        self.note_place();
    }

    /// From now on, messages that give rooms this kind are noted. So are those that are remembered: the read models may not
    /// show them yet.
    pub(super) fn interest(&mut self, kind: &str) {
        let of_kind = self.by_kind.entry(kind.to_owned()).or_default();
        of_kind.interested += 1;
        if of_kind.interested == 1 {
            let is_of = |log: &RoomLog| log.latest_kind().is_some_and(|latest| latest == kind);
            let rooms = self.ring.rooms.iter().filter(|(_, log)| is_of(log));
            self.kinds.extend(rooms.map(|(room, _)| (*room, kind.to_owned())));
        }
    }

    /// The read models show these rooms with this kind.
    pub(super) fn learn_kind(&mut self, kind: &str, rooms: impl IntoIterator<Item = RoomId>) {
        for room in rooms {
            let latest = self.ring.rooms.get(&room).and_then(RoomLog::latest_kind);
            if latest.is_none_or(|latest| latest == kind) {
                self.kinds.entry(room).or_insert_with(|| kind.to_owned());
            }
        }
    }

    pub(super) fn lose_interest(&mut self, kind: &str) {
        let Some(of_kind) = self.by_kind.get_mut(kind) else { return };
        of_kind.interested -= 1;
        if of_kind.interested == 0 {
            self.by_kind.remove(kind);
            self.kinds.retain(|_, other| other != kind);
        }
    }

    /// Notes the kind that a message gives its room, and returns the former one if it is wanted.
    pub(super) fn set_kind(&mut self, notice: &Notice) -> Option<String> {
        let kind = notice.kind()?;
        let before = match self.by_kind.contains_key(kind) {
            true => self.kinds.insert(notice.room, kind.clone()),
            false => self.kinds.remove(&notice.room),
        };
        before.filter(|before| before != kind)
    }

    /// The rooms that a client wants of which messages are remembered.
    pub(super) fn rooms_of(&self, wants: &Wants) -> HashSet<RoomId> {
        let mut rooms = wants.rooms.clone();
        if let Some(wanted) = &wants.kind {
            rooms.extend(self.kinds.iter().filter(|(_, kind)| *kind == wanted).map(|(room, _)| *room));
        }
        if let Some(owner) = &wants.owner {
            let owns = |placed: &Placed| placed.notice.owner() == Some(owner);
            let logs = self.ring.rooms.iter().filter(|(_, log)| log.messages.iter().any(owns));
            rooms.extend(logs.map(|(room, _)| *room));
        }
        rooms
    }

    /// The rooms that a client must read again that comes back with a place at these offsets.
    pub(super) fn resets_after(&self, place: &Place, offsets: &[i64], wants: &Wants) -> BTreeSet<RoomId> {
        let is_later =
            |placed: &Placed| offsets.get(placed.partition).is_some_and(|last| placed.offset >= *last);
        let is_due = |room: RoomId, log: &RoomLog| {
            let wants_room = self.wants_room(wants, room);
            let was_missed = |reset: &Reset| {
                (wants_room || (wants.owner.is_some() && reset.is_wide)) && reset.was_missed(offsets)
            };
            let is_after_a_gap = |placed: &Placed| is_later(placed) && self.ring.is_after_a_gap(placed, None);
            log.reset.as_ref().is_some_and(was_missed)
                || ((wants_room || wants.owner.is_some()) && log.messages.iter().any(is_after_a_gap))
        };
        let due = self.ring.rooms.iter().filter(|(room, log)| is_due(**room, log));
        let was_parked = |room: &&RoomId| wants.owner.is_some() || self.wants_room(wants, **room);
        let parked = place.parked.iter().filter(was_parked);
        due.map(|(room, _)| room).chain(parked).copied().collect()
    }

    /// Lets the next comparisons look at wanted rooms that are ahead of their topic. A client that comes back may know less of
    /// them, unless it was told to read them again.
    pub(super) fn doubt(&mut self, wants: &Wants) {
        for room in self.rooms_of(wants) {
            if self.ring.rooms.get(&room).is_some_and(|log| log.reset.is_none() && self.ring.is_ahead(log))
                && let Some(log) = self.ring.rooms.get_mut(&room)
            {
                log.visible = Some(log.highest);
            }
        }
    }

    fn wants_room(&self, wants: &Wants, room: RoomId) -> bool {
        let is_of = |kind: &String| self.kinds.get(&room) == Some(kind);
        wants.rooms.contains(&room) || wants.kind.as_ref().is_some_and(is_of)
    }

    fn is_wanted(&self, placed: &Placed) -> bool {
        !self.wanting(placed).is_empty() || (!self.by_owner.is_empty() && self.is_after_a_gap(placed))
    }

    /// Whether a message follows versions that never came. They may have been anybody's.
    fn is_after_a_gap(&self, placed: &Placed) -> bool {
        let shown = self.ring.rooms.get(&placed.notice.room).and_then(|log| log.visible);
        self.ring.is_after_a_gap(placed, shown)
    }

    /// The clients that want a message.
    pub(super) fn wanting(&self, placed: &Placed) -> BTreeSet<u64> {
        let notice = &placed.notice;
        let mut wanting = self.wanting_room(notice.room);
        if let Some(of_kind) = placed.left.as_ref().and_then(|kind| self.by_kind.get(kind)) {
            wanting.extend(&of_kind.clients);
        }
        match &notice.about {
            About::Reservation { owner, .. } => {
                wanting.extend(self.by_owner.get(owner).into_iter().flatten())
            }
            // It may be anybody's.
            About::Unreadable => wanting.extend(self.by_owner.values().flatten()),
            About::Room { .. } => {}
        }
        wanting
    }

    /// Whether one who wants this wants a message.
    pub(super) fn wants(&self, wants: &Wants, placed: &Placed) -> bool {
        let notice = &placed.notice;
        self.wants_room(wants, notice.room)
            || wants.kind.as_ref().is_some_and(|kind| placed.left.as_ref() == Some(kind))
            || wants.owner.as_ref().is_some_and(|wanted| match &notice.about {
                About::Reservation { owner, .. } => owner == wanted,
                // It may be anybody's.
                About::Unreadable => true,
                About::Room { .. } => false,
            })
    }

    /// The clients that want a room, by itself or for its kind.
    pub(super) fn wanting_room(&self, room: RoomId) -> BTreeSet<u64> {
        let of_kind = self.kinds.get(&room).and_then(|kind| self.by_kind.get(kind));
        let of_kind = of_kind.into_iter().flat_map(|of_kind| &of_kind.clients);
        self.by_room.get(&room).into_iter().flatten().chain(of_kind).copied().collect()
    }

    /// Keeps a message until the read models show it, if a client wants it.
    pub(super) fn wait(&mut self, placed: Placed) {
        if !self.is_wanted(&placed) {
            return;
        }
        let version = placed.notice.version;
        let of_room = self.waiting.entry(placed.notice.room).or_default();
        let is_skipped = of_room.skipped.as_ref().is_some_and(|(_, last)| version <= *last);
        if is_skipped || of_room.messages.contains_key(&version) {
            return;
        }
        self.ring.begin_waiting(&placed);
        of_room.messages.insert(version, placed);
        if of_room.messages.len() > MOST_WAITING_OF_ROOM {
            for (version, placed) in std::mem::take(&mut of_room.messages) {
                match &mut of_room.skipped {
                    None => of_room.skipped = Some((placed, version)),
                    Some((_, last)) => {
                        *last = version;
                        self.ring.end_waiting(&placed);
                    }
                }
            }
        }
    }

    /// Tells what the read models show of these rooms. `told` gets each notice once.
    pub(super) fn show(&mut self, found: &HashMap<RoomId, Seen>, mut told: impl FnMut(&Notice)) {
        let mut touched = BTreeSet::new();
        for (room, seen) in found {
            let shown = self.ring.rooms.get(room).and_then(|log| log.visible);
            let was_parked = self.note_seen(*room, *seen, &mut touched);
            let Some(mut of_room) = self.waiting.remove(room) else { continue };
            let due = |(_, last): &mut (Placed, Version)| *last <= seen.version || seen.parked;
            if let Some((first, _)) = of_room.skipped.take_if(due) {
                self.ring.end_waiting(&first);
                self.ring.note_reset(*room, false);
                self.reset(&self.wanting_room(*room), *room, "many", &mut touched);
            }
            let later = of_room.messages.split_off(&seen.version.next());
            for placed in std::mem::replace(&mut of_room.messages, later).values() {
                self.ring.end_waiting(placed);
                let wanting = self.wanting(placed);
                for client in wanting.iter().filter_map(|key| self.clients.get(key)) {
                    client.tell(Told::Notice(Arc::clone(&placed.notice)));
                }
                touched.extend(wanting);
                told(&placed.notice);
                if self.ring.is_after_a_gap(placed, shown) {
                    self.reset_widely(*room, "gap", &mut touched);
                }
            }
            if seen.parked {
                let mut wanting = BTreeSet::new();
                for placed in std::mem::take(&mut of_room.messages).values() {
                    self.ring.end_waiting(placed);
                    wanting.extend(self.wanting(placed));
                }
                if !was_parked {
                    self.reset(&wanting, *room, "parked", &mut touched);
                }
            }
            if !of_room.is_empty() {
                self.waiting.insert(*room, of_room);
            }
        }
        self.note_place();
        self.woken(&touched);
    }

    /// Notes what the read models show, and returns whether the room was parked before. A room that is not parked any more
    /// shows events that were dropped here.
    fn note_seen(&mut self, room: RoomId, seen: Seen, touched: &mut BTreeSet<u64>) -> bool {
        let log = self.ring.rooms.entry(room).or_default();
        log.visible = Some(log.visible.unwrap_or_default().max(seen.version));
        let was_parked = match seen.parked {
            true => !self.ring.parked.insert(room),
            false => self.ring.parked.remove(&room),
        };
        if was_parked && !seen.parked {
            // Its reservations may be anybody's.
            self.reset_widely(room, "parked", touched);
        }
        was_parked
    }

    /// Compares what the read models show of rooms of which nothing waits with what was told. A room that stays ahead for two
    /// comparisons has events that never came by the topic.
    pub(super) fn compare(&mut self, found: &HashMap<RoomId, Seen>) {
        let mut touched = BTreeSet::new();
        for (room, seen) in found {
            if self.waiting.contains_key(room) {
                continue;
            }
            let log = self.ring.rooms.entry(*room).or_default();
            let told = *log.visible.get_or_insert(seen.version);
            let before = log.suspected.take();
            if self.ring.parked.contains(room) || before.is_some_and(|before| before > told) {
                self.note_seen(*room, *seen, &mut touched);
                if before.is_some_and(|before| before > told) {
                    // Nothing tells whose events they are.
                    self.reset_widely(*room, "ahead", &mut touched);
                }
            } else if seen.version > told {
                log.suspected = Some(seen.version);
            }
        }
        self.woken(&touched);
    }

    /// Tells those who want a room, and all who want their own reservations, to read it again.
    fn reset_widely(&mut self, room: RoomId, reason: &'static str, touched: &mut BTreeSet<u64>) {
        let mut clients = self.wanting_room(room);
        clients.extend(self.by_owner.values().flatten());
        self.ring.note_reset(room, true);
        self.reset(&clients, room, reason, touched);
    }

    /// Tells clients to read a room again.
    fn reset(
        &self,
        clients: &BTreeSet<u64>,
        room: RoomId,
        reason: &'static str,
        touched: &mut BTreeSet<u64>,
    ) {
        for client in clients.iter().filter_map(|key| self.clients.get(key)) {
            client.tell(Told::Reset(room));
            metrics::counter!(RESETS, "reason" => reason).increment(1);
        }
        touched.extend(clients);
    }

    fn woken(&self, clients: &BTreeSet<u64>) {
        for client in clients.iter().filter_map(|key| self.clients.get(key)) {
            client.at(self.place.clone());
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.skipped.is_none()
    }
}

fn forget<K: Eq + Hash>(index: &mut HashMap<K, HashSet<u64>>, name: &K, key: u64) {
    if let Some(keys) = index.get_mut(name) {
        keys.remove(&key);
        if keys.is_empty() {
            index.remove(name);
        }
    }
}

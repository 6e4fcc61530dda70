//! The decision state of rooms, kept between groups: loaded together, caught up after a conflict, bounded.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use shared_events::{DecodedEvent, Erasures, RoomId, Unreadable, Version};

use super::WriterStore;
use crate::{
    domain::{Room, RoomEntry, Rooms, SNAPSHOT_SCHEMA},
    event_store::{Snapshot, Snapshots, StoreError, StoredEvent},
};

/// A snapshot is kept each time a room's version passes a multiple of this, so that loading a cold room folds few events.
const SNAPSHOT_EVERY: u64 = 1000;

/// After how many versions the next snapshot of a room is due: more when it knows many reservations, which all are
/// written, so that snapshots cost each event the same however large a room has grown. Doubled in steps, so that the
/// room's size need not be remembered from one to the next.
fn versions_between_snapshots(size: usize) -> u64 {
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    SNAPSHOT_EVERY.saturating_mul(size.div_ceil(SNAPSHOT_EVERY).saturating_mul(2).next_power_of_two())
}

pub(super) struct Cache {
    pub(super) store: WriterStore,
    /// The rooms at versions that are committed, but for what the attempt in progress has applied and can undo.
    pub(super) rooms: Rooms,
    /// Rooms that may have moved on in the store.
    suspects: HashSet<RoomId>,
    /// Rooms that hold an event which this version of the service can't read.
    not_understood: HashMap<RoomId, Unreadable>,
    directory_is_stale: bool,
    /// The list of erased persons under which all rooms were loaded: none of them is in any state.
    pub(super) erasures: Erasures,
    erasures_are_stale: bool,
    last_used: HashMap<RoomId, u64>,
    now: u64,
    capacity: usize,
}

impl Cache {
    pub(super) fn new(store: WriterStore, capacity: usize) -> Self {
        Self {
            store,
            rooms: Rooms::default(),
            suspects: HashSet::new(),
            not_understood: HashMap::new(),
            directory_is_stale: true,
            erasures: Erasures::default(),
            erasures_are_stale: true,
            last_used: HashMap::new(),
            now: 0,
            capacity,
        }
    }

    /// Reads the directory where it is not known or may be wrong.
    pub(super) async fn refresh_directory(&mut self) -> Result<(), StoreError> {
        if self.directory_is_stale {
            let entries = self.store.rooms.directory().await?;
            self.rooms.directory = entries.into_iter().collect();
            self.directory_is_stale = false;
        }
        Ok(())
    }

    pub(super) const fn distrust_directory(&mut self) {
        self.directory_is_stale = true;
    }

    /// Reads the list of erased persons where it is not known or has changed. What was loaded under another one may name
    /// somebody, and is dropped.
    pub(super) async fn refresh_erasures(&mut self) -> Result<(), StoreError> {
        if self.erasures_are_stale {
            let erasures = self.store.erasures.erasures().await?;
            if erasures.epoch != self.erasures.epoch {
                self.rooms.clear();
                self.last_used.clear();
                self.suspects.clear();
            }
            self.erasures = erasures;
            self.erasures_are_stale = false;
        }
        Ok(())
    }

    pub(super) const fn distrust_erasures(&mut self) {
        self.erasures_are_stale = true;
    }

    /// Reads a stored event, without those who were erased: it may not be masked yet.
    fn read(&self, stored: StoredEvent) -> Result<DecodedEvent, Unreadable> {
        let mut event = stored.into_raw()?.decode()?;
        self.erasures.mask(&mut event);
        Ok(event)
    }

    /// The room may have moved on: it is caught up before the next decision.
    pub(super) fn distrust(&mut self, room: RoomId) {
        self.suspects.insert(room);
    }

    /// The room's cached state is wrong: it is loaded anew.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.rooms.remove(room);
        self.last_used.remove(&room);
    }

    /// Why the room can't be decided, if so.
    pub(super) fn is_not_understood(&self, room: RoomId) -> bool {
        self.not_understood.contains_key(&room)
    }

    /// Loads those of the rooms that are missing and catches up those that may have moved on, in one read of events.
    /// Returns what the latter have gained.
    pub(super) async fn load(
        &mut self,
        wanted: impl Iterator<Item = RoomId>,
    ) -> Result<Vec<DecodedEvent>, StoreError> {
        let mut cold = Vec::new();
        let mut after = Vec::new();
        let wanted: HashSet<RoomId> = wanted.collect();
        for room in wanted {
            self.last_used.insert(room, self.now);
            match self.rooms.get(room) {
                Some(known) if self.suspects.contains(&room) => after.push((room, known.version())),
                Some(_) => {}
                None => cold.push(room),
            }
        }
        let suspects: HashSet<RoomId> = after.iter().map(|(room, _)| *room).collect();
        if !cold.is_empty() {
            for snapshot in self.store.snapshots.snapshots(&cold).await? {
                if let Some(mut room) = restore(&snapshot) {
                    room.mask(&self.erasures);
                    self.rooms.insert(room);
                }
            }
            after.extend(
                cold.iter().map(|room| (*room, self.rooms.get(*room).map(Room::version).unwrap_or_default())),
            );
        }
        if after.is_empty() {
            return Ok(Vec::new());
        }
        let mut gained = Vec::new();
        let stored = match self.store.log.load(&after).await {
            Ok(stored) => stored,
            Err(error) => {
                // A snapshot without the events after it is no state to decide on.
                for room in cold {
                    self.forget(room);
                }
                return Err(error);
            }
        };
        for (room, _) in &after {
            self.not_understood.remove(room);
        }
        for event in stored {
            let room = event.room;
            if self.not_understood.contains_key(&room) {
                continue;
            }
            match self.read(event) {
                Ok(event) => {
                    self.apply(&event);
                    if suspects.contains(&room) {
                        gained.push(event);
                    }
                }
                Err(reason) => {
                    tracing::error!(room = %room, %reason, "a room's history is not understood, it takes no commands");
                    self.forget(room);
                    self.not_understood.insert(room, reason);
                }
            }
        }
        for room in suspects {
            self.suspects.remove(&room);
        }
        Ok(gained)
    }

    fn apply(&mut self, event: &DecodedEvent) {
        if self.rooms.get(event.room).is_none() {
            self.rooms.insert(Room::new(event.room));
        }
        let Some(room) = self.rooms.get_mut(event.room) else { return };
        if let Err(reason) = room.apply(event.version, event.metadata.time, &event.event) {
            tracing::error!(room = %event.room, version = event.version.get(), %reason, "a stream has a gap");
            let reason = Unreadable::Malformed {
                event_type: event.event.event_type().into(),
                reason: reason.to_string(),
            };
            self.forget(event.room);
            self.not_understood.insert(event.room, reason);
        } else if let Some(entry) = RoomEntry::after(&event.event) {
            self.rooms.directory.upsert(entry);
        }
    }

    /// The room folded from its whole stream, so that it knows its past. `None` when it has moved on since `version`.
    pub(super) async fn load_whole(
        &mut self,
        room: RoomId,
        version: Version,
    ) -> Result<Option<Room>, StoreError> {
        let mut whole = Room::whole(room);
        for event in self.store.log.load(&[(room, Version::NONE)]).await? {
            let applied = self.read(event).map_err(|reason| reason.to_string()).and_then(|event| {
                whole
                    .apply(event.version, event.metadata.time, &event.event)
                    .map_err(|reason| reason.to_string())
            });
            if let Err(detail) = applied {
                return Err(StoreError::Inconsistent { operation: "load a whole stream", detail });
            }
        }
        if whole.version() == version {
            Ok(Some(whole))
        } else {
            self.distrust(room);
            Ok(None)
        }
    }

    /// Ends a group: keeps due snapshots, and drops the rooms that were not used for longest where there are too many.
    pub(super) fn end_group(&mut self, written: &HashMap<RoomId, Version>) {
        self.now += 1;
        for (id, before) in written {
            let Some(room) = self.rooms.get(*id) else { continue };
            let step = versions_between_snapshots(room.size());
            if room.version().get() / step > before.get() / step {
                keep_snapshot(Arc::clone(&self.store.snapshots), room.clone(), self.erasures.epoch);
            }
        }
        if self.last_used.len() > self.capacity {
            let mut by_age: Vec<(u64, RoomId)> =
                self.last_used.iter().map(|(room, used)| (*used, *room)).collect();
            by_age.sort_unstable();
            for (_, room) in by_age.into_iter().take(self.capacity / 10 + 1) {
                self.forget(room);
            }
        }
    }
}

fn restore(snapshot: &Snapshot) -> Option<Room> {
    if snapshot.schema != SNAPSHOT_SCHEMA {
        return None;
    }
    let room: Room = serde_json::from_slice(&snapshot.body).ok()?;
    (room.id() == snapshot.room && room.version() == snapshot.version).then_some(room)
}

fn keep_snapshot(store: Arc<dyn Snapshots>, room: Room, erasures: u64) {
    tokio::spawn(async move {
        let Ok(body) = serde_json::to_vec(&room) else { return };
        let snapshot =
            Snapshot { room: room.id(), version: room.version(), schema: SNAPSHOT_SCHEMA.to_owned(), body };
        if let Err(error) = store.save_snapshot(&snapshot, erasures).await {
            // Without it the next cold load reads more events, nothing else.
            tracing::warn!(room = %snapshot.room, %error, "a snapshot was not kept");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_of_a_large_room_are_further_apart_than_it_is_large() {
        for size in [0, 1, 999, 1000, 5000, 123_456, 1_000_000] {
            let step = versions_between_snapshots(size);
            assert!(step >= SNAPSHOT_EVERY && step >= 2 * size as u64, "{size}: {step}");
            assert!(step <= SNAPSHOT_EVERY.max(5 * (size as u64 + SNAPSHOT_EVERY)), "{size}: {step}");
        }
    }
}

//! A bounded cache of rooms' decision states: loaded together, caught up after a conflict.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use shared_events::{DecodedEvent, Erasures, RoomId, Unreadable, Version};

use super::{WriterStore, recall::Memory};
use crate::{
    commands::NewEvent,
    domain::{Room, RoomEntry, Rooms, SNAPSHOT_SCHEMA},
    event_store::{Snapshot, Snapshots, StoreError, StoredEvent, WriterForm},
};

/// A snapshot is saved each time a room's version passes a multiple of this, so that loading a room folds few events.
const SNAPSHOT_EVERY: u64 = 1000;

/// The number of versions between two snapshots of a room. It grows with the room's reservations, which a snapshot writes
/// all, so that snapshots cost the same for each event. It doubles in steps, so the size at the last snapshot need not be
/// known.
fn versions_between_snapshots(size: usize) -> u64 {
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    SNAPSHOT_EVERY.saturating_mul(size.div_ceil(SNAPSHOT_EVERY).saturating_mul(2).next_power_of_two())
}

pub(super) struct Cache {
    pub(super) store: WriterStore,
    /// For lines of imports. It has limits of its own: the writer waits for no user's look-up.
    pub(super) memory: Memory,
    /// The rooms at committed versions, with the effects of the current attempt.
    pub(super) rooms: Rooms,
    /// Rooms that may have new events in the store.
    stale: HashSet<RoomId>,
    /// Rooms with an event that this build can't decode.
    not_understood: HashMap<RoomId, Unreadable>,
    directory_is_stale: bool,
    /// The list of erased persons under which all rooms were loaded.
    pub(super) erasures: Erasures,
    erasures_are_stale: bool,
    /// The last known form of writing.
    form: WriterForm,
    last_used: HashMap<RoomId, u64>,
    now: u64,
    capacity: usize,
}

impl Cache {
    pub(super) fn new(store: WriterStore, capacity: usize) -> Self {
        Self {
            memory: Memory::new(&store),
            store,
            rooms: Rooms::default(),
            stale: HashSet::new(),
            not_understood: HashMap::new(),
            directory_is_stale: true,
            erasures: Erasures::default(),
            erasures_are_stale: true,
            form: WriterForm::FIRST,
            last_used: HashMap::new(),
            now: 0,
            capacity,
        }
    }

    /// Reads the directory if it is stale.
    pub(super) async fn refresh_directory(&mut self) -> Result<(), StoreError> {
        if self.directory_is_stale {
            let entries = self.store.rooms.all_rooms().await?;
            self.rooms.directory = entries.into_iter().collect();
            self.directory_is_stale = false;
        }
        Ok(())
    }

    pub(super) const fn mark_directory_stale(&mut self) {
        self.directory_is_stale = true;
    }

    /// Reads new entries of the list of erased persons if it is stale. Drops rooms loaded under another list: they may name an
    /// erased person.
    pub(super) async fn refresh_erasures(&mut self) -> Result<(), StoreError> {
        if self.erasures_are_stale {
            let before = self.erasures.epoch;
            self.store.erasures.read_on(&mut self.erasures).await?;
            if self.erasures.epoch != before {
                self.rooms.clear();
                self.last_used.clear();
                self.stale.clear();
            }
            self.erasures_are_stale = false;
        }
        Ok(())
    }

    pub(super) const fn mark_erasures_stale(&mut self) {
        self.erasures_are_stale = true;
    }

    /// Decodes a stored event and masks erased persons, because the store may not have masked it yet.
    fn read(&self, stored: StoredEvent) -> Result<DecodedEvent, Unreadable> {
        let mut event = stored.into_raw()?.decode()?;
        self.erasures.mask(&mut event);
        Ok(event)
    }

    /// The room may have new events: it is caught up before the next decision.
    pub(super) fn mark_stale(&mut self, room: RoomId) {
        self.stale.insert(room);
    }

    /// Drops a room's state: it is loaded anew.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.rooms.remove(room);
        self.last_used.remove(&room);
    }

    /// Whether all instances can read these events.
    pub(super) async fn may_write(&mut self, events: &[NewEvent]) -> Result<bool, StoreError> {
        let needed = events.iter().map(|new| WriterForm::of(&new.event)).max();
        let needed = needed.unwrap_or(WriterForm::FIRST);
        if needed > self.form {
            // It is never lowered.
            self.form = self.store.append.writer_form().await?;
        }
        Ok(needed <= self.form)
    }

    /// Whether the room has an event that this build can't decode.
    pub(super) fn is_not_understood(&self, room: RoomId) -> bool {
        self.not_understood.contains_key(&room)
    }

    /// Loads missing rooms and catches up stale ones, in one read of events. Returns the new events of the stale ones.
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
                Some(known) if self.stale.contains(&room) => after.push((room, known.version())),
                Some(_) => {}
                None => cold.push(room),
            }
        }
        let stale: HashSet<RoomId> = after.iter().map(|(room, _)| *room).collect();
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
                // A snapshot without the later events is no decision state.
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
                    if stale.contains(&room) {
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
        for room in stale {
            self.stale.remove(&room);
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
            return;
        }
        room.record(event.recorded_at);
        if let Some(entry) = RoomEntry::after(&event.event) {
            self.rooms.directory.upsert(entry);
        }
    }

    /// Folds a room from its whole stream. Returns `None` if it has new events after `version`.
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
            self.mark_stale(room);
            Ok(None)
        }
    }

    /// Ends a group: saves due snapshots, and drops the least recently used rooms if there are too many.
    pub(super) fn end_group(&mut self, written: &HashMap<RoomId, Version>) {
        self.now += 1;
        for (id, before) in written {
            let Some(room) = self.rooms.get(*id) else { continue };
            let step = versions_between_snapshots(room.size());
            if room.version().get() / step > before.get() / step {
                save_in_background(Arc::clone(&self.store.snapshots), room.clone(), self.erasures.epoch);
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

fn save_in_background(store: Arc<dyn Snapshots>, room: Room, erasures: u64) {
    tokio::spawn(async move {
        let Ok(body) = serde_json::to_vec(&room) else { return };
        let snapshot =
            Snapshot { room: room.id(), version: room.version(), schema: SNAPSHOT_SCHEMA.to_owned(), body };
        if let Err(error) = store.save_snapshot(&snapshot, erasures).await {
            // Without it the next load reads more events.
            tracing::warn!(room = %snapshot.room, %error, "a snapshot was not saved");
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

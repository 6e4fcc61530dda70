//! The end of an attempt: it verifies the rooms, kinds and names that its outcomes depend on, then commits.

use std::collections::{HashMap, HashSet};

use service_kit::telemetry::with_causes;
use shared_events::{RoomId, Timestamp, Version};

use super::attempt::{Attempt, AttemptError};
use crate::{
    domain::NameKey,
    event_store::{AppendError, StoreError},
};

/// A time this far ahead of the store's clock is reported: the clock goes wrong, or once did.
const FAR_AHEAD_MS: i64 = 60_000;

impl Attempt<'_> {
    /// Verifies that no room, kind or name that a rejection or no-op depends on has changed. Leaves out the rooms that this
    /// attempt writes, whose streams the append checks.
    pub(super) async fn verify(&mut self) -> Result<(), AttemptError> {
        for event in &self.group.events {
            self.rests_on.remove(&event.room);
        }
        let rooms: Vec<RoomId> = self.rests_on.iter().copied().collect();
        let heads: HashMap<RoomId, Version> = if rooms.is_empty() {
            HashMap::new()
        } else {
            self.cache.store.log.heads(&rooms).await?.into_iter().collect()
        };
        let mut unchanged = true;
        for room in &self.rests_on {
            let head = heads.get(room).copied().unwrap_or_default();
            let base = self.base.get(room).copied().unwrap_or_default();
            if head > base {
                self.cache.mark_stale(*room);
                unchanged = false;
            } else if head < base {
                tracing::error!(room = %room, head = head.get(), cached = base.get(), "the event store has lost events of a room");
                self.cache.forget(*room);
                unchanged = false;
            }
        }
        let kinds: Vec<String> = self.kinds.iter().cloned().collect();
        if !kinds.is_empty() {
            let mut stored: HashMap<&str, HashSet<RoomId>> = HashMap::new();
            let entries = self.cache.store.rooms.rooms_of_kinds(&kinds).await?;
            for entry in &entries {
                stored.entry(&entry.kind).or_default().insert(entry.room);
            }
            let directory = &self.cache.rooms.directory;
            let uncommitted: HashSet<RoomId> = self.group.rooms.iter().map(|entry| entry.room).collect();
            for kind in &kinds {
                let cached: HashSet<RoomId> = directory.rooms_of_kind(kind).iter().copied().collect();
                let stored = stored.remove(kind.as_str()).unwrap_or_default();
                unchanged &= cached.symmetric_difference(&stored).all(|room| uncommitted.contains(room));
            }
        }
        let names: Vec<String> = self.names.iter().cloned().collect();
        if !names.is_empty() {
            let (mut stored, none) = (HashMap::<NameKey, HashSet<RoomId>>::new(), HashSet::new());
            let directory = &self.cache.rooms.directory;
            let known: Vec<RoomId> =
                names.iter().flat_map(|name| directory.named_like(name)).copied().collect();
            for entry in self.cache.store.rooms.rooms_named_like(&names, &known).await? {
                stored.entry(NameKey::of(&entry.name)).or_default().insert(entry.room);
            }
            let uncommitted: HashSet<RoomId> = self.group.rooms.iter().map(|entry| entry.room).collect();
            for name in &names {
                let cached: HashSet<RoomId> = directory.named_like(name).iter().copied().collect();
                let stored = stored.get(&NameKey::of(name)).unwrap_or(&none);
                unchanged &= cached.symmetric_difference(stored).all(|room| uncommitted.contains(room));
            }
        }
        if unchanged {
            Ok(())
        } else {
            self.cache.mark_directory_stale();
            Err(AttemptError::Conflict)
        }
    }

    pub(super) async fn append(&mut self) -> Result<(), AttemptError> {
        if self.group.events.is_empty() && self.group.keys.is_empty() {
            return Ok(());
        }
        self.group.erasures = self.cache.erasures.epoch;
        let error = match self.cache.store.append.append(&self.group).await {
            Ok(appended) => {
                self.set_times(appended.now);
                self.appended = Some(appended);
                return Ok(());
            }
            Err(error) => error,
        };
        // What was read may be stale now. The group's rooms are caught up together, in one read.
        for event in &self.group.events {
            self.cache.mark_stale(event.room);
        }
        Err(match error {
            AppendError::Conflict(what) => {
                tracing::debug!(what, "another writer was first");
                if !self.group.rooms.is_empty() {
                    self.cache.mark_directory_stale();
                }
                AttemptError::Conflict
            }
            AppendError::Erased => {
                self.cache.mark_erasures_stale();
                AttemptError::Conflict
            }
            AppendError::Transient(error) => {
                tracing::warn!(error = with_causes(&error), "a group was not committed");
                AttemptError::Transient
            }
            AppendError::Unknown(error) => {
                tracing::warn!(error = with_causes(&error), "the outcome of a commit is unknown");
                AttemptError::Unknown
            }
            AppendError::Permanent(error @ StoreError::Inconsistent { .. }) => {
                tracing::error!(error = with_causes(&error), "the event store has lost events of a room");
                // The cache is ahead of the store: the rooms are loaded anew.
                for event in &self.group.events {
                    self.cache.forget(event.room);
                }
                AttemptError::Transient
            }
            AppendError::Permanent(error) => {
                tracing::error!(error = with_causes(&error), "the event store refuses a group");
                AttemptError::Permanent
            }
        })
    }

    /// Sets the times at which the store has recorded the events: its own time, or that of an earlier event of their rooms.
    fn set_times(&mut self, now: Timestamp) {
        let mut ahead = 0;
        for event in &mut self.group.events {
            ahead += u64::from(event.recorded_at.epoch_millis() - now.epoch_millis() > FAR_AHEAD_MS);
            event.recorded_at = event.recorded_at.max(now);
            if let Some(room) = self.cache.rooms.get_mut(event.room) {
                room.record(event.recorded_at);
            }
        }
        if ahead > 0 {
            metrics::counter!("command_events_recorded_ahead_total").increment(ahead);
            tracing::warn!(
                events = ahead,
                "the store's clock is more than a minute behind earlier events of their rooms"
            );
        }
    }
}

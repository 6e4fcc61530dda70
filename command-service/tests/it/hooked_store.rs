//! A store in which something happens just before it is read, as if another instance had been that quick, or which fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use command_service::{
    domain::RoomEntry,
    event_store::{
        AppendError, Buckets, EventStore, Group, HeldRoom, KeyId, KeyRecord, Snapshot, StoreError,
        StoredEvent,
    },
};
use futures_util::future::BoxFuture;
use shared_events::{Erasures, RawEvent, RoomId, Timestamp, UserId, erasure::Bytes32};
use tokio::sync::watch;

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) struct HookedStore {
    pub(crate) store: Arc<dyn EventStore>,
    /// Happens once, before the next load.
    pub(crate) before_load: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Happens once, before the next read of events for the relay.
    pub(crate) before_events_at: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Committed before each read of the outbox, one version further each time.
    pub(crate) always_new: Mutex<Option<RawEvent>>,
    /// Whether the next attempt to hold a room fails.
    pub(crate) fails_to_hold: AtomicBool,
    /// Told after each deletion from the outbox.
    pub(crate) deleted: Arc<watch::Sender<()>>,
}

impl HookedStore {
    /// A store in which nothing happens yet.
    pub(crate) fn over(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            before_load: Mutex::default(),
            before_events_at: Mutex::default(),
            always_new: Mutex::default(),
            fails_to_hold: AtomicBool::new(false),
            deleted: Arc::default(),
        }
    }
}

#[async_trait]
impl EventStore for HookedStore {
    async fn load(&self, after: &[(RoomId, u64)]) -> Result<Vec<StoredEvent>> {
        let hook = self.before_load.lock().unwrap().take();
        if let Some(hook) = hook {
            hook.await;
        }
        self.store.load(after).await
    }
    async fn append(&self, group: &Group) -> std::result::Result<Vec<u64>, AppendError> {
        self.store.append(group).await
    }
    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, u64)>> {
        self.store.heads(rooms).await
    }
    async fn all_heads(&self, after: Option<RoomId>, limit: u32) -> Result<Vec<(RoomId, u64)>> {
        self.store.all_heads(after, limit).await
    }
    async fn stream(&self, room: RoomId, after: u64, limit: u32) -> Result<Vec<StoredEvent>> {
        self.store.stream(room, after, limit).await
    }
    async fn directory(&self) -> Result<Vec<RoomEntry>> {
        self.store.directory().await
    }
    async fn rooms_of_kinds(&self, kinds: &[String]) -> Result<Vec<RoomEntry>> {
        self.store.rooms_of_kinds(kinds).await
    }
    async fn rooms_named(&self, names: &[String]) -> Result<Vec<RoomEntry>> {
        self.store.rooms_named(names).await
    }
    async fn find_keys(&self, keys: &[KeyId]) -> Result<Vec<KeyRecord>> {
        self.store.find_keys(keys).await
    }
    async fn sweep_keys(&self, kept: Duration, limit: u32) -> Result<u64> {
        self.store.sweep_keys(kept, limit).await
    }
    async fn snapshots(&self, rooms: &[RoomId]) -> Result<Vec<Snapshot>> {
        self.store.snapshots(rooms).await
    }
    async fn save_snapshot(&self, snapshot: &Snapshot, erasures: u64) -> Result<()> {
        self.store.save_snapshot(snapshot, erasures).await
    }
    async fn erasures(&self) -> Result<Erasures> {
        self.store.erasures().await
    }
    async fn begin_erasure(&self, person: Bytes32, pseudonym: &UserId) -> Result<Option<u64>> {
        self.store.begin_erasure(person, pseudonym).await
    }
    async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<StoredEvent>> {
        self.store.events_after(position, limit).await
    }
    async fn mask_events(
        &self,
        person: Bytes32,
        masked: &[StoredEvent],
        masked_to: Option<u64>,
    ) -> Result<()> {
        self.store.mask_events(person, masked, masked_to).await
    }
    async fn undelivered(&self, buckets: Buckets, limit: u32) -> Result<Vec<u64>> {
        let new = self.always_new.lock().unwrap().as_mut().map(|event| {
            event.version += 1;
            event.clone()
        });
        if let Some(event) = new {
            self.store.append(&Group { events: vec![event], ..Group::default() }).await.unwrap();
        }
        self.store.undelivered(buckets, limit).await
    }
    async fn events_at(&self, positions: &[u64]) -> Result<Vec<StoredEvent>> {
        let hook = self.before_events_at.lock().unwrap().take();
        if let Some(hook) = hook {
            hook.await;
        }
        self.store.events_at(positions).await
    }
    async fn delete_delivered(&self, positions: &[u64]) -> Result<()> {
        let outcome = self.store.delete_delivered(positions).await;
        self.deleted.send_replace(());
        outcome
    }
    async fn backlog(&self) -> Result<(u64, Option<Timestamp>)> {
        self.store.backlog().await
    }
    async fn hold_room(&self, held: &HeldRoom) -> Result<()> {
        if self.fails_to_hold.swap(false, Ordering::SeqCst) {
            let detail = "on purpose".to_owned();
            return Err(StoreError::Inconsistent { operation: "holding a room", detail });
        }
        self.store.hold_room(held).await
    }
    async fn held_rooms(&self) -> Result<Vec<HeldRoom>> {
        self.store.held_rooms().await
    }
}

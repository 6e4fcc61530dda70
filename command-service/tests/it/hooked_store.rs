//! Roles of a store that fail, report changes, or run a hook just before a read, as if another instance acted then.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use command_service::event_store::{
    Backlog, BucketLease, Buckets, EventLog, EventStore, Group, HeldRoom, LeaseTable, Leases, LookUp, Outbox,
    Position, RelayState, Release, ReservationIndex, StoreError, StoredEvent, mysql::MySqlStore,
};
use futures_util::future::BoxFuture;
use shared_events::{RawEvent, ReservationId, RoomId, Version};
use tokio::sync::watch;

type Result<T> = std::result::Result<T, StoreError>;

/// Reads at which something happens once.
pub(crate) struct HookedLog {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) before_read: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Happens after the read of a single event of a stream.
    pub(crate) after_one: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Happens after the read of heads.
    pub(crate) after_heads: Mutex<Option<BoxFuture<'static, ()>>>,
    /// The number of events that [`EventLog::load`] has read.
    pub(crate) loaded: AtomicUsize,
}

impl HookedLog {
    pub(crate) fn over(store: &Arc<dyn EventStore>, before_read: BoxFuture<'static, ()>) -> Arc<Self> {
        Arc::new(Self { before_read: Mutex::new(Some(before_read)), ..Self::without_hooks(store) })
    }

    pub(crate) fn after_one(store: &Arc<dyn EventStore>, after_one: BoxFuture<'static, ()>) -> Arc<Self> {
        Arc::new(Self { after_one: Mutex::new(Some(after_one)), ..Self::without_hooks(store) })
    }

    pub(crate) fn after_heads(store: &Arc<dyn EventStore>, after_heads: BoxFuture<'static, ()>) -> Arc<Self> {
        Arc::new(Self { after_heads: Mutex::new(Some(after_heads)), ..Self::without_hooks(store) })
    }

    fn without_hooks(store: &Arc<dyn EventStore>) -> Self {
        Self {
            store: Arc::clone(store),
            before_read: Mutex::default(),
            after_one: Mutex::default(),
            after_heads: Mutex::default(),
            loaded: AtomicUsize::new(0),
        }
    }

    async fn hook(&self) {
        let hook = self.before_read.lock().unwrap().take();
        if let Some(hook) = hook {
            hook.await;
        }
    }
}

#[async_trait]
impl EventLog for HookedLog {
    async fn load(&self, after: &[(RoomId, Version)]) -> Result<Vec<StoredEvent>> {
        self.hook().await;
        let events = self.store.load(after).await?;
        self.loaded.fetch_add(events.len(), Ordering::Relaxed);
        Ok(events)
    }
    async fn events_at(&self, positions: &[Position]) -> Result<Vec<StoredEvent>> {
        self.hook().await;
        self.store.events_at(positions).await
    }
    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Version)>> {
        let heads = self.store.heads(rooms).await;
        let hook = self.after_heads.lock().unwrap().take();
        if let Some(hook) = hook {
            hook.await;
        }
        heads
    }
    async fn all_heads(&self, after: Option<RoomId>, limit: u32) -> Result<Vec<(RoomId, Version)>> {
        self.store.all_heads(after, limit).await
    }
    async fn stream(&self, room: RoomId, after: Version, limit: u32) -> Result<Vec<StoredEvent>> {
        let events = self.store.stream(room, after, limit).await?;
        let hook = self.after_one.lock().unwrap().take_if(|_| limit == 1);
        if let Some(hook) = hook {
            hook.await;
        }
        Ok(events)
    }
    async fn events_after(&self, position: Position, limit: u32) -> Result<Vec<StoredEvent>> {
        self.store.events_after(position, limit).await
    }
}

/// An index that counts the look-ups that run.
pub(crate) struct WatchedIndex {
    store: Arc<dyn EventStore>,
    /// A look-up waits while a test holds this.
    pub(crate) gate: tokio::sync::RwLock<()>,
    running: AtomicUsize,
    /// The most at one time.
    pub(crate) most: AtomicUsize,
    /// The room's version at the first look-up.
    pub(crate) first: OnceLock<Version>,
}

impl WatchedIndex {
    pub(crate) fn over(store: &Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            gate: tokio::sync::RwLock::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            first: OnceLock::new(),
        })
    }
}

#[async_trait]
impl ReservationIndex for WatchedIndex {
    async fn look_up(&self, room: RoomId, reservation: ReservationId, limit: u32) -> Result<LookUp> {
        self.most.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        drop(self.gate.read().await);
        let found = self.store.look_up(room, reservation, limit).await?;
        self.first.get_or_init(|| found.since.last().map_or(found.indexed, |(version, _)| *version));
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(found)
    }
    async fn index(&self, room: RoomId, last: &[(ReservationId, Version)], up_to: Version) -> Result<()> {
        self.store.index(room, last, up_to).await
    }
}

/// An outbox that is never empty, fails, or reports its deletions.
pub(crate) struct HookedOutbox {
    pub(crate) store: Arc<dyn EventStore>,
    /// Committed before each read of the outbox, one version further each time.
    pub(crate) always_new: Mutex<Option<RawEvent>>,
    /// Whether the next attempt to hold a room fails.
    pub(crate) fails_to_hold: AtomicBool,
    /// Told after each deletion.
    pub(crate) deleted: Arc<watch::Sender<()>>,
}

impl HookedOutbox {
    /// An outbox in which nothing happens yet.
    pub(crate) fn over(store: &Arc<dyn EventStore>) -> Self {
        Self {
            store: Arc::clone(store),
            always_new: Mutex::default(),
            fails_to_hold: AtomicBool::new(false),
            deleted: Arc::default(),
        }
    }
}

#[async_trait]
impl Outbox for HookedOutbox {
    async fn undelivered(&self, buckets: Buckets, limit: u32) -> Result<Vec<Position>> {
        let new = self.always_new.lock().unwrap().as_mut().map(|event| {
            event.version = event.version.next();
            event.clone()
        });
        if let Some(event) = new {
            self.store.append(&Group { events: vec![event], ..Group::default() }).await.unwrap();
        }
        self.store.undelivered(buckets, limit).await
    }
    async fn delete_delivered(&self, positions: &[Position]) -> Result<()> {
        let outcome = self.store.delete_delivered(positions).await;
        self.deleted.send_replace(());
        outcome
    }
    async fn relay_state(&self) -> Result<RelayState> {
        self.store.relay_state().await
    }
    async fn check_writable(&self) -> Result<()> {
        self.store.check_writable().await
    }
    async fn backlog(&self) -> Result<Backlog> {
        self.store.backlog().await
    }
    async fn backlog_by_bucket(&self) -> Result<BTreeMap<u32, u64>> {
        self.store.backlog_by_bucket().await
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
    async fn release_room(&self, room: RoomId) -> Result<Release> {
        self.store.release_room(room).await
    }
}

/// Leases that report each change, and the instances that counted as dead.
pub(crate) struct HookedLeases {
    leases: MySqlStore,
    changed: watch::Sender<()>,
    pub(crate) dead: Mutex<Vec<String>>,
}

impl HookedLeases {
    pub(crate) fn over(leases: MySqlStore) -> Arc<Self> {
        Arc::new(Self { leases, changed: watch::Sender::new(()), dead: Mutex::default() })
    }

    /// Looks at the leases now and after each change, until `look` finds what it wants.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut(LeaseTable) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(found) = look(self.leases.leases().await.unwrap()) {
                return found;
            }
            changes.changed().await.unwrap();
        }
    }

    fn tell(&self, outcome: Result<()>) -> Result<()> {
        self.changed.send_replace(());
        outcome
    }
}

#[async_trait]
impl Leases for HookedLeases {
    async fn leases(&self) -> Result<LeaseTable> {
        self.leases.leases().await
    }
    async fn beat(&self, instance: &str) -> Result<()> {
        self.tell(self.leases.beat(instance).await)
    }
    async fn take(&self, instance: &str, seen: &[BucketLease]) -> Result<()> {
        self.tell(self.leases.take(instance, seen).await)
    }
    async fn give_back(&self, instance: &str, buckets: Buckets) -> Result<()> {
        self.tell(self.leases.give_back(instance, buckets).await)
    }
    async fn forget(&self, instance: &str, heartbeat: u64) -> Result<()> {
        self.dead.lock().unwrap().push(instance.to_owned());
        self.tell(self.leases.forget(instance, heartbeat).await)
    }
    async fn leave(&self, instance: &str) -> Result<()> {
        self.tell(self.leases.leave(instance).await)
    }
}

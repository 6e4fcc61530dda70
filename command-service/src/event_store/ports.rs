//! The event store's ports, one for each role. Every method may be called from many tasks at once.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use shared_events::{Erasures, RoomId, Timestamp, UserId, Version, erasure::Bytes32};

use super::{AppendError, Buckets, Group, HeldRoom, KeyId, KeyRecord, Snapshot, StoreError, StoredEvent};
use crate::domain::RoomEntry;

/// Commits events.
#[async_trait]
pub trait Append: Send + Sync + 'static {
    /// Commits a group in one transaction, with an outbox row for every event. Returns the events' positions in the
    /// order of [`Group::events`].
    async fn append(&self, group: &Group) -> Result<Vec<u64>, AppendError>;
}

/// Reads events.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// The events of each stream after the given version, ordered by (room, version), in one read.
    async fn load(&self, after: &[(RoomId, Version)]) -> Result<Vec<StoredEvent>, StoreError>;

    /// The latest version of each of these streams; streams without events are left out. One read.
    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Version)>, StoreError>;

    /// The heads of all streams, by room id, after the given one, at most `limit`.
    async fn all_heads(
        &self,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, Version)>, StoreError>;

    /// The events of one stream after a version, in order, at most `limit`.
    async fn stream(&self, room: RoomId, after: Version, limit: u32) -> Result<Vec<StoredEvent>, StoreError>;

    /// The events at these positions, in the order of position.
    async fn events_at(&self, positions: &[u64]) -> Result<Vec<StoredEvent>, StoreError>;

    /// The events after a position, in the order of position, at most `limit`. For those who know that no transaction with
    /// a lower position matters to them any more.
    async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError>;
}

/// Which events the log does not have yet.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// The positions of undelivered events of rooms that are in these buckets and not held back, in order, at most `limit`,
    /// all read at one moment. Present rows, never "after the last one seen": a transaction that took its position first
    /// may commit last.
    async fn undelivered(&self, buckets: Buckets, limit: u32) -> Result<Vec<u64>, StoreError>;

    /// Deletes exactly these rows of the outbox, in one transaction where the adapter can.
    async fn delete_delivered(&self, positions: &[u64]) -> Result<(), StoreError>;

    /// How many events are undelivered, and when the oldest of them was committed.
    async fn backlog(&self) -> Result<(u64, Option<Timestamp>), StoreError>;

    /// Holds back a room's messages.
    async fn hold_room(&self, held: &HeldRoom) -> Result<(), StoreError>;

    /// The rooms that are held back.
    async fn held_rooms(&self) -> Result<Vec<HeldRoom>, StoreError>;
}

/// Requests that had their effect.
#[async_trait]
pub trait IdempotencyKeys: Send + Sync + 'static {
    /// The idempotency records among these, with their events. One read.
    async fn find_keys(&self, keys: &[KeyId]) -> Result<Vec<KeyRecord>, StoreError>;

    /// Deletes at most `limit` idempotency records that are older than `kept`, oldest first. Returns how many. By
    /// the store's own clock, which also says when they were made: an instance whose clock has jumped costs no key.
    async fn sweep_keys(&self, kept: Duration, limit: u32) -> Result<u64, StoreError>;
}

/// All rooms with their names and kinds.
#[async_trait]
pub trait RoomDirectory: Send + Sync + 'static {
    /// All rooms ever registered, in the order of registration.
    async fn directory(&self) -> Result<Vec<RoomEntry>, StoreError>;

    /// The rooms of these kinds that are not retired, in the order of registration.
    async fn rooms_of_kinds(&self, kinds: &[String]) -> Result<Vec<RoomEntry>, StoreError>;

    /// The rooms that have these names and are not retired.
    async fn rooms_named(&self, names: &[String]) -> Result<Vec<RoomEntry>, StoreError>;
}

/// Rooms' states, so that long streams need not be read from their start.
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// The latest snapshots of these rooms.
    async fn snapshots(&self, rooms: &[RoomId]) -> Result<Vec<Snapshot>, StoreError>;

    /// Keeps a snapshot, in place of an older one of that room; not one that was made under another epoch of the list of
    /// erased persons than `erasures`, for it may name somebody who was erased since.
    async fn save_snapshot(&self, snapshot: &Snapshot, erasures: u64) -> Result<(), StoreError>;
}

/// Erased persons, and the masking of their events.
#[async_trait]
pub trait ErasureList: Send + Sync + 'static {
    /// The list of erased persons, as it is at one moment.
    async fn erasures(&self) -> Result<Erasures, StoreError>;

    /// Puts a person on the list with this pseudonym, where they are not on it. When it returns, no group that was made
    /// without them can be committed any more, and what was committed can be read. Gives the position up to which events
    /// are masked; where all were, that begins anew.
    async fn begin_erasure(&self, person: Bytes32, pseudonym: &UserId) -> Result<Option<u64>, StoreError>;

    /// Puts masked payloads and metadata in place of stored ones, drops the snapshots of their rooms, and notes up to which
    /// position the person's events are masked (`None`: all are), in one transaction.
    async fn mask_events(
        &self,
        person: Bytes32,
        masked: &[StoredEvent],
        masked_to: Option<u64>,
    ) -> Result<(), StoreError>;
}

/// A store with all roles but that of the leases, which only instances that share their work need.
pub trait EventStore:
    Append + EventLog + Outbox + IdempotencyKeys + RoomDirectory + Snapshots + ErasureList
{
}

impl<S> EventStore for S where
    S: Append + EventLog + Outbox + IdempotencyKeys + RoomDirectory + Snapshots + ErasureList
{
}

/// Which instance relays which bucket.
///
/// Leases save work and guard nothing: a paused holder that wakes up acts before it looks.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// All leases, read at one moment.
    async fn leases(&self) -> Result<LeaseTable, StoreError>;

    /// Raises this instance's heartbeat. The first one makes it a member.
    async fn beat(&self, instance: &str) -> Result<(), StoreError>;

    /// Takes those of these buckets whose leases have not changed since they were read. Reading them again tells which.
    /// After an error any of them may be taken.
    async fn take(&self, instance: &str, seen: &[BucketLease]) -> Result<(), StoreError>;

    /// Gives back those of these buckets that the instance still holds.
    async fn give_back(&self, instance: &str, buckets: Buckets) -> Result<(), StoreError>;

    /// Ends the membership of an instance whose heartbeat is still this one.
    async fn forget(&self, instance: &str, heartbeat: u64) -> Result<(), StoreError>;

    /// Gives everything back and ends this instance's membership.
    async fn leave(&self, instance: &str) -> Result<(), StoreError>;
}

/// The lease of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketLease {
    /// The bucket, 0 to [`BUCKETS`](super::BUCKETS) - 1.
    pub bucket: u32,
    /// The instance that holds it; `None` when nobody does.
    pub holder: Option<String>,
    /// Goes up by one with every holder; 0 when nobody ever held it.
    pub epoch: u64,
}

/// All leases of a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseTable {
    /// The members with their heartbeats; dead ones too, until another member forgets them.
    pub members: BTreeMap<String, u64>,
    /// Every bucket, in order.
    pub buckets: Vec<BucketLease>,
}

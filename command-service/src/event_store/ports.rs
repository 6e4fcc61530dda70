//! The event store's ports, one for each role. Many tasks may call a port at once.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use shared_events::{
    Erasures, ReservationId, RoomId, Timestamp, UserId, Version,
    erasure::{Bytes32, ErasuresPage},
};

use uuid::Uuid;

use super::{
    AppendError, Buckets, ERASURES_PAGE, Group, HeldRoom, KeyId, KeyKind, KeyRecord, Position, RelayState,
    Snapshot, StoreError, StoredEvent, WriterForm,
};
use crate::domain::RoomEntry;

/// Commits events.
#[async_trait]
pub trait Append: Send + Sync + 'static {
    /// Commits a group in one transaction, with an outbox row for every event if the [phase](super::Phase) has them. Records
    /// each event at the store's time, or at the event's own `recorded_at` if that is later.
    async fn append(&self, group: &Group) -> Result<Appended, AppendError>;

    /// The form of writing of the store. Never lowered.
    async fn writer_form(&self) -> Result<WriterForm, StoreError>;
}

/// A committed group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The events' positions, in the order of [`Group::events`].
    pub positions: Vec<Position>,
    /// Whether the events have outbox rows. The others are relayed from MySQL's binary log.
    pub in_outbox: bool,
    /// The store's time at the beginning of the transaction.
    pub now: Timestamp,
}

/// Reads events.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// The events of each stream after the given version, by (room, version), in one read.
    async fn load(&self, after: &[(RoomId, Version)]) -> Result<Vec<StoredEvent>, StoreError>;

    /// The latest version of each of these streams that has events, in one read.
    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Version)>, StoreError>;

    /// The heads of the streams after a room, by room id, at most `limit`.
    async fn all_heads(
        &self,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, Version)>, StoreError>;

    /// The events of one stream after a version, in order, at most `limit`.
    async fn stream(&self, room: RoomId, after: Version, limit: u32) -> Result<Vec<StoredEvent>, StoreError>;

    /// The events at these positions, in the order of position.
    async fn events_at(&self, positions: &[Position]) -> Result<Vec<StoredEvent>, StoreError>;

    /// The events after a position, in the order of position, at most `limit`. Misses a transaction that took lower positions
    /// and commits later.
    async fn events_after(&self, position: Position, limit: u32) -> Result<Vec<StoredEvent>, StoreError>;
}

/// Events that are not delivered to the log yet.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// How committed events reach Kafka. Fails if a later build has chosen a way that this one does not know.
    async fn relay_state(&self) -> Result<RelayState, StoreError>;

    /// The positions of undelivered events in these buckets, without those of held rooms: in order, at most `limit`, all read
    /// at one moment. Reads the rows that are there, not those after the last one read: a transaction that took its position
    /// first may commit last.
    async fn undelivered(&self, buckets: Buckets, limit: u32) -> Result<Vec<Position>, StoreError>;

    /// Deletes exactly these rows.
    async fn delete_delivered(&self, positions: &[Position]) -> Result<(), StoreError>;

    /// Checks that the store takes writes. Changes nothing.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// How much is undelivered.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// The number of undelivered events in each bucket that has any, with those of held rooms.
    async fn backlog_by_bucket(&self) -> Result<BTreeMap<u32, u64>, StoreError>;

    /// Holds a room. A room that is held already keeps its reason.
    async fn hold_room(&self, held: &HeldRoom) -> Result<(), StoreError>;

    /// The held rooms.
    async fn held_rooms(&self) -> Result<Vec<HeldRoom>, StoreError>;

    /// Releases a held room.
    async fn release_room(&self, room: RoomId) -> Result<Release, StoreError>;
}

/// The undelivered events.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Backlog {
    /// Their number.
    pub events: u64,
    /// When the oldest of them was committed.
    pub oldest: Option<Timestamp>,
}

/// The outcome of releasing a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// It was held.
    Released,
    /// It was not held.
    NotHeld,
}

/// Finds requests that had their effect already.
#[async_trait]
pub trait IdempotencyKeys: Send + Sync + 'static {
    /// The idempotency records of these keys, with their events, in one read.
    async fn find_keys(&self, keys: &[KeyId]) -> Result<Vec<KeyRecord>, StoreError>;

    /// Deletes at most `limit` records of this kind that are older than `kept`, oldest first, and returns their number. Measures age by the
    /// store's clock, which also dated them: an instance with a wrong clock loses no key.
    async fn sweep_keys(&self, kind: KeyKind, kept: Duration, limit: u32) -> Result<u64, StoreError>;
}

/// Finds rooms by name and kind.
#[async_trait]
pub trait RoomDirectory: Send + Sync + 'static {
    /// All rooms ever registered, in the order of registration.
    async fn all_rooms(&self) -> Result<Vec<RoomEntry>, StoreError>;

    /// The rooms of these kinds that are not retired, in the order of registration.
    async fn rooms_of_kinds(&self, kinds: &[String]) -> Result<Vec<RoomEntry>, StoreError>;

    /// The rooms that are not retired and have one of these names, or one that looks alike. So do those of `known` that are not
    /// retired, whatever their names are: a key may be missing that an instance of an older build should have written.
    async fn rooms_named_like(
        &self,
        names: &[String],
        known: &[RoomId],
    ) -> Result<Vec<RoomEntry>, StoreError>;
}

/// Keeps states of rooms, so that long streams need not be read from their start.
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// The latest snapshots of these rooms.
    async fn snapshots(&self, rooms: &[RoomId]) -> Result<Vec<Snapshot>, StoreError>;

    /// Replaces a room's snapshot unless it is newer. Does nothing if the list of erased persons has another epoch than
    /// `erasures`: the snapshot may name a person erased since.
    async fn save_snapshot(&self, snapshot: &Snapshot, erasures: u64) -> Result<(), StoreError>;
}

/// Finds the last event about a reservation in a room's stream of any length. Filled by [`ReservationIndex::index`], not by
/// appends: it may lag behind the stream.
#[async_trait]
pub trait ReservationIndex: Send + Sync + 'static {
    /// Looks a reservation up in the index and in the events after the indexed ones, at most `limit`, in one read.
    async fn look_up(
        &self,
        room: RoomId,
        reservation: ReservationId,
        limit: u32,
    ) -> Result<LookUp, StoreError>;

    /// Notes the last events about these reservations, and that the room's stream is indexed up to a version. Never goes back.
    async fn index(
        &self,
        room: RoomId,
        last: &[(ReservationId, Version)],
        up_to: Version,
    ) -> Result<(), StoreError>;
}

/// What the index of a room's stream, and the events after it, say about a reservation.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LookUp {
    /// The version up to which the stream is indexed.
    pub indexed: Version,
    /// The last event about the reservation, up to the last of `since`.
    pub last: Option<Version>,
    /// The events after the indexed ones, in order, with the reservations that they are about.
    pub since: Vec<(Version, Option<ReservationId>)>,
}

/// Keeps the plans of roll-backs, in numbered parts.
#[async_trait]
pub trait RollBacks: Send + Sync + 'static {
    /// Keeps a part. A part that is there already stays as it is.
    async fn keep(&self, id: Uuid, part: u32, body: &[u8]) -> Result<(), StoreError>;

    /// The parts of an id, in order.
    async fn parts(&self, id: Uuid) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The parts of all ids that hold steps.
    async fn steps(&self) -> Result<Vec<Vec<u8>>, StoreError>;
}

/// Lists erased persons, and masks their events.
#[async_trait]
pub trait ErasureList: Send + Sync + 'static {
    /// The first `limit` persons after a place, at one moment.
    async fn erasures(&self, after: u64, limit: u32) -> Result<ErasuresPage, StoreError>;

    /// Brings a list that was read before up to date.
    async fn read_on(&self, list: &mut Erasures) -> Result<(), StoreError> {
        while !list.add(self.erasures(list.after(), ERASURES_PAGE).await?) {}
        Ok(())
    }

    /// The list with the entry of this person alone, or without any if the person is not listed.
    async fn erasure_of(&self, user: &UserId) -> Result<Erasures, StoreError>;

    /// Lists a person with this pseudonym, unless the person is on the list. When it returns, no group that was made without
    /// this entry can be committed any more. Returns the position up to which the person's events are masked; after a finished
    /// erasure, the start. A person who is already listed holds up no append.
    async fn begin_erasure(&self, person: Bytes32, pseudonym: &UserId) -> Result<Position, StoreError>;

    /// Replaces payloads and metadata of events, drops the snapshots of their rooms, and notes how far the person's events are
    /// masked, in one transaction.
    async fn mask_events(
        &self,
        person: Bytes32,
        events: &[StoredEvent],
        masked: Masked,
    ) -> Result<(), StoreError>;
}

/// The events in which an erased person is masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Masked {
    /// Those up to a position.
    UpTo(Position),
    /// All of them.
    All,
}

/// A store with every role but [`Leases`], which only instances that share work need.
pub trait EventStore:
    Append
    + EventLog
    + Outbox
    + IdempotencyKeys
    + RoomDirectory
    + Snapshots
    + ReservationIndex
    + RollBacks
    + ErasureList
{
}

impl<S> EventStore for S where
    S: Append
        + EventLog
        + Outbox
        + IdempotencyKeys
        + RoomDirectory
        + Snapshots
        + ReservationIndex
        + RollBacks
        + ErasureList
{
}

/// Records the instance that relays each bucket.
///
/// Leases divide work and guard nothing: a holder that was paused acts before it looks.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// All leases, read at one moment.
    async fn leases(&self) -> Result<LeaseTable, StoreError>;

    /// Raises this instance's heartbeat. The first one makes it a member.
    async fn beat(&self, instance: &str) -> Result<(), StoreError>;

    /// Takes those of these buckets whose leases are still as they were read. Reading them again tells which. After an error
    /// any of them may be taken.
    async fn take(&self, instance: &str, seen: &[BucketLease]) -> Result<(), StoreError>;

    /// Gives back those of these buckets that the instance still holds.
    async fn give_back(&self, instance: &str, buckets: Buckets) -> Result<(), StoreError>;

    /// Ends the membership of an instance whose heartbeat has not changed.
    async fn forget(&self, instance: &str, heartbeat: u64) -> Result<(), StoreError>;

    /// Gives everything back and ends this instance's membership.
    async fn leave(&self, instance: &str) -> Result<(), StoreError>;
}

/// The lease of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketLease {
    /// The bucket, 0 to [`BUCKETS`](super::BUCKETS) - 1.
    pub bucket: u32,
    /// The instance that holds it, if any.
    pub holder: Option<String>,
    /// Goes up by one with every holder. 0 before the first.
    pub epoch: u64,
}

/// All leases of a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseTable {
    /// The members with their heartbeats. A dead one is among them until another member forgets it.
    pub members: BTreeMap<String, u64>,
    /// Every bucket, in order.
    pub buckets: Vec<BucketLease>,
}

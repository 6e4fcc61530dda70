//! The event store: ports by role, and two adapters: MySQL for the real stack, SQLite for the embedded default.
//!
//! Guarantee: [`Append::append`] commits a group's events, outbox rows, idempotency records and directory entries
//! together or not at all, and a success means durable. The unique key over (stream, version) is the optimistic lock.

use shared_events::{Metadata, RawEvent, RoomId, Timestamp, Unreadable, Version};

use crate::domain::RoomEntry;

mod buckets;
pub mod fail_points;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod insert_plan;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod migrations;
#[cfg(feature = "mysql")]
pub mod mysql;
mod ports;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod positions;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod rows;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use buckets::{BUCKETS, Buckets, bucket};
pub use fail_points::{FailPoint, FailPoints};
pub use ports::{
    Append, BucketLease, ErasureList, EventLog, EventStore, IdempotencyKeys, LeaseTable, Leases, Outbox,
    RoomDirectory, Snapshots,
};

/// The hash under which an idempotency record is kept: of the caller and the key together, so that no caller can meet
/// another's record. The first 16 bytes of a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct KeyId(pub [u8; 16]);

/// An event as the store holds it, nothing decoded: what can't be read still has its place and its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    /// Order of insertion over all streams; given at insert, seen at commit, so later commits may fill lower positions.
    pub position: u64,
    /// The stream.
    pub room: RoomId,
    /// Place in the stream: 1, 2, 3, ...
    pub version: Version,
    /// `ce_type`.
    pub event_type: String,
    /// JSON of the event.
    pub payload: Vec<u8>,
    /// JSON of [`Metadata`].
    pub metadata: Vec<u8>,
    /// When it was committed, by the writer's clock.
    pub recorded_at: Timestamp,
}

impl StoredEvent {
    /// The event with its metadata read; the payload stays as it is.
    ///
    /// # Errors
    /// When the metadata is not of its form.
    pub fn into_raw(self) -> Result<RawEvent, Unreadable> {
        let metadata: Metadata =
            serde_json::from_slice(&self.metadata).map_err(|error| Unreadable::Malformed {
                event_type: self.event_type.clone(),
                reason: format!("metadata of {}:{}: {error}", self.room, self.version),
            })?;
        Ok(RawEvent {
            room: self.room,
            version: self.version,
            event_type: self.event_type.into(),
            payload: self.payload,
            metadata,
            recorded_at: self.recorded_at,
        })
    }
}

/// What one transaction commits.
#[derive(Clone, Default, Debug)]
pub struct Group {
    /// The events. The adapter inserts them in the order of (room, version), so that groups never deadlock, and returns
    /// the positions in the order given here. Each room's versions adjoin one another.
    pub events: Vec<RawEvent>,
    /// The idempotency records.
    pub keys: Vec<NewKey>,
    /// Rooms whose name, kind or existence the events change.
    pub rooms: Vec<RoomEntry>,
    /// The [epoch](shared_events::Erasures::epoch) of the list of erased persons under which the group was made.
    pub erasures: u64,
}

/// An idempotency record to be made. It only points at the events that its command made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewKey {
    /// Of caller and key.
    pub id: KeyId,
    /// Of the request: the same key with another fingerprint is a mistake of the client.
    pub fingerprint: [u8; 16],
    /// Index into [`Group::events`] of the event of which the answer speaks.
    pub event: Option<usize>,
    /// Index of the command's other event (the room that a move left).
    pub other_event: Option<usize>,
    /// The outcome where there is no event to point at: JSON, as the writer wrote it.
    pub outcome: Option<Vec<u8>>,
}

/// An idempotency record that was found, with the events at which it points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRecord {
    /// Of caller and key.
    pub id: KeyId,
    /// Of the request that made it.
    pub fingerprint: [u8; 16],
    /// The event of which the answer speaks.
    pub event: Option<StoredEvent>,
    /// The command's other event.
    pub other_event: Option<StoredEvent>,
    /// The outcome where there is no event.
    pub outcome: Option<Vec<u8>>,
}

/// A room's decision state at a version, so that a long stream need not be read from its start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The stream.
    pub room: RoomId,
    /// The last version that is in it.
    pub version: Version,
    /// Fingerprint of its form: ignored when it is not the reader's own.
    pub schema: String,
    /// The state.
    pub body: Vec<u8>,
}

/// A room whose messages are held back because the broker refused one for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldRoom {
    /// The room.
    pub room: RoomId,
    /// Position of the event that was refused.
    pub position: u64,
    /// Why.
    pub reason: String,
    /// Since when.
    pub held_at: Timestamp,
}

/// Why a group was not committed. After any of them the transaction was rolled back explicitly.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer was first: a stream has moved on, or a key or a name is taken. The message says which.
    #[error("another writer was first: {0}")]
    Conflict(&'static str),
    /// Somebody was erased since the group was made: it may name them. To be made again under the list as it is now.
    #[error("the list of erased persons has changed")]
    Erased,
    /// Nothing was committed, and trying again may help: deadlock, lock wait, connection lost before COMMIT.
    #[error("the event store is not available")]
    Transient(#[source] StoreError),
    /// The connection was lost during COMMIT: it may have happened or not. Looking up the group's rows decides.
    #[error("the outcome of the commit is unknown")]
    Unknown(#[source] StoreError),
    /// Trying again can't help.
    #[error("the event store refuses the group")]
    Permanent(#[source] StoreError),
}

/// A read or write of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Trying again may help: the server is away, restarting or overloaded.
    #[error("{operation}: the event store is not available")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store holds, or answers, what it never should.
    #[error("{operation}: the event store is inconsistent: {detail}")]
    Inconsistent {
        /// What was tried.
        operation: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Any other error of the driver.
    #[error("{operation}: the event store failed")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

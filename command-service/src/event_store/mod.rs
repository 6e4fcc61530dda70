//! The event store: ports by role, and two adapters, MySQL for the real stack and SQLite for the embedded default.
//!
//! Guarantee: [`Append::append`] commits a group's events, outbox rows, idempotency records and directory entries together or
//! not at all, and a success is durable. The unique key over (stream, version) is the optimistic lock.

use shared_events::{Metadata, RawEvent, RoomId, Timestamp, Unreadable, Version};

use crate::domain::RoomEntry;

mod buckets;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod fail_points;
#[cfg(feature = "mysql")]
pub mod mysql;
mod phase;
mod ports;
mod position;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod writer_form;

pub use buckets::{BUCKETS, Buckets, bucket};
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub use fail_points::{FailPoint, FailPoints};
pub use phase::{Mode, Phase, RelayState, StoredPlace};
pub use ports::{
    Append, Appended, Backlog, BucketLease, ErasureList, EventLog, EventStore, IdempotencyKeys, LeaseTable,
    Leases, LookUp, Masked, Outbox, Release, ReservationIndex, RollBacks, RoomDirectory, Snapshots,
};
pub use position::Position;
pub use writer_form::WriterForm;

/// Most erased persons of one read.
pub const ERASURES_PAGE: u32 = 10_000;

/// The id of an idempotency record: a hash of caller and key, so that no caller meets another's record. The first 16 bytes of
/// a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct KeyId(pub [u8; 16]);

/// An event as the store holds it, with nothing decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    /// Place among all events.
    pub position: Position,
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
    /// Time of the commit by the store's clock. In one room it never goes back.
    pub recorded_at: Timestamp,
}

impl StoredEvent {
    /// The event with decoded metadata.
    ///
    /// # Errors
    /// If the metadata is malformed.
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

/// The content of one transaction.
#[derive(Clone, Default, Debug)]
pub struct Group {
    /// The events, in any order. Each room's versions have no gaps.
    pub events: Vec<RawEvent>,
    /// The idempotency records.
    pub keys: Vec<NewKey>,
    /// Directory entries that the events change, in the order of the changes.
    pub rooms: Vec<RoomEntry>,
    /// The [epoch](shared_events::Erasures::epoch) of the list of erased persons under which the group was made.
    pub erasures: u64,
}

/// Where an idempotency key comes from, which decides how long its record is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// A request. It is repeated within days.
    Request,
    /// A line of an import, or a step of a roll-back. Both may be sent again at any time.
    ImportLine,
}

/// A new idempotency record. It points at the events of its command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewKey {
    /// Where the key comes from.
    pub kind: KeyKind,
    /// Hash of caller and key.
    pub id: KeyId,
    /// Hash of the request. The same key with another fingerprint is the client's mistake.
    pub fingerprint: [u8; 16],
    /// Index in [`Group::events`] of the event that the answer describes; of a series, of its first one.
    pub event: Option<usize>,
    /// Index of the other event of a move, in the room that was left.
    pub other_event: Option<usize>,
    /// The outcome if there is no event, or what the events of a series don't tell: JSON in the writer's form.
    pub outcome: Option<Vec<u8>>,
    /// The record of a rejection that this one replaces. If another has replaced it, the group is a conflict.
    pub replaces: Option<ReplacedKey>,
}

/// An idempotency record of a rejection, whose line was sent again with other content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplacedKey {
    /// Hash of the rejected line.
    pub fingerprint: [u8; 16],
    /// The recorded rejection.
    pub outcome: Vec<u8>,
}

/// A stored idempotency record with its events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRecord {
    /// Hash of caller and key.
    pub id: KeyId,
    /// Hash of the request that made it.
    pub fingerprint: [u8; 16],
    /// The event that the answer describes; of a series, its first one.
    pub event: Option<StoredEvent>,
    /// The other event of a move.
    pub other_event: Option<StoredEvent>,
    /// The outcome if there is no event, or what the events of a series don't tell.
    pub outcome: Option<Vec<u8>>,
}

/// The decision state of a room at a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The stream.
    pub room: RoomId,
    /// The last version that is in it.
    pub version: Version,
    /// Fingerprint of its form. Readers of another form ignore it.
    pub schema: String,
    /// The state.
    pub body: Vec<u8>,
}

/// A room whose events are not relayed, because the log refused one for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldRoom {
    /// The room.
    pub room: RoomId,
    /// The refused event.
    pub position: Position,
    /// Why it was refused.
    pub reason: String,
    /// When it was refused.
    pub held_at: Timestamp,
}

/// The reason why a group was not committed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer was first: it took the version, the key or the name.
    #[error("another writer was first: {0}")]
    Conflict(&'static str),
    /// A person was erased since the group was made. It has to be made again, because it may name the person.
    #[error("the list of erased persons has changed")]
    Erased,
    /// Nothing was committed. Trying again may help: deadlock, lock wait, connection lost before COMMIT.
    #[error("the event store is not available")]
    Transient(#[source] StoreError),
    /// The connection was lost during COMMIT, which may have happened. The group's rows tell.
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
        /// The attempted operation.
        operation: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store holds something that it never should.
    #[error("{operation}: the event store is inconsistent: {detail}")]
    Inconsistent {
        /// The attempted operation.
        operation: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Another error of the driver.
    #[error("{operation}: the event store failed")]
    Failed {
        /// The attempted operation.
        operation: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

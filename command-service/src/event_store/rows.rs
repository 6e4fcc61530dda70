//! Rows as both adapters read them: which columns make an event, a room, a record.

use shared_events::{RoomId, Timestamp};
use uuid::Uuid;

use super::{HeldRoom, KeyId, KeyRecord, Snapshot, StoreError, StoredEvent};
use crate::domain::RoomEntry;

/// The columns of a row, in the store's types.
pub(super) trait Columns {
    /// A version, a position or a count.
    fn number(&self, operation: &'static str, column: usize) -> Result<u64, StoreError>;
    /// A number that may be negative.
    fn integer(&self, operation: &'static str, column: usize) -> Result<i64, StoreError>;
    /// A text.
    fn text(&self, operation: &'static str, column: usize) -> Result<String, StoreError>;
    /// Bytes; `None` when the column is NULL.
    fn bytes(&self, operation: &'static str, column: usize) -> Result<Option<&[u8]>, StoreError>;

    /// Bytes of a fixed number.
    fn fixed<const N: usize>(&self, operation: &'static str, column: usize) -> Result<[u8; N], StoreError> {
        let bytes = self.bytes(operation, column)?.unwrap_or_default();
        bytes.try_into().map_err(|_| StoreError::Inconsistent {
            operation,
            detail: format!("column {column} is {} bytes long instead of {N}", bytes.len()),
        })
    }
}

/// A room's id.
pub(super) fn room(operation: &'static str, row: &impl Columns, column: usize) -> Result<RoomId, StoreError> {
    Ok(RoomId(Uuid::from_bytes(row.fixed(operation, column)?)))
}

/// An event: position, stream, version, type, payload, metadata and time of recording, from column `first` on.
pub(super) fn event(
    operation: &'static str,
    row: &impl Columns,
    first: usize,
) -> Result<StoredEvent, StoreError> {
    let bytes = |column| Ok(row.bytes(operation, column)?.unwrap_or_default().to_vec());
    Ok(StoredEvent {
        position: row.number(operation, first)?,
        room: room(operation, row, first + 1)?,
        version: row.number(operation, first + 2)?.into(),
        event_type: row.text(operation, first + 3)?,
        payload: bytes(first + 4)?,
        metadata: bytes(first + 5)?,
        recorded_at: Timestamp::from_epoch_millis(row.integer(operation, first + 6)?),
    })
}

/// A room of the directory: id, name, kind, whether it is retired.
pub(super) fn entry(operation: &'static str, row: &impl Columns) -> Result<RoomEntry, StoreError> {
    Ok(RoomEntry {
        room: room(operation, row, 0)?,
        name: row.text(operation, 1)?,
        kind: row.text(operation, 2)?,
        retired: row.integer(operation, 3)? != 0,
    })
}

/// An idempotency record: id, fingerprint, outcome, then the columns of two events that may be absent.
pub(super) fn key_record(row: &impl Columns) -> Result<KeyRecord, StoreError> {
    const OPERATION: &str = "find_keys";
    let event_at = |column| match row.bytes(OPERATION, column + 1)? {
        Some(_) => event(OPERATION, row, column).map(Some),
        None => Ok(None),
    };
    Ok(KeyRecord {
        id: KeyId(row.fixed(OPERATION, 0)?),
        fingerprint: row.fixed(OPERATION, 1)?,
        outcome: row.bytes(OPERATION, 2)?.map(<[u8]>::to_vec),
        event: event_at(3)?,
        other_event: event_at(10)?,
    })
}

/// A snapshot: stream, version, fingerprint of its schema, body.
pub(super) fn snapshot(row: &impl Columns) -> Result<Snapshot, StoreError> {
    const OPERATION: &str = "snapshots";
    Ok(Snapshot {
        room: room(OPERATION, row, 0)?,
        version: row.number(OPERATION, 1)?.into(),
        schema: row.text(OPERATION, 2)?,
        body: row.bytes(OPERATION, 3)?.unwrap_or_default().to_vec(),
    })
}

/// A held room: id, position of the refused event, reason, since when.
pub(super) fn held_room(row: &impl Columns) -> Result<HeldRoom, StoreError> {
    const OPERATION: &str = "held_rooms";
    Ok(HeldRoom {
        room: room(OPERATION, row, 0)?,
        position: row.number(OPERATION, 1)?,
        reason: row.text(OPERATION, 2)?,
        held_at: Timestamp::from_epoch_millis(row.integer(OPERATION, 3)?),
    })
}

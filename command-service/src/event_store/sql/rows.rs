//! Rows: which columns make an event, a room, a record.

use shared_events::{RoomId, Timestamp, UserId};
use uuid::Uuid;

use crate::{
    domain::RoomEntry,
    event_store::{HeldRoom, KeyId, KeyRecord, Snapshot, StoreError, StoredEvent},
};

/// A row that does not have the expected form.
pub(in crate::event_store) struct RowError(pub(in crate::event_store) String);

impl RowError {
    pub(in crate::event_store) fn during(self, operation: &'static str) -> StoreError {
        StoreError::Inconsistent { operation, detail: self.0 }
    }
}

/// The columns of a row, in the store's types.
pub(in crate::event_store) trait Columns {
    /// A version, a position, a bucket, an epoch.
    fn number(&self, column: usize) -> Result<u64, RowError>;
    /// A number that may be negative; `None` for NULL.
    fn integer(&self, column: usize) -> Result<Option<i64>, RowError>;
    /// A text.
    fn text(&self, column: usize) -> Result<String, RowError>;
    /// Bytes; `None` for NULL.
    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, RowError>;

    /// The result of COUNT.
    fn count(&self, column: usize) -> Result<u64, RowError> {
        let count = self.integer(column)?.unwrap_or_default();
        u64::try_from(count).map_err(|error| RowError(format!("column {column}: {error}")))
    }

    /// A bucket.
    fn bucket(&self, column: usize) -> Result<u32, RowError> {
        u32::try_from(self.number(column)?).map_err(|error| RowError(format!("column {column}: {error}")))
    }

    /// A fixed number of bytes.
    fn fixed<const N: usize>(&self, column: usize) -> Result<[u8; N], RowError> {
        let bytes = self.bytes(column)?.unwrap_or_default();
        let error = |_| RowError(format!("column {column} has {} bytes instead of {N}", bytes.len()));
        bytes.try_into().map_err(error)
    }

    /// A time.
    fn time(&self, column: usize) -> Result<Timestamp, RowError> {
        Ok(Timestamp::from_epoch_millis(self.integer(column)?.unwrap_or_default()))
    }

    /// A room's id.
    fn room(&self, column: usize) -> Result<RoomId, RowError> {
        Ok(RoomId(Uuid::from_bytes(self.fixed(column)?)))
    }

    /// A user.
    fn user(&self, column: usize) -> Result<UserId, RowError> {
        UserId::new(self.text(column)?).map_err(|error| RowError(format!("column {column}: {error}")))
    }

    /// Bytes of any length.
    fn blob(&self, column: usize) -> Result<Vec<u8>, RowError> {
        Ok(self.bytes(column)?.unwrap_or_default().to_vec())
    }
}

/// An event: the columns of [`EVENT`](super::statements::EVENT), from column `first` on.
pub(super) fn event(row: &impl Columns, first: usize) -> Result<StoredEvent, RowError> {
    Ok(StoredEvent {
        position: row.number(first)?.into(),
        room: row.room(first + 1)?,
        version: row.number(first + 2)?.into(),
        event_type: row.text(first + 3)?,
        payload: row.blob(first + 4)?,
        metadata: row.blob(first + 5)?,
        recorded_at: row.time(first + 6)?,
    })
}

/// A room of the directory: id, name, kind, whether it is retired.
pub(super) fn entry(row: &impl Columns) -> Result<RoomEntry, RowError> {
    let retired = row.integer(3)?.is_some_and(|retired| retired != 0);
    Ok(RoomEntry { room: row.room(0)?, name: row.text(1)?, kind: row.text(2)?, retired })
}

/// An idempotency record: id, fingerprint, outcome, then the columns of two events, NULL where there is none.
pub(super) fn key_record(row: &impl Columns) -> Result<KeyRecord, RowError> {
    let event_at = |first| row.bytes(first + 1)?.map(|_| event(row, first)).transpose();
    Ok(KeyRecord {
        id: KeyId(row.fixed(0)?),
        fingerprint: row.fixed(1)?,
        outcome: row.bytes(2)?.map(<[u8]>::to_vec),
        event: event_at(3)?,
        other_event: event_at(10)?,
    })
}

/// A snapshot: stream, version, form, body.
pub(super) fn snapshot(row: &impl Columns) -> Result<Snapshot, RowError> {
    Ok(Snapshot {
        room: row.room(0)?,
        version: row.number(1)?.into(),
        schema: row.text(2)?,
        body: row.blob(3)?,
    })
}

/// A held room: id, position of the refused event, reason, since when.
pub(super) fn held_room(row: &impl Columns) -> Result<HeldRoom, RowError> {
    Ok(HeldRoom {
        room: row.room(0)?,
        position: row.number(1)?.into(),
        reason: row.text(2)?,
        held_at: row.time(3)?,
    })
}

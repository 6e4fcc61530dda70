//! Reads of streams, directory, idempotency records and snapshots.

use std::time::Duration;

use shared_events::{RoomId, Timestamp};
use sqlx::{Decode, Row, Sqlite, Type, sqlite::SqliteRow};
use uuid::Uuid;

use super::{SqliteStore, signed, store_error, unsigned};
use crate::{
    domain::RoomEntry,
    event_store::{
        KeyId, KeyRecord, Snapshot, StoreError, StoredEvent,
        insert_plan::{MAX_ROWS, list_length, padded, repeated},
    },
};

impl SqliteStore {
    pub(super) async fn read_streams(&self, after: &[(RoomId, u64)]) -> Result<Vec<StoredEvent>, StoreError> {
        let mut wanted = after.to_vec();
        wanted.sort_unstable();
        wanted.dedup_by_key(|(room, _)| *room);
        let mut events = Vec::new();
        for piece in wanted.chunks(MAX_ROWS) {
            let values = repeated("(?,?)", list_length(piece.len()));
            let sql = format!(
                "SELECT position, stream_id, version, type, payload, metadata, recorded_at FROM \
                 (SELECT DISTINCT column1 AS wanted, column2 AS known FROM (VALUES {values})) \
                 CROSS JOIN events ON stream_id = wanted AND version > known ORDER BY stream_id, version"
            );
            let mut select = sqlx::query(&sql);
            for (room, version) in padded(piece) {
                select = select.bind(room.0.as_bytes().to_vec()).bind(signed(version));
            }
            let rows = select.fetch_all(&self.0.readers).await.map_err(|error| store_error("load", error))?;
            for row in &rows {
                events.push(event("load", row, 0)?);
            }
        }
        Ok(events)
    }

    pub(super) async fn read_heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, u64)>, StoreError> {
        let mut heads = Vec::with_capacity(rooms.len());
        for piece in rooms.chunks(4 * MAX_ROWS) {
            // A look at the end of each stream's part of the index; GROUP BY would walk through all of it.
            let values = repeated("(?)", list_length(piece.len()));
            let sql = format!(
                "SELECT DISTINCT column1, (SELECT MAX(version) FROM events WHERE stream_id = column1) AS head \
                 FROM (VALUES {values}) WHERE head IS NOT NULL"
            );
            let mut select = sqlx::query(&sql);
            for room in padded(piece) {
                select = select.bind(room.0.as_bytes().to_vec());
            }
            let rows =
                select.fetch_all(&self.0.readers).await.map_err(|error| store_error("heads", error))?;
            for row in &rows {
                heads.push((room("heads", row, 0)?, number("heads", row, 1)?));
            }
        }
        Ok(heads)
    }

    pub(super) async fn read_all_heads(
        &self,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, u64)>, StoreError> {
        // From each stream to the next one by the index.
        const SQL: &str = "WITH RECURSIVE streams (id) AS (\
              SELECT MIN(stream_id) FROM events WHERE stream_id > ?1 \
              UNION ALL SELECT (SELECT MIN(stream_id) FROM events WHERE stream_id > id) FROM streams WHERE id IS NOT NULL LIMIT ?2) \
            SELECT id, (SELECT MAX(version) FROM events WHERE stream_id = id) FROM streams WHERE id IS NOT NULL";
        // Nothing sorts before the empty string.
        let after = after.map_or(Vec::new(), |room| room.0.as_bytes().to_vec());
        let rows = sqlx::query(SQL).bind(after).bind(limit).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error("all_heads", error))?;
        rows.iter().map(|row| Ok((room("all_heads", row, 0)?, number("all_heads", row, 1)?))).collect()
    }

    pub(super) async fn read_stream(
        &self,
        room: RoomId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "SELECT position, stream_id, version, type, payload, metadata, recorded_at \
                           FROM events WHERE stream_id = ? AND version > ? ORDER BY version LIMIT ?";
        let select = sqlx::query(SQL).bind(room.0.as_bytes().as_slice()).bind(signed(after)).bind(limit);
        let rows = select.fetch_all(&self.0.readers).await.map_err(|error| store_error("stream", error))?;
        rows.iter().map(|row| event("stream", row, 0)).collect()
    }

    pub(super) async fn read_directory(&self) -> Result<Vec<RoomEntry>, StoreError> {
        const SQL: &str = "SELECT room, name, kind, retired FROM rooms ORDER BY seq";
        let rows = sqlx::query(SQL).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error("directory", error))?;
        rows.iter().map(|row| entry("directory", row)).collect()
    }

    /// The rooms that are not retired and have one of these values in a column, in the order of registration.
    pub(super) async fn read_rooms(
        &self,
        operation: &'static str,
        column: &str,
        values: &[String],
    ) -> Result<Vec<RoomEntry>, StoreError> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let list = repeated("?", list_length(values.len()));
        let sql = format!(
            "SELECT room, name, kind, retired FROM rooms WHERE retired = 0 AND {column} IN ({list}) ORDER BY seq"
        );
        let mut select = sqlx::query(&sql);
        for value in padded(&values) {
            select = select.bind(value);
        }
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let rows = select.fetch_all(&self.0.readers).await.map_err(|error| store_error(operation, error))?;
        rows.iter().map(|row| entry(operation, row)).collect()
    }

    pub(super) async fn read_keys(&self, keys: &[KeyId]) -> Result<Vec<KeyRecord>, StoreError> {
        let mut records = Vec::new();
        for piece in keys.chunks(4 * MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let sql = format!(
                "SELECT k.id, k.fingerprint, k.outcome, \
                 e.position, e.stream_id, e.version, e.type, e.payload, e.metadata, e.recorded_at, \
                 o.position, o.stream_id, o.version, o.type, o.payload, o.metadata, o.recorded_at \
                 FROM idempotency_keys k LEFT JOIN events e ON e.position = k.position \
                 LEFT JOIN events o ON o.position = k.other_position WHERE k.id IN ({list})"
            );
            let mut select = sqlx::query(&sql);
            for key in padded(piece) {
                select = select.bind(key.0.to_vec());
            }
            let rows =
                select.fetch_all(&self.0.readers).await.map_err(|error| store_error("find_keys", error))?;
            for row in &rows {
                records.push(key_record(row)?);
            }
        }
        Ok(records)
    }

    pub(super) async fn delete_old_keys(&self, kept: Duration, limit: u32) -> Result<u64, StoreError> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        // Looks at the oldest records only.
        const SQL: &str = "DELETE FROM idempotency_keys WHERE seq IN \
                           (SELECT seq FROM idempotency_keys ORDER BY seq LIMIT ?) \
                           AND made_at < CAST(unixepoch('subsec') * 1000 AS INTEGER) - ?";
        let delete = sqlx::query(SQL).bind(limit).bind(kept);
        let done = delete.execute(&mut *self.0.writer.lock().await).await;
        Ok(done.map_err(|error| store_error("sweep_keys", error))?.rows_affected())
    }

    pub(super) async fn read_snapshots(&self, rooms: &[RoomId]) -> Result<Vec<Snapshot>, StoreError> {
        const OPERATION: &str = "snapshots";
        let mut snapshots = Vec::new();
        for piece in rooms.chunks(MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let sql = format!(
                "SELECT stream_id, version, schema_fingerprint, body FROM snapshots WHERE stream_id IN ({list})"
            );
            let mut select = sqlx::query(&sql);
            for room in padded(piece) {
                select = select.bind(room.0.as_bytes().to_vec());
            }
            let rows =
                select.fetch_all(&self.0.readers).await.map_err(|error| store_error(OPERATION, error))?;
            for row in &rows {
                snapshots.push(Snapshot {
                    room: room(OPERATION, row, 0)?,
                    version: number(OPERATION, row, 1)?,
                    schema: get(OPERATION, row, 2)?,
                    body: get(OPERATION, row, 3)?,
                });
            }
        }
        Ok(snapshots)
    }

    pub(super) async fn write_snapshot(&self, snapshot: &Snapshot, erasures: u64) -> Result<(), StoreError> {
        // An older state never replaces a newer one of the same form.
        const SQL: &str = "INSERT INTO snapshots (stream_id, version, schema_fingerprint, body) \
            SELECT ?,?,?,? FROM erasure_list WHERE epoch = ? \
            ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version, \
            schema_fingerprint = excluded.schema_fingerprint, body = excluded.body \
            WHERE excluded.version >= version OR excluded.schema_fingerprint <> schema_fingerprint";
        let upsert = sqlx::query(SQL)
            .bind(snapshot.room.0.as_bytes().as_slice())
            .bind(signed(snapshot.version))
            .bind(&snapshot.schema)
            .bind(snapshot.body.as_slice())
            .bind(signed(erasures));
        let done = upsert.execute(&mut *self.0.writer.lock().await).await;
        done.map(drop).map_err(|error| store_error("save_snapshot", error))
    }
}

/// A column of a row.
pub(super) fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(
    operation: &'static str,
    row: &'r SqliteRow,
    column: usize,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(|source| StoreError::Failed { operation, source: Box::new(source) })
}

/// A column that holds a version, a position or a count.
pub(super) fn number(operation: &'static str, row: &SqliteRow, column: usize) -> Result<u64, StoreError> {
    get(operation, row, column).map(unsigned)
}

pub(super) fn room(operation: &'static str, row: &SqliteRow, column: usize) -> Result<RoomId, StoreError> {
    Uuid::from_slice(get(operation, row, column)?)
        .map(RoomId)
        .map_err(|error| StoreError::Inconsistent { operation, detail: error.to_string() })
}

/// The event in seven columns from `first` on.
pub(super) fn event(
    operation: &'static str,
    row: &SqliteRow,
    first: usize,
) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        position: number(operation, row, first)?,
        room: room(operation, row, first + 1)?,
        version: number(operation, row, first + 2)?,
        event_type: get(operation, row, first + 3)?,
        payload: get(operation, row, first + 4)?,
        metadata: get(operation, row, first + 5)?,
        recorded_at: Timestamp::from_epoch_millis(get(operation, row, first + 6)?),
    })
}

fn entry(operation: &'static str, row: &SqliteRow) -> Result<RoomEntry, StoreError> {
    Ok(RoomEntry {
        room: room(operation, row, 0)?,
        name: get(operation, row, 1)?,
        kind: get(operation, row, 2)?,
        retired: get(operation, row, 3)?,
    })
}

fn key_record(row: &SqliteRow) -> Result<KeyRecord, StoreError> {
    const OPERATION: &str = "find_keys";
    let sixteen = |column| {
        get::<&[u8]>(OPERATION, row, column)?.try_into().map_err(|_| StoreError::Inconsistent {
            operation: OPERATION,
            detail: "a hash is not 16 bytes long".to_owned(),
        })
    };
    let event_at = |column| match get::<Option<i64>>(OPERATION, row, column)? {
        Some(_) => event(OPERATION, row, column).map(Some),
        None => Ok(None),
    };
    Ok(KeyRecord {
        id: KeyId(sixteen(0)?),
        fingerprint: sixteen(1)?,
        outcome: get(OPERATION, row, 2)?,
        event: event_at(3)?,
        other_event: event_at(10)?,
    })
}

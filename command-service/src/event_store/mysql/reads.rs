//! Reads of streams, directory, idempotency records and snapshots.

use std::time::Duration;

use shared_events::{RoomId, Timestamp};
use sqlx::{Decode, MySql, Row, Type, mysql::MySqlRow};
use uuid::Uuid;

use super::{MySqlStore, session::Statement};
use crate::{
    domain::RoomEntry,
    event_store::{
        KeyId, KeyRecord, Snapshot, StoreError, StoredEvent,
        insert_plan::{MAX_ROWS, list_length, padded, repeated},
    },
};

impl MySqlStore {
    pub(super) async fn read_streams(&self, after: &[(RoomId, u64)]) -> Result<Vec<StoredEvent>, StoreError> {
        self.bury_lost_session().await?;
        let mut wanted = after.to_vec();
        wanted.sort_unstable();
        wanted.dedup_by_key(|(room, _)| *room);
        let mut events = Vec::new();
        for piece in wanted.chunks(MAX_ROWS) {
            let ranges =
                repeated("(stream_id = ? AND version > ?)", list_length(piece.len())).replace(",", " OR ");
            let mut select = Statement::new(format!(
                "/* load */ SELECT position, stream_id, version, type, payload, metadata, recorded_at FROM events \
                 WHERE {ranges} ORDER BY stream_id, version"
            ));
            for (room, version) in padded(piece) {
                select = select.bind(room.0.as_bytes().as_slice()).bind(version);
            }
            for row in &self.run("load", select).await?.rows {
                events.push(event("load", row, 0)?);
            }
        }
        Ok(events)
    }

    pub(super) async fn read_heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, u64)>, StoreError> {
        self.bury_lost_session().await?;
        let mut heads = Vec::with_capacity(rooms.len());
        for piece in rooms.chunks(4 * MAX_ROWS) {
            // A look at the end of each stream's part of the index; GROUP BY would walk through all of it.
            let values = repeated("ROW(CAST(? AS BINARY(16)))", list_length(piece.len()));
            let mut select = Statement::new(format!(
                "/* heads */ SELECT wanted.column_0, head.version FROM (VALUES {values}) AS wanted, LATERAL \
                 (SELECT version FROM events WHERE stream_id = wanted.column_0 ORDER BY version DESC LIMIT 1) AS head"
            ));
            for room in padded(piece) {
                select = select.bind(room.0.as_bytes().as_slice());
            }
            for row in &self.run("heads", select).await?.rows {
                heads.push((room("heads", row, 0)?, get("heads", row, 1)?));
            }
        }
        // The padding brings the last one several times.
        heads.sort_unstable();
        heads.dedup_by_key(|(room, _)| *room);
        Ok(heads)
    }

    pub(super) async fn read_all_heads(
        &self,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, u64)>, StoreError> {
        const SQL: &str = "/* all_heads */ SELECT stream_id, MAX(version) FROM events WHERE stream_id > ? \
                           GROUP BY stream_id ORDER BY stream_id LIMIT ?";
        // Nothing sorts before the empty string.
        let after = after.as_ref().map_or(&[][..], |room| room.0.as_bytes());
        let answer = self.run("all_heads", Statement::new(SQL).bind(after).bind(limit)).await?;
        answer.rows.iter().map(|row| Ok((room("all_heads", row, 0)?, get("all_heads", row, 1)?))).collect()
    }

    pub(super) async fn read_stream(
        &self,
        room: RoomId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "/* stream */ SELECT position, stream_id, version, type, payload, metadata, recorded_at \
                           FROM events WHERE stream_id = ? AND version > ? ORDER BY version LIMIT ?";
        let select = Statement::new(SQL).bind(room.0.as_bytes().as_slice()).bind(after).bind(limit);
        let answer = self.run("stream", select).await?;
        answer.rows.iter().map(|row| event("stream", row, 0)).collect()
    }

    pub(super) async fn read_directory(&self) -> Result<Vec<RoomEntry>, StoreError> {
        const SQL: &str = "/* directory */ SELECT room, name, kind, retired FROM rooms ORDER BY seq";
        let answer = self.run("directory", Statement::new(SQL)).await?;
        answer.rows.iter().map(|row| entry("directory", row)).collect()
    }

    pub(super) async fn read_rooms_of_kinds(&self, kinds: &[String]) -> Result<Vec<RoomEntry>, StoreError> {
        let condition = "NOT retired AND kind";
        self.read_rooms("rooms_of_kinds", condition, kinds).await
    }

    pub(super) async fn read_rooms_named(&self, names: &[String]) -> Result<Vec<RoomEntry>, StoreError> {
        self.read_rooms("rooms_named", "live_name", names).await
    }

    async fn read_rooms(
        &self,
        operation: &'static str,
        condition: &str,
        values: &[String],
    ) -> Result<Vec<RoomEntry>, StoreError> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let list = repeated("?", list_length(values.len()));
        let mut select = Statement::new(format!(
            "/* {operation} */ SELECT room, name, kind, retired FROM rooms WHERE {condition} IN ({list}) ORDER BY seq"
        ));
        for value in padded(&values) {
            select = select.bind(value);
        }
        let answer = self.run(operation, select).await?;
        answer.rows.iter().map(|row| entry(operation, row)).collect()
    }

    pub(super) async fn read_keys(&self, keys: &[KeyId]) -> Result<Vec<KeyRecord>, StoreError> {
        self.bury_lost_session().await?;
        let mut records = Vec::new();
        for piece in keys.chunks(4 * MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let mut select = Statement::new(format!(
                "/* find_keys */ SELECT k.id, k.fingerprint, k.outcome, \
                 e.position, e.stream_id, e.version, e.type, e.payload, e.metadata, e.recorded_at, \
                 o.position, o.stream_id, o.version, o.type, o.payload, o.metadata, o.recorded_at \
                 FROM idempotency_keys k LEFT JOIN events e ON e.position = k.position \
                 LEFT JOIN events o ON o.position = k.other_position WHERE k.id IN ({list})"
            ));
            for key in padded(piece) {
                select = select.bind(key.0.as_slice().to_vec());
            }
            for row in &self.run("find_keys", select).await?.rows {
                records.push(key_record(row)?);
            }
        }
        Ok(records)
    }

    /// Looks at the oldest records only, and deletes by primary key: no command waits for more than these rows.
    pub(super) async fn delete_old_keys(&self, kept: Duration, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "/* sweep_keys */ SELECT seq, made_at, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) \
                           FROM idempotency_keys ORDER BY seq LIMIT ?";
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let oldest = self.run("sweep_keys", Statement::new(SQL).bind(limit)).await?;
        let mut old = Vec::new();
        for row in &oldest.rows {
            let made_at: i64 = get("sweep_keys", row, 1)?;
            let now: i64 = get("sweep_keys", row, 2)?;
            if made_at < now.saturating_sub(kept) {
                old.push(get::<u64>("sweep_keys", row, 0)?);
            }
        }
        let mut deleted = 0;
        for piece in old.chunks(MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let mut delete = Statement::new(format!(
                "/* sweep_keys */ DELETE FROM idempotency_keys WHERE seq IN ({list})"
            ));
            for seq in padded(piece) {
                delete = delete.bind(seq);
            }
            deleted += self.run("sweep_keys", delete).await?.affected;
        }
        Ok(deleted)
    }

    pub(super) async fn read_snapshots(&self, rooms: &[RoomId]) -> Result<Vec<Snapshot>, StoreError> {
        let mut snapshots = Vec::new();
        for piece in rooms.chunks(MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let mut select = Statement::new(format!(
                "/* snapshots */ SELECT stream_id, version, schema_fingerprint, body FROM snapshots WHERE stream_id IN ({list})"
            ));
            for room in padded(piece) {
                select = select.bind(room.0.as_bytes().as_slice());
            }
            for row in &self.run("snapshots", select).await?.rows {
                snapshots.push(Snapshot {
                    room: room("snapshots", row, 0)?,
                    version: get("snapshots", row, 1)?,
                    schema: text("snapshots", row, 2)?,
                    body: get("snapshots", row, 3)?,
                });
            }
        }
        Ok(snapshots)
    }

    pub(super) async fn write_snapshot(&self, snapshot: &Snapshot, erasures: u64) -> Result<(), StoreError> {
        // An older state never replaces a newer one of the same form. (Columns are assigned from left to right.) The lock
        // lets no list pass that is longer than the one under which the state was made.
        const SQL: &str = "/* save_snapshot */ INSERT INTO snapshots (stream_id, version, schema_fingerprint, body) \
            SELECT * FROM (SELECT ? AS stream_id, ? AS version, ? AS schema_fingerprint, ? AS body FROM erasure_list \
            WHERE id = 1 AND epoch = ? FOR SHARE) AS new ON DUPLICATE KEY UPDATE \
            body = IF(new.version >= snapshots.version OR new.schema_fingerprint <> snapshots.schema_fingerprint, new.body, snapshots.body), \
            version = IF(new.version >= snapshots.version OR new.schema_fingerprint <> snapshots.schema_fingerprint, new.version, snapshots.version), \
            schema_fingerprint = new.schema_fingerprint";
        let upsert = Statement::new(SQL)
            .bind(snapshot.room.0.as_bytes().as_slice())
            .bind(snapshot.version)
            .bind(&snapshot.schema)
            .bind(snapshot.body.as_slice())
            .bind(erasures);
        self.run("save_snapshot", upsert).await.map(drop)
    }
}

/// A column of a row.
pub(super) fn get<'r, T: Decode<'r, MySql> + Type<MySql>>(
    operation: &'static str,
    row: &'r MySqlRow,
    column: usize,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(|source| StoreError::Failed { operation, source: Box::new(source) })
}

/// A column of the first row; `None` when it is NULL or there is no row.
pub(super) fn first<'r, T: Decode<'r, MySql> + Type<MySql>>(
    operation: &'static str,
    rows: &'r [MySqlRow],
    column: usize,
) -> Result<Option<T>, StoreError> {
    rows.first().map_or(Ok(None), |row| get(operation, row, column))
}

/// A text column: as bytes, because the driver takes columns with binary collations for bytes.
pub(super) fn text(operation: &'static str, row: &MySqlRow, column: usize) -> Result<String, StoreError> {
    String::from_utf8(get(operation, row, column)?)
        .map_err(|error| StoreError::Inconsistent { operation, detail: error.to_string() })
}

pub(super) fn room(operation: &'static str, row: &MySqlRow, column: usize) -> Result<RoomId, StoreError> {
    Uuid::from_slice(get(operation, row, column)?)
        .map(RoomId)
        .map_err(|error| StoreError::Inconsistent { operation, detail: error.to_string() })
}

/// The event in seven columns from `first` on.
pub(super) fn event(
    operation: &'static str,
    row: &MySqlRow,
    first: usize,
) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        position: get(operation, row, first)?,
        room: room(operation, row, first + 1)?,
        version: get(operation, row, first + 2)?,
        event_type: text(operation, row, first + 3)?,
        payload: get(operation, row, first + 4)?,
        metadata: get(operation, row, first + 5)?,
        recorded_at: Timestamp::from_epoch_millis(get(operation, row, first + 6)?),
    })
}

fn entry(operation: &'static str, row: &MySqlRow) -> Result<RoomEntry, StoreError> {
    Ok(RoomEntry {
        room: room(operation, row, 0)?,
        name: text(operation, row, 1)?,
        kind: text(operation, row, 2)?,
        retired: get(operation, row, 3)?,
    })
}

fn key_record(row: &MySqlRow) -> Result<KeyRecord, StoreError> {
    const OPERATION: &str = "find_keys";
    let sixteen = |column| {
        get::<&[u8]>(OPERATION, row, column)?.try_into().map_err(|_| StoreError::Inconsistent {
            operation: OPERATION,
            detail: "a hash is not 16 bytes long".to_owned(),
        })
    };
    let event_at = |column| match get::<Option<u64>>(OPERATION, row, column)? {
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

//! Reads of events.

use async_trait::async_trait;
use shared_events::{RoomId, Version};

use super::{SqliteStore, outbox::MOST_NAMED, signed, store_error};
use crate::event_store::{
    EventLog, StoreError, StoredEvent,
    insert_plan::{MAX_ROWS, list_length, padded, repeated},
    positions::is_one_of,
    rows::{Columns, event, room},
};

#[async_trait]
impl EventLog for SqliteStore {
    async fn load(&self, after: &[(RoomId, Version)]) -> Result<Vec<StoredEvent>, StoreError> {
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
                select = select.bind(room.0.as_bytes().to_vec()).bind(signed(version.get()));
            }
            let rows = select.fetch_all(&self.0.readers).await.map_err(|error| store_error("load", error))?;
            for row in &rows {
                events.push(event("load", row, 0)?);
            }
        }
        Ok(events)
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Version)>, StoreError> {
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
                heads.push((room("heads", row, 0)?, row.number("heads", 1)?.into()));
            }
        }
        Ok(heads)
    }

    async fn all_heads(
        &self,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, Version)>, StoreError> {
        // From each stream to the next one by the index.
        const SQL: &str = "WITH RECURSIVE streams (id) AS (\
              SELECT MIN(stream_id) FROM events WHERE stream_id > ?1 \
              UNION ALL SELECT (SELECT MIN(stream_id) FROM events WHERE stream_id > id) FROM streams WHERE id IS NOT NULL LIMIT ?2) \
            SELECT id, (SELECT MAX(version) FROM events WHERE stream_id = id) FROM streams WHERE id IS NOT NULL";
        // Nothing sorts before the empty string.
        let after = after.map_or(Vec::new(), |room| room.0.as_bytes().to_vec());
        let rows = sqlx::query(SQL).bind(after).bind(limit).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error("all_heads", error))?;
        rows.iter().map(|row| Ok((room("all_heads", row, 0)?, row.number("all_heads", 1)?.into()))).collect()
    }

    async fn stream(&self, room: RoomId, after: Version, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "SELECT position, stream_id, version, type, payload, metadata, recorded_at \
                           FROM events WHERE stream_id = ? AND version > ? ORDER BY version LIMIT ?";
        let select =
            sqlx::query(SQL).bind(room.0.as_bytes().as_slice()).bind(signed(after.get())).bind(limit);
        let rows = select.fetch_all(&self.0.readers).await.map_err(|error| store_error("stream", error))?;
        rows.iter().map(|row| event("stream", row, 0)).collect()
    }

    async fn events_at(&self, positions: &[u64]) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::with_capacity(positions.len());
        for piece in positions.chunks(MOST_NAMED) {
            let sql = format!(
                "SELECT position, stream_id, version, type, payload, metadata, recorded_at FROM events \
                 WHERE {} ORDER BY position",
                is_one_of(piece)
            );
            let rows = sqlx::query(&sql).persistent(false).fetch_all(&self.0.readers).await;
            for row in &rows.map_err(|error| store_error("events_at", error))? {
                events.push(event("events_at", row, 0)?);
            }
        }
        Ok(events)
    }

    async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "SELECT position, stream_id, version, type, payload, metadata, recorded_at FROM events \
                           WHERE position > ? ORDER BY position LIMIT ?";
        let rows = sqlx::query(SQL).bind(signed(position)).bind(limit).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error("events_after", error))?;
        rows.iter().map(|row| event("events_after", row, 0)).collect()
    }
}

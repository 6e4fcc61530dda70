//! Reads of events.

use async_trait::async_trait;
use shared_events::{RoomId, Version};

use super::{MySqlStore, outbox::MOST_NAMED, session::Statement};
use crate::event_store::{
    EventLog, StoreError, StoredEvent,
    insert_plan::{MAX_ROWS, list_length, padded, repeated},
    positions::is_one_of,
    rows::{Columns, event, room},
};

#[async_trait]
impl EventLog for MySqlStore {
    async fn load(&self, after: &[(RoomId, Version)]) -> Result<Vec<StoredEvent>, StoreError> {
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
                select = select.bind(room.0.as_bytes().as_slice()).bind(version.get());
            }
            for row in &self.run("load", select).await?.rows {
                events.push(event("load", row, 0)?);
            }
        }
        Ok(events)
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Version)>, StoreError> {
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
                heads.push((room("heads", row, 0)?, row.number("heads", 1)?.into()));
            }
        }
        // The padding brings the last one several times.
        heads.sort_unstable();
        heads.dedup_by_key(|(room, _)| *room);
        Ok(heads)
    }

    async fn all_heads(
        &self,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, Version)>, StoreError> {
        const SQL: &str = "/* all_heads */ SELECT stream_id, MAX(version) FROM events WHERE stream_id > ? \
                           GROUP BY stream_id ORDER BY stream_id LIMIT ?";
        // Nothing sorts before the empty string.
        let after = after.as_ref().map_or(&[][..], |room| room.0.as_bytes());
        let answer = self.run("all_heads", Statement::new(SQL).bind(after).bind(limit)).await?;
        answer
            .rows
            .iter()
            .map(|row| Ok((room("all_heads", row, 0)?, row.number("all_heads", 1)?.into())))
            .collect()
    }

    async fn stream(&self, room: RoomId, after: Version, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "/* stream */ SELECT position, stream_id, version, type, payload, metadata, recorded_at \
                           FROM events WHERE stream_id = ? AND version > ? ORDER BY version LIMIT ?";
        let select = Statement::new(SQL).bind(room.0.as_bytes().as_slice()).bind(after.get()).bind(limit);
        let answer = self.run("stream", select).await?;
        answer.rows.iter().map(|row| event("stream", row, 0)).collect()
    }

    async fn events_at(&self, positions: &[u64]) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::with_capacity(positions.len());
        for piece in positions.chunks(MOST_NAMED) {
            let select = Statement::text(format!(
                "/* events_at */ SELECT position, stream_id, version, type, payload, metadata, recorded_at FROM events \
                 WHERE {} ORDER BY position",
                is_one_of(piece)
            ));
            for row in &self.run("events_at", select).await?.rows {
                events.push(event("events_at", row, 0)?);
            }
        }
        Ok(events)
    }

    async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "/* events_after */ SELECT position, stream_id, version, type, payload, metadata, \
                           recorded_at FROM events WHERE position > ? ORDER BY position LIMIT ?";
        let answer = self.run("events_after", Statement::new(SQL).bind(position).bind(limit)).await?;
        answer.rows.iter().map(|row| event("events_after", row, 0)).collect()
    }
}

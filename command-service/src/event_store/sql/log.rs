//! Reads of events.

use async_trait::async_trait;
use shared_events::{RoomId, Version};

use super::{
    Columns, Database, RowError, Statement, read,
    rows::event,
    statements::{EVENT, MAX_ROWS, is_one_of, list_length, padded},
};
use crate::event_store::{EventLog, Position, StoreError, StoredEvent};

#[async_trait]
impl<D: Database> EventLog for D {
    async fn load(&self, after: &[(RoomId, Version)]) -> Result<Vec<StoredEvent>, StoreError> {
        self.settle_lost_commit().await?;
        let mut wanted = after.to_vec();
        wanted.sort_unstable();
        wanted.dedup_by_key(|(room, _)| *room);
        let wanted: Vec<_> = wanted.iter().collect();
        let mut events = Vec::new();
        for piece in wanted.chunks(MAX_ROWS) {
            let values = padded(piece).flat_map(|(room, version)| [room.into(), (*version).into()]).collect();
            let select = Statement { sql: D::load(list_length(piece.len())), values };
            events.append(&mut read(self, "load", select, |row| event(row, 0)).await?);
        }
        Ok(events)
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Version)>, StoreError> {
        self.settle_lost_commit().await?;
        let rooms: Vec<_> = rooms.iter().collect();
        let mut heads = Vec::with_capacity(rooms.len());
        for piece in rooms.chunks(4 * MAX_ROWS) {
            let values = padded(piece).map(Into::into).collect();
            let select = Statement { sql: D::heads(list_length(piece.len())), values };
            heads.append(&mut read(self, "heads", select, head).await?);
        }
        // The padding may repeat a stream.
        heads.sort_unstable();
        heads.dedup_by_key(|(room, _)| *room);
        Ok(heads)
    }

    async fn all_heads(
        &self,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, Version)>, StoreError> {
        // Nothing sorts before the empty string.
        let after = after.as_ref().map_or(&[][..], |room| room.0.as_bytes());
        let select = Statement::new(D::ALL_HEADS, [after.into(), limit.into()]);
        read(self, "all_heads", select, head).await
    }

    async fn stream(&self, room: RoomId, after: Version, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = format!(
            "SELECT {EVENT} FROM events WHERE stream_id = ? AND version > ? ORDER BY version LIMIT ?"
        );
        let select = Statement::new(sql, [(&room).into(), after.into(), limit.into()]);
        read(self, "stream", select, |row| event(row, 0)).await
    }

    async fn events_at(&self, positions: &[Position]) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::with_capacity(positions.len());
        for piece in positions.chunks(D::MOST_POSITIONS) {
            let select = format!("SELECT {EVENT} FROM events WHERE {} ORDER BY position", is_one_of(piece));
            let select = Statement::text(select);
            events.append(&mut read(self, "events_at", select, |row| event(row, 0)).await?);
        }
        Ok(events)
    }

    async fn events_after(&self, position: Position, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = format!("SELECT {EVENT} FROM events WHERE position > ? ORDER BY position LIMIT ?");
        let select = Statement::new(sql, [position.into(), limit.into()]);
        read(self, "events_after", select, |row| event(row, 0)).await
    }
}

fn head(row: &impl Columns) -> Result<(RoomId, Version), RowError> {
    Ok((row.room(0)?, row.number(1)?.into()))
}

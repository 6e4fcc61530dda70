//! What the relay reads and deletes.

use async_trait::async_trait;
use shared_events::Timestamp;
use sqlx::Row;

use super::{SqliteStore, signed, store_error};
use crate::event_store::{
    Buckets, HeldRoom, Outbox, StoreError,
    positions::is_one_of,
    rows::{Columns, held_room},
};

/// The most positions that one statement names: a condition may not be deeper than a thousand terms.
pub(super) const MOST_NAMED: usize = 1024;

#[async_trait]
impl Outbox for SqliteStore {
    async fn undelivered(&self, buckets: Buckets, limit: u32) -> Result<Vec<u64>, StoreError> {
        const SQL: &str = "SELECT o.position FROM outbox o CROSS JOIN events e ON e.position = o.position \
            WHERE e.stream_id NOT IN (SELECT room FROM held_rooms) AND (? >> o.bucket) & 1 \
            ORDER BY o.position LIMIT ?";
        let rows =
            sqlx::query(SQL).bind(buckets.bits().cast_signed()).bind(limit).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error("undelivered", error))?;
        rows.iter().map(|row| row.number("undelivered", 0)).collect()
    }

    async fn delete_delivered(&self, positions: &[u64]) -> Result<(), StoreError> {
        for piece in positions.chunks(MOST_NAMED) {
            let sql = format!("DELETE FROM outbox WHERE {}", is_one_of(piece));
            let delete = sqlx::query(&sql).persistent(false);
            let done = delete.execute(&mut *self.0.writer.lock().await).await;
            done.map_err(|error| store_error("delete_delivered", error))?;
        }
        Ok(())
    }

    async fn backlog(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        const SQL: &str = "SELECT COUNT(*), \
            (SELECT recorded_at FROM events WHERE position = (SELECT MIN(position) FROM outbox)) FROM outbox";
        let row = sqlx::query(SQL).fetch_one(&self.0.readers).await;
        let row = row.map_err(|error| store_error("backlog", error))?;
        let oldest: Option<i64> = row.try_get(1).map_err(|error| store_error("backlog", error))?;
        Ok((row.number("backlog", 0)?, oldest.map(Timestamp::from_epoch_millis)))
    }

    async fn hold_room(&self, held: &HeldRoom) -> Result<(), StoreError> {
        // The first message that was refused is the one to look at.
        const SQL: &str = "INSERT INTO held_rooms (room, position, reason, held_at) VALUES (?,?,?,?) \
                           ON CONFLICT (room) DO NOTHING";
        let insert = sqlx::query(SQL)
            .bind(held.room.0.as_bytes().as_slice())
            .bind(signed(held.position))
            .bind(&held.reason)
            .bind(held.held_at.epoch_millis());
        let done = insert.execute(&mut *self.0.writer.lock().await).await;
        done.map(drop).map_err(|error| store_error("hold_room", error))
    }

    async fn held_rooms(&self) -> Result<Vec<HeldRoom>, StoreError> {
        const OPERATION: &str = "held_rooms";
        const SQL: &str = "SELECT room, position, reason, held_at FROM held_rooms ORDER BY room";
        let rows = sqlx::query(SQL).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error(OPERATION, error))?;
        rows.iter().map(held_room).collect()
    }
}

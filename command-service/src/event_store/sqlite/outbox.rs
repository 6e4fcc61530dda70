//! What the relay reads and deletes.

use shared_events::Timestamp;

use super::{
    SqliteStore,
    reads::{event, get, number, room},
    signed, store_error,
};
use crate::event_store::{Buckets, HeldRoom, StoreError, StoredEvent, positions::is_one_of};

/// The most positions that one statement names: a condition may not be deeper than a thousand terms.
const MOST_NAMED: usize = 1024;

impl SqliteStore {
    pub(super) async fn read_outbox(&self, buckets: Buckets, limit: u32) -> Result<Vec<u64>, StoreError> {
        const SQL: &str = "SELECT o.position FROM outbox o CROSS JOIN events e ON e.position = o.position \
            WHERE e.stream_id NOT IN (SELECT room FROM held_rooms) AND (? >> o.bucket) & 1 \
            ORDER BY o.position LIMIT ?";
        let rows =
            sqlx::query(SQL).bind(buckets.bits().cast_signed()).bind(limit).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error("undelivered", error))?;
        rows.iter().map(|row| number("undelivered", row, 0)).collect()
    }

    pub(super) async fn read_events_at(&self, positions: &[u64]) -> Result<Vec<StoredEvent>, StoreError> {
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

    pub(super) async fn delete_outbox(&self, positions: &[u64]) -> Result<(), StoreError> {
        for piece in positions.chunks(MOST_NAMED) {
            let sql = format!("DELETE FROM outbox WHERE {}", is_one_of(piece));
            let delete = sqlx::query(&sql).persistent(false);
            let done = delete.execute(&mut *self.0.writer.lock().await).await;
            done.map_err(|error| store_error("delete_delivered", error))?;
        }
        Ok(())
    }

    pub(super) async fn measure_outbox(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        const SQL: &str = "SELECT COUNT(*), \
            (SELECT recorded_at FROM events WHERE position = (SELECT MIN(position) FROM outbox)) FROM outbox";
        let row = sqlx::query(SQL).fetch_one(&self.0.readers).await;
        let row = row.map_err(|error| store_error("backlog", error))?;
        let oldest: Option<i64> = get("backlog", &row, 1)?;
        Ok((number("backlog", &row, 0)?, oldest.map(Timestamp::from_epoch_millis)))
    }

    pub(super) async fn write_held_room(&self, held: &HeldRoom) -> Result<(), StoreError> {
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

    pub(super) async fn read_held_rooms(&self) -> Result<Vec<HeldRoom>, StoreError> {
        const OPERATION: &str = "held_rooms";
        const SQL: &str = "SELECT room, position, reason, held_at FROM held_rooms ORDER BY room";
        let rows = sqlx::query(SQL).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error(OPERATION, error))?;
        let held = rows.iter().map(|row| {
            Ok(HeldRoom {
                room: room(OPERATION, row, 0)?,
                position: number(OPERATION, row, 1)?,
                reason: get(OPERATION, row, 2)?,
                held_at: Timestamp::from_epoch_millis(get(OPERATION, row, 3)?),
            })
        });
        held.collect()
    }
}

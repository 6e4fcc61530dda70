//! What the relay reads and deletes.

use shared_events::Timestamp;

use super::{
    MySqlStore,
    reads::{event, first, get, room, text},
    session::Statement,
};
use crate::event_store::{
    HeldRoom, StoreError, StoredEvent,
    insert_plan::{list_length, padded, repeated},
};

/// The most rows that one DELETE names.
const MOST_DELETED: usize = 1024;

impl MySqlStore {
    pub(super) async fn read_outbox(&self, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        // From the outbox to the events, whatever the statistics of a table say that is full now and empty soon.
        const SQL: &str = "/* undelivered */ SELECT STRAIGHT_JOIN e.position, e.stream_id, e.version, e.type, \
             e.payload, e.metadata, e.recorded_at FROM outbox o JOIN events e ON e.position = o.position \
             WHERE e.stream_id NOT IN (SELECT room FROM held_rooms) ORDER BY o.position LIMIT ?";
        let answer = self.run("undelivered", Statement::new(SQL).bind(limit)).await?;
        answer.rows.iter().map(|row| event("undelivered", row, 0)).collect()
    }

    pub(super) async fn delete_outbox(&self, positions: &[u64]) -> Result<(), StoreError> {
        for piece in positions.chunks(MOST_DELETED) {
            let list = repeated("?", list_length(piece.len()));
            let mut delete = Statement::new(format!(
                "/* delete_delivered */ DELETE FROM outbox WHERE position IN ({list})"
            ));
            for position in padded(piece) {
                delete = delete.bind(position);
            }
            self.run("delete_delivered", delete).await?;
        }
        Ok(())
    }

    pub(super) async fn measure_outbox(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        const SQL: &str = "/* backlog */ SELECT CAST(COUNT(*) AS UNSIGNED), \
            (SELECT recorded_at FROM events WHERE position = (SELECT MIN(position) FROM outbox)) FROM outbox";
        let answer = self.run("backlog", Statement::new(SQL)).await?;
        let count = first("backlog", &answer.rows, 0)?.unwrap_or(0);
        let oldest: Option<i64> = answer.rows.first().map_or(Ok(None), |row| get("backlog", row, 1))?;
        Ok((count, oldest.map(Timestamp::from_epoch_millis)))
    }

    pub(super) async fn write_held_room(&self, held: &HeldRoom) -> Result<(), StoreError> {
        // The first message that was refused is the one to look at.
        const SQL: &str = "/* hold_room */ INSERT INTO held_rooms (room, position, reason, held_at) VALUES (?,?,?,?) \
                           ON DUPLICATE KEY UPDATE room = held_rooms.room";
        let reason: String = held.reason.chars().take(1000).collect();
        let insert = Statement::new(SQL)
            .bind(held.room.0.as_bytes().as_slice())
            .bind(held.position)
            .bind(reason)
            .bind(held.held_at.epoch_millis());
        self.run("hold_room", insert).await.map(drop)
    }

    pub(super) async fn read_held_rooms(&self) -> Result<Vec<HeldRoom>, StoreError> {
        const OPERATION: &str = "held_rooms";
        const SQL: &str =
            "/* held_rooms */ SELECT room, position, reason, held_at FROM held_rooms ORDER BY room";
        let answer = self.run(OPERATION, Statement::new(SQL)).await?;
        let held = answer.rows.iter().map(|row| {
            Ok(HeldRoom {
                room: room(OPERATION, row, 0)?,
                position: get(OPERATION, row, 1)?,
                reason: text(OPERATION, row, 2)?,
                held_at: Timestamp::from_epoch_millis(get(OPERATION, row, 3)?),
            })
        });
        held.collect()
    }
}

//! What the relay reads and deletes, and what an operator sees of it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use shared_events::{RoomId, Timestamp};

use super::{
    MySqlStore,
    rows::{first, get},
    session::Statement,
};
use crate::event_store::{Buckets, HeldRoom, Outbox, StoreError, positions::is_one_of, rows::held_room};

/// The most positions that one statement names: beyond some 25,000 ranges the server would read the whole table instead.
pub(super) const MOST_NAMED: usize = 20_000;

#[async_trait]
impl Outbox for MySqlStore {
    async fn undelivered(&self, buckets: Buckets, limit: u32) -> Result<Vec<u64>, StoreError> {
        // The rooms are looked up only where there is one that is held.
        const WAITING: &str = "/* undelivered */ SELECT o.position FROM outbox o WHERE (NOT EXISTS (SELECT 1 FROM \
             held_rooms) OR (SELECT e.stream_id FROM events e WHERE e.position = o.position) NOT IN (SELECT room FROM \
             held_rooms))";
        const FIRST: &str = "ORDER BY o.position LIMIT ?";
        let select = if buckets == Buckets::ALL {
            Statement::new(format!("{WAITING} {FIRST}"))
        } else {
            Statement::new(format!("{WAITING} AND ? >> o.bucket & 1 {FIRST}")).bind(buckets.bits())
        };
        let answer = self.run("undelivered", select.bind(limit)).await?;
        answer.rows.iter().map(|row| get("undelivered", row, 0)).collect()
    }

    async fn delete_delivered(&self, positions: &[u64]) -> Result<(), StoreError> {
        for piece in positions.chunks(MOST_NAMED) {
            let named = is_one_of(piece);
            let delete = Statement::text(format!("/* delete_delivered */ DELETE FROM outbox WHERE {named}"));
            self.run("delete_delivered", delete).await?;
        }
        Ok(())
    }

    async fn backlog(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        const SQL: &str = "/* backlog */ SELECT CAST(COUNT(*) AS UNSIGNED), \
            (SELECT recorded_at FROM events WHERE position = (SELECT MIN(position) FROM outbox)) FROM outbox";
        let answer = self.run("backlog", Statement::new(SQL)).await?;
        let count = first("backlog", &answer.rows, 0)?.unwrap_or(0);
        let oldest: Option<i64> = answer.rows.first().map_or(Ok(None), |row| get("backlog", row, 1))?;
        Ok((count, oldest.map(Timestamp::from_epoch_millis)))
    }

    async fn hold_room(&self, held: &HeldRoom) -> Result<(), StoreError> {
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

    async fn held_rooms(&self) -> Result<Vec<HeldRoom>, StoreError> {
        const OPERATION: &str = "held_rooms";
        const SQL: &str =
            "/* held_rooms */ SELECT room, position, reason, held_at FROM held_rooms ORDER BY room";
        let answer = self.run(OPERATION, Statement::new(SQL)).await?;
        answer.rows.iter().map(held_room).collect()
    }
}

impl MySqlStore {
    /// Lets a room go on that was held back. False when it is not.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn release_room(&self, room: RoomId) -> Result<bool, StoreError> {
        const SQL: &str = "/* release_room */ DELETE FROM held_rooms WHERE room = ?";
        let delete = Statement::new(SQL).bind(room.0.as_bytes().as_slice());
        Ok(self.0.sessions.run_once("release_room", delete).await?.affected == 1)
    }

    /// How many events are undelivered in each bucket that has any, those of rooms that are held back too.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn outbox_by_bucket(&self) -> Result<BTreeMap<u32, u64>, StoreError> {
        const OPERATION: &str = "outbox_by_bucket";
        const SQL: &str = "/* outbox_by_bucket */ SELECT CAST(bucket AS UNSIGNED), CAST(COUNT(*) AS UNSIGNED) \
                           FROM outbox GROUP BY bucket";
        let answer = self.run(OPERATION, Statement::new(SQL)).await?;
        answer.rows.iter().map(|row| Ok((get(OPERATION, row, 0)?, get(OPERATION, row, 1)?))).collect()
    }
}

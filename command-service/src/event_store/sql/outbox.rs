//! The outbox and the held rooms.

use std::collections::BTreeMap;

use async_trait::async_trait;
use shared_events::{RoomId, Timestamp};

use super::{Columns, Database, Statement, read, rows::held_room, statements::is_one_of};
use crate::event_store::{Backlog, Buckets, HeldRoom, Outbox, Position, RelayState, Release, StoreError};

/// The longest reason that is kept.
const MAX_REASON: usize = 1000;

#[async_trait]
impl<D: Database> Outbox for D {
    async fn relay_state(&self) -> Result<RelayState, StoreError> {
        self.state().await
    }

    async fn undelivered(&self, buckets: Buckets, limit: u32) -> Result<Vec<Position>, StoreError> {
        let select = Statement::new(D::undelivered(buckets), [limit.into()]);
        read(self, "undelivered", select, |row| row.number(0).map(Position::from)).await
    }

    async fn delete_delivered(&self, positions: &[Position]) -> Result<(), StoreError> {
        for piece in positions.chunks(D::MOST_POSITIONS) {
            let delete = Statement::text(format!("DELETE FROM outbox WHERE {}", is_one_of(piece)));
            self.write("delete_delivered", &delete).await?;
        }
        Ok(())
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        // A read-only server refuses it before it looks for rows.
        self.write("check_writable", &Statement::new("DELETE FROM outbox WHERE FALSE", [])).await.map(drop)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        const SQL: &str = "SELECT COUNT(*), \
            (SELECT recorded_at FROM events WHERE position = (SELECT MIN(position) FROM outbox)) FROM outbox";
        let backlog = read(self, "backlog", Statement::new(SQL, []), |row| {
            let oldest = row.integer(1)?.map(Timestamp::from_epoch_millis);
            Ok(Backlog { events: row.count(0)?, oldest })
        });
        Ok(backlog.await?.pop().unwrap_or_default())
    }

    async fn backlog_by_bucket(&self) -> Result<BTreeMap<u32, u64>, StoreError> {
        const SQL: &str = "SELECT bucket, COUNT(*) FROM outbox GROUP BY bucket";
        let buckets = read(self, "backlog_by_bucket", Statement::new(SQL, []), |row| {
            Ok((row.bucket(0)?, row.count(1)?))
        });
        Ok(buckets.await?.into_iter().collect())
    }

    async fn hold_room(&self, held: &HeldRoom) -> Result<(), StoreError> {
        // The event that was refused first is the one to look at.
        let reason: String = held.reason.chars().take(MAX_REASON).collect();
        let values = [
            (&held.room).into(),
            held.position.into(),
            reason.as_str().into(),
            held.held_at.epoch_millis().into(),
        ];
        self.write("hold_room", &Statement::new(D::HOLD_ROOM, values)).await.map(drop)
    }

    async fn held_rooms(&self) -> Result<Vec<HeldRoom>, StoreError> {
        const SQL: &str = "SELECT room, position, reason, held_at FROM held_rooms ORDER BY room";
        read(self, "held_rooms", Statement::new(SQL, []), held_room).await
    }

    async fn release_room(&self, room: RoomId) -> Result<Release, StoreError> {
        self.release(room).await
    }
}

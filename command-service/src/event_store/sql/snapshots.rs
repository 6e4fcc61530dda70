//! Snapshots of rooms.

use async_trait::async_trait;
use shared_events::RoomId;

use super::{
    Database, Statement, read,
    rows::snapshot,
    statements::{MAX_ROWS, list_length, padded, repeated},
};
use crate::event_store::{Snapshot, Snapshots, StoreError};

#[async_trait]
impl<D: Database> Snapshots for D {
    async fn snapshots(&self, rooms: &[RoomId]) -> Result<Vec<Snapshot>, StoreError> {
        let rooms: Vec<_> = rooms.iter().collect();
        let mut snapshots = Vec::new();
        for piece in rooms.chunks(MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let sql = format!(
                "SELECT stream_id, version, schema_fingerprint, body FROM snapshots WHERE stream_id IN ({list})"
            );
            let select = Statement { sql, values: padded(piece).map(Into::into).collect() };
            snapshots.append(&mut read(self, "snapshots", select, snapshot).await?);
        }
        Ok(snapshots)
    }

    async fn save_snapshot(&self, snapshot: &Snapshot, erasures: u64) -> Result<(), StoreError> {
        let values = [
            (&snapshot.room).into(),
            snapshot.version.into(),
            snapshot.schema.as_str().into(),
            snapshot.body.as_slice().into(),
            erasures.into(),
        ];
        self.write("save_snapshot", &Statement::new(D::SAVE_SNAPSHOT, values)).await.map(drop)
    }
}

//! Snapshots of rooms.

use async_trait::async_trait;
use shared_events::RoomId;

use super::{SqliteStore, signed, store_error};
use crate::event_store::{
    Snapshot, Snapshots, StoreError,
    insert_plan::{MAX_ROWS, list_length, padded, repeated},
    rows::snapshot,
};

#[async_trait]
impl Snapshots for SqliteStore {
    async fn snapshots(&self, rooms: &[RoomId]) -> Result<Vec<Snapshot>, StoreError> {
        const OPERATION: &str = "snapshots";
        let mut snapshots = Vec::new();
        for piece in rooms.chunks(MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let sql = format!(
                "SELECT stream_id, version, schema_fingerprint, body FROM snapshots WHERE stream_id IN ({list})"
            );
            let mut select = sqlx::query(&sql);
            for room in padded(piece) {
                select = select.bind(room.0.as_bytes().to_vec());
            }
            let rows =
                select.fetch_all(&self.0.readers).await.map_err(|error| store_error(OPERATION, error))?;
            for row in &rows {
                snapshots.push(snapshot(row)?);
            }
        }
        Ok(snapshots)
    }

    async fn save_snapshot(&self, snapshot: &Snapshot, erasures: u64) -> Result<(), StoreError> {
        // An older state never replaces a newer one of the same form.
        const SQL: &str = "INSERT INTO snapshots (stream_id, version, schema_fingerprint, body) \
            SELECT ?,?,?,? FROM erasure_list WHERE epoch = ? \
            ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version, \
            schema_fingerprint = excluded.schema_fingerprint, body = excluded.body \
            WHERE excluded.version >= version OR excluded.schema_fingerprint <> schema_fingerprint";
        let upsert = sqlx::query(SQL)
            .bind(snapshot.room.0.as_bytes().as_slice())
            .bind(signed(snapshot.version.get()))
            .bind(&snapshot.schema)
            .bind(snapshot.body.as_slice())
            .bind(signed(erasures));
        let done = upsert.execute(&mut *self.0.writer.lock().await).await;
        done.map(drop).map_err(|error| store_error("save_snapshot", error))
    }
}

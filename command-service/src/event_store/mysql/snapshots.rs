//! Snapshots of rooms.

use async_trait::async_trait;
use shared_events::RoomId;

use super::{MySqlStore, session::Statement};
use crate::event_store::{
    Snapshot, Snapshots, StoreError,
    insert_plan::{MAX_ROWS, list_length, padded, repeated},
    rows::snapshot,
};

#[async_trait]
impl Snapshots for MySqlStore {
    async fn snapshots(&self, rooms: &[RoomId]) -> Result<Vec<Snapshot>, StoreError> {
        let mut snapshots = Vec::new();
        for piece in rooms.chunks(MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let mut select = Statement::new(format!(
                "/* snapshots */ SELECT stream_id, version, schema_fingerprint, body FROM snapshots WHERE stream_id IN ({list})"
            ));
            for room in padded(piece) {
                select = select.bind(room.0.as_bytes().as_slice());
            }
            for row in &self.run("snapshots", select).await?.rows {
                snapshots.push(snapshot(row)?);
            }
        }
        Ok(snapshots)
    }

    async fn save_snapshot(&self, snapshot: &Snapshot, erasures: u64) -> Result<(), StoreError> {
        // An older state never replaces a newer one of the same form. (Columns are assigned from left to right.) The lock
        // lets no list pass that is longer than the one under which the state was made.
        const SQL: &str = "/* save_snapshot */ INSERT INTO snapshots (stream_id, version, schema_fingerprint, body) \
            SELECT * FROM (SELECT ? AS stream_id, ? AS version, ? AS schema_fingerprint, ? AS body FROM erasure_list \
            WHERE id = 1 AND epoch = ? FOR SHARE) AS new ON DUPLICATE KEY UPDATE \
            body = IF(new.version >= snapshots.version OR new.schema_fingerprint <> snapshots.schema_fingerprint, new.body, snapshots.body), \
            version = IF(new.version >= snapshots.version OR new.schema_fingerprint <> snapshots.schema_fingerprint, new.version, snapshots.version), \
            schema_fingerprint = new.schema_fingerprint";
        let upsert = Statement::new(SQL)
            .bind(snapshot.room.0.as_bytes().as_slice())
            .bind(snapshot.version.get())
            .bind(&snapshot.schema)
            .bind(snapshot.body.as_slice())
            .bind(erasures);
        self.run("save_snapshot", upsert).await.map(drop)
    }
}

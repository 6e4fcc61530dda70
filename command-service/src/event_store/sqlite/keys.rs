//! Idempotency records.

use std::time::Duration;

use async_trait::async_trait;

use super::{SqliteStore, store_error};
use crate::event_store::{
    IdempotencyKeys, KeyId, KeyRecord, StoreError,
    insert_plan::{MAX_ROWS, list_length, padded, repeated},
    rows::key_record,
};

#[async_trait]
impl IdempotencyKeys for SqliteStore {
    async fn find_keys(&self, keys: &[KeyId]) -> Result<Vec<KeyRecord>, StoreError> {
        let mut records = Vec::new();
        for piece in keys.chunks(4 * MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let sql = format!(
                "SELECT k.id, k.fingerprint, k.outcome, \
                 e.position, e.stream_id, e.version, e.type, e.payload, e.metadata, e.recorded_at, \
                 o.position, o.stream_id, o.version, o.type, o.payload, o.metadata, o.recorded_at \
                 FROM idempotency_keys k LEFT JOIN events e ON e.position = k.position \
                 LEFT JOIN events o ON o.position = k.other_position WHERE k.id IN ({list})"
            );
            let mut select = sqlx::query(&sql);
            for key in padded(piece) {
                select = select.bind(key.0.to_vec());
            }
            let rows =
                select.fetch_all(&self.0.readers).await.map_err(|error| store_error("find_keys", error))?;
            for row in &rows {
                records.push(key_record(row)?);
            }
        }
        Ok(records)
    }

    async fn sweep_keys(&self, kept: Duration, limit: u32) -> Result<u64, StoreError> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        // Looks at the oldest records only.
        const SQL: &str = "DELETE FROM idempotency_keys WHERE seq IN \
                           (SELECT seq FROM idempotency_keys ORDER BY seq LIMIT ?) \
                           AND made_at < CAST(unixepoch('subsec') * 1000 AS INTEGER) - ?";
        let delete = sqlx::query(SQL).bind(limit).bind(kept);
        let done = delete.execute(&mut *self.0.writer.lock().await).await;
        Ok(done.map_err(|error| store_error("sweep_keys", error))?.rows_affected())
    }
}

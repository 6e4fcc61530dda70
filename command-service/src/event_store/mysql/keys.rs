//! Idempotency records.

use std::time::Duration;

use async_trait::async_trait;

use super::{MySqlStore, session::Statement};
use crate::event_store::{
    IdempotencyKeys, KeyId, KeyRecord, StoreError,
    insert_plan::{MAX_ROWS, list_length, padded, repeated},
    rows::{Columns, key_record},
};

#[async_trait]
impl IdempotencyKeys for MySqlStore {
    async fn find_keys(&self, keys: &[KeyId]) -> Result<Vec<KeyRecord>, StoreError> {
        self.bury_lost_session().await?;
        let mut records = Vec::new();
        for piece in keys.chunks(4 * MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let mut select = Statement::new(format!(
                "/* find_keys */ SELECT k.id, k.fingerprint, k.outcome, \
                 e.position, e.stream_id, e.version, e.type, e.payload, e.metadata, e.recorded_at, \
                 o.position, o.stream_id, o.version, o.type, o.payload, o.metadata, o.recorded_at \
                 FROM idempotency_keys k LEFT JOIN events e ON e.position = k.position \
                 LEFT JOIN events o ON o.position = k.other_position WHERE k.id IN ({list})"
            ));
            for key in padded(piece) {
                select = select.bind(key.0.as_slice().to_vec());
            }
            for row in &self.run("find_keys", select).await?.rows {
                records.push(key_record(row)?);
            }
        }
        Ok(records)
    }

    async fn sweep_keys(&self, kept: Duration, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "/* sweep_keys */ SELECT seq, made_at, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) \
                           FROM idempotency_keys ORDER BY seq LIMIT ?";
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let oldest = self.run("sweep_keys", Statement::new(SQL).bind(limit)).await?;
        let mut old = Vec::new();
        for row in &oldest.rows {
            let (made_at, now) = (row.integer("sweep_keys", 1)?, row.integer("sweep_keys", 2)?);
            if made_at < now.saturating_sub(kept) {
                old.push(row.number("sweep_keys", 0)?);
            }
        }
        let mut deleted = 0;
        for piece in old.chunks(MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let mut delete = Statement::new(format!(
                "/* sweep_keys */ DELETE FROM idempotency_keys WHERE seq IN ({list})"
            ));
            for seq in padded(piece) {
                delete = delete.bind(seq);
            }
            deleted += self.run("sweep_keys", delete).await?.affected;
        }
        Ok(deleted)
    }
}

//! Idempotency records.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    Columns, Database, Statement,
    append::key_table,
    read,
    rows::key_record,
    statements::{MAX_ROWS, list_length, padded, repeated},
};
use crate::event_store::{IdempotencyKeys, KeyId, KeyKind, KeyRecord, StoreError};

#[async_trait]
impl<D: Database> IdempotencyKeys for D {
    async fn find_keys(&self, keys: &[KeyId]) -> Result<Vec<KeyRecord>, StoreError> {
        self.settle_lost_commit().await?;
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
        let mut records = Vec::new();
        for piece in keys.chunks(4 * MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let found_in = |kind| {
                let table = key_table(kind);
                format!(
                    "SELECT id, fingerprint, outcome, position, other_position FROM {table} WHERE id IN ({list})"
                )
            };
            let sql = format!(
                "SELECT k.id, k.fingerprint, k.outcome, \
                 e.position, e.stream_id, e.version, e.type, e.payload, e.metadata, e.recorded_at, \
                 o.position, o.stream_id, o.version, o.type, o.payload, o.metadata, o.recorded_at \
                 FROM ({} UNION ALL {}) k LEFT JOIN events e ON e.position = k.position \
                 LEFT JOIN events o ON o.position = k.other_position",
                found_in(KeyKind::Request),
                found_in(KeyKind::ImportLine),
            );
            let values = padded(piece).chain(padded(piece)).map(Into::into).collect();
            let select = Statement { sql, values };
            records.append(&mut read(self, "find_keys", select, key_record).await?);
        }
        Ok(records)
    }

    async fn sweep_keys(&self, kind: KeyKind, kept: Duration, limit: u32) -> Result<u64, StoreError> {
        let table = key_table(kind);
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        // Only the oldest records are read. A DELETE with a condition on `made_at` would read all of them.
        let sql = format!("SELECT seq, made_at, {} FROM {table} ORDER BY seq LIMIT ?", D::NOW);
        let oldest = read(self, "sweep_keys", Statement::new(sql, [limit.into()]), |row| {
            Ok((row.number(0)?, row.time(1)?.epoch_millis(), row.time(2)?.epoch_millis()))
        });
        let old = |(_, made_at, now): &(u64, i64, i64)| *made_at < now.saturating_sub(kept);
        let old: Vec<u64> = oldest.await?.into_iter().filter(old).map(|(seq, ..)| seq).collect();
        let mut deleted = 0;
        for piece in old.chunks(MAX_ROWS) {
            let list = repeated("?", list_length(piece.len()));
            let sql = format!("DELETE FROM {table} WHERE seq IN ({list})");
            let delete = Statement { sql, values: padded(piece).map(Into::into).collect() };
            deleted += self.write("sweep_keys", &delete).await?;
        }
        Ok(deleted)
    }
}

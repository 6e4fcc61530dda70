//! What benchmarks ask MySQL for.

pub(crate) mod backlog;
pub(crate) mod limit;
pub(crate) mod old_keys;
pub(crate) mod recorded;
pub(crate) mod written;

use std::collections::HashMap;

use anyhow::Result;
use shared_events::RoomId;
use sqlx::{Connection, MySqlConnection};
use uuid::Uuid;

/// The server's version, and its settings of `innodb_flush_log_at_trx_commit` and `sync_binlog`.
pub(crate) async fn version_and_durability(url: &str) -> Result<(String, i64, i64)> {
    let mut connection = MySqlConnection::connect(url).await?;
    Ok(sqlx::query_as(
        "SELECT VERSION(), CAST(@@innodb_flush_log_at_trx_commit AS SIGNED), CAST(@@sync_binlog AS SIGNED)",
    )
    .fetch_one(&mut connection)
    .await?)
}

/// The last version of every room.
pub(crate) async fn heads(database_url: &str) -> Result<HashMap<RoomId, u64>> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let rows: Vec<(Vec<u8>, u64)> =
        sqlx::query_as("SELECT stream_id, MAX(version) FROM events GROUP BY stream_id")
            .fetch_all(&mut connection)
            .await?;
    rows.into_iter().map(|(room, version)| Ok((RoomId(Uuid::from_slice(&room)?), version))).collect()
}

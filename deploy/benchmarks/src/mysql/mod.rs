//! Statements of the benchmarks for MySQL.

pub(crate) mod all_keys;
pub(crate) mod backlog;
pub(crate) mod limit;
pub(crate) mod old_keys;
pub(crate) mod written;

use std::collections::HashMap;

use anyhow::Result;
use futures_util::TryStreamExt;
use shared_events::RoomId;
use sqlx::{Connection, MySqlConnection, Row};
use uuid::Uuid;

/// The server's version, and its `innodb_flush_log_at_trx_commit` and `sync_binlog`.
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
    let heads = system_tests::mysql::heads(database_url).await?;
    Ok(heads.into_iter().map(|(room, version)| (RoomId(room), version)).collect())
}

/// `recorded_at` of all events by room and version, in milliseconds since 1970.
pub(crate) async fn recorded_at(database_url: &str) -> Result<HashMap<(RoomId, u64), i64>> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let mut rows = sqlx::query("SELECT stream_id, version, recorded_at FROM events").fetch(&mut connection);
    let mut times = HashMap::new();
    while let Some(row) = rows.try_next().await? {
        let room = RoomId(Uuid::from_slice(&row.try_get::<Vec<u8>, _>(0)?)?);
        times.insert((room, row.try_get(1)?), row.try_get(2)?);
    }
    Ok(times)
}

//! What benchmarks ask MySQL for.

pub(crate) mod backlog;
pub(crate) mod limit;
pub(crate) mod recorded;
pub(crate) mod written;

use anyhow::Result;
use sqlx::{Connection, MySqlConnection};

/// The server's version, and its settings of `innodb_flush_log_at_trx_commit` and `sync_binlog`.
///
/// # Errors
/// When it can't be reached.
pub(crate) async fn version_and_durability(url: &str) -> Result<(String, i64, i64)> {
    let mut connection = MySqlConnection::connect(url).await?;
    Ok(sqlx::query_as(
        "SELECT VERSION(), CAST(@@innodb_flush_log_at_trx_commit AS SIGNED), CAST(@@sync_binlog AS SIGNED)",
    )
    .fetch_one(&mut connection)
    .await?)
}

//! Idempotency records that are old enough for the sweep.

use anyhow::{Result, ensure};
use sqlx::{Connection, Executor, MySqlConnection};

/// The first number of new records. Old ones get lower numbers.
const FIRST_NEW: u64 = 1_000_000_000;
/// Records in one statement.
const ROWS: u64 = 10_000;

/// Numbers all present and future records after those of [`insert`].
pub(crate) async fn make_room(database_url: &str) -> Result<()> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    connection.execute(format!("UPDATE idempotency_keys SET seq = seq + {FIRST_NEW}").as_str()).await?;
    connection
        .execute(format!("ALTER TABLE idempotency_keys AUTO_INCREMENT = {}", 2 * FIRST_NEW).as_str())
        .await?;
    Ok(())
}

/// Inserts records of 1970.
pub(crate) async fn insert(database_url: &str, records: u64) -> Result<()> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    for first in (1..=records).step_by(usize::try_from(ROWS)?) {
        let last = (first + ROWS - 1).min(records);
        let inserted = sqlx::query(
            "INSERT INTO idempotency_keys (seq, id, fingerprint, made_at) \
             WITH RECURSIVE n (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM n WHERE n < ?) \
             SELECT /*+ SET_VAR(cte_max_recursion_depth = 1000000) */ n, UNHEX(LEFT(SHA2(n, 256), 32)), UNHEX(LEFT(SHA2(n, 256), 32)), 0 FROM n",
        )
        .bind(first)
        .bind(last)
        .execute(&mut connection)
        .await?;
        ensure!(inserted.rows_affected() == last + 1 - first, "old records were not inserted");
    }
    Ok(())
}

/// The number of old records that are left.
pub(crate) async fn left(database_url: &str) -> Result<i64> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let left = sqlx::query_scalar("SELECT COUNT(*) FROM idempotency_keys WHERE seq < ?").bind(FIRST_NEW);
    Ok(left.fetch_one(&mut connection).await?)
}

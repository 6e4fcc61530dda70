//! A table of idempotency keys that does not fit into memory.

use std::fmt::Write as _;

use anyhow::Result;
use sqlx::{Connection, Executor, MySqlConnection};

use crate::figures::number;

/// Rows in one statement that fills the table.
const ROWS: u64 = 2000;
/// Bytes of a row with its entry in the unique index, at least.
const ROW_BYTES: f64 = 110.0;

const ONE_INDEX: &str = "ALTER TABLE idempotency_keys DROP PRIMARY KEY, DROP COLUMN seq, \
    DROP INDEX idempotency_keys_id, ADD PRIMARY KEY (id)";

/// The indexes of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Indexes {
    /// By the hash of the key.
    One,
    /// By the order of insertion, and a unique one by the hash.
    Two,
}

/// Makes the tables of an event store, and fills that of the keys, in their order, to a multiple of MySQL's buffer pool.
/// Returns the bytes of the pool.
pub(crate) async fn fill(database_url: &str, indexes: Indexes, multiple: f64) -> Result<u64> {
    command_service::operate::migrate(database_url.to_owned()).await?;
    let mut connection = MySqlConnection::connect(database_url).await?;
    if indexes == Indexes::One {
        connection.execute(ONE_INDEX).await?;
    }
    let (pool,): (u64,) = sqlx::query_as("SELECT CAST(@@innodb_buffer_pool_size AS UNSIGNED)")
        .fetch_one(&mut connection)
        .await?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows")]
    let rows = (number(pool) * multiple / ROW_BYTES) as u64;
    let step = u128::MAX / u128::from(rows.max(1));
    let mut row = 0;
    while row < rows {
        let mut sql = "INSERT INTO idempotency_keys (id, fingerprint, position, made_at) VALUES ".to_owned();
        for number in row..rows.min(row + ROWS) {
            let comma = if number == row { "" } else { "," };
            let id = step * u128::from(number);
            write!(sql, "{comma}(0x{id:032x},0x{id:032x},{number},1790000000000)")?;
        }
        connection.execute(sql.as_str()).await?;
        row += ROWS;
    }
    connection.close().await?;
    Ok(pool)
}

//! Inserts events in bulk, and fills the outbox with them again and again.

use anyhow::Result;
use shared_events::RawEvent;
use sqlx::{Connection, Executor, MySql, MySqlConnection, QueryBuilder};

/// Rows in one statement.
const ROWS: usize = 1000;

pub(crate) async fn insert(
    database_url: &str,
    mut events: impl Iterator<Item = Result<RawEvent>>,
) -> Result<()> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    loop {
        let rows = events.by_ref().take(ROWS).collect::<Result<Vec<_>>>()?;
        if rows.is_empty() {
            break;
        }
        let metadata: Vec<Vec<u8>> =
            rows.iter().map(|event| serde_json::to_vec(&event.metadata)).collect::<Result<_, _>>()?;
        let mut insert = QueryBuilder::<MySql>::new(
            "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) ",
        );
        insert.push_values(rows.iter().zip(&metadata), |mut row, (event, metadata)| {
            row.push_bind(event.room.0.as_bytes().as_slice())
                .push_bind(event.version.get())
                .push_bind(event.event_type.as_ref())
                .push_bind(event.payload.as_slice())
                .push_bind(metadata.as_slice())
                .push_bind(event.recorded_at.epoch_millis());
        });
        insert.build().execute(&mut connection).await?;
    }
    connection.execute("ANALYZE TABLE events").await?;
    Ok(())
}

/// Frees all leases of the relay.
pub(crate) async fn free_leases(database_url: &str) -> Result<()> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    connection.execute("DELETE FROM leases").await?;
    Ok(())
}

/// Fills the outbox with exactly the first events, and frees all leases of the relay.
pub(crate) async fn refill(database_url: &str, first: u64) -> Result<()> {
    free_leases(database_url).await?;
    let mut connection = MySqlConnection::connect(database_url).await?;
    connection.execute("TRUNCATE outbox").await?;
    sqlx::query("INSERT INTO outbox SELECT position, position % 64 FROM events ORDER BY position LIMIT ?")
        .bind(first)
        .execute(&mut connection)
        .await?;
    connection.execute("ANALYZE TABLE outbox").await?;
    Ok(())
}

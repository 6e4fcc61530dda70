//! Databases of tests, and the rows of an event store.

use sqlx::{Connection, Executor, MySqlConnection, Row, mysql::MySqlRow};
use uuid::Uuid;

/// Creates a database.
pub async fn create_database(server: &str, name: &str) -> sqlx::Result<()> {
    run(server, &format!("CREATE DATABASE `{name}`")).await
}

/// Drops a database.
pub async fn drop_database(server: &str, name: &str) -> sqlx::Result<()> {
    run(server, &format!("DROP DATABASE IF EXISTS `{name}`")).await
}

/// The columns of all tables that hold a text, as `table.column`.
pub async fn columns_that_hold(database_url: &str, sought: &str) -> sqlx::Result<Vec<String>> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let columns = "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR) FROM information_schema.columns \
                   WHERE table_schema = DATABASE() ORDER BY 1, 2";
    let columns: Vec<(String, String)> = sqlx::query_as(columns).fetch_all(&mut connection).await?;
    let mut found = Vec::new();
    for (table, column) in columns {
        let sql = format!(
            "SELECT 1 FROM `{table}` WHERE LOCATE(CAST(? AS BINARY), CAST(`{column}` AS BINARY)) LIMIT 1"
        );
        if sqlx::query(&sql).bind(sought).fetch_optional(&mut connection).await?.is_some() {
            found.push(format!("{table}.{column}"));
        }
    }
    Ok(found)
}

/// The number of rows of a table.
pub async fn rows(database_url: &str, table: &str) -> sqlx::Result<i64> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    sqlx::query_scalar(&format!("SELECT COUNT(*) FROM `{table}`")).fetch_one(&mut connection).await
}

/// Runs statements.
pub async fn run(server: &str, statement: &str) -> sqlx::Result<()> {
    let mut connection = MySqlConnection::connect(server).await?;
    sqlx::raw_sql(statement).execute(&mut connection).await.map(drop)
}

/// Ends all sessions of a user.
pub async fn end_sessions(server: &str, user: &str) -> sqlx::Result<()> {
    let mut connection = MySqlConnection::connect(server).await?;
    let of_user = "SELECT id FROM performance_schema.processlist WHERE user = ?";
    let ids: Vec<u64> = sqlx::query_scalar(of_user).bind(user).fetch_all(&mut connection).await?;
    for id in ids {
        // It may have ended by itself.
        drop(connection.execute(format!("KILL {id}").as_str()).await);
    }
    Ok(())
}

/// Deletes the last event of a room, as if the database were restored from an older backup.
pub async fn forget_last_event(database_url: &str, room: &str) -> sqlx::Result<()> {
    let room = room.replace('-', "");
    let last = format!("DELETE FROM events WHERE stream_id = UNHEX('{room}') ORDER BY version DESC LIMIT 1");
    run(database_url, &last).await
}

/// Inserts all events of another database of the server in one transaction, in the order of their positions.
pub async fn copy_events(database_url: &str, from: &str) -> sqlx::Result<()> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let columns = "SELECT CAST(column_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() \
                   AND table_name = 'events' AND generation_expression = '' ORDER BY ordinal_position";
    let columns: Vec<String> = sqlx::query_scalar(columns).fetch_all(&mut connection).await?;
    let columns = columns.join(", ");
    let copy =
        format!("INSERT INTO events ({columns}) SELECT {columns} FROM `{from}`.events ORDER BY position");
    connection.execute(copy.as_str()).await?;
    connection.close().await
}

/// A row of the event store.
#[derive(Debug, Clone)]
pub(crate) struct EventRow {
    pub(crate) room: Uuid,
    pub(crate) version: u64,
    pub(crate) event_type: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) metadata: Vec<u8>,
}

/// All events, ordered by room and version.
pub(crate) async fn events(database: &str) -> sqlx::Result<Vec<EventRow>> {
    let mut connection = MySqlConnection::connect(database).await?;
    let rows = sqlx::query(
        "SELECT stream_id, version, type, payload, metadata FROM events ORDER BY stream_id, version",
    )
    .fetch_all(&mut connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(EventRow {
                room: room(row)?,
                version: row.try_get(1)?,
                event_type: text(row, 2)?,
                payload: row.try_get(3)?,
                metadata: row.try_get(4)?,
            })
        })
        .collect()
}

/// The last version of every room.
pub async fn heads(database: &str) -> sqlx::Result<Vec<(Uuid, u64)>> {
    let mut connection = MySqlConnection::connect(database).await?;
    let rows = sqlx::query("SELECT stream_id, MAX(version) FROM events GROUP BY stream_id")
        .fetch_all(&mut connection)
        .await?;
    rows.iter().map(|row| Ok((room(row)?, row.try_get(1)?))).collect()
}

/// Text with a binary collation, which the driver returns as bytes.
fn text(row: &MySqlRow, column: usize) -> sqlx::Result<String> {
    String::from_utf8(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn room(row: &MySqlRow) -> sqlx::Result<Uuid> {
    let room: Vec<u8> = row.try_get(0)?;
    Uuid::from_slice(&room).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Wants the other source of the relay.
pub(crate) async fn switch_source(database: &str) -> sqlx::Result<()> {
    let mut connection = MySqlConnection::connect(database).await?;
    let other = "UPDATE relay_mode SET wanted = IF(wanted = 'log', 'table', 'log')";
    connection.execute(other).await?;
    connection.execute("UPDATE relay_place SET problem = ''").await?;
    connection.close().await
}

/// Deletes all binary logs but a new one.
pub(crate) async fn purge_log(database: &str) -> sqlx::Result<()> {
    let mut connection = MySqlConnection::connect(database).await?;
    connection.execute("FLUSH BINARY LOGS").await?;
    let logs = connection.fetch_all("SHOW BINARY LOGS").await?;
    if let Some(last) = logs.last() {
        let purge = format!("PURGE BINARY LOGS TO '{}'", last.try_get_unchecked::<String, _>(0)?);
        connection.execute(purge.as_str()).await?;
    }
    connection.close().await
}

/// The holder of most leases.
pub(crate) async fn lease_holder(database: &str) -> sqlx::Result<Option<String>> {
    let mut connection = MySqlConnection::connect(database).await?;
    let row = sqlx::query(
        "SELECT holder FROM leases WHERE holder <> '' GROUP BY holder ORDER BY COUNT(*) DESC LIMIT 1",
    )
    .fetch_optional(&mut connection)
    .await?;
    row.map(|row| text(&row, 0)).transpose()
}

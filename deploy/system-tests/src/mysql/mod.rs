//! A database of one's own.

use sqlx::{Connection, MySqlConnection};

/// Makes a database.
///
/// # Errors
/// When the server can't be reached or refuses.
pub async fn create_database(server: &str, name: &str) -> sqlx::Result<()> {
    run(server, &format!("CREATE DATABASE `{name}`")).await
}

/// Removes a database with all that is in it.
///
/// # Errors
/// When the server can't be reached or refuses.
pub async fn drop_database(server: &str, name: &str) -> sqlx::Result<()> {
    run(server, &format!("DROP DATABASE IF EXISTS `{name}`")).await
}

/// How many rows a table has.
///
/// # Errors
/// When the server can't be reached or refuses.
pub async fn rows(database_url: &str, table: &str) -> sqlx::Result<i64> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let rows =
        sqlx::query_scalar(&format!("SELECT COUNT(*) FROM `{table}`")).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(rows)
}

async fn run(server: &str, statement: &str) -> sqlx::Result<()> {
    let mut connection = MySqlConnection::connect(server).await?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await
}

/// Takes the last event of a room away, as a copy of the database would lack it that was made before.
///
/// # Errors
/// When the server can't be reached or refuses.
pub async fn forget_last_event(database_url: &str, room: &str) -> sqlx::Result<()> {
    let room = room.replace('-', "");
    let last = format!("DELETE FROM events WHERE stream_id = UNHEX('{room}') ORDER BY version DESC LIMIT 1");
    run(database_url, &last).await
}

//! Creates the database and brings its tables up to date.

use std::time::Duration;

use sqlx::{
    Connection, Executor, MySqlConnection,
    migrate::{Migrate, MigrateError},
    mysql::{MySqlConnectOptions, MySqlDatabaseError},
};

use super::session::{cannot_connect, connect};
use crate::event_store::StoreError;

const OPERATION: &str = "migrate";
/// How often a statement that waits for an open transaction is tried.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn migrate(options: &MySqlConnectOptions) -> Result<(), StoreError> {
    let mut connection = match connect(options).await {
        Err(error) if number(&error) == Some(1049) => {
            create_database(options).await?;
            connect(options).await
        }
        result => result,
    }
    .map_err(|error| cannot_connect(OPERATION, error))?;
    // Only one instance gets past here; the lock ends with the session.
    connection.lock().await.map_err(failed)?;
    let result = migrate_alone(&mut connection).await;
    drop(connection.close().await);
    result
}

async fn create_database(options: &MySqlConnectOptions) -> Result<(), StoreError> {
    let name = options.get_database().unwrap_or_default().replace('`', "``");
    let mut connection =
        connect(&options.clone().database("")).await.map_err(|error| cannot_connect(OPERATION, error))?;
    let sql =
        format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin");
    connection.execute(sql.as_str()).await.map_err(|error| failed(error.into()))?;
    drop(connection.close().await);
    Ok(())
}

async fn migrate_alone(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    // DDL that waits for an open transaction holds up every insert behind it: it waits briefly, and tries again later.
    // Migrations may take longer than the server lets sessions be idle otherwise.
    let settings = "SET SESSION lock_wait_timeout = 1, wait_timeout = 600";
    connection.execute(settings).await.map_err(|error| failed(error.into()))?;
    let mut migrations = sqlx::migrate!("migrations/mysql");
    migrations.set_locking(false);
    let mut attempt = 0;
    loop {
        attempt += 1;
        connection.ensure_migrations_table().await.map_err(failed)?;
        // A migration that was interrupted is run again from its start: all of them are written for that.
        let forget = "DELETE FROM _sqlx_migrations WHERE NOT success";
        connection.execute(forget).await.map_err(|error| failed(error.into()))?;
        match migrations.run_direct(connection).await {
            Ok(()) => return Ok(()),
            Err(error) if attempt < ATTEMPTS && waited_for_lock(&error) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(failed(error)),
        }
        // What the failed attempt left open.
        connection.execute("ROLLBACK").await.map_err(|error| failed(error.into()))?;
    }
}

fn waited_for_lock(error: &MigrateError) -> bool {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            number(error) == Some(1205)
        }
        _ => false,
    }
}

fn number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => super::errors::store_error(OPERATION, error),
        other => StoreError::Failed { operation: OPERATION, source: Box::new(other) },
    }
}

//! Creates the database and brings its tables up to date.

use std::time::Duration;

use sqlx::{
    Connection, Executor, MySqlConnection,
    migrate::{Migrate, MigrateError, Migrator},
    mysql::{MySqlConnectOptions, MySqlDatabaseError},
};

use super::{
    relay_mode::raise_writer_form,
    session::{cannot_connect, connect},
};
use crate::event_store::{StoreError, sql::migrator};

const OPERATION: &str = "migrate";
/// The scripts that make the tables, in order.
const MIGRATIONS: [(&str, &str); 2] = [
    ("event store", include_str!("../../../migrations/mysql/1_event_store.sql")),
    ("names that look alike", include_str!("../../../migrations/mysql/2_names_that_look_alike.sql")),
];
/// Most attempts at a migration that an open transaction blocks.
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
    let migrations = migrator(&MIGRATIONS);
    if is_current(&mut connection, &migrations).await {
        drop(connection.close().await);
        return Ok(());
    }
    // Only one instance gets past here; the lock ends with the session.
    connection.lock().await.map_err(failed)?;
    let result = match migrate_alone(&mut connection, migrations).await {
        // No earlier build writes to a new store, so it begins with the form of this one.
        Ok(Store::New) => {
            let raised = connection.execute(raise_writer_form().as_str()).await;
            raised.map(drop).map_err(|error| failed(error.into()))
        }
        Ok(Store::Old) => Ok(()),
        Err(error) => Err(error),
    };
    drop(connection.close().await);
    result
}

/// Whether a store had tables before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Store {
    New,
    Old,
}

/// Whether all migrations are applied. Then nothing is left that needs a right to change tables. A list that can't be read
/// counts as not applied: the migration tells why.
async fn is_current(connection: &mut MySqlConnection, migrations: &Migrator) -> bool {
    if !matches!(connection.dirty_version().await, Ok(None)) {
        return false;
    }
    let Ok(applied) = connection.list_applied_migrations().await else { return false };
    migrations.iter().all(|migration| {
        applied.iter().any(|it| it.version == migration.version && it.checksum == migration.checksum)
    })
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

async fn migrate_alone(
    connection: &mut MySqlConnection,
    mut migrations: Migrator,
) -> Result<Store, StoreError> {
    // DDL that waits for an open transaction blocks every insert behind it. So it waits briefly and tries again later.
    // The longer idle limit lets a migration take its time.
    let settings = "SET SESSION lock_wait_timeout = 1, wait_timeout = 600";
    connection.execute(settings).await.map_err(|error| failed(error.into()))?;
    migrations.set_locking(false);
    connection.ensure_migrations_table().await.map_err(failed)?;
    let applied = connection.list_applied_migrations().await.map_err(failed)?;
    let store = if applied.is_empty() { Store::New } else { Store::Old };
    let mut attempt = 0;
    loop {
        attempt += 1;
        connection.ensure_migrations_table().await.map_err(failed)?;
        // An interrupted migration runs again from its start. All migrations allow that.
        let forget = "DELETE FROM _sqlx_migrations WHERE NOT success";
        connection.execute(forget).await.map_err(|error| failed(error.into()))?;
        match migrations.run_direct(connection).await {
            Ok(()) => return Ok(store),
            Err(error) if attempt < ATTEMPTS && waited_for_lock(&error) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(failed(error)),
        }
        // The failed attempt may have left a transaction open.
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

pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => super::errors::store_error(OPERATION, error),
        other => StoreError::Failed { operation: OPERATION, source: Box::new(other) },
    }
}

#[cfg(test)]
mod tests {
    use service_kit::ids;
    use tokio::time::timeout;

    use super::*;

    /// Longer than an insert is blocked on a busy machine. The transaction that blocks the migration lasts longer.
    const LIMIT: Duration = Duration::from_secs(20);
    const FIRST: (&str, &str) =
        ("things", "CREATE TABLE IF NOT EXISTS things (id INT PRIMARY KEY AUTO_INCREMENT)");
    const SECOND: (&str, &str) = ("more", "ALTER TABLE things ADD COLUMN more INT");

    async fn insert(connection: &mut MySqlConnection) {
        timeout(LIMIT, connection.execute("INSERT INTO things VALUES ()")).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_later_migration_behind_an_open_transaction_blocks_inserts_for_moments_only_and_is_made_after_it()
     {
        let server = std::env::var("MYSQL_URL").expect("MYSQL_URL names a MySQL server");
        let name = format!("test_{}", ids::new_id().simple());
        let options: MySqlConnectOptions =
            format!("{}/{name}", server.trim_end_matches('/')).parse().unwrap();
        create_database(&options).await.unwrap();
        let mut writer = connect(&options).await.unwrap();
        migrate_alone(&mut writer, migrator(&[FIRST])).await.unwrap();
        let mut open = connect(&options).await.unwrap();
        open.execute("START TRANSACTION").await.unwrap();
        open.execute("SELECT * FROM things").await.unwrap();

        let mut own = connect(&options).await.unwrap();
        let migrating =
            tokio::spawn(async move { migrate_alone(&mut own, migrator(&[FIRST, SECOND])).await });
        let waits = "SELECT 1 FROM performance_schema.metadata_locks \
                     WHERE object_schema = DATABASE() AND lock_status = 'PENDING'";
        for _ in 0..3 {
            // The insert comes while the migration waits for its lock.
            let waiting = async { while open.fetch_optional(waits).await.unwrap().is_none() {} };
            timeout(LIMIT, waiting).await.unwrap();
            insert(&mut writer).await;
        }
        assert!(!migrating.is_finished(), "nothing blocked the migration");
        open.execute("COMMIT").await.unwrap();
        migrating.await.unwrap().unwrap();
        writer.execute("SELECT more FROM things").await.unwrap();
        writer.execute(format!("DROP DATABASE {name}").as_str()).await.unwrap();
    }
}

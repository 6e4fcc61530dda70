//! The event store in one SQLite file, for the embedded default: the same guarantees within one process.

mod append;
mod database;

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Mutex;

use super::{
    FailPoints, StoreError,
    sql::{fill_name_keys, migrator},
};

/// The scripts that make the tables, in order.
const MIGRATIONS: [(&str, &str); 2] = [
    ("event store", include_str!("../../../migrations/sqlite/1_event_store.sql")),
    ("names that look alike", include_str!("../../../migrations/sqlite/2_names_that_look_alike.sql")),
];
/// Connections for reads. Each is a thread.
const READERS: u32 = 4;

/// The event store in one SQLite file. Cheap to clone.
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    /// The only connection that writes.
    writer: Mutex<SqliteConnection>,
    readers: SqlitePool,
    fail_points: Arc<FailPoints>,
}

impl SqliteStore {
    /// Opens the file, creates it if it is missing, and migrates its tables. `fail_points` are for tests.
    ///
    /// # Errors
    /// If the file can't be opened or is no event store.
    pub async fn open(file: &Path, fail_points: Option<Arc<FailPoints>>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answered command is on disk.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(256)
            // Statements hold personal data.
            .disable_statement_logging();
        let mut writer = options.connect().await.map_err(|error| store_error("open", error))?;
        migrator(&MIGRATIONS)
            .run_direct(&mut writer)
            .await
            .map_err(|source| StoreError::Failed { operation: "migrate", source: Box::new(source) })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        let store = Self(Arc::new(Inner {
            writer: Mutex::new(writer),
            readers,
            fail_points: fail_points.unwrap_or_default(),
        }));
        fill_name_keys(&store).await?;
        Ok(store)
    }

    /// Closes the file. Clones can't read any more.
    pub async fn close(&self) {
        self.0.readers.close().await;
        // Moves the log into the file. Otherwise the next start does it.
        drop(sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *self.0.writer.lock().await).await);
        drop(self.0.writer.lock().await.flush().await);
    }
}

/// SQLite's result code without its extension.
fn code(error: &sqlx::Error) -> Option<u8> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    u8::try_from(code & 0xff).ok()
}

/// Whether trying again may help: busy, locked, no memory, an I/O error, full, can't open.
fn is_transient(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(5 | 6 | 7 | 10 | 13 | 14)) || matches!(error, sqlx::Error::PoolTimedOut)
}

fn store_error(operation: &'static str, error: sqlx::Error) -> StoreError {
    let transient = is_transient(&error);
    let source = Box::new(error);
    if transient {
        StoreError::Unavailable { operation, source }
    } else {
        StoreError::Failed { operation, source }
    }
}

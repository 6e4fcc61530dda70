//! A store for one test: a MySQL database, or a SQLite file.

use std::{path::PathBuf, sync::Arc};

use command_service::event_store::{EventStore, FailPoints, bucket, mysql::MySqlStore, sqlite::SqliteStore};
use shared_events::{RawEvent, RoomId};
use sqlx::{Connection, Executor, MySqlConnection};

use crate::servers::Database;

/// Runs each of these tests on both stores.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod mysql {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::test_store::Rig::new(crate::test_store::TestStore::mysql().await).await).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::test_store::Rig::new(crate::test_store::TestStore::sqlite()).await).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// The place of a store. It goes with this value.
pub(crate) enum TestStore {
    MySql(Database),
    Sqlite(tempfile::TempDir),
}

/// An open store with fail points.
pub(crate) struct Rig {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) fail_points: Arc<FailPoints>,
    _place: TestStore,
}

impl Rig {
    pub(crate) async fn new(place: TestStore) -> Self {
        let fail_points = Arc::new(FailPoints::default());
        let store = place.open(Some(Arc::clone(&fail_points))).await;
        Self { store, fail_points, _place: place }
    }
}

/// A transaction that has inserted an event and not committed it.
pub(crate) struct OpenTransaction(MySqlConnection);

impl OpenTransaction {
    pub(crate) async fn commit(mut self) {
        self.0.execute("COMMIT").await.unwrap();
    }
}

impl TestStore {
    pub(crate) async fn both() -> [Self; 2] {
        [Self::mysql().await, Self::sqlite()]
    }

    pub(crate) async fn mysql() -> Self {
        Self::MySql(Database::new().await)
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn database(&self) -> &Database {
        match self {
            Self::MySql(database) => database,
            Self::Sqlite(_) => panic!("a test of MySQL"),
        }
    }

    pub(crate) fn into_database(self) -> Database {
        match self {
            Self::MySql(database) => database,
            Self::Sqlite(_) => panic!("a test of MySQL"),
        }
    }

    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::MySql(_) => None,
            Self::Sqlite(folder) => Some(folder.path().join("events.sqlite")),
        }
    }

    /// Opens the store as another process would.
    pub(crate) async fn open(&self, faults: Option<Arc<FailPoints>>) -> Arc<dyn EventStore> {
        match self.file() {
            None => Arc::new(MySqlStore::open(self.database().url.as_str(), 4, None, faults).unwrap()),
            Some(file) => Arc::new(SqliteStore::open(&file, faults).await.unwrap()),
        }
    }

    pub(crate) async fn insert_without_commit(&self, event: &RawEvent) -> OpenTransaction {
        let mut connection = self.database().connect().await;
        connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        let position = insert_event(&mut connection, event).await;
        sqlx::query("INSERT INTO outbox (position, bucket) VALUES (?,?)")
            .bind(position)
            .bind(bucket(event.room))
            .execute(&mut connection)
            .await
            .unwrap();
        OpenTransaction(connection)
    }

    pub(crate) async fn break_metadata(&self, room: RoomId, version: u64) {
        let broken = sqlx::query("UPDATE events SET metadata = '{' WHERE stream_id = ? AND version = ?")
            .bind(&room.0.as_bytes()[..])
            .bind(version)
            .execute(&mut self.database().connect().await)
            .await
            .unwrap();
        assert_eq!(broken.rows_affected(), 1);
    }

    /// Makes the idempotency records older.
    pub(crate) async fn age_keys(&self, by: chrono::TimeDelta) {
        let mut connection = self.database().connect().await;
        let older = format!("UPDATE idempotency_keys SET made_at = made_at - {}", by.num_milliseconds());
        connection.execute(older.as_str()).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The number of rows of a table.
    pub(crate) async fn rows(&self, table: &str) -> usize {
        let mut connection = self.database().connect().await;
        let count = format!("SELECT COUNT(*) FROM {table}");
        let count: i64 = sqlx::query_scalar(&count).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        usize::try_from(count).unwrap()
    }
}

/// Inserts an event into MySQL, without an outbox row. Returns its position.
pub(crate) async fn insert_event(connection: &mut MySqlConnection, event: &RawEvent) -> u64 {
    let inserted = sqlx::query(
        "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES (?,?,?,?,?,?)",
    )
    .bind(&event.room.0.as_bytes()[..])
    .bind(event.version.get())
    .bind(event.event_type.as_ref())
    .bind(&event.payload)
    .bind(serde_json::to_vec(&event.metadata).unwrap())
    .bind(event.recorded_at.epoch_millis())
    .execute(connection)
    .await
    .unwrap();
    inserted.last_insert_id()
}

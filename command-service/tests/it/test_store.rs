//! A store for one test: a MySQL database of its own, or a SQLite file of its own.

use std::sync::Arc;

use command_service::event_store::{
    EventStore, bucket, fail_points::FailPoints, mysql::MySqlStore, sqlite::SqliteStore,
};
use service_kit::ids;
use shared_events::{RawEvent, RoomId};
use sqlx::{Connection, Executor, MySqlConnection};

pub(crate) enum TestStore {
    MySql { server: String, database: String },
    Sqlite { folder: tempfile::TempDir },
}

/// A transaction that has inserted an event and not committed it.
pub(crate) struct OpenTransaction(MySqlConnection);

impl OpenTransaction {
    pub(crate) async fn commit(mut self) {
        self.0.execute("COMMIT").await.unwrap();
    }
}

impl TestStore {
    pub(crate) async fn both() -> Vec<Self> {
        vec![Self::mysql().await, Self::Sqlite { folder: tempfile::tempdir().unwrap() }]
    }

    pub(crate) async fn mysql() -> Self {
        let server =
            std::env::var("MYSQL_URL").expect("MYSQL_URL names the server").trim_end_matches('/').to_owned();
        let store = Self::MySql { server, database: format!("test_{}", ids::new_id().simple()) };
        store.mysql_store().migrate().await.unwrap();
        store
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::MySql { server, database } => format!("{server}/{database}"),
            Self::Sqlite { .. } => panic!("a file has no URL"),
        }
    }

    pub(crate) fn mysql_store(&self) -> MySqlStore {
        MySqlStore::open(&self.url(), 4, None).unwrap()
    }

    /// Opens it as another process would.
    pub(crate) async fn open(&self, faults: Option<Arc<FailPoints>>) -> Arc<dyn EventStore> {
        match self {
            Self::MySql { .. } => Arc::new(MySqlStore::open(&self.url(), 4, faults).unwrap()),
            Self::Sqlite { folder } => {
                Arc::new(SqliteStore::open(&folder.path().join("events.sqlite"), faults).await.unwrap())
            }
        }
    }

    pub(crate) async fn insert_without_commit(&self, event: &RawEvent) -> OpenTransaction {
        let mut connection = MySqlConnection::connect(&self.url()).await.unwrap();
        connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        let inserted = sqlx::query(
            "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES (?,?,?,?,?,?)",
        )
        .bind(&event.room.0.as_bytes()[..])
        .bind(event.version.get())
        .bind(event.event_type.as_ref())
        .bind(&event.payload)
        .bind(serde_json::to_vec(&event.metadata).unwrap())
        .bind(event.recorded_at.epoch_millis())
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::query("INSERT INTO outbox (position, bucket) VALUES (?,?)")
            .bind(inserted.last_insert_id())
            .bind(bucket(event.room))
            .execute(&mut connection)
            .await
            .unwrap();
        OpenTransaction(connection)
    }

    pub(crate) async fn break_metadata(&self, room: RoomId, version: u64) {
        let mut connection = MySqlConnection::connect(&self.url()).await.unwrap();
        let broken = sqlx::query("UPDATE events SET metadata = '{' WHERE stream_id = ? AND version = ?")
            .bind(&room.0.as_bytes()[..])
            .bind(version)
            .execute(&mut connection)
            .await
            .unwrap();
        assert_eq!(broken.rows_affected(), 1);
    }

    /// Lets MySQL's idempotency records be older.
    pub(crate) async fn age_keys(&self, by: chrono::TimeDelta) {
        let mut connection = MySqlConnection::connect(&self.url()).await.unwrap();
        let older = format!("UPDATE idempotency_keys SET made_at = made_at - {}", by.num_milliseconds());
        connection.execute(older.as_str()).await.unwrap();
        connection.close().await.unwrap();
    }

    /// How many rows a table of MySQL has.
    pub(crate) async fn rows(&self, table: &str) -> usize {
        let mut connection = MySqlConnection::connect(&self.url()).await.unwrap();
        let count = format!("SELECT COUNT(*) FROM {table}");
        let count: i64 = sqlx::query_scalar(&count).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        usize::try_from(count).unwrap()
    }

    pub(crate) async fn remove(self) {
        if let Self::MySql { server, database } = &self {
            let mut connection = MySqlConnection::connect(server).await.unwrap();
            connection.execute(format!("DROP DATABASE {database}").as_str()).await.unwrap();
        }
    }
}

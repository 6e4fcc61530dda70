//! SQLite's statements and rows, where they differ from MySQL's.

use std::borrow::Cow;

use futures_util::TryStreamExt;
use shared_events::RoomId;
use sqlx::{
    Decode, Either, Executor, Row, Sqlite, SqliteConnection, Type,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tokio::sync::MutexGuard;

use super::{SqliteStore, code, store_error};
use crate::event_store::{
    Buckets, Phase, RelayState, Release, StoreError, WriterForm,
    sql::{Columns, Database, Done, RowError, Statement, Transaction, Value, repeated},
};

impl Database for SqliteStore {
    type Row = SqliteRow;
    type Transaction<'a> = SqliteTransaction<'a>;

    /// A condition may not be deeper than a thousand terms.
    const MOST_POSITIONS: usize = 1024;
    const NOW: &'static str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
    const STATE: &'static str = "erasure_list";
    const ROW_LIST: &'static str = "VALUES ";
    // From each stream to the next one by the index.
    const ALL_HEADS: &'static str = "WITH RECURSIVE streams (id) AS (\
          SELECT MIN(stream_id) FROM events WHERE stream_id > ?1 \
          UNION ALL SELECT (SELECT MIN(stream_id) FROM events WHERE stream_id > id) FROM streams WHERE id IS NOT NULL LIMIT ?2) \
        SELECT id, (SELECT MAX(version) FROM events WHERE stream_id = id) FROM streams WHERE id IS NOT NULL";
    const INSERT_NEW: &'static str = "INSERT OR IGNORE";
    const UPDATE_IF_UNIQUE: &'static str = "UPDATE OR IGNORE";
    const HOLD_ROOM: &'static str =
        "INSERT OR IGNORE INTO held_rooms (room, position, reason, held_at) VALUES (?,?,?,?)";
    const FOR_UPDATE: &'static str = "";
    const SAVE_SNAPSHOT: &'static str = "INSERT INTO snapshots (stream_id, version, schema_fingerprint, body) \
        SELECT ?,?,?,? FROM erasure_list WHERE epoch = ? \
        ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version, \
        schema_fingerprint = excluded.schema_fingerprint, body = excluded.body \
        WHERE excluded.version >= version OR excluded.schema_fingerprint <> schema_fingerprint";

    /// Events of this store always go through the outbox. No other process writes, so every event may be written that this build
    /// knows.
    fn mode() -> Cow<'static, str> {
        format!("'{}', {}", Phase::Table, WriterForm::KNOWN.0).into()
    }

    fn keep_higher_version(table: &str) -> String {
        format!("ON CONFLICT DO UPDATE SET version = MAX({table}.version, excluded.version)")
    }

    fn load(streams: usize) -> String {
        let values = repeated("(?,?)", streams);
        format!(
            "SELECT position, stream_id, version, type, payload, metadata, recorded_at FROM \
             (SELECT DISTINCT column1 AS wanted, column2 AS known FROM (VALUES {values})) \
             CROSS JOIN events ON stream_id = wanted AND version > known ORDER BY stream_id, version"
        )
    }

    fn heads(streams: usize) -> String {
        // A look at the end of each stream's part of the index. GROUP BY would walk through all of it.
        let values = repeated("(?)", streams);
        format!(
            "SELECT DISTINCT column1, (SELECT MAX(version) FROM events WHERE stream_id = column1) AS head \
             FROM (VALUES {values}) WHERE head IS NOT NULL"
        )
    }

    fn undelivered(buckets: Buckets) -> String {
        let buckets = buckets.bits().cast_signed();
        format!(
            "SELECT o.position FROM outbox o CROSS JOIN events e ON e.position = o.position \
             WHERE e.stream_id NOT IN (SELECT room FROM held_rooms) AND ({buckets} >> o.bucket) & 1 \
             ORDER BY o.position LIMIT ?"
        )
    }

    async fn rows(
        &self,
        operation: &'static str,
        statement: &Statement<'_>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = query(statement).fetch_all(&self.0.readers).await;
        rows.map_err(|error| store_error(operation, error))
    }

    async fn write(&self, operation: &'static str, statement: &Statement<'_>) -> Result<u64, StoreError> {
        let done = run(&mut *self.0.writer.lock().await, statement).await;
        Ok(done.map_err(|error| store_error(operation, error))?.affected)
    }

    async fn begin(&self, operation: &'static str) -> Result<SqliteTransaction<'_>, StoreError> {
        let mut connection = self.0.writer.lock().await;
        // Replaced data does not stay in free parts of the file.
        let begun = match run_text(&mut connection, "PRAGMA secure_delete = ON").await {
            Ok(()) => begin(&mut connection).await,
            Err(error) => Err(error),
        };
        begun.map_err(|error| store_error(operation, error))?;
        Ok(SqliteTransaction { operation, connection })
    }

    /// The only process that commits knows the outcome.
    async fn state(&self) -> Result<RelayState, StoreError> {
        Ok(RelayState::default())
    }

    async fn release(&self, room: RoomId) -> Result<Release, StoreError> {
        let delete = Statement::new("DELETE FROM held_rooms WHERE room = ?", [(&room).into()]);
        let deleted = self.write("release_room", &delete).await?;
        Ok(if deleted == 0 { Release::NotHeld } else { Release::Released })
    }

    async fn settle_lost_commit(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A transaction on the connection that writes.
pub(in crate::event_store) struct SqliteTransaction<'a> {
    operation: &'static str,
    connection: MutexGuard<'a, SqliteConnection>,
}

impl Transaction for SqliteTransaction<'_> {
    type Row = SqliteRow;

    async fn run(&mut self, statement: &Statement<'_>) -> Result<Done<SqliteRow>, StoreError> {
        run(&mut self.connection, statement).await.map_err(|error| store_error(self.operation, error))
    }

    async fn end<T: Send>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let ended = match result {
            Ok(value) => {
                let committed = run_text(&mut self.connection, "COMMIT").await;
                committed.map(|()| value).map_err(|error| store_error(self.operation, error))
            }
            Err(error) => Err(error),
        };
        if ended.is_err() {
            roll_back(&mut self.connection).await;
        }
        ended
    }
}

/// Runs a statement on a connection.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statement: &Statement<'_>,
) -> sqlx::Result<Done<SqliteRow>> {
    let mut done = Done { rows: Vec::new(), affected: 0, id: 0 };
    let mut results = connection.fetch_many(query(statement));
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Left(result) => {
                done.affected += result.rows_affected();
                done.id = u64::try_from(result.last_insert_rowid()).unwrap_or_default();
            }
            Either::Right(row) => done.rows.push(row),
        }
    }
    Ok(done)
}

/// Runs a statement without values.
pub(super) async fn run_text(connection: &mut SqliteConnection, sql: &str) -> sqlx::Result<()> {
    run(connection, &Statement::new(sql, [])).await.map(drop)
}

/// SQLite's code for a BEGIN within a transaction, among others.
const ERROR: u8 = 1;

/// Begins a transaction by plain statements. sqlx counts the transactions that it opens, and would believe for ever in one
/// that SQLite rolled back by itself because the disk was full.
pub(super) async fn begin(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    // Takes the write lock at once: a transaction that begins as a reader may be unable to become a writer.
    const BEGIN: &str = "BEGIN IMMEDIATE";
    match run_text(connection, BEGIN).await {
        // A cancelled append has left its transaction open.
        Err(error) if code(&error) == Some(ERROR) => {
            roll_back(connection).await;
            run_text(connection, BEGIN).await
        }
        begun => begun,
    }
}

/// Rolls back. This fails only if there is nothing to roll back.
pub(super) async fn roll_back(connection: &mut SqliteConnection) {
    drop(run_text(connection, "ROLLBACK").await);
}

/// The driver's form of a statement. A text that is different each time is not kept prepared.
fn query<'a>(statement: &'a Statement<'_>) -> Query<'a, Sqlite, SqliteArguments<'a>> {
    let query = sqlx::query(&statement.sql).persistent(!statement.values.is_empty());
    statement.values.iter().fold(query, |query, value| match *value {
        Value::Number(number) => query.bind(signed(number)),
        Value::Integer(integer) => query.bind(integer),
        Value::Flag(flag) => query.bind(flag),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
    })
}

/// SQLite's integers are signed. Numbers of this store never come near the limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Columns for SqliteRow {
    fn number(&self, column: usize) -> Result<u64, RowError> {
        self.count(column)
    }

    fn integer(&self, column: usize) -> Result<Option<i64>, RowError> {
        get(self, column)
    }

    fn text(&self, column: usize) -> Result<String, RowError> {
        get(self, column)
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, RowError> {
        get(self, column)
    }
}

fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, column: usize) -> Result<T, RowError> {
    row.try_get(column).map_err(|error| RowError(error.to_string()))
}

//! MySQL's statements and rows, where they differ from SQLite's.

use std::borrow::Cow;

use shared_events::RoomId;
use sqlx::{
    Connection, Decode, MySql, MySqlConnection, Row, Type,
    mysql::{MySqlConnectOptions, MySqlRow},
};

use super::{
    MySqlStore,
    errors::store_error,
    session::{WRITE_LIMIT, cannot_connect, connect, run, run_text},
};
use crate::event_store::{
    Buckets, RelayState, Release, StoreError,
    sql::{Columns, Database, Done, RowError, Statement, Transaction, repeated},
};

impl Database for MySqlStore {
    type Row = MySqlRow;
    type Transaction<'a> = MySqlTransaction;

    /// Beyond some 25,000 ranges the server would read the whole table.
    const MOST_POSITIONS: usize = 20_000;
    const NOW: &'static str = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";
    const STATE: &'static str = "erasure_list JOIN relay_mode USING (id)";
    const ROW_LIST: &'static str = "";
    const ALL_HEADS: &'static str = "SELECT stream_id, MAX(version) FROM events WHERE stream_id > ? \
        GROUP BY stream_id ORDER BY stream_id LIMIT ?";
    const INSERT_NEW: &'static str = "INSERT IGNORE";
    // A released room is held again at the new event. Columns are assigned from left to right.
    const UPDATE_IF_UNIQUE: &'static str = "UPDATE IGNORE";
    const HOLD_ROOM: &'static str = "INSERT INTO held_rooms (room, position, reason, held_at) VALUES (?,?,?,?) AS new \
        ON DUPLICATE KEY UPDATE position = IF(held_rooms.released_to IS NULL, held_rooms.position, new.position), \
        reason = IF(held_rooms.released_to IS NULL, held_rooms.reason, new.reason), \
        held_at = IF(held_rooms.released_to IS NULL, held_rooms.held_at, new.held_at), released_to = NULL";
    const FOR_UPDATE: &'static str = " FOR UPDATE";
    // Columns are assigned from left to right, so the form comes last. The lock keeps the list as it is until the end.
    const SAVE_SNAPSHOT: &'static str = "INSERT INTO snapshots (stream_id, version, schema_fingerprint, body) \
        SELECT * FROM (SELECT ? AS stream_id, ? AS version, ? AS schema_fingerprint, ? AS body FROM erasure_list \
        WHERE id = 1 AND epoch = ? FOR SHARE) AS new ON DUPLICATE KEY UPDATE \
        body = IF(new.version >= snapshots.version OR new.schema_fingerprint <> snapshots.schema_fingerprint, new.body, snapshots.body), \
        version = IF(new.version >= snapshots.version OR new.schema_fingerprint <> snapshots.schema_fingerprint, new.version, snapshots.version), \
        schema_fingerprint = new.schema_fingerprint";

    fn mode() -> Cow<'static, str> {
        "phase, writer_form".into()
    }

    fn keep_higher_version(table: &str) -> String {
        format!("AS new ON DUPLICATE KEY UPDATE version = GREATEST({table}.version, new.version)")
    }

    fn load(streams: usize) -> String {
        let ranges = repeated("(stream_id = ? AND version > ?)", streams).replace(",", " OR ");
        format!(
            "SELECT position, stream_id, version, type, payload, metadata, recorded_at FROM events \
             WHERE {ranges} ORDER BY stream_id, version"
        )
    }

    fn heads(streams: usize) -> String {
        // A look at the end of each stream's part of the index. GROUP BY would walk through all of it.
        let values = repeated("ROW(CAST(? AS BINARY(16)))", streams);
        format!(
            "SELECT wanted.column_0, head.version FROM (VALUES {values}) AS wanted, LATERAL \
             (SELECT version FROM events WHERE stream_id = wanted.column_0 ORDER BY version DESC LIMIT 1) AS head"
        )
    }

    fn undelivered(buckets: Buckets) -> String {
        // The phase is read at the same moment as the rows: a relay that has not heard of a switch sends nothing after it.
        // Rooms are looked up only if one is held.
        let bucket = match buckets {
            Buckets::ALL => String::new(),
            some => format!("AND {} >> o.bucket & 1", some.bits()),
        };
        format!(
            "SELECT o.position FROM outbox o WHERE (SELECT phase FROM relay_mode) IN ('table', 'to_log', \
             'to_debezium') AND (NOT EXISTS (SELECT 1 FROM held_rooms WHERE \
             released_to IS NULL) OR (SELECT e.stream_id FROM events e WHERE e.position = o.position) NOT IN \
             (SELECT room FROM held_rooms WHERE released_to IS NULL)) {bucket} \
             ORDER BY o.position LIMIT ?"
        )
    }

    async fn rows(
        &self,
        operation: &'static str,
        statement: &Statement<'_>,
    ) -> Result<Vec<MySqlRow>, StoreError> {
        Ok(self.0.sessions.run(operation, statement).await?.rows)
    }

    async fn write(&self, operation: &'static str, statement: &Statement<'_>) -> Result<u64, StoreError> {
        Ok(self.0.sessions.run(operation, statement).await?.affected)
    }

    async fn begin(&self, operation: &'static str) -> Result<MySqlTransaction, StoreError> {
        MySqlTransaction::begin(operation, &self.0.eraser.options()).await
    }

    async fn state(&self) -> Result<RelayState, StoreError> {
        self.read_state().await
    }

    async fn release(&self, room: RoomId) -> Result<Release, StoreError> {
        self.release_in_phase(room).await
    }

    async fn settle_lost_commit(&self) -> Result<(), StoreError> {
        self.bury_lost_session().await
    }
}

/// A transaction on a connection of its own. An uncommitted one ends with the connection.
pub(in crate::event_store) struct MySqlTransaction {
    operation: &'static str,
    connection: MySqlConnection,
}

impl MySqlTransaction {
    pub(super) async fn begin(
        operation: &'static str,
        options: &MySqlConnectOptions,
    ) -> Result<Self, StoreError> {
        let connected = connect(options).await;
        let mut connection = connected.map_err(|error| cannot_connect(operation, error))?;
        let begun = run_text(&mut connection, "START TRANSACTION").await;
        begun.map_err(|error| store_error(operation, error))?;
        Ok(Self { operation, connection })
    }
}

impl Transaction for MySqlTransaction {
    type Row = MySqlRow;

    async fn run(&mut self, statement: &Statement<'_>) -> Result<Done<MySqlRow>, StoreError> {
        let done = run(&mut self.connection, statement, WRITE_LIMIT).await;
        done.map_err(|error| store_error(self.operation, error))
    }

    async fn end<T: Send>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let value = result?;
        let committed = run_text(&mut self.connection, "COMMIT").await;
        committed.map_err(|error| store_error(self.operation, error))?;
        // The server ends the session anyway once the socket is closed.
        drop(self.connection.close().await);
        Ok(value)
    }
}

impl Columns for MySqlRow {
    fn number(&self, column: usize) -> Result<u64, RowError> {
        get(self, column)
    }

    fn integer(&self, column: usize) -> Result<Option<i64>, RowError> {
        get(self, column)
    }

    /// The driver takes columns with a binary collation for bytes.
    fn text(&self, column: usize) -> Result<String, RowError> {
        String::from_utf8(get(self, column)?).map_err(|error| RowError(error.to_string()))
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, RowError> {
        get(self, column)
    }
}

fn get<'r, T: Decode<'r, MySql> + Type<MySql>>(row: &'r MySqlRow, column: usize) -> Result<T, RowError> {
    row.try_get(column).map_err(|error| RowError(error.to_string()))
}

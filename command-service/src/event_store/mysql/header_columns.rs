//! What Debezium's stock connector needs of the event store: the headers of an event as columns, and sets of transactions.

use std::time::Duration;

use sqlx::{Connection, Executor, MySqlConnection};

use super::{
    MySqlStore,
    errors::store_error,
    session::{cannot_connect, connect},
};
use crate::event_store::{
    StoreError,
    sql::{Columns, Database, RowError, Statement},
};

/// Most attempts at a change that an open transaction blocks.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(500);
/// Columns of `events` that exist in the binary log alone. A header has its column's name.
const COLUMNS: [(&str, &str); 10] = [
    ("ce_key", "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin GENERATED ALWAYS AS (BIN_TO_UUID(stream_id))"),
    (
        "ce_id",
        "VARCHAR(60) CHARACTER SET ascii COLLATE ascii_bin GENERATED ALWAYS AS (CONCAT(BIN_TO_UUID(stream_id), ':', version))",
    ),
    // A constant, because Connect's InsertHeader makes a number of it.
    ("ce_specversion", "CHAR(3) GENERATED ALWAYS AS ('1.0')"),
    (
        "ce_time",
        "VARCHAR(40) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(CONVERT(metadata USING utf8mb4), '$.time')))",
    ),
    (
        "ce_subject",
        "VARCHAR(40) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(CONVERT(metadata USING utf8mb4), '$.subject')))",
    ),
    (
        "ce_actor",
        "VARCHAR(800) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(CONVERT(metadata USING utf8mb4), '$.actor')))",
    ),
    (
        "ce_correlationid",
        "VARCHAR(800) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(CONVERT(metadata USING utf8mb4), '$.correlationid')))",
    ),
    (
        "ce_causationid",
        "VARCHAR(40) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(CONVERT(metadata USING utf8mb4), '$.causationid')))",
    ),
    (
        "ce_recordedtime",
        "VARCHAR(30) GENERATED ALWAYS AS (CONCAT(LEFT(DATE_FORMAT(TIMESTAMP '1970-01-01 00:00:00' + INTERVAL recorded_at * 1000 \
         MICROSECOND, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'))",
    ),
    (
        "traceparent",
        "VARCHAR(100) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(CONVERT(metadata USING utf8mb4), '$.traceparent')))",
    ),
];

impl MySqlStore {
    /// Whether `events` has a column for each header.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn has_header_columns(&self) -> Result<bool, StoreError> {
        Ok(self.header_columns().await?.len() == COLUMNS.len())
    }

    /// Adds a column to `events` for each header that has none. The columns are virtual: the table does not grow, its binary log
    /// does. Returns how many were added.
    ///
    /// # Errors
    /// If the server refuses, or open transactions block the change.
    pub async fn add_header_columns(&self) -> Result<usize, StoreError> {
        let there = self.header_columns().await?;
        let missing = COLUMNS.iter().filter(|(name, _)| !there.iter().any(|it| it == name));
        self.alter("add_header_columns", missing.map(|(name, is)| format!("ADD COLUMN {name} {is} VIRTUAL")))
            .await
    }

    /// Drops the columns of [`add_header_columns`](Self::add_header_columns). Returns how many were dropped.
    ///
    /// # Errors
    /// If the server refuses, or open transactions block the change.
    pub async fn drop_header_columns(&self) -> Result<usize, StoreError> {
        let there = self.header_columns().await?;
        self.alter("drop_header_columns", there.iter().map(|name| format!("DROP COLUMN {name}"))).await
    }

    async fn header_columns(&self) -> Result<Vec<String>, StoreError> {
        const OPERATION: &str = "header_columns";
        let names: Vec<String> = COLUMNS.iter().map(|(name, _)| format!("'{name}'")).collect();
        let select = format!(
            "SELECT CAST(column_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() AND \
             table_name = 'events' AND column_name IN ({})",
            names.join(",")
        );
        let rows = self.rows(OPERATION, &Statement::text(select)).await?;
        rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>().map_err(|error| error.during(OPERATION))
    }

    /// Changes `events` in one statement, without a copy of the table.
    async fn alter(
        &self,
        operation: &'static str,
        changes: impl Iterator<Item = String>,
    ) -> Result<usize, StoreError> {
        let changes: Vec<String> = changes.collect();
        if changes.is_empty() {
            return Ok(0);
        }
        let alter = format!("ALTER TABLE events {}, ALGORITHM=INSTANT", changes.join(", "));
        let connected = connect(&self.0.address.options()).await;
        let mut connection = connected.map_err(|error| cannot_connect(operation, error))?;
        let altered = alter_events(&mut connection, &alter).await;
        drop(connection.close().await);
        altered.map_err(|error| store_error(operation, error))?;
        Ok(changes.len())
    }

    /// The transactions that the server has committed: whatever ended before this one began is among them.
    ///
    /// # Errors
    /// If the store can't be read, or the server commits in another order than its binary log has.
    pub async fn committed_gtids(&self) -> Result<String, StoreError> {
        const OPERATION: &str = "committed_gtids";
        const SQL: &str = "SELECT @@global.gtid_executed, CAST(@@global.binlog_order_commits AS UNSIGNED)";
        let rows = self.rows(OPERATION, &Statement::new(SQL, [])).await?;
        let found =
            rows.first().map_or_else(|| Ok((String::new(), 0)), |row| Ok((row.text(0)?, row.number(1)?)));
        match found.map_err(|error: RowError| error.during(OPERATION))? {
            (_, 0) => Err(StoreError::Inconsistent {
                operation: OPERATION,
                detail: "binlog_order_commits must be ON".to_owned(),
            }),
            (gtids, _) => Ok(gtids.replace('\n', "")),
        }
    }

    /// Whether a set of transactions has all of another one.
    ///
    /// # Errors
    /// If the store can't be read, or one of them is no such set.
    pub async fn gtids_contain(&self, all: &str, some: &str) -> Result<bool, StoreError> {
        const OPERATION: &str = "gtids_contain";
        let select = Statement::new("SELECT CAST(GTID_SUBSET(?, ?) AS UNSIGNED)", [some.into(), all.into()]);
        let rows = self.rows(OPERATION, &select).await?;
        let contains = rows.first().map_or(Ok(0), |row| row.number(0));
        Ok(contains.map_err(|error| error.during(OPERATION))? == 1)
    }
}

/// A statement that waits for an open transaction blocks every insert behind it. So it waits briefly and tries again later.
async fn alter_events(connection: &mut MySqlConnection, alter: &str) -> Result<(), sqlx::Error> {
    connection.execute("SET SESSION lock_wait_timeout = 1, wait_timeout = 600").await?;
    for _ in 1..ATTEMPTS {
        match connection.execute(alter).await {
            Err(error) if super::migrate::number(&error) == Some(1205) => tokio::time::sleep(PAUSE).await,
            result => return result.map(drop),
        }
    }
    connection.execute(alter).await.map(drop)
}

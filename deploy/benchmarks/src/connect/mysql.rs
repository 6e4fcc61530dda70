//! The outbox table of Debezium's event router, and its writers.

use std::fmt::Write as _;

use anyhow::Result;
use sqlx::{Connection, Executor, MySqlConnection, MySqlPool, mysql::MySqlPoolOptions};

use crate::{peer_documents::Document, wall_clock::clock_micros};

/// Rows in one transaction of a backlog.
const TRANSACTION: u64 = 1000;

pub(crate) async fn create_outbox(database: &str) -> Result<()> {
    let mut connection = MySqlConnection::connect(database).await?;
    let table = "CREATE TABLE outbox (id CHAR(36) NOT NULL PRIMARY KEY, aggregatetype VARCHAR(64) NOT NULL, \
        aggregateid VARCHAR(64) NOT NULL, type VARCHAR(100) NOT NULL, payload JSON NOT NULL)";
    connection.execute(table).await?;
    connection.close().await?;
    Ok(())
}

/// Commits a row that is not a document.
pub(crate) async fn commit_first_row(database: &str) -> Result<()> {
    let mut connection = MySqlConnection::connect(database).await?;
    connection
        .execute("INSERT INTO outbox VALUES (UUID(), 'room', 'none', 'first', '{\"_id\": \"first\"}')")
        .await?;
    connection.close().await?;
    Ok(())
}

/// Commits documents from number `first` on, in transactions of 1,000 rows.
pub(crate) async fn fill_outbox(database: &str, first: u64, documents: u64) -> Result<()> {
    let mut connection = MySqlConnection::connect(database).await?;
    let end = first + documents;
    let mut next = first;
    while next < end {
        let mut insert = "INSERT INTO outbox VALUES ".to_owned();
        let until = end.min(next + TRANSACTION);
        for document in (next..until).map(Document) {
            let comma = if document.0 == next { "" } else { "," };
            write!(
                insert,
                "{comma}('{}','room','{}','reservation-made','{}')",
                document.id(),
                document.key(),
                document.json()
            )?;
        }
        connection.execute(insert.as_str()).await?;
        next = until;
    }
    connection.close().await?;
    Ok(())
}

/// When a transaction was sent and when its commit was answered, in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) sent: i64,
    pub(crate) answered: i64,
}

/// Commits single rows.
pub(crate) struct Writer(MySqlPool);

impl Writer {
    /// Opens the connections.
    pub(crate) async fn open(database: &str, connections: u32) -> Result<Self> {
        let pool = MySqlPoolOptions::new()
            .min_connections(connections)
            .max_connections(connections)
            .test_before_acquire(false);
        Ok(Self(pool.connect(database).await?))
    }

    /// Commits one row with one statement.
    pub(crate) async fn commit(&self, document: Document) -> Result<Commit> {
        let mut connection = self.0.acquire().await?;
        let sent = clock_micros();
        sqlx::query("INSERT INTO outbox VALUES (?, 'room', ?, 'reservation-made', ?)")
            .bind(document.id())
            .bind(document.key())
            .bind(document.json())
            .execute(&mut *connection)
            .await?;
        Ok(Commit { sent, answered: clock_micros() })
    }
}

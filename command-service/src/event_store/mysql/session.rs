//! Connections to MySQL, kept without pings between uses: a server that went away is noticed by the next statement.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use shared_events::{RoomId, Version};
use sqlx::{
    Arguments, ConnectOptions, Connection, Either, Encode, Executor, MySql, MySqlConnection, Row, Type,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlRow},
};
use tokio::{sync::Semaphore, time::timeout};

use super::errors::{Meaning, meaning, store_error};
use crate::event_store::StoreError;

/// The server ends a session that has been idle for so many seconds, and with it a transaction that its client forgot.
const WAIT_TIMEOUT: u32 = 10;
/// A connection that has been idle for longer is not used again; well before the server would end it.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// Of how many streams a writer session knows a version that is there.
const MOST_REMEMBERED: usize = 100_000;
/// How long making a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a statement may take. A write waits for a row for a second at most, and for the disk.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long a read or a delete of many rows may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A statement with its values.
pub(super) struct Statement {
    sql: String,
    /// `None`: it is sent as text and not prepared.
    arguments: Option<MySqlArguments>,
    invalid: Option<sqlx::Error>,
}

impl Statement {
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), arguments: Some(MySqlArguments::default()), invalid: None }
    }

    /// A statement whose form is never the same twice, so that preparing it would be in vain. It has no values.
    pub(super) const fn text(sql: String) -> Self {
        Self { sql, arguments: None, invalid: None }
    }

    pub(super) fn bind<'q, T: Encode<'q, MySql> + Type<MySql> + 'q>(mut self, value: T) -> Self {
        if let Err(error) = self.arguments.get_or_insert_default().add(value) {
            self.invalid.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    /// Runs it on a connection. Returns the rows, and how many rows were changed, and the first id given by an insert.
    pub(super) async fn run(
        self,
        connection: &mut MySqlConnection,
        limit: Duration,
    ) -> Result<StatementResult, sqlx::Error> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        let mut answer = StatementResult::default();
        let mut results = match self.arguments {
            Some(arguments) => connection.fetch_many(sqlx::query_with(&self.sql, arguments)),
            None => connection.fetch_many(self.sql.as_str()),
        };
        within(limit, async {
            while let Some(result) = results.try_next().await? {
                match result {
                    Either::Left(done) => {
                        answer.affected += done.rows_affected();
                        answer.first_id = done.last_insert_id();
                    }
                    Either::Right(row) => answer.rows.push(row),
                }
            }
            Ok(())
        })
        .await?;
        Ok(answer)
    }
}

/// What a statement did.
#[derive(Default)]
pub(super) struct StatementResult {
    pub(super) rows: Vec<MySqlRow>,
    /// Rows that were inserted, deleted, or found for an update.
    pub(super) affected: u64,
    /// The first id that an insert was given.
    pub(super) first_id: u64,
}

/// The result of a future, or an I/O error when it takes too long.
pub(super) async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, future).await.unwrap_or_else(|_| {
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer")))
    })
}

/// Runs statements without values, as text.
pub(super) async fn run_text(connection: &mut MySqlConnection, sql: &str) -> Result<(), sqlx::Error> {
    within(WRITE_LIMIT, connection.execute(sql)).await.map(drop)
}

/// Runs several statements without values in one round trip, up to the first that fails. Returns how many were done.
pub(super) async fn run_texts(
    connection: &mut MySqlConnection,
    sql: &str,
) -> (usize, Result<(), sqlx::Error>) {
    let mut done = 0;
    let mut results = connection.fetch_many(sql);
    let result = within(WRITE_LIMIT, async {
        while let Some(result) = results.try_next().await? {
            done += usize::from(result.is_left());
        }
        Ok(())
    })
    .await;
    (done, result)
}

/// A new connection with the settings that the adapter relies on.
pub(super) async fn connect(options: &MySqlConnectOptions) -> Result<MySqlConnection, sqlx::Error> {
    within(CONNECT_LIMIT, async {
        let mut connection = options.connect().await?;
        let settings = format!(
            "SET SESSION transaction_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = 1, \
             lock_wait_timeout = 5, wait_timeout = {WAIT_TIMEOUT}, time_zone = '+00:00', sql_mode = \
             'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,\
             ONLY_FULL_GROUP_BY'"
        );
        connection.execute(settings.as_str()).await?;
        Ok(connection)
    })
    .await
}

/// The connection of the writer. It holds a named lock as long as its session lives, so that others can tell when it is
/// really dead.
pub(super) struct WriterSession {
    pub(super) connection: MySqlConnection,
    /// The session's lock.
    pub(super) name: String,
    /// The distance between the ids of two rows that one statement inserts.
    pub(super) id_step: u64,
    /// Versions that were committed on this connection. What was committed is there for good, and need not be looked up.
    committed: HashMap<RoomId, Version>,
    used: Instant,
}

impl WriterSession {
    pub(super) async fn open(options: &MySqlConnectOptions) -> Result<Self, sqlx::Error> {
        let mut connection = connect(options).await?;
        within(CONNECT_LIMIT, async {
            let row = connection
                .fetch_one("SELECT CONCAT('writer-', UUID()), CAST(@@auto_increment_increment AS UNSIGNED)")
                .await?;
            let (name, id_step) = (row.try_get::<String, _>(0)?, row.try_get(1)?);
            sqlx::query("DO GET_LOCK(?, 0)").bind(&name).execute(&mut connection).await?;
            Ok(Self { connection, name, id_step, committed: HashMap::new(), used: Instant::now() })
        })
        .await
    }

    /// Whether it was used so lately that it should still be alive.
    pub(super) fn is_fresh(&self) -> bool {
        self.used.elapsed() < IDLE_LIMIT
    }

    /// Whether this version of a stream is there for certain.
    pub(super) fn knows(&self, room: RoomId, version: Version) -> bool {
        self.committed.get(&room).is_some_and(|committed| *committed >= version)
    }

    /// Notes what was committed.
    pub(super) fn remember(&mut self, committed: impl Iterator<Item = (RoomId, Version)>) {
        if self.committed.len() > MOST_REMEMBERED {
            self.committed.clear();
        }
        for (room, version) in committed {
            let known = self.committed.entry(room).or_default();
            *known = version.max(*known);
        }
    }

    /// Notes that it was just used.
    pub(super) fn touch(&mut self) {
        self.used = Instant::now();
    }
}

/// Connections for everything but appends: reads, the relay's deletes, leases.
pub(super) struct Sessions {
    options: MySqlConnectOptions,
    idle: Mutex<Vec<(MySqlConnection, Instant)>>,
    permits: Semaphore,
}

impl Sessions {
    /// At most so many connections; none is made before it is needed.
    pub(super) fn new(options: MySqlConnectOptions, most: u32) -> Self {
        Self {
            options,
            idle: Mutex::default(),
            permits: Semaphore::new(usize::try_from(most.max(1)).unwrap_or(1)),
        }
    }

    /// Runs a statement that may be run twice: once more on a new connection when a kept one turns out to be dead.
    pub(super) async fn run(
        &self,
        operation: &'static str,
        statement: Statement,
    ) -> Result<StatementResult, StoreError> {
        let again =
            Statement { sql: statement.sql.clone(), arguments: statement.arguments.clone(), invalid: None };
        let permit = self.permits.acquire().await;
        if let Some(mut connection) = self.take_idle() {
            match statement.run(&mut connection, LIMIT).await {
                Err(error) if meaning(&error) == Meaning::Lost => self.idle().clear(),
                result => return self.finish(operation, connection, result),
            }
        }
        let result = self.run_on_new(operation, again).await;
        drop(permit);
        result
    }

    /// Runs a statement that must not be run twice. On an error its effect is unknown.
    pub(super) async fn run_once(
        &self,
        operation: &'static str,
        statement: Statement,
    ) -> Result<StatementResult, StoreError> {
        let permit = self.permits.acquire().await;
        let result = match self.take_idle() {
            Some(mut connection) => {
                let result = statement.run(&mut connection, LIMIT).await;
                self.finish(operation, connection, result)
            }
            None => self.run_on_new(operation, statement).await,
        };
        drop(permit);
        result
    }

    async fn run_on_new(
        &self,
        operation: &'static str,
        statement: Statement,
    ) -> Result<StatementResult, StoreError> {
        let mut connection =
            connect(&self.options).await.map_err(|error| cannot_connect(operation, error))?;
        let result = statement.run(&mut connection, LIMIT).await;
        self.finish(operation, connection, result)
    }

    fn finish(
        &self,
        operation: &'static str,
        connection: MySqlConnection,
        result: Result<StatementResult, sqlx::Error>,
    ) -> Result<StatementResult, StoreError> {
        if !result.as_ref().is_err_and(|error| meaning(error) == Meaning::Lost) {
            self.idle().push((connection, Instant::now()));
        }
        result.map_err(|error| store_error(operation, error))
    }

    fn take_idle(&self) -> Option<MySqlConnection> {
        let mut idle = self.idle();
        idle.retain(|(_, since)| since.elapsed() < IDLE_LIMIT);
        idle.pop().map(|(connection, _)| connection)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(MySqlConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the idle connections in an orderly way.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for (connection, _) in idle {
            // The server ends the session anyway when the socket closes.
            drop(within(CONNECT_LIMIT, connection.close()).await);
        }
    }
}

/// Whatever refuses a connection (a wrong password, an unknown host) may be put right outside of this process.
pub(super) fn cannot_connect(operation: &'static str, error: sqlx::Error) -> StoreError {
    StoreError::Unavailable { operation, source: Box::new(error) }
}

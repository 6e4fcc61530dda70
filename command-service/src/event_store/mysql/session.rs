//! Connections to MySQL. They are kept without pings: the next statement notices that a server went away.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use shared_events::{RoomId, Version};
use sqlx::{
    Arguments, ConnectOptions, Connection, Either, Executor, MySqlConnection, Row,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlRow},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    address::Address,
    errors::{Meaning, meaning, store_error},
};
use crate::event_store::{
    StoreError,
    sql::{Columns, Done, Statement, Value},
};

/// Seconds after which the server ends an idle session, and with it a transaction that its client has forgotten.
const WAIT_TIMEOUT: u32 = 10;
/// A connection that is idle for longer is not used again. The server ends it later.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// A connection that is older is not used again. The address may lead to another server by now.
const LONGEST_LIFE: Duration = Duration::from_secs(10);
/// Most streams of which a writer session remembers a version.
const MOST_REMEMBERED: usize = 100_000;
/// Limit for making a connection.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Limit for a statement that writes. It waits at most one second for a row, and for the disk.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Limit for a read, or a delete of many rows.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a statement on a connection.
pub(super) async fn run(
    connection: &mut MySqlConnection,
    statement: &Statement<'_>,
    limit: Duration,
) -> Result<Done<MySqlRow>, sqlx::Error> {
    let mut arguments = MySqlArguments::default();
    for value in &statement.values {
        let added = match *value {
            Value::Number(number) => arguments.add(number),
            Value::Integer(integer) => arguments.add(integer),
            Value::Flag(flag) => arguments.add(flag),
            Value::Text(text) => arguments.add(text),
            Value::Bytes(bytes) => arguments.add(bytes),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    let sql = statement.sql.as_str();
    let mut results = match statement.values.as_slice() {
        [] => connection.fetch_many(sql),
        _ => connection.fetch_many(sqlx::query_with(sql, arguments)),
    };
    let mut done = Done { rows: Vec::new(), affected: 0, id: 0 };
    within(limit, async {
        while let Some(result) = results.try_next().await? {
            match result {
                Either::Left(result) => {
                    done.affected += result.rows_affected();
                    done.id = result.last_insert_id();
                }
                Either::Right(row) => done.rows.push(row),
            }
        }
        Ok(())
    })
    .await?;
    Ok(done)
}

/// The result of a future, or an I/O error if it takes too long.
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

/// Runs several statements without values in one round trip, up to the first that fails. Returns how many succeeded.
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

/// A new connection with the session settings that the adapter relies on. Fails if the server is read-only: what it reads may
/// be older than what another server has committed.
pub(super) async fn connect(options: &MySqlConnectOptions) -> Result<MySqlConnection, sqlx::Error> {
    within(CONNECT_LIMIT, async {
        let mut connection = options.connect().await?;
        let settings = format!(
            "SET SESSION transaction_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = 1, \
             lock_wait_timeout = 5, wait_timeout = {WAIT_TIMEOUT}, time_zone = '+00:00', sql_mode = \
             'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,\
             ONLY_FULL_GROUP_BY'; SELECT @@GLOBAL.read_only OR @@GLOBAL.innodb_read_only"
        );
        match integer(&mut connection, &Statement::text(settings)).await? {
            Some(0) => Ok(connection),
            _ => Err(std::io::Error::new(std::io::ErrorKind::ReadOnlyFilesystem, READ_ONLY).into()),
        }
    })
    .await
}

const READ_ONLY: &str = "the server is read-only";

/// The number that a statement reads, unless it is NULL.
pub(super) async fn integer(
    connection: &mut MySqlConnection,
    statement: &Statement<'_>,
) -> Result<Option<i64>, sqlx::Error> {
    let rows = run(connection, statement, WRITE_LIMIT).await?.rows;
    let number = rows.first().map_or(Ok(None), |row| row.integer(0));
    number.map_err(|error| sqlx::Error::Decode(error.0.into()))
}

/// When a connection was opened and last used.
#[derive(Clone, Copy)]
pub(super) struct Times {
    opened: Instant,
    used: Instant,
}

impl Times {
    /// Of a connection that is opened next.
    fn now() -> Self {
        Self { opened: Instant::now(), used: Instant::now() }
    }

    fn is_fresh(&self, trusted_since: Instant) -> bool {
        self.opened >= trusted_since
            && self.opened.elapsed() < LONGEST_LIFE
            && self.used.elapsed() < IDLE_LIMIT
    }
}

/// The writer's connection. Its session holds a named lock while it lives, so that others can tell when it is dead.
pub(super) struct WriterSession {
    pub(super) connection: MySqlConnection,
    /// Name of the session's lock.
    pub(super) name: String,
    /// The distance between the ids of two rows of one insert.
    pub(super) id_step: u64,
    /// Versions that were committed on this connection. They stay for good, so they need no look-up.
    committed: HashMap<RoomId, Version>,
    times: Times,
}

impl WriterSession {
    pub(super) async fn open(options: &MySqlConnectOptions) -> Result<Self, sqlx::Error> {
        let times = Times::now();
        let mut connection = connect(options).await?;
        within(CONNECT_LIMIT, async {
            let row = connection
                .fetch_one("SELECT CONCAT('writer-', UUID()), CAST(@@auto_increment_increment AS UNSIGNED)")
                .await?;
            let (name, id_step) = (row.try_get::<String, _>(0)?, row.try_get(1)?);
            sqlx::query("DO GET_LOCK(?, 0)").bind(&name).execute(&mut connection).await?;
            Ok(Self { connection, name, id_step, committed: HashMap::new(), times })
        })
        .await
    }

    /// Whether this version of a stream is certainly there.
    pub(super) fn knows(&self, room: RoomId, version: Version) -> bool {
        self.committed.get(&room).is_some_and(|committed| *committed >= version)
    }

    /// Notes committed versions.
    pub(super) fn remember(&mut self, committed: impl Iterator<Item = (RoomId, Version)>) {
        if self.committed.len() > MOST_REMEMBERED {
            self.committed.clear();
        }
        for (room, version) in committed {
            let known = self.committed.entry(room).or_default();
            *known = version.max(*known);
        }
    }

    /// Notes a use.
    pub(super) fn touch(&mut self) {
        self.times.used = Instant::now();
    }
}

/// Connections for everything but appends.
pub(super) struct Sessions {
    address: Address,
    idle: Mutex<Vec<(MySqlConnection, Times)>>,
    permits: Semaphore,
    /// No connection that was opened before is used again, nor is the writer's.
    trusted_since: Mutex<Instant>,
}

impl Sessions {
    /// At most `most` connections. None is made before it is needed.
    pub(super) fn new(address: Address, most: u32) -> Self {
        Self {
            address,
            idle: Mutex::default(),
            permits: Semaphore::new(usize::try_from(most.max(1)).unwrap_or(1)),
            trusted_since: Mutex::new(Instant::now()),
        }
    }

    /// Gives up all open connections if the error says that only a new one may help: they reach the same server.
    pub(super) fn judge(&self, error: &sqlx::Error) -> Meaning {
        let meaning = meaning(error);
        if meaning == Meaning::Reconnect {
            *self.trusted_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            self.idle().clear();
        }
        meaning
    }

    /// Whether the writer's session may be used again.
    pub(super) fn trusts(&self, session: &WriterSession) -> bool {
        session.times.is_fresh(self.trusted_since())
    }

    fn trusted_since(&self) -> Instant {
        *self.trusted_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a statement that has the same effect when it runs twice: it runs again on a new connection if a kept one is dead.
    pub(super) async fn run(
        &self,
        operation: &'static str,
        statement: &Statement<'_>,
    ) -> Result<Done<MySqlRow>, StoreError> {
        let _permit = self.permits.acquire().await;
        if let Some((mut connection, times)) = self.take_idle() {
            match run(&mut connection, statement, LIMIT).await {
                Err(error) if self.judge(&error) == Meaning::Reconnect => {}
                result => return self.finish(operation, connection, times, result),
            }
        }
        self.run_on_new(operation, statement).await
    }

    /// Runs a statement once. After an error its effect is unknown.
    pub(super) async fn run_once(
        &self,
        operation: &'static str,
        statement: &Statement<'_>,
    ) -> Result<Done<MySqlRow>, StoreError> {
        let _permit = self.permits.acquire().await;
        match self.take_idle() {
            Some((mut connection, times)) => {
                let result = run(&mut connection, statement, LIMIT).await;
                self.finish(operation, connection, times, result)
            }
            None => self.run_on_new(operation, statement).await,
        }
    }

    async fn run_on_new(
        &self,
        operation: &'static str,
        statement: &Statement<'_>,
    ) -> Result<Done<MySqlRow>, StoreError> {
        let times = Times::now();
        let connected = connect(&self.address.options()).await;
        let mut connection = connected.map_err(|error| cannot_connect(operation, error))?;
        let result = run(&mut connection, statement, LIMIT).await;
        self.finish(operation, connection, times, result)
    }

    fn finish(
        &self,
        operation: &'static str,
        connection: MySqlConnection,
        times: Times,
        result: Result<Done<MySqlRow>, sqlx::Error>,
    ) -> Result<Done<MySqlRow>, StoreError> {
        if !result.as_ref().is_err_and(|error| self.judge(error) == Meaning::Reconnect) {
            self.idle().push((connection, Times { used: Instant::now(), ..times }));
        }
        result.map_err(|error| store_error(operation, error))
    }

    fn take_idle(&self) -> Option<(MySqlConnection, Times)> {
        let trusted_since = self.trusted_since();
        let mut idle = self.idle();
        idle.retain(|(_, times)| times.is_fresh(trusted_since));
        idle.pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(MySqlConnection, Times)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the idle connections.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for (connection, _) in idle {
            // The server ends the session anyway once the socket is closed.
            drop(within(CONNECT_LIMIT, connection.close()).await);
        }
    }
}

/// The cause, a wrong password or an unknown host, may be corrected outside of this process: trying again may help.
pub(super) fn cannot_connect(operation: &'static str, error: sqlx::Error) -> StoreError {
    StoreError::Unavailable { operation, source: Box::new(error) }
}

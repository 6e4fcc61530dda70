//! The event store in MySQL.

mod append;
mod directory;
mod erasures;
mod errors;
mod keys;
mod leases;
mod log;
mod migrate;
mod outbox;
mod rows;
mod session;
mod snapshots;

use std::{str::FromStr, sync::Arc};

use service_kit::tls::{is_this_machine, warn_of_open_way};
use sqlx::{
    ConnectOptions,
    mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlSslMode},
};
use tokio::sync::Mutex;

use session::{Sessions, Statement, WRITE_LIMIT, WriterSession, cannot_connect};

use super::{
    StoreError,
    fail_points::{FailPoint, FailPoints},
};

/// The database that is used when the URL names none.
pub const DEFAULT_DATABASE: &str = "reservations";

/// The event store in MySQL. Cheap to clone.
#[derive(Clone)]
pub struct MySqlStore(Arc<Inner>);

struct Inner {
    options: MySqlConnectOptions,
    sessions: Sessions,
    /// The connection on which groups are committed, one after the other.
    writer: Mutex<Option<WriterSession>>,
    /// The name of a writer session that was lost inside of a transaction and may still live on the server.
    lost: Mutex<Option<String>>,
    fail_points: Option<Arc<FailPoints>>,
}

impl MySqlStore {
    /// The store at `url` (`mysql://user:password@host:port/database?ssl-mode=...`), with at most `connections` besides
    /// the writer's own. Nothing is connected yet. `fail_points` are for tests.
    ///
    /// Where `ssl-mode` is `PREFERRED` or not there, a store on another machine is reached by TLS, its certificate and name
    /// verified; so nobody on the way chooses.
    ///
    /// # Errors
    /// When the URL is not of its form.
    pub fn open(
        url: &str,
        connections: u32,
        fail_points: Option<Arc<FailPoints>>,
    ) -> Result<Self, StoreError> {
        let mut options = MySqlConnectOptions::from_str(url)
            .map_err(|source| StoreError::Failed { operation: "open", source: Box::new(source) })?
            // The session's settings are made in one statement of our own.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .statement_cache_capacity(256)
            // Values of commands don't belong into logs.
            .disable_statement_logging();
        options = verified(options);
        if options.get_database().is_none_or(str::is_empty) {
            options = options.database(DEFAULT_DATABASE);
        }
        let sessions = Sessions::new(options.clone(), connections);
        Ok(Self(Arc::new(Inner {
            options,
            sessions,
            writer: Mutex::default(),
            lost: Mutex::default(),
            fail_points,
        })))
    }

    /// Creates the database if it is not there and brings its tables up to date. Safe to call by many instances at once:
    /// one migrates, the others wait for it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the server is away; [`StoreError::Failed`] when it refuses.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate::migrate(&self.0.options).await
    }

    /// Asks the server for a sign of life and whether the tables are there.
    ///
    /// # Errors
    /// When it gives none.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.run("check", Statement::new("SELECT 1 FROM outbox LIMIT 1")).await.map(drop)
    }

    /// Ends its connections in an orderly way.
    pub async fn close(&self) {
        self.0.sessions.close().await;
        drop(self.0.writer.lock().await.take());
    }

    async fn run(
        &self,
        operation: &'static str,
        statement: Statement,
    ) -> Result<session::StatementResult, StoreError> {
        self.0.sessions.run(operation, statement).await
    }

    fn pass(&self, point: FailPoint) -> Result<(), StoreError> {
        self.0.fail_points.as_ref().map_or(Ok(()), |points| points.pass(point))
    }

    /// Makes sure that a writer session that was lost inside of a transaction is dead, so that what it did not commit
    /// will never be committed. As long as this can't be told, nothing that depends on it is read.
    async fn bury_lost_session(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "bury_lost_session";
        let mut lost = self.0.lost.lock().await;
        let Some(name) = lost.as_deref() else { return Ok(()) };
        let mut connection =
            session::connect(&self.0.options).await.map_err(|error| cannot_connect(OPERATION, error))?;
        let holder =
            Statement::new("SELECT IS_USED_LOCK(?)").bind(name).run(&mut connection, WRITE_LIMIT).await;
        let holder = holder.map_err(|error| errors::store_error(OPERATION, error))?;
        let holder: Option<u64> = rows::first(OPERATION, &holder.rows, 0)?;
        if let Some(id) = holder {
            // Killing a session that has just ended by itself is an error that means the same.
            match session::run_text(&mut connection, &format!("KILL {id}")).await {
                Err(sqlx::Error::Database(error))
                    if error.try_downcast_ref::<MySqlDatabaseError>().is_some_and(|e| e.number() == 1094) => {
                }
                result => result.map_err(|error| errors::store_error(OPERATION, error))?,
            }
            // A session gives up its locks after its transaction has come to an end.
            let taken =
                Statement::new("SELECT GET_LOCK(?, 5)").bind(name).run(&mut connection, WRITE_LIMIT).await;
            let taken = taken.map_err(|error| errors::store_error(OPERATION, error))?;
            let taken: Option<i64> = rows::first(OPERATION, &taken.rows, 0)?;
            if taken != Some(1) {
                return Err(StoreError::Unavailable {
                    operation: OPERATION,
                    source: "a lost session is still alive".into(),
                });
            }
        }
        *lost = None;
        Ok(())
    }
}

fn verified(options: MySqlConnectOptions) -> MySqlConnectOptions {
    if options.get_socket().is_some() || is_this_machine(options.get_host()) {
        return options;
    }
    let missing = match options.get_ssl_mode() {
        MySqlSslMode::Preferred => return options.ssl_mode(MySqlSslMode::VerifyIdentity),
        MySqlSslMode::VerifyIdentity => return options,
        MySqlSslMode::Disabled => "MySQL is reached without TLS",
        MySqlSslMode::Required => "MySQL's certificate is not verified",
        MySqlSslMode::VerifyCa => "MySQL's name is not verified",
    };
    warn_of_open_way("MYSQL_URL", missing);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_on_another_machine_is_verified_unless_its_url_says_otherwise() {
        let mode = |url: &str| {
            let options = verified(MySqlConnectOptions::from_str(url).unwrap());
            format!("{:?}", options.get_ssl_mode())
        };
        assert_eq!(mode("mysql://u@db.example.org/d"), "VerifyIdentity");
        assert_eq!(mode("mysql://u@db.example.org/d?ssl-mode=PREFERRED"), "VerifyIdentity");
        assert_eq!(mode("mysql://u@db.example.org/d?ssl-mode=REQUIRED"), "Required");
        assert_eq!(mode("mysql://u@db.example.org/d?ssl-mode=DISABLED"), "Disabled");
        assert_eq!(mode("mysql://u@127.0.0.1/d"), "Preferred");
    }
}

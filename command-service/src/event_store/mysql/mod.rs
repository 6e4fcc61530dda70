//! The event store in MySQL.

mod address;
mod append;
#[cfg(feature = "binlog")]
mod binlog;
mod database;
mod errors;
mod header_columns;
mod leases;
mod migrate;
mod relay_mode;
mod session;

use std::sync::Arc;

use service_kit::config::Secret;
use sqlx::mysql::MySqlDatabaseError;
use tokio::sync::Mutex;

use address::Address;
use session::{Sessions, WriterSession, cannot_connect, connect, integer, run_text};

use super::{
    FailPoints, StoreError,
    sql::{Statement, fill_name_keys},
};

#[cfg(feature = "binlog")]
pub use self::binlog::{BinlogError, BinlogReader, Entry, Place, Transaction};
pub use self::relay_mode::Passed;

/// The database that is used when the URL names none.
pub const DEFAULT_DATABASE: &str = "reservations";

/// The event store in MySQL. Cheap to clone.
#[derive(Clone)]
pub struct MySqlStore(Arc<Inner>);

struct Inner {
    address: Address,
    /// The user that lists erased persons and masks events.
    eraser: Address,
    sessions: Sessions,
    /// The connection that commits groups, one after the other.
    writer: Mutex<Option<WriterSession>>,
    /// Name of a writer session that was lost within a transaction and may still live on the server.
    lost: Mutex<Option<String>>,
    fail_points: Arc<FailPoints>,
}

impl MySqlStore {
    /// The store at `url` (`mysql://user:password@host:port/database?ssl-mode=...`), with at most `connections` beside the
    /// writer's own. Connects when it is used. Persons are erased by the user of `erasure_url`, or of `url` without one.
    /// `fail_points` are for tests.
    ///
    /// If `ssl-mode` is `PREFERRED` or missing, a server on another machine is reached by TLS, and its certificate and name
    /// are verified.
    ///
    /// # Errors
    /// If the URL is malformed.
    pub fn open(
        url: impl Into<Secret>,
        connections: u32,
        erasure_url: Option<Secret>,
        fail_points: Option<Arc<FailPoints>>,
    ) -> Result<Self, StoreError> {
        let address = Address::new(url.into(), "MYSQL_URL")?;
        let eraser = match erasure_url {
            Some(url) => Address::new(url, "MYSQL_ERASURE_URL")?,
            None => address.clone(),
        };
        let sessions = Sessions::new(address.clone(), connections);
        Ok(Self(Arc::new(Inner {
            address,
            eraser,
            sessions,
            writer: Mutex::default(),
            lost: Mutex::default(),
            fail_points: fail_points.unwrap_or_default(),
        })))
    }

    /// Creates the database if it is missing and migrates its tables. Changes nothing if they are up to date. Many instances may call it at once: one migrates, the
    /// others wait.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server is away, [`StoreError::Failed`] if it refuses.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate::migrate(&self.0.address.options()).await?;
        fill_name_keys(self).await
    }

    /// Checks that the server answers and that the tables exist.
    ///
    /// # Errors
    /// If not.
    pub async fn check(&self) -> Result<(), StoreError> {
        let select = Statement::new("SELECT 1 FROM outbox LIMIT 1", []);
        self.0.sessions.run("check", &select).await.map(drop)
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.0.sessions.close().await;
        drop(self.0.writer.lock().await.take());
    }

    /// Makes sure that a writer session that was lost within a transaction is dead, so that its transaction will never be
    /// committed. Until that is certain, nothing is read that depends on it. Where the address leads to another server, the
    /// session is on one that takes no commits any more.
    async fn bury_lost_session(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "bury_lost_session";
        let failed = |error| errors::store_error(OPERATION, error);
        let mut lost = self.0.lost.lock().await;
        let Some(name) = lost.as_deref() else { return Ok(()) };
        let connected = connect(&self.0.address.options()).await;
        let mut connection = connected.map_err(|error| cannot_connect(OPERATION, error))?;
        let holder = Statement::new("SELECT CAST(IS_USED_LOCK(?) AS SIGNED)", [name.into()]);
        if let Some(id) = integer(&mut connection, &holder).await.map_err(failed)? {
            match run_text(&mut connection, &format!("KILL {id}")).await {
                // The session has just ended by itself.
                Err(sqlx::Error::Database(error))
                    if error.try_downcast_ref::<MySqlDatabaseError>().is_some_and(|e| e.number() == 1094) => {
                }
                killed => killed.map_err(failed)?,
            }
            // A session releases its locks after the end of its transaction.
            let taken = Statement::new("SELECT GET_LOCK(?, 5)", [name.into()]);
            if integer(&mut connection, &taken).await.map_err(failed)? != Some(1) {
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

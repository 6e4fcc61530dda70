//! MySQL's binary log as a source of committed events, in the order of their commits.
//!
//! The server sends a transaction once it is on its disk, a moment before a SELECT can see it.

mod gtids;
mod reader;
mod rows;
mod settings;

use mysql_async::{Conn, OptsBuilder, SslOpts, prelude::Queryable};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use shared_events::{RoomId, Version};
use sqlx::mysql::MySqlSslMode;

pub use self::reader::BinlogReader;
use self::{
    gtids::{Gtids, Source},
    settings::{SETTINGS, Settings},
};
use super::{MySqlStore, address::Parsed};
use crate::event_store::{
    Phase, Position, StoreError, StoredEvent, StoredPlace,
    sql::{Columns, Database, RowError, Statement},
};

/// Something in the binary log that matters to the relay.
#[derive(Debug)]
pub enum Entry {
    /// A committed event, as it was first written: an erasure does not change it.
    Event(StoredEvent),
    /// A change of the phase, or a barrier.
    State {
        /// The phase.
        phase: Phase,
        /// Number of changes of the phase.
        epoch: u64,
        /// Every event up to this position stands before this entry.
        barrier: Position,
    },
    /// The release of a held room: the outbox has its events up to a position.
    Released {
        /// The room.
        room: RoomId,
        /// The position.
        up_to: Position,
    },
    /// The end of a transaction.
    End(Transaction),
}

/// A transaction of the binary log.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// The file.
    file: std::sync::Arc<str>,
    /// Its start in the file.
    start: u64,
    gtid: Option<(Source, u64)>,
    /// What it holds for the relay. Empty if nothing.
    anchor: String,
}

impl Transaction {
    /// The same, as one that holds nothing for the relay.
    #[must_use]
    pub fn left_out(self) -> Self {
        Self { anchor: String::new(), ..self }
    }
}

/// A place in the log: the start of a transaction.
#[derive(Clone, Default, Debug)]
pub struct Place {
    server_uuid: String,
    file: String,
    file_position: u64,
    /// The transactions before it.
    gtids: Gtids,
    /// What the transaction at the place must hold.
    anchor: String,
    /// The transaction at the place, and those after it that are passed too.
    ahead: Gtids,
}

impl Place {
    /// Reads a stored place.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn of(stored: &StoredPlace) -> Result<Self, String> {
        Ok(Self {
            server_uuid: stored.server_uuid.clone(),
            file: stored.file.clone(),
            file_position: stored.file_position,
            gtids: stored.gtids.parse()?,
            anchor: stored.anchor.clone(),
            ahead: Gtids::default(),
        })
    }

    /// Writes it into what is stored.
    pub fn store(&self, stored: &mut StoredPlace) {
        stored.server_uuid.clone_from(&self.server_uuid);
        stored.file.clone_from(&self.file);
        stored.file_position = self.file_position;
        stored.gtids = self.gtids.to_string();
        stored.anchor.clone_from(&self.anchor);
    }

    /// Notes the server whose files are read from now on.
    pub fn read_on(&mut self, server_uuid: &str) {
        server_uuid.clone_into(&mut self.server_uuid);
    }

    /// Notes a transaction of which everything is delivered. The place becomes its start, so that the next reader meets it
    /// again and knows by it that the log is the same. Returns whether the place has changed.
    pub fn pass(&mut self, transaction: Transaction) -> bool {
        let Transaction { file, start, gtid, anchor } = transaction;
        let matters = !anchor.is_empty();
        if matters {
            self.file = file.to_string();
            (self.file_position, self.anchor) = (start, anchor);
            let ahead = std::mem::take(&mut self.ahead);
            self.gtids.add_all(&ahead);
        }
        if let Some((source, number)) = gtid {
            self.ahead.add(&source, number);
        }
        matters
    }
}

/// Why the binary log can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BinlogError {
    /// The server has no longer, or never had, what comes after the place. The text says why.
    #[error("the place in the binary log is lost: {0}")]
    Lost(String),
    /// The log is of another history: it lacks what was relayed.
    #[error("the binary log is of another history: {0}")]
    Forked(String),
    /// A setting or a right of the server forbids it.
    #[error("{0}")]
    Unfit(String),
    /// The server is away, or the connection broke.
    #[error("the binary log can't be read: {0}")]
    Unavailable(String),
}

impl From<mysql_async::Error> for BinlogError {
    fn from(error: mysql_async::Error) -> Self {
        match &error {
            // Access denied; a right or a replication right is missing.
            mysql_async::Error::Server(server) if matches!(server.code, 1044 | 1045 | 1142 | 1227) => {
                Self::Unfit(server.message.clone())
            }
            // ER_SOURCE_FATAL_ERROR_READING_BINLOG: purged, missing, or the reader has more than the server.
            mysql_async::Error::Server(server) if server.code == 1236 => Self::Lost(server.message.clone()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// The text by which a transaction is known again.
fn event_anchor(position: Position, room: RoomId, version: Version, payload: &[u8]) -> String {
    let hash = Sha256::digest(payload);
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("event {position} {room} {version} {hash}")
}

impl MySqlStore {
    /// The end of the binary log now. Checks that the log can be relayed.
    ///
    /// # Errors
    /// If it can't be.
    pub async fn end_of_binlog(&self) -> Result<Place, BinlogError> {
        let mut connection = self.replica().await?;
        let (server_uuid, _) = check(&mut connection).await?;
        let status = "SHOW BINARY LOG STATUS";
        let row: Option<mysql_async::Row> = match connection.query_first(status).await {
            // Before 8.2.
            Err(mysql_async::Error::Server(error)) if error.code == 1064 => {
                connection.query_first("SHOW MASTER STATUS").await?
            }
            row => row?,
        };
        let row = row.ok_or_else(|| BinlogError::Unfit("the server writes no binary log".to_owned()))?;
        let text = |column: usize| row.get_opt::<String, _>(column).and_then(Result::ok).unwrap_or_default();
        let gtids: Gtids = text(4).replace('\n', "").parse().map_err(BinlogError::Unavailable)?;
        let file_position = row.get_opt::<u64, _>(1).and_then(Result::ok).unwrap_or_default();
        drop(connection.disconnect().await);
        let (anchor, ahead) = (String::new(), Gtids::default());
        Ok(Place { server_uuid, file: text(0), file_position, gtids, anchor, ahead })
    }

    /// Checks that a connector which goes by GTIDs can publish what the binary log has.
    ///
    /// # Errors
    /// If a setting of the server forbids it, or can't be read.
    pub async fn check_for_connector(&self) -> Result<(), BinlogError> {
        const OPERATION: &str = "check_for_connector";
        let unread = |error: StoreError| BinlogError::Unavailable(error.to_string());
        let rows = self.rows(OPERATION, &Statement::new(SETTINGS, [])).await.map_err(unread)?;
        let settings = rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?)));
        let settings =
            settings.collect::<Result<_, _>>().map_err(|error: RowError| unread(error.during(OPERATION)))?;
        let settings = Settings(settings);
        settings.check()?;
        settings.must_be(&[("gtid_mode", "ON"), ("binlog_order_commits", "ON")])
    }

    /// A connection of the replication protocol's client.
    async fn replica(&self) -> Result<Conn, BinlogError> {
        let Parsed { url, options: address } = self.0.address.read();
        let url = url.expose_secret();
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let opts =
            mysql_async::Opts::from_url(base).map_err(|error| BinlogError::Unfit(error.to_string()))?;
        let ca = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ssl-ca");
        let tls = ca.map_or_else(SslOpts::default, |(_, file)| {
            let file = std::path::PathBuf::from(file.into_owned());
            SslOpts::default().with_root_certs(vec![file.into()]).with_disable_built_in_roots(true)
        });
        let tls = match address.get_ssl_mode() {
            MySqlSslMode::Disabled | MySqlSslMode::Preferred => None,
            MySqlSslMode::Required => {
                Some(tls.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true))
            }
            MySqlSslMode::VerifyCa => Some(tls.with_danger_skip_domain_validation(true)),
            MySqlSslMode::VerifyIdentity => Some(tls),
        };
        let database = address.get_database().map(str::to_owned);
        let opts = OptsBuilder::from_opts(opts).db_name(database).ssl_opts(tls).prefer_socket(false);
        let connecting = tokio::time::timeout(super::session::CONNECT_LIMIT, Conn::new(opts));
        connecting
            .await
            .map_err(|_| BinlogError::Unavailable("the server does not answer".to_owned()))?
            .map_err(Into::into)
    }
}

/// Checks the server's settings. Returns its UUID and whether transactions have GTIDs.
async fn check(connection: &mut Conn) -> Result<(String, bool), BinlogError> {
    let settings = Settings(connection.query(SETTINGS).await?);
    settings.check()?;
    let gtids = settings.value("gtid_mode").is_some_and(|mode| mode == "ON");
    Ok((settings.value("server_uuid").unwrap_or_default().to_lowercase(), gtids))
}

//! The event store in a SQL database: everything but connections, transactions, and the statements that differ.

pub(super) mod append;
mod directory;
mod erasures;
mod keys;
mod log;
mod migrations;
mod outbox;
mod reservation_index;
mod roll_backs;
mod rows;
mod snapshots;
mod statements;

use std::borrow::Cow;

pub(super) use directory::fill_name_keys;
pub(super) use migrations::migrator;
pub(super) use rows::{Columns, RowError};
use shared_events::{ReservationId, RoomId, Version};
pub(super) use statements::{pieces, repeated};

use super::{Buckets, Position, RelayState, Release, StoreError};

/// A database that holds the event store: how it runs statements, and where its SQL differs.
pub(super) trait Database: Send + Sync + 'static {
    /// A row of a result.
    type Row: Columns + Send;
    /// An open transaction.
    type Transaction<'a>: Transaction;

    /// The most positions that one condition can name.
    const MOST_POSITIONS: usize;
    /// The current time: milliseconds since 1970 in UTC.
    const NOW: &'static str;
    /// The row that each append reads: the list of erased persons, and the mode of the relay.
    const STATE: &'static str;
    /// Begins a list of rows after IN.
    const ROW_LIST: &'static str;
    /// A page of streams with their heads. Values: the bytes of the stream before it, and the most rows.
    const ALL_HEADS: &'static str;
    /// Begins an insert that leaves an existing row as it is.
    const INSERT_NEW: &'static str;
    /// Begins an update that leaves a row as it is where the update would break a unique key.
    const UPDATE_IF_UNIQUE: &'static str;
    /// Holds a room, unless it is held. Values: room, position of the refused event, reason, time.
    const HOLD_ROOM: &'static str;
    /// Ends a read that locks its rows until the end of the transaction.
    const FOR_UPDATE: &'static str;
    /// Inserts or replaces a snapshot: never by an older one of the same form, and only under one epoch of the list of erased
    /// persons. Values: stream, version, form, body, epoch.
    const SAVE_SNAPSHOT: &'static str;

    /// The phase of the relay's mode and the form of writing, as columns of [`Database::STATE`].
    fn mode() -> Cow<'static, str>;

    /// Ends an insert into this table: of two rows with one key, the higher version stays.
    fn keep_higher_version(table: &str) -> String;

    /// Reads the events after a version, for this number of streams. Values for each: stream, version.
    fn load(streams: usize) -> String;

    /// Reads the heads of this number of streams. Values: the streams.
    fn heads(streams: usize) -> String;

    /// Reads positions of undelivered events in these buckets. Value: the most positions.
    fn undelivered(buckets: Buckets) -> String;

    /// Runs a read.
    fn rows(
        &self,
        operation: &'static str,
        statement: &Statement<'_>,
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// Runs a write that has the same effect when it runs twice. Returns the number of changed rows.
    fn write(
        &self,
        operation: &'static str,
        statement: &Statement<'_>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Begins a transaction of an erasure.
    fn begin(
        &self,
        operation: &'static str,
    ) -> impl Future<Output = Result<Self::Transaction<'_>, StoreError>> + Send;

    /// The state of the relay.
    fn state(&self) -> impl Future<Output = Result<RelayState, StoreError>> + Send;

    /// Releases a held room: its events go out again, in order, from the refused one on.
    fn release(&self, room: RoomId) -> impl Future<Output = Result<Release, StoreError>> + Send;

    /// Waits until it is certain that a commit with unknown outcome has happened, or never will.
    fn settle_lost_commit(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// An open transaction.
pub(super) trait Transaction: Send {
    type Row: Columns + Send;

    /// Runs a statement.
    fn run(
        &mut self,
        statement: &Statement<'_>,
    ) -> impl Future<Output = Result<Done<Self::Row>, StoreError>> + Send;

    /// Commits if the result is good, and rolls back if it is not.
    fn end<T: Send>(
        self,
        result: Result<T, StoreError>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

/// The result of a statement.
pub(super) struct Done<R> {
    pub(super) rows: Vec<R>,
    /// Rows that were inserted, deleted or found for an update.
    pub(super) affected: u64,
    /// The id that the database reports of an insert: the first one in MySQL, the last one in SQLite.
    pub(super) id: u64,
}

/// Runs a read and converts its rows.
async fn read<D: Database, T>(
    database: &D,
    operation: &'static str,
    statement: Statement<'_>,
    convert: impl Fn(&D::Row) -> Result<T, RowError> + Send,
) -> Result<Vec<T>, StoreError> {
    let rows = database.rows(operation, &statement).await?;
    rows.iter().map(convert).collect::<Result<_, _>>().map_err(|error| error.during(operation))
}

/// A statement with its values. One without values is sent as text and not prepared.
pub(super) struct Statement<'a> {
    pub(super) sql: String,
    pub(super) values: Vec<Value<'a>>,
}

impl<'a> Statement<'a> {
    pub(super) fn new<const N: usize>(sql: impl Into<String>, values: [Value<'a>; N]) -> Self {
        Self { sql: sql.into(), values: values.into() }
    }

    /// A statement whose text is different each time.
    pub(super) fn text(sql: String) -> Self {
        Self { sql, values: Vec::new() }
    }
}

/// A value of a statement.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u64),
    Integer(i64),
    Flag(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Version> for Value<'_> {
    fn from(version: Version) -> Self {
        Self::Number(version.get())
    }
}

impl From<Position> for Value<'_> {
    fn from(position: Position) -> Self {
        Self::Number(position.get())
    }
}

impl<'a> From<&'a RoomId> for Value<'a> {
    fn from(room: &'a RoomId) -> Self {
        Self::Bytes(room.0.as_bytes())
    }
}

impl<'a> From<&'a ReservationId> for Value<'a> {
    fn from(reservation: &'a ReservationId) -> Self {
        Self::Bytes(reservation.0.as_bytes())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

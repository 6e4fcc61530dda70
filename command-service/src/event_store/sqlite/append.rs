//! The one transaction that commits a group of commands.

use async_trait::async_trait;
use shared_events::RawEvent;
use sqlx::SqliteConnection;

use super::{SqliteStore, code, is_transient, signed, store_error, unsigned};
use crate::event_store::{
    Append, AppendError, FailPoint, Group, NewKey, StoreError, bucket,
    insert_plan::{events_in_lock_order, expected_heads, keys_in_lock_order, pieces, repeated},
};

const OPERATION: &str = "append_events";

#[async_trait]
impl Append for SqliteStore {
    async fn append(&self, group: &Group) -> Result<Vec<u64>, AppendError> {
        let mut writer = self.0.writer.lock().await;
        begin(&mut writer).await.map_err(|error| refused("", error))?;
        let written = self.write(&mut writer, group).await;
        let positions = match written {
            Ok(positions) => positions,
            Err(error) => {
                roll_back(&mut writer).await;
                return Err(error);
            }
        };
        if let Err(error) = run(&mut writer, "COMMIT").await {
            roll_back(&mut writer).await;
            let unknown = !matches!(code(&error), Some(5 | 6 | 13));
            let error = store_error(OPERATION, error);
            return Err(if unknown { AppendError::Unknown(error) } else { AppendError::Transient(error) });
        }
        self.pass(FailPoint::AfterCommit).map_err(AppendError::Unknown)?;
        Ok(positions)
    }
}

impl SqliteStore {
    async fn write(&self, connection: &mut SqliteConnection, group: &Group) -> Result<Vec<u64>, AppendError> {
        self.pass(FailPoint::Begin).map_err(AppendError::Transient)?;
        check_erasures(connection, group).await?;
        let sorted = events_in_lock_order(group);
        check_heads(connection, &sorted).await?;
        let positions = insert_events(connection, &sorted).await?;
        self.pass(FailPoint::Events).map_err(AppendError::Transient)?;
        insert_outbox(connection, &sorted, &positions).await?;
        self.pass(FailPoint::Outbox).map_err(AppendError::Transient)?;
        insert_keys(connection, &group.keys, &positions).await?;
        self.pass(FailPoint::Keys).map_err(AppendError::Transient)?;
        write_rooms(connection, group).await?;
        self.pass(FailPoint::Rooms).map_err(AppendError::Transient)?;
        self.pass(FailPoint::BeforeCommit).map_err(AppendError::Transient)?;
        Ok(positions)
    }
}

/// SQLite's code for a BEGIN within a transaction, among other things.
const ERROR: u8 = 1;

/// Begins a transaction with plain statements: sqlx counts the transactions that it opened, and would for ever believe
/// in one that SQLite rolled back by itself because the disk was full.
pub(super) async fn begin(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    // Takes the write lock at once: a transaction that starts as a reader may find that it can't become a writer.
    const BEGIN: &str = "BEGIN IMMEDIATE";
    match run(connection, BEGIN).await {
        // One was left open by an append that was given up half-way.
        Err(error) if code(&error) == Some(ERROR) => {
            roll_back(connection).await;
            run(connection, BEGIN).await
        }
        begun => begun,
    }
}

/// Were this to fail, then because there is nothing left to roll back.
pub(super) async fn roll_back(connection: &mut SqliteConnection) {
    drop(run(connection, "ROLLBACK").await);
}

pub(super) async fn run(connection: &mut SqliteConnection, statement: &str) -> sqlx::Result<()> {
    sqlx::query(statement).execute(connection).await.map(drop)
}

/// Makes sure that the group was made under the list of erased persons as it is.
async fn check_erasures(connection: &mut SqliteConnection, group: &Group) -> Result<(), AppendError> {
    let select = sqlx::query_scalar::<_, i64>("SELECT epoch FROM erasure_list");
    let epoch = select.fetch_one(connection).await.map_err(|error| refused("", error))?;
    if unsigned(epoch) == group.erasures { Ok(()) } else { Err(AppendError::Erased) }
}

/// Makes sure that each stream goes on where it ended: a number that is left out could never be filled.
async fn check_heads(
    connection: &mut SqliteConnection,
    sorted: &[(usize, &RawEvent)],
) -> Result<(), AppendError> {
    let inconsistent = |detail: &str| {
        AppendError::Permanent(StoreError::Inconsistent { operation: OPERATION, detail: detail.to_owned() })
    };
    let Some(heads) = expected_heads(sorted) else {
        return Err(inconsistent("the versions of a stream in a group don't adjoin one another"));
    };
    for piece in pieces(&heads, |_| 64) {
        let values = repeated("(?,?)", piece.len());
        let sql = format!("SELECT COUNT(*) FROM events WHERE (stream_id, version) IN (VALUES {values})");
        let mut select = sqlx::query_scalar::<_, i64>(&sql);
        for (room, version) in piece {
            select = select.bind(room.0.as_bytes().as_slice()).bind(signed(version.get()));
        }
        let found = select.fetch_one(&mut *connection).await.map_err(|error| refused("", error))?;
        if usize::try_from(found).ok() != Some(piece.len()) {
            return Err(inconsistent(
                "a stream would have a gap: the version before its first new one is not there",
            ));
        }
    }
    Ok(())
}

/// Inserts the events and returns their positions in the order of the group.
async fn insert_events(
    connection: &mut SqliteConnection,
    sorted: &[(usize, &RawEvent)],
) -> Result<Vec<u64>, AppendError> {
    let mut positions = vec![0; sorted.len()];
    let rows: Vec<_> = sorted
        .iter()
        .map(|(at, event)| (*at, *event, serde_json::to_vec(&event.metadata).unwrap_or_default()))
        .collect();
    for piece in pieces(&rows, |(_, event, metadata)| event.payload.len() + metadata.len() + 64) {
        let values = repeated("(?,?,?,?,?,?)", piece.len());
        let sql = format!(
            "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES {values}"
        );
        let mut insert = sqlx::query(&sql);
        for (_, event, metadata) in piece {
            insert = insert
                .bind(event.room.0.as_bytes().as_slice())
                .bind(signed(event.version.get()))
                .bind(event.event_type.as_ref())
                .bind(event.payload.as_slice())
                .bind(metadata.as_slice())
                .bind(event.recorded_at.epoch_millis());
        }
        let done = insert.execute(&mut *connection).await.map_err(|error| refused("version", error))?;
        // The id of a multi-row insert is that of its last row.
        let first = unsigned(done.last_insert_rowid()) + 1 - piece.len() as u64;
        for (position, (at, ..)) in (first..).zip(piece) {
            if let Some(slot) = positions.get_mut(*at) {
                *slot = position;
            }
        }
    }
    Ok(positions)
}

async fn insert_outbox(
    connection: &mut SqliteConnection,
    sorted: &[(usize, &RawEvent)],
    positions: &[u64],
) -> Result<(), AppendError> {
    let rows: Vec<_> = sorted
        .iter()
        .filter_map(|(at, event)| positions.get(*at).map(|position| (*position, bucket(event.room))))
        .collect();
    for piece in pieces(&rows, |_| 32) {
        let sql = format!("INSERT INTO outbox (position, bucket) VALUES {}", repeated("(?,?)", piece.len()));
        let mut insert = sqlx::query(&sql);
        for (position, bucket) in piece {
            insert = insert.bind(signed(*position)).bind(bucket);
        }
        insert.execute(&mut *connection).await.map_err(|error| refused("version", error))?;
    }
    Ok(())
}

async fn insert_keys(
    connection: &mut SqliteConnection,
    keys: &[NewKey],
    positions: &[u64],
) -> Result<(), AppendError> {
    let sorted = keys_in_lock_order(keys);
    let position_of = |event: Option<usize>| event.and_then(|at| positions.get(at)).copied().map(signed);
    for piece in pieces(&sorted, |key| key.outcome.as_ref().map_or(0, Vec::len) + 64) {
        let values = repeated("(?,?,?,?,?,CAST(unixepoch('subsec') * 1000 AS INTEGER))", piece.len());
        let sql = format!(
            "INSERT INTO idempotency_keys (id, fingerprint, position, other_position, outcome, made_at) VALUES {values}"
        );
        let mut insert = sqlx::query(&sql);
        for key in piece {
            insert = insert
                .bind(key.id.0.as_slice())
                .bind(key.fingerprint.as_slice())
                .bind(position_of(key.event))
                .bind(position_of(key.other_event))
                .bind(key.outcome.as_deref());
        }
        insert.execute(&mut *connection).await.map_err(|error| refused("key", error))?;
    }
    Ok(())
}

/// Changes the directory, in the order of the commands: one may free the name that the next one takes.
async fn write_rooms(connection: &mut SqliteConnection, group: &Group) -> Result<(), AppendError> {
    for entry in &group.rooms {
        let room = entry.room.0.as_bytes().as_slice();
        for sql in [
            "UPDATE rooms SET name = ?, kind = ?, retired = ? WHERE room = ?",
            "INSERT INTO rooms (name, kind, retired, room) VALUES (?,?,?,?)",
        ] {
            let write = sqlx::query(sql).bind(&entry.name).bind(&entry.kind).bind(entry.retired).bind(room);
            let done = write.execute(&mut *connection).await.map_err(|error| refused("name", error))?;
            if done.rows_affected() > 0 {
                break;
            }
        }
    }
    Ok(())
}

/// What an error before COMMIT means: `unique` is what a duplicate would be in this statement.
fn refused(unique: &'static str, error: sqlx::Error) -> AppendError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        AppendError::Conflict(unique)
    } else if is_transient(&error) {
        AppendError::Transient(store_error(OPERATION, error))
    } else {
        AppendError::Permanent(store_error(OPERATION, error))
    }
}

//! The one transaction that commits a group of commands.

use std::time::Duration;

use async_trait::async_trait;
use shared_events::{RawEvent, RoomId, Version};
use sqlx::{Executor, Row};

use super::{
    MySqlStore,
    errors::{Meaning, meaning, says_rolled_back, store_error},
    session::{Statement, WRITE_LIMIT, WriterSession, cannot_connect, run_text, run_texts, within},
};
use crate::event_store::{
    Append, AppendError, FailPoint, Group, NewKey, StoreError, bucket,
    insert_plan::{events_in_lock_order, expected_heads, keys_in_lock_order, pieces, repeated},
};

const OPERATION: &str = "append_events";
/// How long the answer to a ROLLBACK is awaited before the connection is given up.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(2);

#[async_trait]
impl Append for MySqlStore {
    async fn append(&self, group: &Group) -> Result<Vec<u64>, AppendError> {
        let sorted = events_in_lock_order(group);
        let heads = expected_heads(&sorted)
            .ok_or_else(|| gap("the versions of a stream in a group don't adjoin one another"))?;
        self.bury_lost_session().await.map_err(AppendError::Transient)?;
        let mut kept = self.0.writer.lock().await;
        let (mut session, goes_on) = self.begin(kept.take(), &heads).await?;
        let written = match goes_on {
            Ok(begun) if begun.epoch != group.erasures => Err(AppendError::Erased),
            Ok(begun) if begun.has_heads => self.write(&mut session, group, &sorted, begun.now).await,
            Ok(_) => Err(gap("the version before a stream's first new one is not there")),
            Err(error) => Err(refused("", error)),
        };
        let (session, result) = match written {
            Ok((positions, rest)) => {
                let (session, committed) = self.commit(session, rest).await;
                (session, committed.map(|()| positions))
            }
            Err(error) => (self.roll_back(session).await, Err(error)),
        };
        *kept = session;
        if let (Some(session), Ok(_)) = (kept.as_mut(), &result) {
            session.remember(sorted.iter().map(|(_, event)| (event.room, event.version)));
        }
        result
    }
}

impl MySqlStore {
    /// Opens the transaction on the kept connection, or on a new one when that has gone away meanwhile.
    async fn begin(
        &self,
        kept: Option<WriterSession>,
        heads: &[(RoomId, Version)],
    ) -> Result<(WriterSession, Result<Begun, sqlx::Error>), AppendError> {
        if let Some(mut session) = kept.filter(WriterSession::is_fresh) {
            let begun = begin(&mut session, heads).await;
            if !begun.as_ref().is_err_and(|error| meaning(error) == Meaning::Lost) {
                return Ok((session, begun));
            }
        }
        let opened = WriterSession::open(&self.0.options).await;
        let mut session = opened.map_err(|error| AppendError::Transient(cannot_connect(OPERATION, error)))?;
        let begun = begin(&mut session, heads).await;
        Ok((session, begun))
    }

    /// What comes between BEGIN and COMMIT. The tables and their rows always come in the same order, so that two instances
    /// that write the same rooms wait for one another instead of deadlocking. Returns the positions, and the statements
    /// that are left to be sent with COMMIT.
    async fn write(
        &self,
        session: &mut WriterSession,
        group: &Group,
        sorted: &[(usize, &RawEvent)],
        now: i64,
    ) -> Result<(Vec<u64>, Vec<Last>), AppendError> {
        self.pass(FailPoint::Begin).map_err(AppendError::Transient)?;
        let positions = insert_events(session, sorted).await?;
        self.pass(FailPoint::Events).map_err(AppendError::Transient)?;
        let mut rest = outbox_inserts(sorted, &positions);
        if group.rooms.is_empty() && group.keys.iter().all(|key| key.outcome.is_none()) {
            rest.extend(keys_insert(&group.keys, &positions, now));
        } else {
            for last in rest.drain(..) {
                let sent = run_text(&mut session.connection, &last.sql).await;
                sent.map_err(|error| refused(last.unique, error))?;
            }
            self.pass(FailPoint::Outbox).map_err(AppendError::Transient)?;
            insert_keys(session, &group.keys, &positions, now).await?;
            self.pass(FailPoint::Keys).map_err(AppendError::Transient)?;
            write_rooms(session, group).await?;
            self.pass(FailPoint::Rooms).map_err(AppendError::Transient)?;
        }
        self.pass(FailPoint::BeforeCommit).map_err(AppendError::Transient)?;
        Ok((positions, rest))
    }

    /// Sends the last statements and COMMIT in one round trip. When one of them fails the server runs none after it.
    async fn commit(
        &self,
        mut session: WriterSession,
        rest: Vec<Last>,
    ) -> (Option<WriterSession>, Result<(), AppendError>) {
        let mut sql: String = rest.iter().flat_map(|last| [last.sql.as_str(), "; "]).collect();
        sql.push_str("COMMIT");
        let (done, result) = run_texts(&mut session.connection, &sql).await;
        let error = match result {
            Ok(()) => {
                session.touch();
                let result = self.pass(FailPoint::AfterCommit).map_err(AppendError::Unknown);
                return (Some(session), result);
            }
            Err(error) => error,
        };
        let error = match rest.get(done) {
            // The server says so itself; of a broken connection nobody knows how far it came.
            Some(failed) if error.as_database_error().is_some() => refused(failed.unique, error),
            None if says_rolled_back(&error) => AppendError::Transient(store_error(OPERATION, error)),
            _ => {
                *self.0.lost.lock().await = Some(session.name);
                let source = StoreError::Unavailable { operation: OPERATION, source: Box::new(error) };
                return (None, Err(AppendError::Unknown(source)));
            }
        };
        (self.roll_back(session).await, Err(error))
    }

    /// Rolls back, and gives the session up when it can't be told that this happened.
    async fn roll_back(&self, mut session: WriterSession) -> Option<WriterSession> {
        match within(ROLLBACK_LIMIT, session.connection.execute("ROLLBACK")).await {
            Ok(_) => {
                session.touch();
                Some(session)
            }
            Err(_) => {
                *self.0.lost.lock().await = Some(session.name);
                None
            }
        }
    }
}

/// What was found when the transaction was opened.
struct Begun {
    /// Whether all streams have the heads that are expected.
    has_heads: bool,
    /// That of the list of erased persons, which stays so until the transaction ends.
    epoch: u64,
    /// By the server's clock: milliseconds since 1970 in UTC.
    now: i64,
}

/// Opens the transaction, and in the same round trip makes sure that each stream goes on where it ended: a number that
/// is left out could never be filled. (That nobody else has taken the next number is the unique key's business.) The
/// lock on the list of erased persons is shared by all that append: only who changes it waits for them, and they for it.
async fn begin(session: &mut WriterSession, heads: &[(RoomId, Version)]) -> Result<Begun, sqlx::Error> {
    // Text, so that any number of heads is one statement. Numbers and hexadecimal digits need no escaping.
    let heads: Vec<_> = heads
        .iter()
        .filter(|(room, version)| !session.knows(*room, *version))
        .map(|(room, version)| format!("(x'{}',{version})", room.0.simple()))
        .collect();
    let found = match heads.len() {
        0 => "0".to_owned(),
        _ => format!("(SELECT COUNT(*) FROM events WHERE (stream_id, version) IN ({}))", heads.join(",")),
    };
    let sql = format!(
        "START TRANSACTION; /* append_events */ SELECT epoch, {found}, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) \
         FROM erasure_list WHERE id = 1 FOR SHARE"
    );
    let row = within(WRITE_LIMIT, session.connection.fetch_one(sql.as_str())).await?;
    let found: i64 = row.try_get(1)?;
    let has_heads = usize::try_from(found).ok() == Some(heads.len());
    Ok(Begun { has_heads, epoch: row.try_get(0)?, now: row.try_get(2)? })
}

fn gap(detail: &str) -> AppendError {
    AppendError::Permanent(StoreError::Inconsistent { operation: OPERATION, detail: detail.to_owned() })
}

/// Inserts the events and returns their positions in the order of the group.
async fn insert_events(
    session: &mut WriterSession,
    sorted: &[(usize, &RawEvent)],
) -> Result<Vec<u64>, AppendError> {
    let mut positions = vec![0; sorted.len()];
    let rows: Vec<_> = sorted
        .iter()
        .map(|(at, event)| (*at, *event, serde_json::to_vec(&event.metadata).unwrap_or_default()))
        .collect();
    for piece in pieces(&rows, |(_, event, metadata)| event.payload.len() + metadata.len() + 64) {
        let values = repeated("(?,?,?,?,?,?)", piece.len());
        let mut insert = Statement::new(format!(
            "/* append_events */ INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES {values}"
        ));
        for (_, event, metadata) in piece {
            insert = insert
                .bind(event.room.0.as_bytes().as_slice())
                .bind(event.version.get())
                .bind(event.event_type.as_ref())
                .bind(event.payload.as_slice())
                .bind(metadata.as_slice())
                .bind(event.recorded_at.epoch_millis());
        }
        let answer = insert
            .run(&mut session.connection, WRITE_LIMIT)
            .await
            .map_err(|error| refused("version", error))?;
        // A plain VALUES insert, whose number of rows is known beforehand, gets ids at equal distances.
        let mut position = answer.first_id;
        for (at, ..) in piece {
            if let Some(slot) = positions.get_mut(*at) {
                *slot = position;
            }
            position += session.id_step;
        }
    }
    Ok(positions)
}

/// A statement without values that goes out with COMMIT.
struct Last {
    sql: String,
    /// What a duplicate would be in it.
    unique: &'static str,
}

fn outbox_inserts(sorted: &[(usize, &RawEvent)], positions: &[u64]) -> Vec<Last> {
    let rows: Vec<_> = sorted
        .iter()
        .filter_map(|(at, event)| {
            positions.get(*at).map(|position| format!("({position},{})", bucket(event.room)))
        })
        .collect();
    let insert = |rows: &[String]| {
        let sql =
            format!("/* append_events */ INSERT INTO outbox (position, bucket) VALUES {}", rows.join(","));
        Last { sql, unique: "version" }
    };
    rows.chunks(4096).map(insert).collect()
}

/// Records that only point at events. They hold numbers and hashes, which need no escaping and tell nobody anything.
fn keys_insert(keys: &[NewKey], positions: &[u64], now: i64) -> Option<Last> {
    let position_of = |event: Option<usize>| {
        event.and_then(|at| positions.get(at)).map_or_else(|| "NULL".to_owned(), u64::to_string)
    };
    let sorted = keys_in_lock_order(keys);
    let rows: Vec<_> = sorted
        .iter()
        .map(|key| {
            let (id, fingerprint) = (u128::from_be_bytes(key.id.0), u128::from_be_bytes(key.fingerprint));
            let (position, other) = (position_of(key.event), position_of(key.other_event));
            format!("(x'{id:032x}',x'{fingerprint:032x}',{position},{other},{now})")
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let sql = format!(
        "/* append_events */ INSERT INTO idempotency_keys (id, fingerprint, position, other_position, made_at) VALUES {}",
        rows.join(",")
    );
    Some(Last { sql, unique: "key" })
}

async fn insert_keys(
    session: &mut WriterSession,
    keys: &[NewKey],
    positions: &[u64],
    now: i64,
) -> Result<(), AppendError> {
    let sorted = keys_in_lock_order(keys);
    let position_of = |event: Option<usize>| event.and_then(|at| positions.get(at)).copied();
    for piece in pieces(&sorted, |key| key.outcome.as_ref().map_or(0, Vec::len) + 64) {
        let values = repeated("(?,?,?,?,?,?)", piece.len());
        let mut insert = Statement::new(format!(
            "/* append_events */ INSERT INTO idempotency_keys (id, fingerprint, position, other_position, outcome, made_at) VALUES {values}"
        ));
        for key in piece {
            insert = insert
                .bind(key.id.0.as_slice())
                .bind(key.fingerprint.as_slice())
                .bind(position_of(key.event))
                .bind(position_of(key.other_event))
                .bind(key.outcome.as_deref())
                .bind(now);
        }
        insert.run(&mut session.connection, WRITE_LIMIT).await.map_err(|error| refused("key", error))?;
    }
    Ok(())
}

/// Changes the directory, in the order of the commands: one may free the name that the next one takes.
async fn write_rooms(session: &mut WriterSession, group: &Group) -> Result<(), AppendError> {
    for entry in &group.rooms {
        let update = Statement::new(
            "/* append_events */ UPDATE rooms SET name = ?, kind = ?, retired = ? WHERE room = ?",
        );
        let room = entry.room.0.as_bytes().as_slice();
        let update = update.bind(&entry.name).bind(&entry.kind).bind(entry.retired).bind(room);
        let answer =
            update.run(&mut session.connection, WRITE_LIMIT).await.map_err(|error| refused("name", error))?;
        if answer.affected == 0 {
            let insert = Statement::new(
                "/* append_events */ INSERT INTO rooms (name, kind, retired, room) VALUES (?,?,?,?)",
            );
            let insert = insert.bind(&entry.name).bind(&entry.kind).bind(entry.retired).bind(room);
            insert.run(&mut session.connection, WRITE_LIMIT).await.map_err(|error| refused("name", error))?;
        }
    }
    Ok(())
}

/// What an error before COMMIT means: `unique` is what a duplicate would be in this statement.
fn refused(unique: &'static str, error: sqlx::Error) -> AppendError {
    match meaning(&error) {
        Meaning::Duplicate => AppendError::Conflict(unique),
        Meaning::Again | Meaning::Lost => AppendError::Transient(store_error(OPERATION, error)),
        Meaning::Refused => AppendError::Permanent(store_error(OPERATION, error)),
    }
}

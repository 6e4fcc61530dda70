//! The one transaction that commits a group of commands.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Executor, mysql::MySqlRow};

use super::{
    MySqlStore,
    errors::{Meaning, says_rolled_back, store_error},
    session::{WRITE_LIMIT, WriterSession, cannot_connect, run, run_text, run_texts, within},
};
use crate::{
    domain::NameKey,
    event_store::{
        Append, AppendError, Appended, FailPoint, Group, KeyKind, Position, StoreError, WriterForm,
        sql::{
            Statement,
            append::{
                Begun, OPERATION, Plan, PlannedEvent, TextStatement, delete_replaced_keys, insert_events,
                insert_keys, place, room_writes, writer_form,
            },
            pieces,
        },
    },
};

/// Limit for the answer to a ROLLBACK.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(2);

#[async_trait]
impl Append for MySqlStore {
    async fn append(&self, group: &Group) -> Result<Appended, AppendError> {
        let plan = Plan::new(group)?;
        self.bury_lost_session().await.map_err(AppendError::Transient)?;
        let mut kept = self.0.writer.lock().await;
        let (mut session, begun) = self.begin(kept.take(), &plan).await?;
        let begun = begun.map_err(|error| self.refused("", error));
        let begun = begun.and_then(|(rows, heads)| Begun::read(&rows, heads)?.check(group));
        let written = match begun {
            Ok(begun) => {
                let written = self.write(&mut session, group, &plan, &begun).await;
                let appended = |positions| Appended { positions, in_outbox: begun.in_outbox, now: begun.now };
                written.map(|(positions, rest)| (appended(positions), rest))
            }
            Err(error) => Err(error),
        };
        let (session, result) = match written {
            Ok((appended, rest)) => {
                let (session, committed) = self.commit(session, rest).await;
                (session, committed.map(|()| appended))
            }
            Err(error) => (self.roll_back(session).await, Err(error)),
        };
        *kept = session.filter(|session| self.0.sessions.trusts(session));
        if let (Some(session), Ok(_)) = (kept.as_mut(), &result) {
            session
                .remember(plan.events.iter().map(|PlannedEvent { event, .. }| (event.room, event.version)));
        }
        result
    }

    async fn writer_form(&self) -> Result<WriterForm, StoreError> {
        writer_form(self).await
    }
}

impl MySqlStore {
    /// Opens the transaction on the kept connection, or on a new one if that is dead.
    async fn begin(
        &self,
        kept: Option<WriterSession>,
        plan: &Plan<'_>,
    ) -> Result<(WriterSession, Result<(Vec<MySqlRow>, usize), sqlx::Error>), AppendError> {
        if let Some(mut session) = kept.filter(|session| self.0.sessions.trusts(session)) {
            let begun = begin(&mut session, plan).await;
            if !begun.as_ref().is_err_and(|error| self.0.sessions.judge(error) == Meaning::Reconnect) {
                return Ok((session, begun));
            }
        }
        let opened = WriterSession::open(&self.0.address.options()).await;
        let mut session = opened.map_err(|error| AppendError::Transient(cannot_connect(OPERATION, error)))?;
        let begun = begin(&mut session, plan).await;
        Ok((session, begun))
    }

    /// Runs the statements between BEGIN and COMMIT. Tables and rows have the same order in every append, so instances that
    /// write the same rooms wait for one another and never deadlock. Returns the positions, and the statements that go out
    /// with COMMIT.
    async fn write(
        &self,
        session: &mut WriterSession,
        group: &Group,
        plan: &Plan<'_>,
        begun: &Begun,
    ) -> Result<(Vec<Position>, Vec<TextStatement>), AppendError> {
        let fail_points = &self.0.fail_points;
        fail_points.pass(FailPoint::Begin)?;
        let mut positions = vec![Position::START; plan.events.len()];
        for piece in pieces(&plan.events, PlannedEvent::bytes) {
            let inserted = run(&mut session.connection, &insert_events(piece, begun.now), WRITE_LIMIT).await;
            let first = inserted.map_err(|error| self.refused("version", error))?.id;
            // An insert of plain VALUES gets ids at equal distances, because its number of rows is known beforehand.
            place(&mut positions, piece, first, session.id_step);
        }
        fail_points.pass(FailPoint::Events)?;
        let mut rest = Vec::new();
        for (statement, point) in [
            (begun.insert_outbox(&plan.events, &positions), FailPoint::Outbox),
            (delete_replaced_keys(&group.keys), FailPoint::Keys),
            (insert_keys(KeyKind::Request, &group.keys, &positions, begun.now), FailPoint::Keys),
            (insert_keys(KeyKind::ImportLine, &group.keys, &positions, begun.now), FailPoint::Keys),
        ] {
            if group.rooms.is_empty() {
                rest.extend(statement);
            } else if let Some(TextStatement { sql, unique }) = statement {
                run_text(&mut session.connection, &sql).await.map_err(|error| self.refused(unique, error))?;
                fail_points.pass(point)?;
            }
        }
        self.write_rooms(session, group).await?;
        fail_points.pass(FailPoint::Rooms)?;
        fail_points.pass(FailPoint::BeforeCommit)?;
        Ok((positions, rest))
    }

    /// Sends the last statements and COMMIT in one round trip. After a statement that fails the server runs none.
    async fn commit(
        &self,
        mut session: WriterSession,
        rest: Vec<TextStatement>,
    ) -> (Option<WriterSession>, Result<(), AppendError>) {
        let mut sql: String = rest.iter().flat_map(|statement| [statement.sql.as_str(), "; "]).collect();
        sql.push_str("COMMIT");
        let (done, result) = run_texts(&mut session.connection, &sql).await;
        let error = match result {
            Ok(()) => {
                session.touch();
                return (Some(session), self.0.fail_points.pass(FailPoint::AfterCommit));
            }
            Err(error) => error,
        };
        self.0.sessions.judge(&error);
        let error = match rest.get(done) {
            // The server reports the failed statement, unless the connection broke.
            Some(failed) if error.as_database_error().is_some() => self.refused(failed.unique, error),
            None if says_rolled_back(&error) => AppendError::Transient(store_error(OPERATION, error)),
            _ => {
                *self.0.lost.lock().await = Some(session.name);
                let source = StoreError::Unavailable { operation: OPERATION, source: Box::new(error) };
                return (None, Err(AppendError::Unknown(source)));
            }
        };
        (self.roll_back(session).await, Err(error))
    }

    /// Rolls back. Gives the session up if it is not certain that this happened.
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

    /// Changes the directory in the order of the commands: one may free the name that the next one takes.
    async fn write_rooms(&self, session: &mut WriterSession, group: &Group) -> Result<(), AppendError> {
        for entry in &group.rooms {
            for write in room_writes(entry, &NameKey::of(&entry.name)) {
                let written = run(&mut session.connection, &write, WRITE_LIMIT).await;
                if written.map_err(|error| self.refused("name", error))?.affected > 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The meaning of an error before COMMIT. A duplicate means that another writer was first with `unique`.
    fn refused(&self, unique: &'static str, error: sqlx::Error) -> AppendError {
        match self.0.sessions.judge(&error) {
            Meaning::Duplicate => AppendError::Conflict(unique),
            Meaning::Again | Meaning::Reconnect => AppendError::Transient(store_error(OPERATION, error)),
            Meaning::Refused => AppendError::Permanent(store_error(OPERATION, error)),
        }
    }
}

/// Opens the transaction and reads the state in which it begins, in one round trip. Returns the row and the number of heads
/// that must be there. All appends share the lock on the list of erased persons: a change of the list waits for them, and they
/// for it.
async fn begin(session: &mut WriterSession, plan: &Plan<'_>) -> Result<(Vec<MySqlRow>, usize), sqlx::Error> {
    let unknown = |(room, version): &&(_, _)| !session.knows(*room, *version);
    let heads: Vec<_> = plan.heads.iter().filter(unknown).copied().collect();
    let select = Begun::select::<MySqlStore>(&heads);
    let sql = format!("START TRANSACTION; /* {OPERATION} */ {select} FOR SHARE");
    let begun = run(&mut session.connection, &Statement::text(sql), WRITE_LIMIT).await?;
    Ok((begun.rows, heads.len()))
}

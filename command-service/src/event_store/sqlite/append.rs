//! The one transaction that commits a group of commands.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, code,
    database::{begin, roll_back, run, run_text},
    is_transient, store_error,
};
use crate::{
    domain::NameKey,
    event_store::{
        Append, AppendError, Appended, FailPoint, Group, KeyKind, Position, StoreError, WriterForm,
        sql::{
            Done, Statement,
            append::{
                Begun, OPERATION, Plan, PlannedEvent, delete_replaced_keys, insert_events, insert_keys,
                place, room_writes, writer_form,
            },
            pieces,
        },
    },
};

#[async_trait]
impl Append for SqliteStore {
    async fn append(&self, group: &Group) -> Result<Appended, AppendError> {
        let plan = Plan::new(group)?;
        let mut writer = self.0.writer.lock().await;
        begin(&mut writer).await.map_err(|error| refused("", error))?;
        let written = self.write(&mut writer, group, &plan).await;
        let appended = match written {
            Ok(appended) => appended,
            Err(error) => {
                roll_back(&mut writer).await;
                return Err(error);
            }
        };
        if let Err(error) = run_text(&mut writer, "COMMIT").await {
            roll_back(&mut writer).await;
            let unknown = !matches!(code(&error), Some(5 | 6 | 13));
            let error = store_error(OPERATION, error);
            return Err(if unknown { AppendError::Unknown(error) } else { AppendError::Transient(error) });
        }
        self.0.fail_points.pass(FailPoint::AfterCommit)?;
        Ok(appended)
    }

    async fn writer_form(&self) -> Result<WriterForm, StoreError> {
        writer_form(self).await
    }
}

impl SqliteStore {
    async fn write(
        &self,
        connection: &mut SqliteConnection,
        group: &Group,
        plan: &Plan<'_>,
    ) -> Result<Appended, AppendError> {
        let fail_points = &self.0.fail_points;
        fail_points.pass(FailPoint::Begin)?;
        let select = Statement::text(Begun::select::<Self>(&plan.heads));
        let rows = execute(connection, "", &select).await?.rows;
        let begun = Begun::read(&rows, plan.heads.len())?.check(group)?;
        let mut positions = vec![Position::START; plan.events.len()];
        for piece in pieces(&plan.events, PlannedEvent::bytes) {
            let inserted = execute(connection, "version", &insert_events(piece, begun.now)).await?;
            // The id of an insert of several rows is that of the last one.
            place(&mut positions, piece, inserted.id + 1 - piece.len() as u64, 1);
        }
        fail_points.pass(FailPoint::Events)?;
        for (statement, point) in [
            (begun.insert_outbox(&plan.events, &positions), FailPoint::Outbox),
            (delete_replaced_keys(&group.keys), FailPoint::Keys),
            (insert_keys(KeyKind::Request, &group.keys, &positions, begun.now), FailPoint::Keys),
            (insert_keys(KeyKind::ImportLine, &group.keys, &positions, begun.now), FailPoint::Keys),
        ] {
            if let Some(statement) = statement {
                execute(connection, statement.unique, &Statement::text(statement.sql)).await?;
            }
            fail_points.pass(point)?;
        }
        // In the order of the commands: one may free the name that the next one takes.
        for entry in &group.rooms {
            for write in room_writes(entry, &NameKey::of(&entry.name)) {
                if execute(connection, "name", &write).await?.affected > 0 {
                    break;
                }
            }
        }
        fail_points.pass(FailPoint::Rooms)?;
        fail_points.pass(FailPoint::BeforeCommit)?;
        Ok(Appended { positions, in_outbox: true, now: begun.now })
    }
}

async fn execute(
    connection: &mut SqliteConnection,
    unique: &'static str,
    statement: &Statement<'_>,
) -> Result<Done<SqliteRow>, AppendError> {
    run(connection, statement).await.map_err(|error| refused(unique, error))
}

/// The meaning of an error before COMMIT. A duplicate means that another writer was first with `unique`.
fn refused(unique: &'static str, error: sqlx::Error) -> AppendError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        AppendError::Conflict(unique)
    } else if is_transient(&error) {
        AppendError::Transient(store_error(OPERATION, error))
    } else {
        AppendError::Permanent(store_error(OPERATION, error))
    }
}

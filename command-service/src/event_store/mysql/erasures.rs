//! The list of erased persons, and the masking of what was stored before they were on it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use shared_events::{Erasures, RoomId, UserId, erasure::Bytes32};
use sqlx::{Connection, MySqlConnection};

use super::{
    MySqlStore,
    errors::store_error,
    rows::first,
    session::{Statement, StatementResult, WRITE_LIMIT, cannot_connect, connect, run_text},
};
use crate::event_store::{ErasureList, StoreError, StoredEvent, rows::Columns};

#[async_trait]
impl ErasureList for MySqlStore {
    async fn erasures(&self) -> Result<Erasures, StoreError> {
        const OPERATION: &str = "erasures";
        // One statement: the list as it is at one epoch.
        const SQL: &str = "/* erasures */ SELECT l.epoch, l.secret, e.fingerprint, e.pseudonym FROM erasure_list l \
                           LEFT JOIN erasures e ON TRUE";
        let rows = self.run(OPERATION, Statement::new(SQL)).await?.rows;
        let mut list = Erasures {
            epoch: first(OPERATION, &rows, 0)?.unwrap_or(0),
            secret: rows
                .first()
                .map(|row| row.fixed(OPERATION, 1))
                .transpose()?
                .map(Bytes32)
                .unwrap_or_default(),
            ..Erasures::default()
        };
        for row in &rows {
            if row.bytes(OPERATION, 2)?.is_some() {
                list.persons.insert(Bytes32(row.fixed(OPERATION, 2)?), UserId(row.text(OPERATION, 3)?));
            }
        }
        Ok(list)
    }

    async fn begin_erasure(&self, person: Bytes32, pseudonym: &UserId) -> Result<Option<u64>, StoreError> {
        const OPERATION: &str = "begin_erasure";
        let mut connection = self.connect_for(OPERATION).await?;
        // Waits for the appends that have read the epoch, and holds up those that come: see `append.rs`.
        const LOCK: &str = "/* begin_erasure */ SELECT epoch FROM erasure_list WHERE id = 1 FOR UPDATE";
        run(OPERATION, &mut connection, Statement::new(LOCK)).await?;
        const INSERT: &str = "/* begin_erasure */ INSERT IGNORE INTO erasures (fingerprint, pseudonym, masked_to) \
                              VALUES (?, ?, 0)";
        let insert = Statement::new(INSERT).bind(person.0.as_slice()).bind(&pseudonym.0);
        let is_new = run(OPERATION, &mut connection, insert).await?.affected > 0;
        const NEXT: &str = "/* begin_erasure */ UPDATE erasure_list SET epoch = epoch + 1 WHERE id = 1";
        const AGAIN: &str = "/* begin_erasure */ UPDATE erasures SET masked_to = 0 WHERE fingerprint = ? AND masked_to IS NULL";
        let change =
            if is_new { Statement::new(NEXT) } else { Statement::new(AGAIN).bind(person.0.as_slice()) };
        run(OPERATION, &mut connection, change).await?;
        const READ: &str = "/* begin_erasure */ SELECT masked_to FROM erasures WHERE fingerprint = ?";
        let read = Statement::new(READ).bind(person.0.as_slice());
        let masked_to = first(OPERATION, &run(OPERATION, &mut connection, read).await?.rows, 0)?;
        commit(OPERATION, connection).await?;
        Ok(masked_to)
    }

    async fn mask_events(
        &self,
        person: Bytes32,
        masked: &[StoredEvent],
        masked_to: Option<u64>,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "mask_events";
        let mut connection = self.connect_for(OPERATION).await?;
        for event in masked {
            const SQL: &str =
                "/* mask_events */ UPDATE events SET payload = ?, metadata = ? WHERE position = ?";
            let update = Statement::new(SQL)
                .bind(event.payload.as_slice())
                .bind(event.metadata.as_slice())
                .bind(event.position);
            run(OPERATION, &mut connection, update).await?;
        }
        let rooms: BTreeSet<RoomId> = masked.iter().map(|event| event.room).collect();
        for room in rooms {
            const SQL: &str = "/* mask_events */ DELETE FROM snapshots WHERE stream_id = ?";
            let delete = Statement::new(SQL).bind(room.0.as_bytes().as_slice());
            run(OPERATION, &mut connection, delete).await?;
        }
        const SQL: &str = "/* mask_events */ UPDATE erasures SET masked_to = ? WHERE fingerprint = ?";
        let note = Statement::new(SQL).bind(masked_to).bind(person.0.as_slice());
        run(OPERATION, &mut connection, note).await?;
        commit(OPERATION, connection).await
    }
}

impl MySqlStore {
    /// A connection of its own, in a transaction: what is left undone ends with it.
    async fn connect_for(&self, operation: &'static str) -> Result<MySqlConnection, StoreError> {
        let connected = connect(&self.0.options).await;
        let mut connection = connected.map_err(|error| cannot_connect(operation, error))?;
        let begun = run_text(&mut connection, "START TRANSACTION").await;
        begun.map_err(|error| store_error(operation, error))?;
        Ok(connection)
    }
}

async fn run(
    operation: &'static str,
    connection: &mut MySqlConnection,
    statement: Statement,
) -> Result<StatementResult, StoreError> {
    statement.run(connection, WRITE_LIMIT).await.map_err(|error| store_error(operation, error))
}

async fn commit(operation: &'static str, mut connection: MySqlConnection) -> Result<(), StoreError> {
    run_text(&mut connection, "COMMIT").await.map_err(|error| store_error(operation, error))?;
    // The server ends the session anyway when the socket closes.
    drop(connection.close().await);
    Ok(())
}

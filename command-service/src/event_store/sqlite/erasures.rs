//! The list of erased persons, and the masking of what was stored before they were on it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use shared_events::{Erasures, RoomId, UserId, erasure::Bytes32};
use sqlx::{Row, SqliteConnection};

use super::{
    SqliteStore,
    append::{begin, roll_back, run},
    signed, store_error, unsigned,
};
use crate::event_store::{ErasureList, StoreError, StoredEvent, rows::Columns};

#[async_trait]
impl ErasureList for SqliteStore {
    async fn erasures(&self) -> Result<Erasures, StoreError> {
        const OPERATION: &str = "erasures";
        const SQL: &str = "SELECT l.epoch, l.secret, e.fingerprint, e.pseudonym FROM erasure_list l \
                           LEFT JOIN erasures e ON TRUE";
        let rows = sqlx::query(SQL).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error(OPERATION, error))?;
        let mut list = Erasures::default();
        for row in &rows {
            (list.epoch, list.secret) = (row.number(OPERATION, 0)?, Bytes32(row.fixed(OPERATION, 1)?));
            if row.bytes(OPERATION, 2)?.is_some() {
                list.persons.insert(Bytes32(row.fixed(OPERATION, 2)?), UserId(row.text(OPERATION, 3)?));
            }
        }
        Ok(list)
    }

    async fn begin_erasure(&self, person: Bytes32, pseudonym: &UserId) -> Result<Option<u64>, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let listed = list(&mut writer, person, pseudonym).await;
        end("begin_erasure", &mut writer, listed).await
    }

    async fn mask_events(
        &self,
        person: Bytes32,
        masked: &[StoredEvent],
        masked_to: Option<u64>,
    ) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let written = mask(&mut writer, person, masked, masked_to).await;
        end("mask_events", &mut writer, written).await
    }
}

async fn list(
    connection: &mut SqliteConnection,
    person: Bytes32,
    pseudonym: &UserId,
) -> sqlx::Result<Option<u64>> {
    begin(connection).await?;
    let insert = "INSERT OR IGNORE INTO erasures (fingerprint, pseudonym, masked_to) VALUES (?, ?, 0)";
    let insert = sqlx::query(insert).bind(person.0.as_slice()).bind(&pseudonym.0);
    if insert.execute(&mut *connection).await?.rows_affected() > 0 {
        run(connection, "UPDATE erasure_list SET epoch = epoch + 1").await?;
    }
    let again = "UPDATE erasures SET masked_to = 0 WHERE fingerprint = ? AND masked_to IS NULL";
    sqlx::query(again).bind(person.0.as_slice()).execute(&mut *connection).await?;
    let read = sqlx::query("SELECT masked_to FROM erasures WHERE fingerprint = ?").bind(person.0.as_slice());
    let masked_to: Option<i64> = read.fetch_one(connection).await?.try_get(0)?;
    Ok(masked_to.map(unsigned))
}

async fn mask(
    connection: &mut SqliteConnection,
    person: Bytes32,
    masked: &[StoredEvent],
    masked_to: Option<u64>,
) -> sqlx::Result<()> {
    // What is replaced does not stay in the free parts of the file.
    run(connection, "PRAGMA secure_delete = ON").await?;
    begin(connection).await?;
    for event in masked {
        let update = "UPDATE events SET payload = ?, metadata = ? WHERE position = ?";
        let update = sqlx::query(update).bind(event.payload.as_slice()).bind(event.metadata.as_slice());
        update.bind(signed(event.position)).execute(&mut *connection).await?;
    }
    let rooms: BTreeSet<RoomId> = masked.iter().map(|event| event.room).collect();
    for room in rooms {
        let delete = sqlx::query("DELETE FROM snapshots WHERE stream_id = ?");
        delete.bind(room.0.as_bytes().as_slice()).execute(&mut *connection).await?;
    }
    let note = sqlx::query("UPDATE erasures SET masked_to = ? WHERE fingerprint = ?");
    note.bind(masked_to.map(signed)).bind(person.0.as_slice()).execute(connection).await.map(drop)
}

/// Commits what was done, or takes it back.
async fn end<T>(
    operation: &'static str,
    connection: &mut SqliteConnection,
    done: sqlx::Result<T>,
) -> Result<T, StoreError> {
    let outcome = match done {
        Ok(value) => run(connection, "COMMIT").await.map(|()| value),
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        roll_back(connection).await;
    }
    outcome.map_err(|error| store_error(operation, error))
}

//! The list of erased persons, and the masking of stored events.

use std::collections::BTreeSet;

use async_trait::async_trait;
use shared_events::{
    Erasures, RoomId, UserId,
    erasure::{Bytes32, ErasedPerson, ErasuresPage},
};

use super::{Columns, Database, RowError, Statement, Transaction, Value, read};
use crate::event_store::{ErasureList, Masked, Position, StoreError, StoredEvent};

#[async_trait]
impl<D: Database> ErasureList for D {
    async fn erasures(&self, after: u64, limit: u32) -> Result<ErasuresPage, StoreError> {
        const OPERATION: &str = "erasures";
        // One statement, so that epoch and persons belong together.
        const SQL: &str = "SELECT l.epoch, l.secret, e.seq, e.fingerprint, e.pseudonym FROM erasure_list l LEFT JOIN \
                           (SELECT seq, fingerprint, pseudonym FROM erasures WHERE seq > ? ORDER BY seq LIMIT ?) e \
                           ON TRUE ORDER BY e.seq";
        // One more tells that there are more.
        let statement = Statement::new(SQL, [after.into(), limit.saturating_add(1).into()]);
        let rows = self.rows(OPERATION, &statement).await?;
        page(&rows, limit).map_err(|error| error.during(OPERATION))
    }

    async fn erasure_of(&self, user: &UserId) -> Result<Erasures, StoreError> {
        const OPERATION: &str = "erasure_of";
        let head = Statement::new("SELECT epoch, secret FROM erasure_list", []);
        let head = read(self, OPERATION, head, |row| Ok((row.number(0)?, Bytes32(row.fixed(1)?)))).await?;
        let (epoch, secret) = head.first().copied().unwrap_or_default();
        let mut list = Erasures { epoch, secret, ..Erasures::default() };
        let person = list.fingerprint(user);
        let select = "SELECT seq, pseudonym FROM erasures WHERE fingerprint = ?";
        let select = Statement::new(select, [person.0.as_slice().into()]);
        let found = read(self, OPERATION, select, |row| Ok((row.number(0)?, row.user(1)?))).await?;
        list.persons.extend(found.into_iter().map(|found| (person, found)));
        Ok(list)
    }

    async fn begin_erasure(&self, person: Bytes32, pseudonym: &UserId) -> Result<Position, StoreError> {
        let mut transaction = self.begin("begin_erasure").await?;
        let listed = list::<D>(&mut transaction, person, pseudonym).await;
        transaction.end(listed).await
    }

    async fn mask_events(
        &self,
        person: Bytes32,
        events: &[StoredEvent],
        masked: Masked,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin("mask_events").await?;
        let written = mask(&mut transaction, person, events, masked).await;
        transaction.end(written).await
    }
}

/// A page of the rows, which are one more if more persons follow.
fn page(rows: &[impl Columns], limit: u32) -> Result<ErasuresPage, RowError> {
    let mut page = ErasuresPage { epoch: 0, secret: Bytes32::default(), persons: Vec::new(), next: None };
    for row in rows {
        (page.epoch, page.secret) = (row.number(0)?, Bytes32(row.fixed(1)?));
        if page.persons.len() == limit as usize {
            page.next = page.persons.last().map(|last| last.seq);
        } else if row.bytes(3)?.is_some() {
            let (seq, person) = (row.number(2)?, Bytes32(row.fixed(3)?));
            page.persons.push(ErasedPerson { seq, person, pseudonym: row.user(4)? });
        }
    }
    Ok(page)
}

async fn list<D: Database>(
    transaction: &mut D::Transaction<'_>,
    person: Bytes32,
    pseudonym: &UserId,
) -> Result<Position, StoreError> {
    let person = person.0.as_slice().into();
    let select = "SELECT masked_to FROM erasures WHERE fingerprint = ?";
    // Only a change of the list needs the lock that all appends take.
    if transaction.run(&Statement::new(select, [person])).await?.rows.is_empty() {
        add::<D>(transaction, person, pseudonym).await?;
    }
    let again = "UPDATE erasures SET masked_to = 0 WHERE fingerprint = ? AND masked_to IS NULL";
    transaction.run(&Statement::new(again, [person])).await?;
    let rows = transaction.run(&Statement::new(select, [person])).await?.rows;
    let masked_to = rows.first().map_or(Ok(0), |row| row.number(0));
    Ok(masked_to.map_err(|error| error.during("begin_erasure"))?.into())
}

async fn add<D: Database>(
    transaction: &mut D::Transaction<'_>,
    person: Value<'_>,
    pseudonym: &UserId,
) -> Result<(), StoreError> {
    // Waits for the appends that have read the epoch, and blocks later ones until the end.
    let lock = format!("SELECT epoch FROM erasure_list WHERE id = 1{}", D::FOR_UPDATE);
    transaction.run(&Statement::new(lock, [])).await?;
    let insert =
        format!("{} INTO erasures (fingerprint, pseudonym, masked_to) VALUES (?, ?, 0)", D::INSERT_NEW);
    let insert = Statement::new(insert, [person, pseudonym.as_str().into()]);
    if transaction.run(&insert).await?.affected > 0 {
        let next = "UPDATE erasure_list SET epoch = epoch + 1 WHERE id = 1";
        transaction.run(&Statement::new(next, [])).await?;
    }
    Ok(())
}

async fn mask(
    transaction: &mut impl Transaction,
    person: Bytes32,
    events: &[StoredEvent],
    masked: Masked,
) -> Result<(), StoreError> {
    for event in events {
        let update = "UPDATE events SET payload = ?, metadata = ? WHERE position = ?";
        let (payload, metadata) = (event.payload.as_slice(), event.metadata.as_slice());
        let values = [payload.into(), metadata.into(), event.position.into()];
        transaction.run(&Statement::new(update, values)).await?;
    }
    let rooms: BTreeSet<RoomId> = events.iter().map(|event| event.room).collect();
    for room in &rooms {
        let delete = Statement::new("DELETE FROM snapshots WHERE stream_id = ?", [room.into()]);
        transaction.run(&delete).await?;
    }
    let masked_to = match masked {
        Masked::UpTo(position) => position.to_string(),
        Masked::All => "NULL".to_owned(),
    };
    let note = format!("UPDATE erasures SET masked_to = {masked_to} WHERE fingerprint = ?");
    transaction.run(&Statement::new(note, [person.0.as_slice().into()])).await.map(drop)
}

//! Leases: which instance does what only one should do at a time. They save work and guard nothing: a holder that stops
//! and wakes up later acts before it looks.
//!
//! No clock is compared with another. A contender takes a lease over when its row has not changed for so long on the
//! contender's own monotonic clock.

use std::sync::Arc;

use super::{
    reads::{get, text},
    session::{Sessions, Statement},
};
use crate::event_store::StoreError;

/// A lease as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseRow {
    /// What is leased.
    pub name: String,
    /// The instance that has it; empty when it was given back.
    pub holder: String,
    /// Goes up by one with every holder.
    pub epoch: u64,
    /// Goes up while the holder lives.
    pub heartbeat: u64,
}

/// The leases of one database.
#[derive(Clone)]
pub struct Leases(Arc<Sessions>);

impl Leases {
    pub(super) fn new(sessions: Arc<Sessions>) -> Self {
        Self(sessions)
    }

    /// The lease, if anybody ever had it.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn read(&self, name: &str) -> Result<Option<LeaseRow>, StoreError> {
        const SQL: &str = "/* lease_read */ SELECT name, holder, epoch, heartbeat FROM leases WHERE name = ?";
        let answer = self.0.run("lease_read", Statement::new(SQL).bind(name)).await?;
        let row = answer.rows.first().map(|row| {
            Ok(LeaseRow {
                name: text("lease_read", row, 0)?,
                holder: text("lease_read", row, 1)?,
                epoch: get("lease_read", row, 2)?,
                heartbeat: get("lease_read", row, 3)?,
            })
        });
        row.transpose()
    }

    /// Takes the lease if it is still as it was seen (`None`: nobody ever had it). Returns it as taken, or `None` when
    /// it has changed meanwhile.
    ///
    /// # Errors
    /// When the database is not available. Whether the lease was taken is then unknown; reading it tells.
    pub async fn take(
        &self,
        name: &str,
        seen: Option<&LeaseRow>,
        me: &str,
    ) -> Result<Option<LeaseRow>, StoreError> {
        let (statement, taken) = match seen {
            None => (
                Statement::new("/* lease_take */ INSERT IGNORE INTO leases (name, holder, epoch, heartbeat) VALUES (?,?,1,0)")
                    .bind(name)
                    .bind(me),
                LeaseRow { name: name.to_owned(), holder: me.to_owned(), epoch: 1, heartbeat: 0 },
            ),
            Some(seen) => (
                Statement::new(
                    "/* lease_take */ UPDATE leases SET holder = ?, epoch = epoch + 1, heartbeat = heartbeat + 1 \
                     WHERE name = ? AND epoch = ? AND heartbeat = ?",
                )
                .bind(me)
                .bind(name)
                .bind(seen.epoch)
                .bind(seen.heartbeat),
                LeaseRow {
                    name: name.to_owned(),
                    holder: me.to_owned(),
                    epoch: seen.epoch + 1,
                    heartbeat: seen.heartbeat + 1,
                },
            ),
        };
        let answer = self.0.run_once("lease_take", statement).await?;
        Ok((answer.affected == 1).then_some(taken))
    }

    /// Shows that the holder lives. False when it is the holder no more.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn renew(&self, name: &str, me: &str, epoch: u64) -> Result<bool, StoreError> {
        const SQL: &str = "/* lease_renew */ UPDATE leases SET heartbeat = heartbeat + 1 \
                           WHERE name = ? AND holder = ? AND epoch = ?";
        let update = Statement::new(SQL).bind(name).bind(me).bind(epoch);
        Ok(self.0.run("lease_renew", update).await?.affected == 1)
    }

    /// Gives the lease back, so that the next one need not wait. Does nothing when it is another's by now.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn release(&self, name: &str, me: &str, epoch: u64) -> Result<(), StoreError> {
        const SQL: &str = "/* lease_release */ UPDATE leases SET holder = '', heartbeat = heartbeat + 1 \
                           WHERE name = ? AND holder = ? AND epoch = ?";
        let update = Statement::new(SQL).bind(name).bind(me).bind(epoch);
        self.0.run("lease_release", update).await.map(drop)
    }
}

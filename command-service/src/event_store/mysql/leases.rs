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
    /// The instance that has it; `None` when it was given back or nobody ever had it.
    pub holder: Option<String>,
    /// Goes up by one with every holder; 0 when nobody ever had it.
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

    /// The lease of this name.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn read(&self, name: &str) -> Result<LeaseRow, StoreError> {
        const SQL: &str = "/* lease_read */ SELECT holder, epoch, heartbeat FROM leases WHERE name = ?";
        let answer = self.0.run("lease_read", Statement::new(SQL).bind(name)).await?;
        let Some(row) = answer.rows.first() else {
            return Ok(LeaseRow { holder: None, epoch: 0, heartbeat: 0 });
        };
        Ok(LeaseRow {
            holder: Some(text("lease_read", row, 0)?).filter(|holder| !holder.is_empty()),
            epoch: get("lease_read", row, 1)?,
            heartbeat: get("lease_read", row, 2)?,
        })
    }

    /// Takes the lease if it is still as it was seen. Returns the new epoch, or `None` when it has changed meanwhile.
    ///
    /// # Errors
    /// When the database is not available. Whether the lease was taken is then unknown; reading it tells.
    pub async fn take(&self, name: &str, seen: &LeaseRow, me: &str) -> Result<Option<u64>, StoreError> {
        let epoch = seen.epoch + 1;
        let statement = if seen.epoch == 0 {
            Statement::new("/* lease_take */ INSERT IGNORE INTO leases (name, holder, epoch, heartbeat) VALUES (?,?,?,0)")
                .bind(name)
                .bind(me)
                .bind(epoch)
        } else {
            Statement::new(
                "/* lease_take */ UPDATE leases SET holder = ?, epoch = ?, heartbeat = heartbeat + 1 \
                 WHERE name = ? AND epoch = ? AND heartbeat = ?",
            )
            .bind(me)
            .bind(epoch)
            .bind(name)
            .bind(seen.epoch)
            .bind(seen.heartbeat)
        };
        let answer = self.0.run_once("lease_take", statement).await?;
        Ok((answer.affected == 1).then_some(epoch))
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

    /// Gives the lease back, so that the next one need not wait. False when it is another's by now.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn release(&self, name: &str, me: &str, epoch: u64) -> Result<bool, StoreError> {
        const SQL: &str = "/* lease_release */ UPDATE leases SET holder = '', heartbeat = heartbeat + 1 \
                           WHERE name = ? AND holder = ? AND epoch = ?";
        let update = Statement::new(SQL).bind(name).bind(me).bind(epoch);
        Ok(self.0.run("lease_release", update).await?.affected == 1)
    }
}

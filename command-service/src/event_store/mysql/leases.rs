//! Leases: which instance relays which bucket. They save work and guard nothing: a holder that stops and wakes up later
//! acts before it looks.
//!
//! Each instance has a row `member/NAME`, whose heartbeat goes up while it lives; each bucket a row `bucket/N`, whose
//! epoch goes up with every holder. No clock is compared with another: an instance is dead to another one when its
//! heartbeat has not changed for so long on the other one's own monotonic clock.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    reads::{get, text},
    session::{Sessions, Statement},
};
use crate::event_store::{BUCKETS, Buckets, StoreError};

/// The lease of a bucket, as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketLease {
    /// The bucket, 0 to [`BUCKETS`] - 1.
    pub bucket: u32,
    /// The instance that has it; `None` when it was given back or nobody ever had it.
    pub holder: Option<String>,
    /// Goes up by one with every holder; 0 when nobody ever had it.
    pub epoch: u64,
}

/// All leases, read at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseTable {
    /// The instances that have not left, with their heartbeats; dead ones too, until another forgets them.
    pub members: BTreeMap<String, u64>,
    /// Every bucket, in order.
    pub buckets: Vec<BucketLease>,
}

/// The leases of one database.
#[derive(Clone)]
pub struct Leases(Arc<Sessions>);

impl Leases {
    pub(super) fn new(sessions: Arc<Sessions>) -> Self {
        Self(sessions)
    }

    /// All leases.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn read(&self) -> Result<LeaseTable, StoreError> {
        const OPERATION: &str = "lease_read";
        const SQL: &str = "/* lease_read */ SELECT name, holder, epoch, heartbeat FROM leases \
                           WHERE name LIKE 'bucket/%' OR name LIKE 'member/%'";
        let answer = self.0.run(OPERATION, Statement::new(SQL)).await?;
        let free = |bucket| BucketLease { bucket, holder: None, epoch: 0 };
        let mut table = LeaseTable { members: BTreeMap::new(), buckets: (0..BUCKETS).map(free).collect() };
        for row in &answer.rows {
            let name = text(OPERATION, row, 0)?;
            if let Some(member) = name.strip_prefix("member/") {
                table.members.insert(member.to_owned(), get(OPERATION, row, 3)?);
            }
            let bucket = name.strip_prefix("bucket/").and_then(|number| number.parse::<usize>().ok());
            if let Some(lease) = bucket.and_then(|bucket| table.buckets.get_mut(bucket)) {
                lease.holder = Some(text(OPERATION, row, 1)?).filter(|holder| !holder.is_empty());
                lease.epoch = get(OPERATION, row, 2)?;
            }
        }
        Ok(table)
    }

    /// Shows that an instance lives, for all that it holds.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn beat(&self, me: &str) -> Result<(), StoreError> {
        const SQL: &str = "/* lease_beat */ INSERT INTO leases (name, holder, epoch, heartbeat) VALUES (?,?,0,1) \
                           ON DUPLICATE KEY UPDATE heartbeat = leases.heartbeat + 1";
        let beat = Statement::new(SQL).bind(member(me)).bind(me);
        self.0.run("lease_beat", beat).await.map(drop)
    }

    /// Takes those of these buckets whose leases are still as they were seen. Reading them tells which.
    ///
    /// # Errors
    /// When the database is not available. Whether any was taken is then unknown.
    pub async fn take(&self, me: &str, seen: &[BucketLease]) -> Result<(), StoreError> {
        let (never_held, held): (Vec<_>, Vec<_>) = seen.iter().partition(|lease| lease.epoch == 0);
        if !never_held.is_empty() {
            let rows = vec!["(?,?,1,0)"; never_held.len()].join(",");
            let mut insert = Statement::new(format!(
                "/* lease_take */ INSERT IGNORE INTO leases (name, holder, epoch, heartbeat) VALUES {rows}"
            ));
            for lease in never_held {
                insert = insert.bind(row_name(lease.bucket)).bind(me);
            }
            self.0.run_once("lease_take", insert).await?;
        }
        if !held.is_empty() {
            let rows = vec!["(?,?,?)"; held.len()].join(",");
            let mut update = Statement::new(format!(
                "/* lease_take */ UPDATE leases SET holder = ?, epoch = epoch + 1 WHERE (name, holder, epoch) IN ({rows})"
            ))
            .bind(me);
            for lease in held {
                let holder = lease.holder.as_deref().unwrap_or_default();
                update = update.bind(row_name(lease.bucket)).bind(holder).bind(lease.epoch);
            }
            self.0.run_once("lease_take", update).await?;
        }
        Ok(())
    }

    /// Gives buckets back, so that the next one need not wait. Those that another holds by now are left to it.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn release(&self, me: &str, buckets: Buckets) -> Result<(), StoreError> {
        let names: Vec<String> = buckets.iter().map(|bucket| format!("'{}'", row_name(bucket))).collect();
        let update = Statement::new(format!(
            "/* lease_release */ UPDATE leases SET holder = '' WHERE holder = ? AND name IN ({})",
            names.join(",")
        ));
        self.0.run("lease_release", update.bind(me)).await.map(drop)
    }

    /// Forgets an instance that has shown no life since it had this heartbeat. What it holds is then free.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn forget(&self, instance: &str, heartbeat: u64) -> Result<(), StoreError> {
        const SQL: &str = "/* lease_forget */ DELETE FROM leases WHERE name = ? AND heartbeat = ?";
        let delete = Statement::new(SQL).bind(member(instance)).bind(heartbeat);
        self.0.run("lease_forget", delete).await.map(drop)
    }

    /// Gives everything back and ends an instance's membership.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn leave(&self, me: &str) -> Result<(), StoreError> {
        const SQL: &str = "/* lease_leave */ DELETE FROM leases WHERE name = ?";
        self.release(me, Buckets::ALL).await?;
        self.0.run("lease_leave", Statement::new(SQL).bind(member(me))).await.map(drop)
    }
}

fn member(instance: &str) -> String {
    format!("member/{instance}")
}

fn row_name(bucket: u32) -> String {
    format!("bucket/{bucket}")
}

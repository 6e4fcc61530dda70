//! Leases: which instance relays which bucket. They save work and guard nothing: a holder that stops and wakes up later
//! acts before it looks.
//!
//! Each instance has a row `member/NAME`, whose heartbeat goes up while it lives; each bucket a row `bucket/N`, whose
//! epoch goes up with every holder. No clock is compared with another: an instance is dead to another one when its
//! heartbeat has not changed for so long on the other one's own monotonic clock.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{MySqlStore, session::Statement};
use crate::event_store::{BUCKETS, BucketLease, Buckets, LeaseTable, Leases, StoreError, rows::Columns};

#[async_trait]
impl Leases for MySqlStore {
    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        const OPERATION: &str = "lease_read";
        const SQL: &str = "/* lease_read */ SELECT name, holder, epoch, heartbeat FROM leases \
                           WHERE name LIKE 'bucket/%' OR name LIKE 'member/%'";
        let answer = self.run(OPERATION, Statement::new(SQL)).await?;
        let free = |bucket| BucketLease { bucket, holder: None, epoch: 0 };
        let mut table = LeaseTable { members: BTreeMap::new(), buckets: (0..BUCKETS).map(free).collect() };
        for row in &answer.rows {
            let name = row.text(OPERATION, 0)?;
            if let Some(member) = name.strip_prefix("member/") {
                table.members.insert(member.to_owned(), row.number(OPERATION, 3)?);
            }
            let bucket = name.strip_prefix("bucket/").and_then(|number| number.parse::<usize>().ok());
            if let Some(lease) = bucket.and_then(|bucket| table.buckets.get_mut(bucket)) {
                lease.holder = Some(row.text(OPERATION, 1)?).filter(|holder| !holder.is_empty());
                lease.epoch = row.number(OPERATION, 2)?;
            }
        }
        Ok(table)
    }

    async fn beat(&self, me: &str) -> Result<(), StoreError> {
        const SQL: &str = "/* lease_beat */ INSERT INTO leases (name, holder, epoch, heartbeat) VALUES (?,?,0,1) \
                           ON DUPLICATE KEY UPDATE heartbeat = leases.heartbeat + 1";
        let beat = Statement::new(SQL).bind(member(me)).bind(me);
        self.run("lease_beat", beat).await.map(drop)
    }

    async fn take(&self, me: &str, seen: &[BucketLease]) -> Result<(), StoreError> {
        let (never_held, held): (Vec<_>, Vec<_>) = seen.iter().partition(|lease| lease.epoch == 0);
        if !never_held.is_empty() {
            let rows = vec!["(?,?,1,0)"; never_held.len()].join(",");
            let mut insert = Statement::new(format!(
                "/* lease_take */ INSERT IGNORE INTO leases (name, holder, epoch, heartbeat) VALUES {rows}"
            ));
            for lease in never_held {
                insert = insert.bind(row_name(lease.bucket)).bind(me);
            }
            self.0.sessions.run_once("lease_take", insert).await?;
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
            self.0.sessions.run_once("lease_take", update).await?;
        }
        Ok(())
    }

    async fn give_back(&self, me: &str, buckets: Buckets) -> Result<(), StoreError> {
        let names: Vec<String> = buckets.iter().map(|bucket| format!("'{}'", row_name(bucket))).collect();
        let update = Statement::new(format!(
            "/* lease_release */ UPDATE leases SET holder = '' WHERE holder = ? AND name IN ({})",
            names.join(",")
        ));
        self.run("lease_release", update.bind(me)).await.map(drop)
    }

    async fn forget(&self, instance: &str, heartbeat: u64) -> Result<(), StoreError> {
        const SQL: &str = "/* lease_forget */ DELETE FROM leases WHERE name = ? AND heartbeat = ?";
        let delete = Statement::new(SQL).bind(member(instance)).bind(heartbeat);
        self.run("lease_forget", delete).await.map(drop)
    }

    async fn leave(&self, me: &str) -> Result<(), StoreError> {
        const SQL: &str = "/* lease_leave */ DELETE FROM leases WHERE name = ?";
        self.give_back(me, Buckets::ALL).await?;
        self.run("lease_leave", Statement::new(SQL).bind(member(me))).await.map(drop)
    }
}

fn member(instance: &str) -> String {
    format!("member/{instance}")
}

fn row_name(bucket: u32) -> String {
    format!("bucket/{bucket}")
}

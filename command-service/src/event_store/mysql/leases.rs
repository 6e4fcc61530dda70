//! Leases in the table `leases`.
//!
//! Each instance has a row `member/NAME`, whose heartbeat goes up while it lives. Its epoch is the form of writing that it knows. Each bucket has a row `bucket/N`, whose
//! epoch goes up with every holder.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::MySqlStore;
use crate::event_store::{
    BUCKETS, BucketLease, Buckets, LeaseTable, Leases, StoreError, WriterForm,
    sql::{Columns, Database, RowError, Statement, Value, repeated},
};

#[async_trait]
impl Leases for MySqlStore {
    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        const SQL: &str = "SELECT name, holder, epoch, heartbeat FROM leases \
                           WHERE name LIKE 'bucket/%' OR name LIKE 'member/%'";
        let rows = self.rows("lease_read", &Statement::new(SQL, [])).await?;
        table(&rows).map_err(|error| error.during("lease_read"))
    }

    async fn beat(&self, me: &str) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO leases (name, holder, epoch, heartbeat) VALUES (?,?,?,1) AS new \
                           ON DUPLICATE KEY UPDATE heartbeat = leases.heartbeat + 1, epoch = new.epoch";
        let name = member(me);
        let values = [name.as_str().into(), me.into(), WriterForm::KNOWN.0.into()];
        self.write("lease_beat", &Statement::new(SQL, values)).await.map(drop)
    }

    async fn take(&self, me: &str, seen: &[BucketLease]) -> Result<(), StoreError> {
        let names: Vec<String> = seen.iter().map(|lease| row_name(lease.bucket)).collect();
        let leases = names.iter().map(String::as_str).zip(seen);
        let (never_held, held): (Vec<_>, Vec<_>) = leases.partition(|(_, lease)| lease.epoch == 0);
        if !never_held.is_empty() {
            let rows = repeated("(?,?,1,0)", never_held.len());
            let sql = format!("INSERT IGNORE INTO leases (name, holder, epoch, heartbeat) VALUES {rows}");
            let values = never_held.iter().flat_map(|(name, _)| [(*name).into(), me.into()]).collect();
            self.0.sessions.run_once("lease_take", &Statement { sql, values }).await?;
        }
        if !held.is_empty() {
            let rows = repeated("(?,?,?)", held.len());
            let sql = format!(
                "UPDATE leases SET holder = ?, epoch = epoch + 1 WHERE (name, holder, epoch) IN ({rows})"
            );
            let mut values = vec![me.into()];
            for (name, lease) in held {
                let holder = lease.holder.as_deref().unwrap_or_default();
                values.extend([name.into(), holder.into(), Value::from(lease.epoch)]);
            }
            self.0.sessions.run_once("lease_take", &Statement { sql, values }).await?;
        }
        Ok(())
    }

    async fn give_back(&self, me: &str, buckets: Buckets) -> Result<(), StoreError> {
        let names: Vec<String> = buckets.iter().map(|bucket| format!("'{}'", row_name(bucket))).collect();
        let names = names.join(",");
        let sql = format!("UPDATE leases SET holder = '' WHERE holder = ? AND name IN ({names})");
        self.write("lease_release", &Statement::new(sql, [me.into()])).await.map(drop)
    }

    async fn forget(&self, instance: &str, heartbeat: u64) -> Result<(), StoreError> {
        let name = member(instance);
        let values = [name.as_str().into(), heartbeat.into()];
        let delete = Statement::new("DELETE FROM leases WHERE name = ? AND heartbeat = ?", values);
        self.write("lease_forget", &delete).await.map(drop)
    }

    async fn leave(&self, me: &str) -> Result<(), StoreError> {
        self.give_back(me, Buckets::ALL).await?;
        let name = member(me);
        let delete = Statement::new("DELETE FROM leases WHERE name = ?", [name.as_str().into()]);
        self.write("lease_leave", &delete).await.map(drop)
    }
}

fn table(rows: &[impl Columns]) -> Result<LeaseTable, RowError> {
    let free = |bucket| BucketLease { bucket, holder: None, epoch: 0 };
    let mut table = LeaseTable { members: BTreeMap::new(), buckets: (0..BUCKETS).map(free).collect() };
    for row in rows {
        let name = row.text(0)?;
        if let Some(member) = name.strip_prefix("member/") {
            table.members.insert(member.to_owned(), row.number(3)?);
        }
        let bucket = name.strip_prefix("bucket/").and_then(|number| number.parse::<usize>().ok());
        if let Some(lease) = bucket.and_then(|bucket| table.buckets.get_mut(bucket)) {
            lease.holder = Some(row.text(1)?).filter(|holder| !holder.is_empty());
            lease.epoch = row.number(2)?;
        }
    }
    Ok(table)
}

fn member(instance: &str) -> String {
    format!("member/{instance}")
}

fn row_name(bucket: u32) -> String {
    format!("bucket/{bucket}")
}

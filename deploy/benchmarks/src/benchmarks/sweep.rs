//! The latency of commands during a sweep of old idempotency records.

use std::time::Duration;

use anyhow::{Result, ensure};
use command_service::{
    event_store::mysql::MySqlStore,
    housekeeping::{KeysKept, sweep},
};
use tokio_util::sync::CancellationToken;

use super::beside::Bystander;
use crate::{
    command_target::{CommandTarget, Relaying},
    figures::{Finding, Series},
    mysql::old_keys,
    rig::Rig,
};

/// Old records per second of a round: more than the sweep deletes, which takes 200 every 50 ms at most.
const OLD_A_SECOND: f64 = 5_000.0;
const KEPT: KeysKept = KeysKept { requests: Duration::from_hours(7 * 24), import_lines: None };

pub(crate) async fn under_load(rig: &Rig) -> Result<Vec<Finding>> {
    let target = CommandTarget::ours(rig, 500, Relaying::Off).await?;
    let url = target.namespace.database_url();
    old_keys::make_room(&url).await?;
    let store = MySqlStore::open(url.as_str(), 2, None, None)?;
    let mut swept = Vec::new();
    let finding = Bystander::new(rig, target)
        .compare(rig, "sweep", "old keys are swept", async |commands| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some 10,000")]
            let old = (OLD_A_SECOND * (commands.seconds + 1.0)) as u64;
            old_keys::insert(&url, old).await?;
            let sweeping = async |stop: &CancellationToken| Ok(sweep(&store, KEPT, stop).await?);
            let (p99, ()) = commands.beside(sweeping).await?;
            let left = old_keys::left(&url).await?;
            ensure!(left > 0, "the sweep ended before the measurement");
            #[expect(clippy::cast_precision_loss, reason = "some 10,000")]
            swept.push((old as f64 - left as f64) / commands.seconds);
            // The other side must find new records only.
            sweep(&store, KEPT, &CancellationToken::new()).await?;
            Ok(p99)
        })
        .await?;
    store.close().await;
    Ok(vec![finding.with(Series::new("old keys swept", "keys/s", swept))])
}

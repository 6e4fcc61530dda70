//! The latency of commands during a sweep of old idempotency records.

use std::time::Duration;

use anyhow::{Result, ensure};
use command_service::{event_store::mysql::MySqlStore, housekeeping};
use tokio_util::sync::CancellationToken;

use crate::{
    command_target::{CommandTarget, Relaying},
    figures::{Finding, Series, Target},
    load::Pace,
    mysql::old_keys,
    rig::Rig,
    rounds::alternate,
};

/// Commands per second.
const RATE: f64 = 500.0;
const CONNECTIONS: usize = 32;
/// Old records per second of a round: more than the sweep deletes, which takes 200 every 50 ms at most.
const OLD_A_SECOND: f64 = 5_000.0;
const KEPT: Duration = Duration::from_hours(7 * 24);

pub(crate) async fn under_load(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = if rig.short { 2.0 } else { 8.0 };
    let target = CommandTarget::ours(rig, 500, Relaying::Off).await?;
    let url = target.namespace.database_url();
    old_keys::make_room(&url).await?;
    let store = MySqlStore::open(&url, 2, None, None)?;
    let target = tokio::sync::Mutex::new(target);
    let mut swept = Vec::new();
    let (with, without) = alternate(
        rig.rounds,
        async |_| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some 10,000")]
            let old = (OLD_A_SECOND * (seconds + 1.0)) as u64;
            old_keys::insert(&url, old).await?;
            let stop = CancellationToken::new();
            let mut target = target.lock().await;
            let measured = async {
                let outcome = target.reserve(CONNECTIONS, Pace::Open(RATE), 0.3, seconds).await;
                stop.cancel();
                outcome?.latency_ms(99.0)
            };
            let (p99, sweeping) = tokio::join!(measured, housekeeping::sweep(&store, KEPT, &stop));
            sweeping?;
            let left = old_keys::left(&url).await?;
            ensure!(left > 0, "the sweep ended before the measurement");
            #[expect(clippy::cast_precision_loss, reason = "some 10,000")]
            swept.push((old as f64 - left as f64) / seconds);
            // The other side must find new records only.
            housekeeping::sweep(&store, KEPT, &CancellationToken::new()).await?;
            p99
        },
        async |_| {
            target.lock().await.reserve(CONNECTIONS, Pace::Open(RATE), 0.3, seconds).await?.latency_ms(99.0)
        },
    )
    .await?;
    target.lock().await.check().await?;
    store.close().await;
    let finding = Finding::new(
        "sweep",
        "the same commands while nothing is swept",
        Target::AtMost(1.5),
        1.1,
        Series::new("500 commands/s while old keys are swept, p99", "ms", with),
        Series::new("500 commands/s, p99", "ms", without),
    );
    Ok(vec![finding.with(Series::new("old keys swept", "keys/s", swept))])
}

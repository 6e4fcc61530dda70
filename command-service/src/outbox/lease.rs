//! The relay's lease: of several instances one delivers, and when it dies another takes over.
//!
//! The lease is for efficiency only. A holder that was paused and wakes up may send before it learns that it lost the
//! lease, and no fencing reaches the log; what keeps order is that only delivered rows are deleted, so that late messages
//! are always duplicates. No clock is compared between machines: a contender takes over when epoch and heartbeat have
//! not changed for a while on its own monotonic clock.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::event_store::mysql::{LeaseRow, Leases};

/// Name of the lease over all buckets.
const RELAY: &str = "relay";

/// Settings of the lease.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Who holds it: unique for each process.
    pub holder: String,
    /// How long epoch and heartbeat stand still before a contender takes over.
    pub takeover: Duration,
}

/// Whether this process holds the lease.
pub type Lease = watch::Receiver<bool>;

/// Takes the lease when it is free or abandoned, renews it while `stop` is not cancelled, and releases it at the end.
pub async fn keep_lease(
    leases: Leases,
    options: LeaseOptions,
    held: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let mut keeper = Keeper { leases, options, held, epoch: None, renewed: Instant::now(), seen: None };
    let every = keeper.options.takeover / 4;
    loop {
        keeper.beat().await;
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => break,
        }
    }
    keeper.release().await;
}

struct Keeper {
    leases: Leases,
    options: LeaseOptions,
    held: watch::Sender<bool>,
    /// The epoch under which we hold it.
    epoch: Option<u64>,
    /// When it was last known to be ours.
    renewed: Instant,
    /// What another holder's row looked like, and since when it has.
    seen: Option<(LeaseRow, Instant)>,
}

impl Keeper {
    async fn beat(&mut self) {
        let sent = Instant::now();
        if let Some(epoch) = self.epoch {
            match self.leases.renew(RELAY, &self.options.holder, epoch).await {
                Ok(true) => self.renewed = sent,
                Ok(false) => self.lose("another instance has taken it"),
                // The others see no heartbeat either: at the same age they take over, so we stop before.
                Err(error) if sent.duration_since(self.renewed) >= self.options.takeover / 2 => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the lease could not be renewed"
                    );
                    self.lose("it could not be renewed in time");
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the lease could not be renewed")
                }
            }
            return;
        }
        if let Err(error) = self.contend().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the lease could not be read");
            self.seen = None;
        }
    }

    async fn contend(&mut self) -> Result<(), crate::event_store::StoreError> {
        let row = self.leases.read(RELAY).await?;
        let now = Instant::now();
        let since = match &self.seen {
            Some((seen, since)) if *seen == row => *since,
            _ => now,
        };
        let free = row.holder.is_none();
        let abandoned = now.duration_since(since) >= self.options.takeover;
        let taken =
            if free || abandoned { self.leases.take(RELAY, &row, &self.options.holder).await? } else { None };
        self.seen = Some((row, since));
        if let Some(epoch) = taken {
            tracing::info!(epoch, "this instance relays now");
            self.epoch = Some(epoch);
            self.renewed = now;
            self.seen = None;
            self.held.send_replace(true);
        }
        Ok(())
    }

    fn lose(&mut self, reason: &str) {
        tracing::warn!(reason, "this instance no longer relays");
        self.epoch = None;
        self.seen = None;
        self.held.send_replace(false);
    }

    async fn release(&mut self) {
        self.held.send_replace(false);
        if let Some(epoch) = self.epoch.take()
            && let Err(error) = self.leases.release(RELAY, &self.options.holder, epoch).await
        {
            // The next holder takes over when it sees no heartbeat.
            tracing::warn!(error = &error as &dyn std::error::Error, "the lease was not released");
        }
    }
}

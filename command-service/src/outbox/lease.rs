//! The relay's leases: the instances share the buckets evenly, and when one dies the others take over.
//!
//! Each instance has a row with a heartbeat, each bucket a row with its holder. An instance that has more than its share
//! lets go of some, one that has less takes what nobody alive holds. Leases are for efficiency only. A holder that was
//! paused and wakes up may send before it learns that it lost its buckets, and no fencing reaches the log; what keeps
//! order is that only delivered rows are deleted, so that late messages are always duplicates. No clock is compared
//! between machines: an instance counts as dead when its heartbeat has stood still for a while on the observer's own
//! monotonic clock.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    allotment::Allotter,
    shares::{Plan, plan},
};
use crate::event_store::{
    Buckets, StoreError,
    mysql::{BucketLease, Leases},
};

/// Settings of the leases.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Name of this instance: unique for each process, and such as [`LeaseOptions::can_name`] allows.
    pub holder: String,
    /// How long its heartbeat stands still before an instance counts as dead.
    pub takeover: Duration,
}

impl LeaseOptions {
    /// Whether an instance can have this name: 1 to 90 visible ASCII characters.
    #[must_use]
    pub fn can_name(holder: &str) -> bool {
        (1..=90).contains(&holder.len()) && holder.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// Holds this instance's share of the buckets and tells the relay which they are, until `stop` is cancelled; then gives
/// them back. What is given back is first let go of by the relay.
pub async fn keep_leases(leases: Leases, options: LeaseOptions, allotter: Allotter, stop: CancellationToken) {
    metrics::describe_gauge!("relay_buckets_held", "Buckets of rooms that this instance relays.");
    let mut keeper = Keeper {
        leases,
        options,
        allotter,
        renewed: Instant::now(),
        seen: HashMap::new(),
        leaving: Buckets::NONE,
        settled: true,
    };
    loop {
        keeper.beat().await;
        let (pause, leaving) = (keeper.pause(), keeper.leaving);
        tokio::select! {
            () = sleep(pause) => {}
            () = keeper.allotter.let_go(leaving), if !leaving.is_empty() => {}
            () = stop.cancelled() => break,
        }
    }
    keeper.leave().await;
}

struct Keeper {
    leases: Leases,
    options: LeaseOptions,
    allotter: Allotter,
    /// When it was last known that the others see us alive.
    renewed: Instant,
    /// Each instance's heartbeat, and since when it is known to stand still.
    seen: HashMap<String, (u64, Instant)>,
    /// What is given back as soon as the relay has let go of it.
    leaving: Buckets,
    settled: bool,
}

impl Keeper {
    /// Instances that wait for their share look more often: a bucket that nobody holds is not delivered.
    fn pause(&self) -> Duration {
        self.options.takeover / if self.settled { 4 } else { 16 }
    }

    async fn beat(&mut self) {
        let sent = Instant::now();
        let limit = self.options.takeover / 2;
        let problem = match timeout(limit, self.renew()).await {
            Ok(Ok(())) => {
                self.renewed = sent;
                return;
            }
            Ok(Err(error)) => format!("{:#}", anyhow::Error::from(error)),
            Err(_) => "the event store does not answer".to_owned(),
        };
        tracing::warn!(%problem, "the leases could not be renewed");
        (self.leaving, self.settled) = (Buckets::NONE, true);
        // The others see no heartbeat either: they take over soon, so we stop before.
        if self.renewed.elapsed() >= limit {
            self.hold(Buckets::NONE);
        }
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        self.leases.beat(&self.options.holder).await?;
        let (leases, mut plan) = self.look().await?;
        if !plan.take.is_empty() {
            let wanted: Vec<_> =
                leases.into_iter().filter(|lease| plan.take.contains(lease.bucket)).collect();
            self.leases.take(&self.options.holder, &wanted).await?;
            // Another instance may have been quicker.
            (_, plan) = self.look().await?;
        }
        self.settled = plan.settled;
        self.hold(plan.keep);
        let unused = plan.give_back.without(self.allotter.used());
        if !unused.is_empty() {
            self.leases.release(&self.options.holder, unused).await?;
        }
        self.leaving = plan.give_back.without(unused);
        Ok(())
    }

    /// Reads who holds what, and plans by who is alive. Forgets the dead.
    async fn look(&mut self) -> Result<(Vec<BucketLease>, Plan), StoreError> {
        let asked = Instant::now();
        let table = self.leases.read().await?;
        let answered = Instant::now();
        self.seen.retain(|name, _| table.members.contains_key(name));
        let mut alive = BTreeSet::from([self.options.holder.clone()]);
        for (name, heartbeat) in table.members {
            let seen = self.seen.entry(name.clone()).or_insert((heartbeat, answered));
            if seen.0 != heartbeat {
                *seen = (heartbeat, answered);
            }
            // From answer to question: a pause of our own must not make another one look dead.
            if asked.duration_since(seen.1) < self.options.takeover {
                alive.insert(name);
            } else if name != self.options.holder {
                tracing::warn!(instance = %name, "an instance shows no life, its buckets are taken over");
                self.leases.forget(&name, heartbeat).await?;
            }
        }
        let plan = plan(&self.options.holder, &alive, &table.buckets);
        Ok((table.buckets, plan))
    }

    fn hold(&self, buckets: Buckets) {
        let before = self.allotter.held();
        if buckets != before {
            tracing::info!(%buckets, gained = %buckets.without(before), lost = %before.without(buckets),
                "this instance relays other buckets now");
        }
        self.allotter.allot(buckets);
        metrics::gauge!("relay_buckets_held").set(buckets.len());
    }

    async fn leave(&self) {
        self.hold(Buckets::NONE);
        if let Err(error) = self.leases.leave(&self.options.holder).await {
            // The others take over when they see no heartbeat.
            tracing::warn!(error = &error as &dyn std::error::Error, "the leases were not given back");
        }
    }
}

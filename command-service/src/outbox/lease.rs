//! Leases: the instances share the buckets evenly, and take over the buckets of a dead one.
//!
//! Each instance has a heartbeat, each bucket a holder. An instance with more than its share lets go of some buckets; one with
//! less takes buckets that no live instance holds.
//!
//! Leases divide work and guard nothing. A holder that was paused may send before it learns that it lost its buckets, and no
//! fencing reaches the log. Order holds because only delivered rows are deleted: late messages are always duplicates.
//!
//! No clocks are compared between machines. An instance counts as dead when its heartbeat stands still for the takeover time
//! on the observer's monotonic clock. An instance that does not reach the log is no member: it would deliver nothing.

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    sync::Arc,
    time::Duration,
};

use service_kit::{
    readiness::Component,
    retry::{Backoff, until_it_succeeds},
    telemetry::with_causes,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    assignment::BucketAssigner,
    shares::{Plan, plan},
};
use crate::event_store::{BucketLease, Buckets, Leases, StoreError};

/// Settings of the leases.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Name of this instance. Each process has its own; see [`LeaseOptions::can_name`].
    pub holder: String,
    /// Takeover time: how long a heartbeat stands still before its instance counts as dead, and how long deliveries may stall
    /// before an instance leaves.
    pub takeover: Duration,
}

impl LeaseOptions {
    /// Whether an instance can have this name: 1 to 90 visible ASCII characters.
    #[must_use]
    pub fn can_name(holder: &str) -> bool {
        (1..=90).contains(&holder.len()) && holder.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// Holds this instance's share of the buckets and assigns it to the relay until `stop`, and then gives it back. The relay lets
/// go of a bucket before it is given back.
///
/// The instance joins the others when `reach` succeeds. It leaves them when deliveries stall for the takeover time, until
/// others have taken over and `reach` succeeds again. `log` shows which is the case.
pub async fn keep_leases<E, F>(
    leases: Arc<dyn Leases>,
    options: LeaseOptions,
    assigner: BucketAssigner,
    log: Component,
    mut reach: impl FnMut() -> F,
    stop: CancellationToken,
) where
    E: Into<Box<dyn Error + Send + Sync>>,
    F: Future<Output = Result<(), E>>,
{
    metrics::describe_gauge!("relay_buckets_held", "Buckets that this instance relays.");
    let mut keeper = Keeper {
        leases,
        options,
        assigner,
        renewed: Instant::now(),
        seen: HashMap::new(),
        leaving: Buckets::NONE,
        settled: true,
        others: false,
    };
    while until_it_succeeds(&log, &stop, Backoff::new(FIRST_PAUSE, LONGEST_PAUSE), &mut reach).await.is_ok() {
        keeper.stay(&stop).await;
        if !stop.is_cancelled() {
            log.failing("nothing is delivered");
        }
        keeper.leave().await;
        stop.run_until_cancelled(keeper.let_others_take_over()).await;
    }
}

/// Between two attempts to reach the log. Short, because committed events wait for it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

struct Keeper {
    leases: Arc<dyn Leases>,
    options: LeaseOptions,
    assigner: BucketAssigner,
    /// When the heartbeat was last raised.
    renewed: Instant,
    /// Each instance's heartbeat, and since when it stands still.
    seen: HashMap<String, (u64, Instant)>,
    /// Buckets that are given back once the relay has let go of them.
    leaving: Buckets,
    /// Whether the instance has exactly its share.
    settled: bool,
    /// Whether there are other live instances.
    others: bool,
}

impl Keeper {
    /// Stays a member until `stop`, or until deliveries stall.
    async fn stay(&mut self, stop: &CancellationToken) {
        self.renewed = Instant::now();
        while self.assigner.stalled_since().is_none_or(|since| since.elapsed() < self.options.takeover) {
            self.beat().await;
            let (pause, leaving) = (self.pause(), self.leaving);
            tokio::select! {
                () = sleep(pause) => {}
                () = self.assigner.let_go(leaving), if !leaving.is_empty() => {}
                () = stop.cancelled() => return,
            }
        }
        tracing::warn!("nothing is delivered, the other instances take over until the log is reached again");
    }

    /// An instance that waits for its share looks more often: a bucket without a holder is not delivered.
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
        // The others see no heartbeat either and will take over: stop before they do.
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
            // Another instance may have been first.
            (_, plan) = self.look().await?;
        }
        self.settled = plan.settled;
        self.hold(plan.keep);
        let unused = plan.give_back.without(self.assigner.in_flight());
        if !unused.is_empty() {
            self.leases.give_back(&self.options.holder, unused).await?;
        }
        self.leaving = plan.give_back.without(unused);
        Ok(())
    }

    /// Reads the leases, forgets dead instances, and plans for the live ones.
    async fn look(&mut self) -> Result<(Vec<BucketLease>, Plan), StoreError> {
        let asked = Instant::now();
        let table = self.leases.leases().await?;
        let answered = Instant::now();
        self.seen.retain(|name, _| table.members.contains_key(name));
        let mut alive = BTreeSet::from([self.options.holder.clone()]);
        for (name, heartbeat) in table.members {
            let seen = self.seen.entry(name.clone()).or_insert((heartbeat, answered));
            if seen.0 != heartbeat {
                *seen = (heartbeat, answered);
            }
            // From the answer to the question: a pause of this process must not make another one look dead.
            if asked.duration_since(seen.1) < self.options.takeover {
                alive.insert(name);
            } else if name != self.options.holder {
                tracing::warn!(instance = %name, "an instance shows no life, its buckets are taken over");
                self.leases.forget(&name, heartbeat).await?;
            }
        }
        self.others = alive.len() > 1;
        self.assigner.others(self.others);
        let plan = plan(&self.options.holder, &alive, &table.buckets);
        Ok((table.buckets, plan))
    }

    /// Waits until another instance leads, so that this one does not take the buckets at once again. The others may have died:
    /// then the time is limited.
    async fn let_others_take_over(&self) {
        let until = Instant::now() + self.options.takeover * 2;
        while self.others && Instant::now() < until {
            let table = self.leases.leases().await;
            if table.is_ok_and(|table| table.buckets.first().is_some_and(|lease| lease.holder.is_some())) {
                return;
            }
            sleep(self.options.takeover / 16).await;
        }
    }

    fn hold(&self, buckets: Buckets) {
        let before = self.assigner.assigned();
        if buckets != before {
            let (gained, lost) = (buckets.without(before), before.without(buckets));
            tracing::info!(%buckets, %gained, %lost, "this instance relays other buckets now");
        }
        self.assigner.assign(buckets);
        metrics::gauge!("relay_buckets_held").set(buckets.len());
    }

    async fn leave(&mut self) {
        self.hold(Buckets::NONE);
        (self.leaving, self.settled) = (Buckets::NONE, true);
        if timeout(self.options.takeover, self.assigner.let_go_of_all()).await.is_err() {
            tracing::warn!("the relay is slow to let go, events in flight may be sent twice");
        }
        if let Err(error) = self.leases.leave(&self.options.holder).await {
            // The others take over when they see no heartbeat.
            tracing::warn!(error = with_causes(&error), "the leases were not given back");
        }
    }
}

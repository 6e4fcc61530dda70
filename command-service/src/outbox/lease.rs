//! The relay's leases: the instances share the buckets evenly, and when one dies the others take over.
//!
//! Each instance has a row with a heartbeat, each bucket a row with its holder. An instance that has more than its share
//! lets go of some, one that has less takes what nobody alive holds. Leases are for efficiency only. A holder that was
//! paused and wakes up may send before it learns that it lost its buckets, and no fencing reaches the log; what keeps
//! order is that only delivered rows are deleted, so that late messages are always duplicates. No clock is compared
//! between machines: an instance counts as dead when its heartbeat has stood still for a while on the observer's own
//! monotonic clock. An instance that does not reach the log is no member: what it held would not be delivered.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Display,
    sync::Arc,
    time::Duration,
};

use service_kit::{
    readiness::Component,
    retry::{Backoff, until_it_succeeds},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    allotment::Allotter,
    shares::{Plan, plan},
};
use crate::event_store::{BucketLease, Buckets, Leases, StoreError};

/// Settings of the leases.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Name of this instance: unique for each process, and such as [`LeaseOptions::can_name`] allows.
    pub holder: String,
    /// How long its heartbeat stands still before an instance counts as dead, or nothing is delivered before it leaves.
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
/// them back. What is given back is first let go of by the relay. It joins the others when `reach` succeeds, and leaves
/// them until it does again when nothing was delivered for as long as a takeover takes; `log` shows which of it is so. So a
/// log that came back without its data is made again, where `reach` does that.
pub async fn keep_leases<E: Display, F: Future<Output = Result<(), E>>>(
    leases: Arc<dyn Leases>,
    options: LeaseOptions,
    allotter: Allotter,
    log: Component,
    mut reach: impl FnMut() -> F,
    stop: CancellationToken,
) {
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
    while until_it_succeeds(&log, &stop, Backoff::new(SHORTEST_WAIT, LONGEST_WAIT), &mut reach).await.is_ok()
    {
        keeper.stay(&stop).await;
        if !stop.is_cancelled() {
            log.failing("nothing is delivered");
        }
        keeper.leave().await;
    }
}

/// Between two tries to reach the log: short, because what was committed waits for it.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

struct Keeper {
    leases: Arc<dyn Leases>,
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
    /// Is a member until told to stop, or until nothing is delivered.
    async fn stay(&mut self, stop: &CancellationToken) {
        self.renewed = Instant::now();
        while self.allotter.stuck_since().is_none_or(|since| since.elapsed() < self.options.takeover) {
            self.beat().await;
            let (pause, leaving) = (self.pause(), self.leaving);
            tokio::select! {
                () = sleep(pause) => {}
                () = self.allotter.let_go(leaving), if !leaving.is_empty() => {}
                () = stop.cancelled() => return,
            }
        }
        tracing::warn!("nothing is delivered, the other instances take over until the log is reached again");
    }

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
            self.leases.give_back(&self.options.holder, unused).await?;
        }
        self.leaving = plan.give_back.without(unused);
        Ok(())
    }

    /// Reads who holds what, and plans by who is alive. Forgets the dead.
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

    async fn leave(&mut self) {
        self.hold(Buckets::NONE);
        (self.leaving, self.settled) = (Buckets::NONE, true);
        if timeout(self.options.takeover, self.allotter.let_go_of_all()).await.is_err() {
            tracing::warn!("the relay is slow to let go, what it has under way may be sent twice");
        }
        if let Err(error) = self.leases.leave(&self.options.holder).await {
            // The others take over when they see no heartbeat.
            tracing::warn!(error = &error as &dyn std::error::Error, "the leases were not given back");
        }
    }
}

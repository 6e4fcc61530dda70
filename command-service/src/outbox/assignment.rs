//! Assigned buckets: from the keeper of the leases to the relays. Back comes which buckets are in flight, and a stall.

use tokio::{
    sync::watch::{self, error::RecvError},
    time::Instant,
};

use crate::event_store::Buckets;

/// What the relay reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RelayState {
    /// Buckets that may have events in flight.
    pub(super) in_flight: Buckets,
    /// Since when nothing was delivered although events were sent.
    pub(super) stalled_since: Option<Instant>,
}

/// The keeper's end.
#[derive(Debug)]
pub struct BucketAssigner {
    assigned: watch::Sender<Buckets>,
    state: watch::Receiver<RelayState>,
    others: watch::Sender<bool>,
    /// Since when the leader fails.
    leader: watch::Sender<Option<Instant>>,
}

/// The relay's end.
#[derive(Debug)]
pub struct AssignedBuckets {
    assigned: watch::Receiver<Buckets>,
    state: watch::Sender<RelayState>,
}

/// The end of the relay of the binary log. It leads while it has bucket 0.
#[cfg(feature = "binlog")]
#[derive(Debug)]
pub struct Leadership {
    assigned: watch::Receiver<Buckets>,
    others: watch::Receiver<bool>,
    stalled_since: watch::Sender<Option<Instant>>,
}

/// Connects a keeper and a relay. The relay begins with these buckets.
#[must_use]
pub fn assignment(buckets: Buckets) -> (BucketAssigner, AssignedBuckets) {
    let (assigner, assigned) = watch::channel(buckets);
    let (reporter, state) = watch::channel(RelayState { in_flight: Buckets::NONE, stalled_since: None });
    let (others, leader) = (watch::Sender::new(false), watch::Sender::new(None));
    (
        BucketAssigner { assigned: assigner, state, others, leader },
        AssignedBuckets { assigned, state: reporter },
    )
}

impl BucketAssigner {
    /// Tells the relay to deliver these buckets, and to let go of all others.
    pub fn assign(&self, buckets: Buckets) {
        self.assigned.send_if_modified(|before| std::mem::replace(before, buckets) != buckets);
    }

    /// Connects the relay of the binary log too.
    #[cfg(feature = "binlog")]
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        let (assigned, others) = (self.assigned.subscribe(), self.others.subscribe());
        Leadership { assigned, others, stalled_since: self.leader.clone() }
    }

    /// Tells the leader whether there are other live instances.
    pub(super) fn others(&self, others: bool) {
        self.others.send_replace(others);
    }

    /// The buckets that the relay has to deliver.
    pub(super) fn assigned(&self) -> Buckets {
        *self.assigned.borrow()
    }

    /// The buckets that may have events in flight.
    pub(super) fn in_flight(&self) -> Buckets {
        self.state.borrow().in_flight
    }

    /// Waits until the relay has let go of one of these buckets: for ever if it has ended.
    pub async fn let_go(&mut self, of: Buckets) {
        if self.state.wait_for(|state| state.in_flight.and(of) != of).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the relay has let go of all buckets, or has ended.
    pub(super) async fn let_go_of_all(&mut self) {
        drop(self.state.wait_for(|state| state.in_flight.is_empty()).await);
    }

    /// Since when nothing was delivered although events were sent, or the leader has failed to relay the binary log.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        [self.state.borrow().stalled_since, *self.leader.borrow()].into_iter().flatten().min()
    }
}

#[cfg(feature = "binlog")]
impl Leadership {
    /// Whether this instance leads.
    pub(crate) fn is_held(&self) -> bool {
        self.assigned.borrow().contains(0)
    }

    /// Waits until this instance does not lead any more.
    pub(crate) fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut assigned = self.assigned.clone();
        async move { drop(assigned.wait_for(|buckets| !buckets.contains(0)).await) }
    }

    /// Whether another instance could lead.
    pub(crate) fn has_others(&self) -> bool {
        *self.others.borrow()
    }

    /// Reports since when the leader fails. After the takeover time, the keeper gives the lease to another instance.
    pub(crate) fn stalled(&self, since: Option<Instant>) {
        self.stalled_since.send_if_modified(|before| std::mem::replace(before, since) != since);
    }
}

impl AssignedBuckets {
    /// The buckets to deliver now.
    pub(super) fn get(&mut self) -> Buckets {
        *self.assigned.borrow_and_update()
    }

    /// Waits for other buckets. Fails if the keeper has ended.
    pub(super) async fn changed(&mut self) -> Result<(), RecvError> {
        self.assigned.changed().await
    }

    pub(super) fn report(&self, state: RelayState) {
        self.state.send_if_modified(|before| std::mem::replace(before, state) != state);
    }
}

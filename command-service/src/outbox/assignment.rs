//! Assigned buckets: from the keeper of the leases to the relay. Back comes which buckets are in flight, and a stall.

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
}

/// The relay's end.
#[derive(Debug)]
pub struct AssignedBuckets {
    assigned: watch::Receiver<Buckets>,
    state: watch::Sender<RelayState>,
}

/// Connects a keeper and a relay. The relay begins with these buckets.
#[must_use]
pub fn assignment(buckets: Buckets) -> (BucketAssigner, AssignedBuckets) {
    let (assigner, assigned) = watch::channel(buckets);
    let (reporter, state) = watch::channel(RelayState { in_flight: Buckets::NONE, stalled_since: None });
    (BucketAssigner { assigned: assigner, state }, AssignedBuckets { assigned, state: reporter })
}

impl BucketAssigner {
    /// Tells the relay to deliver these buckets, and to let go of all others.
    pub fn assign(&self, buckets: Buckets) {
        self.assigned.send_if_modified(|before| std::mem::replace(before, buckets) != buckets);
    }

    /// Another end that learns of the assigned buckets.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Buckets> {
        self.assigned.subscribe()
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

    /// Since when nothing was delivered although events were sent.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.state.borrow().stalled_since
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

//! Between the keeper of the leases and the relay: which buckets the relay is to deliver, which it has its hands on, and
//! whether it gets anything delivered.

use tokio::{sync::watch, time::Instant};

use crate::event_store::Buckets;

/// The keeper's end.
#[derive(Debug)]
pub struct Allotter {
    held: watch::Sender<Buckets>,
    used: watch::Receiver<Buckets>,
    stuck_since: watch::Receiver<Option<Instant>>,
}

/// The relay's end.
#[derive(Debug)]
pub struct Allotted {
    held: watch::Receiver<Buckets>,
    used: watch::Sender<Buckets>,
    stuck_since: watch::Sender<Option<Instant>>,
}

/// Makes the way from a keeper to a relay that is to begin with these buckets.
#[must_use]
pub fn allotment(held: Buckets) -> (Allotter, Allotted) {
    let (held, to_deliver) = watch::channel(held);
    let (using, used) = watch::channel(Buckets::NONE);
    let (stuck, stuck_since) = watch::channel(None);
    let allotted = Allotted { held: to_deliver, used: using, stuck_since: stuck };
    (Allotter { held, used, stuck_since }, allotted)
}

impl Allotter {
    /// Tells the relay to deliver these buckets, and to let go of all others.
    pub fn allot(&self, held: Buckets) {
        self.held.send_if_modified(|before| std::mem::replace(before, held) != held);
    }

    /// What the relay is to deliver.
    #[must_use]
    pub fn held(&self) -> Buckets {
        *self.held.borrow()
    }

    /// The buckets of which the relay may have something under way.
    #[must_use]
    pub fn used(&self) -> Buckets {
        *self.used.borrow()
    }

    /// Waits until the relay has let go of one of these. For ever when there is no relay any more.
    pub async fn let_go(&mut self, of: Buckets) {
        if self.used.wait_for(|used| used.and(of) != of).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the relay has let go of everything, or there is none any more.
    pub(super) async fn let_go_of_all(&mut self) {
        drop(self.used.wait_for(|used| used.is_empty()).await);
    }

    /// Since when nothing was delivered although something was sent.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        *self.stuck_since.borrow()
    }
}

impl Allotted {
    /// What is to be delivered now.
    pub(super) fn held(&mut self) -> Buckets {
        *self.held.borrow_and_update()
    }

    /// Waits for another allotment. False: there will be none any more.
    pub(super) async fn changed(&mut self) -> bool {
        self.held.changed().await.is_ok()
    }

    /// Tells the keeper that of other buckets nothing is under way.
    pub(super) fn uses(&self, used: Buckets) {
        self.used.send_replace(used);
    }

    /// Tells the keeper since when nothing was delivered although something was sent.
    pub(super) fn is_stuck_since(&self, since: Option<Instant>) {
        self.stuck_since.send_replace(since);
    }
}

//! Between the keeper of the leases and the relay: which buckets the relay is to deliver, and which it has its hands on.

use tokio::sync::watch;

use crate::event_store::Buckets;

/// The keeper's end.
#[derive(Debug)]
pub struct Allotter {
    held: watch::Sender<Buckets>,
    used: watch::Receiver<Buckets>,
}

/// The relay's end.
#[derive(Debug)]
pub struct Allotted {
    held: watch::Receiver<Buckets>,
    used: watch::Sender<Buckets>,
}

/// Makes the way from a keeper to a relay that is to begin with these buckets.
#[must_use]
pub fn allotment(held: Buckets) -> (Allotter, Allotted) {
    let (held, to_deliver) = watch::channel(held);
    let (using, used) = watch::channel(Buckets::NONE);
    (Allotter { held, used }, Allotted { held: to_deliver, used: using })
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
}
